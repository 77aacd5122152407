#include <algorithm>
#include <cstdio>
#include <optional>

#include "kernels/base/cores.h"
#include "kernels/base/cpu.h"
#include "kernels/base/files.h"
#include "kernels/base/folder_lock.h"
#include "kernels/base/user_folder.h"
#include "kernels/cli/output.h"
#include "kernels/cli/program.h"
#include "kernels/engines.h"
#include "kernels/self_test.h"
#include "miner/cli/commands.h"
#include "miner/miner.h"
#include "pool/log/console.h"
#include "pool/net/supervisor.h"

namespace gemmine::miner {

using cli::fail;

namespace {

struct Setup {
  verifier::PoolWords words;
  std::optional<FolderLock> lock;
  pool::SessionOptions session;
  std::optional<pool::HttpAddress> relay;
  std::optional<verifier::Identity> identity;
};

// Options to values; every error says which option and what it expects.
Result<Setup> prepare(const MineOptions& options) {
  Setup setup;
  auto pools = pool::parse_pools(options.pools, options.pins);
  if (!pools) return pools.error();
  setup.session.pools = std::move(pools.value());
  auto words = verifier::parse_pool_words(options.pool_keys, options.heads);
  if (!words) return words.error();
  setup.words = std::move(words.value());
  if (!options.relay.empty()) {
    auto relay = pool::parse_http_address(options.relay);
    if (!relay) return Error{relay.error().code, "--relay: " + relay.error().detail};
    setup.relay = std::move(relay.value());
  }
  if (!verifier::account_ok(options.account)) {
    return Error{Errc::invalid_argument,
                 "--account: expected 1 to 64 of A-Z a-z 0-9 . _ - (it names who is paid)"};
  }
  if (options.data.empty()) return Error{Errc::invalid_argument, std::string(kNoUserFolder)};
  setup.session.account = options.account;
  setup.session.agent = "gemmine/" GEMMINE_VERSION;
  if (auto made = make_folder(options.data); !made) return made.error();
  auto lock = FolderLock::take(options.data, "gemmine");
  if (!lock) return lock.error();
  setup.lock.emplace(std::move(lock.value()));
  const auto seed = load_or_make_identity_key(options.data);
  if (!seed) return seed.error();
  setup.identity = verifier::Identity::from_seed(seed.value());
  return setup;
}

}  // namespace

ExitCode mine(const MineOptions& options, const MineHooks& hooks) {
  auto setup = prepare(options);
  if (!setup)
    return fail(
        setup.error().code == Errc::invalid_argument ? ExitCode::command_line : ExitCode::failed,
        setup.error().detail);
  if (auto path = cpu_path_checked(); !path)
    return fail(ExitCode::command_line, path.error().detail);
  if (auto tested = kernels::self_test(options.device.engine); !tested)
    return fail(cli::code_of_engine(tested.error()),
                "self-test of '" + options.device.engine + "': " + tested.error().detail);

  pool::Console console(options.verbose ? pool::Level::debug : pool::Level::info);
  console.event(pool::Level::info, "identity",
                {{"key", to_hex(setup.value().identity->public_key().bytes)},
                 {"account", options.account},
                 {"engine", options.device.engine},
                 {"self_test", "ok"}});
  auto made = pool::Loop::make();
  if (!made) return fail(ExitCode::failed, made.error().detail);
  pool::Loop& loop = made.value();
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
  miner_options.known_pools = verifier::default_known_folder();
  miner_options.relay = setup.value().relay;
  miner_options.words = setup.value().words;
  miner_options.exit_when_finished = options.exit_when_finished;
  miner_options.dry_run = options.dry_run;
  miner_options.check_own = hooks.check_own;
  miner_options.throttle = options.throttle;
  miner_options.kept_bytes = options.keep_mib << 20;
  auto miner = Miner::make(loop, *setup.value().identity, setup.value().session, std::move(factory),
                           miner_options, console);
  if (!miner) return fail(ExitCode::failed, miner.error().detail);
  pool::Supervisor supervisor(loop);
  pool::SignalWatch watch(loop, cli::stop_signals(), [&](int) {
    supervisor.stopping();
    miner.value()->stop("stopped by its owner");
  });
  miner.value()->start();
  supervisor.ready("mining on " + options.device.engine + " for " + options.account);
  loop.run();
  const Ending ending = miner.value()->ending();
  console.event(ending.code == ExitCode::ok ? pool::Level::info : pool::Level::error, "end",
                {{"exit_code", std::to_string(static_cast<int>(ending.code))},
                 {"reason", ending.reason.empty() ? "stopped by its owner" : ending.reason}});
  return ending.code;
}

}  // namespace gemmine::miner
