#include "verifier/cli/watch.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <CLI/CLI.hpp>

#include "kernels/base/files.h"
#include "kernels/base/user_folder.h"
#include "kernels/self_test.h"
#include "pool/auditor/auditor.h"

namespace gemmine::verifier {

namespace {

class Lines final : public AuditorEvents {
 public:
  void line(const std::string& text) override { std::fprintf(stderr, "audit: %s\n", text.c_str()); }
};

int fail(int code, const std::string& text) {
  std::fprintf(stderr, "gemmine-verify watch: %s\n", text.c_str());
  return code;
}

void print(const AuditorReport& report, bool json) {
  const std::string head = to_hex(report.head.bytes);
  const char* text =
      json ? "{\"records\":%llu,\"shares_seen\":%llu,\"replayed_valid\":%llu,"
             "\"replayed_invalid\":%llu,\"merges_redone\":%llu,\"coins_checked\":%llu,"
             "\"head\":\"%s\"}\n"
           : "records folded    %llu\nshares seen       %llu\nreplayed, valid   %llu\n"
             "replayed, invalid %llu\nmerges redone     %llu\ncoins checked     %llu\n"
             "ledger head       %s\n";
  const auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  // NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): both formats take the same arguments.
  std::printf(text, number(report.records), number(report.shares_seen), number(report.shares_valid),
              number(report.shares_invalid), number(report.merges_redone),
              number(report.coins_checked), head.c_str());
  if (!json)
    std::printf("%s\n", report.broken.empty() ? "everything that was checked is true"
                                              : ("NOT TRUE: " + report.broken).c_str());
}

}  // namespace

void add_watch_options(CLI::App& command, WatchOptions& options) {
  options.data = user_data_folder("gemmine-verify");
  command.add_option("--pool", options.pools, "host:port of the pool to audit")->required();
  command.add_option("--pin", options.pin, "sha256:<hex> of the pool's TLS key");
  command.add_option("--name", options.name, "how the pool shall call us")->capture_default_str();
  command.add_option("--data", options.data, "our key and downloads")->capture_default_str();
  command.add_option("--rate", options.rate, "fraction of the leases to replay, 0 to 1")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--engine", options.engine, "where to replay")->capture_default_str();
  command.add_option("--threads", options.threads, "threads of the cpu engine")
      ->check(CLI::Range(1, 1024));
  command.add_flag("--exit-when-finished", options.exit_when_finished,
                   "end when every job of the pool is finished");
  command.add_flag("--json", options.json, "the summary as JSON");
}

int watch(const WatchOptions& options) {
  pool::SessionOptions session;
  session.role = pool::Role::auditor;
  session.agent = "gemmine-verify/" GEMMINE_VERSION;
  session.account = options.name;
  session.one_pool = true;
  std::vector<std::string> pins;
  if (!options.pin.empty()) pins.assign(options.pools.size(), options.pin);
  auto pools = pool::parse_pools(options.pools, pins);
  if (!pools) return fail(2, pools.error().detail);
  session.pools = std::move(pools.value());
  if (auto made = make_folder(options.data + "/blobs"); !made) return fail(12, made.error().detail);
  const auto seed = load_or_make_secret(options.data + "/identity.key");
  if (!seed) return fail(12, seed.error().detail);
  if (auto tested = kernels::self_test(options.engine); !tested)
    return fail(7, "self-test: " + tested.error().detail);

  const Identity identity = Identity::from_seed(seed.value());
  pool::Loop loop;
  Lines lines;
  AuditorOptions auditor_options{options.data, options.rate, options.engine, options.threads,
                                 options.exit_when_finished};
  Auditor auditor(loop, identity, session, auditor_options, lines);
  constexpr int kSignals[] = {SIGINT, SIGTERM};
  pool::SignalWatch signals(loop, kSignals, [&](int) { auditor.stop("stopped by its owner"); });
  auditor.start();
  loop.run();
  print(auditor.report(), options.json);
  return auditor.exit_code();
}

}  // namespace gemmine::verifier
