#include "pool/auditor/cli/watch.h"

#include <cstdio>

#include <CLI/CLI.hpp>

#include "kernels/base/files.h"
#include "kernels/base/folder_lock.h"
#include "kernels/base/printable.h"
#include "kernels/base/user_folder.h"
#include "kernels/cli/name.h"
#include "kernels/cli/number.h"
#include "kernels/cli/output.h"
#include "kernels/cli/program.h"
#include "kernels/self_test.h"
#include "pool/auditor/auditor.h"
#include "pool/log/console.h"
#include "pool/net/supervisor.h"

namespace gemmine::pool {

using cli::fail;

namespace {

// For --head of every program; empty when no record came.
std::string signed_text(const AuditReport& report) {
  return report.signed_head ? verifier::text_of(*report.signed_head) : "";
}

void print_json(const AuditReport& report, const Conclusion& conclusion) {
  Json reasons = Json::object();
  for (const auto& [reason, count] : report.unchecked_for)
    reasons[reason] = count;
  Json evidence = Json::array();
  for (const std::string& path : report.evidence)
    evidence.push_back(path);
  cli::print_json({{"outcome", conclusion.outcome},
                   {"reason", conclusion.reason},
                   {"records", report.records},
                   {"shares_seen", report.shares_seen},
                   {"replayed_valid", report.shares_valid},
                   {"replayed_invalid", report.shares_invalid},
                   {"leases_asked", report.leases_asked},
                   {"leases_replayed", report.leases_replayed},
                   {"merges_redone", report.merges_redone},
                   {"first_weights_checked", report.thetas_checked},
                   {"coins_checked", report.coins_checked},
                   {"proofs_checked", report.proofs_checked},
                   {"unchecked", report.unchecked},
                   {"unchecked_for", reasons},
                   {"evidence", evidence},
                   {"verdicts_unlogged", report.unlogged},
                   {"head", to_hex(report.head.bytes)},
                   {"signed_head", signed_text(report)}});
}

void print_text(const AuditReport& report, const Conclusion& conclusion) {
  const std::string last = conclusion.outcome + ": " + printable(conclusion.reason);
  if (report.records == 0) {  // it was turned away: there is nothing to count
    std::printf("%s\n", last.c_str());
    return;
  }
  const auto row = [](const char* name, uint64_t value) {
    std::printf("%-17s %llu\n", name, static_cast<unsigned long long>(value));
  };
  row("records folded", report.records);
  row("shares seen", report.shares_seen);
  row("replayed, valid", report.shares_valid);
  row("replayed, invalid", report.shares_invalid);
  row("leases to replay", report.leases_asked);
  row("leases replayed", report.leases_replayed);
  row("merges redone", report.merges_redone);
  row("first weights", report.thetas_checked);
  row("coins checked", report.coins_checked);
  row("proofs checked", report.proofs_checked);
  row("not checked", report.unchecked);
  for (const auto& [reason, count] : report.unchecked_for)
    std::printf("  %llu: %s\n", static_cast<unsigned long long>(count), printable(reason).c_str());
  for (const std::string& path : report.evidence)
    std::printf("evidence          %s\n", printable(path).c_str());
  std::printf("ledger head       %s\nsigned head       %s\n%s\n", to_hex(report.head.bytes).c_str(),
              signed_text(report).c_str(), last.c_str());
}

}  // namespace

void add_watch_options(CLI::App& command, WatchOptions& options) {
  options.data = user_data_folder("gemmine-audit");
  cli::add_name(command, "--pool", options.pools, "host:port of the pool to audit")->required();
  cli::add_name(command, "--pin", options.pin, "sha256:<hex> of the pool's TLS key");
  cli::add_name(command, "--pool-key", options.pool_key,
                "64 hex digits: audit a pool that signs with this key, and no other");
  cli::add_name(command, "--head", options.head,
                "a signed head that the pool must stand by, as gemmine-verify and gemmine-audit "
                "print it");
  cli::add_name(command, "--name", options.name, "how the pool shall call us")
      ->capture_default_str();
  cli::add_name(command, "--data", options.data, "our key and downloads")->capture_default_str();
  cli::add_name(command, "--relay", options.relay,
                "http://host:port of a `gemmine relay` to download from, before the pool")
      ->envname("GEMMINE_RELAY");
  cli::add_number(command, "--rate", options.rate, {0, 1}, "fraction of the leases to replay");
  cli::add_name(command, "--engine", options.engine, "where to replay")->capture_default_str();
  cli::add_number(command, "--threads", options.threads, {1, 1024}, "threads of the cpu engine");
  cli::add_number(command, "--patience", options.patience_s, {1, 86'400},
                  "seconds without a byte of what a connected pool owes us");
  command.add_flag("--exit-when-finished", options.exit_when_finished,
                   "end when every job of the pool is finished");
  command.add_flag("--json", options.json, "the summary as JSON");
}

ExitCode watch(const WatchOptions& options) {
  SessionOptions session;
  session.role = Role::auditor;
  session.agent = "gemmine-audit/" GEMMINE_VERSION;
  session.account = options.name;
  session.one_pool = true;
  std::vector<std::string> pins;
  if (!options.pin.empty()) pins.assign(options.pools.size(), options.pin);
  auto pools = parse_pools(options.pools, pins);
  if (!pools) return fail(ExitCode::command_line, pools.error().detail);
  session.pools = std::move(pools.value());
  const auto only = [](const std::string& text) {
    return text.empty() ? std::vector<std::string>{} : std::vector{text};
  };
  auto words = verifier::parse_pool_words(only(options.pool_key), only(options.head));
  if (!words) return fail(ExitCode::command_line, words.error().detail);
  std::optional<HttpAddress> relay;
  if (!options.relay.empty()) {
    auto parsed = parse_http_address(options.relay);
    if (!parsed) return fail(ExitCode::command_line, "--relay: " + parsed.error().detail);
    relay = std::move(parsed.value());
  }
  if (options.data.empty()) return fail(ExitCode::command_line, std::string(kNoUserFolder));
  if (auto made = make_folder(options.data + "/blobs"); !made)
    return fail(ExitCode::failed, made.error().detail);
  const auto lock = FolderLock::take(options.data, "gemmine-audit");
  if (!lock) return fail(ExitCode::failed, lock.error().detail);
  const auto seed = load_or_make_identity_key(options.data);
  if (!seed) return fail(ExitCode::failed, seed.error().detail);
  if (auto tested = kernels::self_test(options.engine); !tested)
    return fail(cli::code_of_engine(tested.error()), "self-test: " + tested.error().detail);

  const verifier::Identity identity = verifier::Identity::from_seed(seed.value());
  auto made = Loop::make();
  if (!made) return fail(ExitCode::failed, made.error().detail);
  Loop& loop = made.value();
  Console console;
  auto auditor = Auditor::make(loop, identity, session,
                               {.data = options.data,
                                .rate = options.rate,
                                .engine = options.engine,
                                .threads = options.threads,
                                .exit_when_finished = options.exit_when_finished,
                                .known_pools = verifier::default_known_folder(),
                                .relay = std::move(relay),
                                .words = std::move(words.value()),
                                .patience_ms = options.patience_s * uint64_t{1000}},
                               console);
  if (!auditor) return fail(ExitCode::failed, auditor.error().detail);
  Supervisor supervisor(loop);
  const SignalWatch signals(loop, cli::stop_signals(), [&](int) {
    supervisor.stopping();
    auditor.value()->stop("stopped by its owner");
  });
  auditor.value()->start();
  supervisor.ready("auditing " + options.pools.front());
  loop.run();
  const AuditReport& report = auditor.value()->report();
  const Conclusion conclusion = conclude(report);
  options.json ? print_json(report, conclusion) : print_text(report, conclusion);
  return conclusion.code;
}

}  // namespace gemmine::pool
