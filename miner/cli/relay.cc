#include "pool/relay/relay.h"

#include <CLI/CLI.hpp>

#include "kernels/base/files.h"
#include "kernels/base/folder_lock.h"
#include "kernels/base/random.h"
#include "kernels/base/user_folder.h"
#include "kernels/cli/name.h"
#include "kernels/cli/number.h"
#include "kernels/cli/output.h"
#include "kernels/cli/program.h"
#include "miner/cli/commands.h"
#include "pool/log/console.h"
#include "pool/net/listen_address.h"
#include "pool/net/supervisor.h"

namespace gemmine::miner {

using cli::fail;

namespace {

// "host:port" to listen on, as a numeric address.
Result<pool::Endpoint> parse_listen(const std::string& text) {
  const bool any = text.starts_with("*:");
  auto endpoint = pool::parse_endpoint(any ? "any:" + text.substr(2) : text);
  if (!endpoint)
    return Error{Errc::invalid_argument,
                 "--listen '" + text +
                     "': expected host:port with a port from 1 to 65535, for example *:4481"};
  auto address = pool::listen_address(any ? "*" : endpoint.value().host);
  if (!address) return Error{address.error().code, "--listen " + address.error().detail};
  endpoint.value().host = std::move(address.value());
  return endpoint;
}

ExitCode code_of(pool::SessionEnd end) {
  switch (end) {
    case pool::SessionEnd::refused_version:
      return ExitCode::too_old;
    case pool::SessionEnd::bad_identity:
      return ExitCode::other_pool;
    case pool::SessionEnd::refused_account:
    case pool::SessionEnd::banned:
    case pool::SessionEnd::untrue:
      return ExitCode::refused;
  }
  return ExitCode::failed;
}

}  // namespace

void add_relay_options(CLI::App& command, RelayOptions& options) {
  options.data = user_data_folder("gemmine-relay");
  command.footer(
      "For a farm: each model is downloaded once, and every rig gets it from here.\n"
      "  gemmine relay --pool pool.example:4400 --pin sha256:... --listen *:4481\n"
      "  gemmine mine --relay http://192.168.0.2:4481 --pool pool.example:4400 ...\n"
      "Rigs check all they get by its hash, and ask the pool when the relay is gone, slow or\n"
      "wrong. It holds no key and hands out what any miner may download: let it listen where\n"
      "rigs are, and nobody else.");
  cli::add_name(command, "--pool", options.pools, "host:port; repeat it for pools to fall back on")
      ->required()
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  cli::add_name(command, "--pin", options.pins,
                "sha256:<hex> of the TLS key of the pool before it, or the word `system`")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  cli::add_name(command, "--listen", options.listen, "host:port for rigs; *:4481 for all addresses")
      ->capture_default_str();
  cli::add_name(command, "--data", options.data, "folder for blobs; for one process at a time")
      ->capture_default_str();
  cli::add_number(command, "--disk-mb", options.disk_mb, {1, kRelayDiskMbMax},
                  "how much the folder may take; what was longest not asked for goes first");
  command.add_flag("-v,--verbose", options.verbose, "log debug events too");
}

ExitCode relay(const RelayOptions& options) {
  auto pools = pool::parse_pools(options.pools, options.pins);
  if (!pools) return fail(ExitCode::command_line, pools.error().detail);
  auto listen = parse_listen(options.listen);
  if (!listen) return fail(ExitCode::command_line, listen.error().detail);
  if (options.data.empty()) return fail(ExitCode::command_line, std::string(kNoUserFolder));
  const std::string blobs = options.data + "/blobs";
  if (auto made = make_folder(blobs); !made) return fail(ExitCode::failed, made.error().detail);
  const auto lock = FolderLock::take(options.data, "gemmine relay");
  if (!lock) return fail(ExitCode::failed, lock.error().detail);

  pool::SessionOptions session;
  session.pools = std::move(pools.value());
  session.role = pool::Role::auditor;  // who reads, and asks for no lease
  session.account = "relay";
  session.agent = "gemmine-relay/" GEMMINE_VERSION;
  // A name for this run: it signs nothing that anybody keeps.
  const verifier::Identity identity = verifier::Identity::from_seed(random_digest());
  auto made = pool::Loop::make();
  if (!made) return fail(ExitCode::failed, made.error().detail);
  pool::Loop& loop = made.value();
  pool::Console console(options.verbose ? pool::Level::debug : pool::Level::info);
  auto relay = pool::Relay::make(loop, identity, std::move(session),
                                 {.folder = blobs,
                                  .bytes_max = options.disk_mb << 20,
                                  .listen_address = listen.value().host,
                                  .listen_port = listen.value().port},
                                 console);
  if (!relay) return fail(ExitCode::failed, relay.error().detail);
  console.event(pool::Level::info, "listening",
                {{"address", pool::Endpoint{listen.value().host, relay.value()->port()}.text()},
                 {"folder", blobs},
                 {"disk_mb", std::to_string(options.disk_mb)}});
  pool::Supervisor supervisor(loop);
  const pool::SignalWatch signals(loop, cli::stop_signals(), [&](int) {
    supervisor.stopping();
    relay.value()->stop("stopped by its owner");
  });
  supervisor.ready("handing out blobs from " + blobs);
  relay.value()->start();
  loop.run();
  const auto& refusal = relay.value()->refusal();
  return refusal ? code_of(*refusal) : ExitCode::ok;
}

}  // namespace gemmine::miner
