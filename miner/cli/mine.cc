#include <algorithm>
#include <cstdio>
#include <optional>

#include "kernels/base/cores.h"
#include "kernels/base/cpu.h"
#include "kernels/base/files.h"
#include "kernels/cli/output.h"
#include "kernels/cli/program.h"
#include "kernels/self_test.h"
#include "miner/cli/commands.h"
#include "miner/miner.h"
#include "pool/log/console.h"

namespace gemmine::miner {

using cli::fail;

namespace {

bool good_account(const std::string& account) {
  return !account.empty() && account.size() <= 64 &&
         std::all_of(account.begin(), account.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

struct Setup {
  pool::SessionOptions session;
  std::optional<verifier::Identity> identity;
};

// Options to values; every error says which option and what it expects.
Result<Setup> prepare(const MineOptions& options) {
  Setup setup;
  for (const std::string& text : options.pools) {
    auto endpoint = pool::parse_endpoint(text);
    if (!endpoint) return endpoint.error();
    setup.session.pools.push_back(endpoint.value());
  }
  if (!options.pin.empty()) {
    const auto pin = pool::parse_pin(options.pin);
    if (!pin) return Error{Errc::invalid_argument, "--pin: " + pin.error().detail};
    setup.session.pin = pin.value();
  }
  if (!good_account(options.account)) {
    return Error{Errc::invalid_argument,
                 "--account: expected 1 to 64 of A-Z a-z 0-9 . _ - (it names who is paid)"};
  }
  setup.session.account = options.account;
  setup.session.agent = "gemmine/" GEMMINE_VERSION;
  if (auto made = make_folder(options.data); !made) return made.error();
  const auto seed = load_or_make_secret(options.data + "/identity.key");
  if (!seed) return seed.error();
  setup.identity = verifier::Identity::from_seed(seed.value());
  return setup;
}

}  // namespace

ExitCode mine(const MineOptions& options, const MineHooks& hooks) {
  auto setup = prepare(options);
  if (!setup)
    return fail(setup.error().code == Errc::io ? ExitCode::failed : ExitCode::command_line,
                setup.error().detail);
  if (auto path = cpu_path_checked(); !path)
    return fail(ExitCode::command_line, path.error().detail);
  if (auto tested = kernels::self_test(options.device.engine); !tested)
    return fail(ExitCode::wrong_numbers,
                "self-test of '" + options.device.engine + "': " + tested.error().detail);

  pool::Console console(options.verbose ? pool::Level::debug : pool::Level::info);
  console.event(pool::Level::info, "identity",
                {{"key", to_hex(setup.value().identity->public_key().bytes)},
                 {"account", options.account},
                 {"engine", options.device.engine},
                 {"self_test", "ok"}});
  pool::Loop loop;
  auto tls = pool::TlsContext::client(setup.value().session.pin);
  if (!tls) return fail(ExitCode::command_line, tls.error().detail);
  const int threads = options.device.threads > 0 ? options.device.threads : usable_cores();
  EngineFactory factory = [&options, &hooks, threads](
                              const kernels::Program& program,
                              ByteView records) -> Result<std::unique_ptr<kernels::Engine>> {
    auto engine = kernels::make_engine(options.device.engine, program, records, threads);
    if (!engine) return engine;
    if (hooks.wrap) engine = hooks.wrap(std::move(engine.value()), program);
    return engine;
  };
  MinerOptions miner_options;
  miner_options.data = options.data;
  miner_options.exit_when_finished = options.exit_when_finished;
  miner_options.dry_run = options.dry_run;
  miner_options.check_own = hooks.check_own;
  miner_options.throttle = options.throttle;
  auto miner = Miner::make(loop, tls.value(), *setup.value().identity, setup.value().session,
                           std::move(factory), miner_options, console);
  if (!miner) return fail(ExitCode::failed, miner.error().detail);
  pool::SignalWatch watch(loop, cli::stop_signals(),
                          [&](int) { miner.value()->stop("stopped by its owner"); });
  miner.value()->start();
  loop.run();
  const Ending ending = miner.value()->ending();
  console.event(ending.code == ExitCode::ok ? pool::Level::info : pool::Level::error, "end",
                {{"exit_code", std::to_string(static_cast<int>(ending.code))},
                 {"reason", ending.reason.empty() ? "stopped by its owner" : ending.reason}});
  return ending.code;
}

}  // namespace gemmine::miner
