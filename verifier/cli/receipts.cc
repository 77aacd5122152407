// `gemmine-verify receipts`: what a miner keeps of a pool's words, checked by a stranger.
#include "kernels/cli/output.h"
#include "verifier/cli/commands.h"
#include "verifier/cli/report.h"
#include "verifier/proof/kept_words.h"

namespace gemmine::verifier {

ExitCode run_receipts(const FileOptions& options) {
  Report report(options.json);
  const auto bytes = load(options.file, kKeptFileBytesMax);
  if (!bytes) {
    report.failure("receipts", bytes.error());
    return report.finish();
  }
  const KeptWords kept = read_kept(bytes.value());
  const auto lease = lease_of(kept);
  if (!lease) {
    report.finding(Outcome::malformed, "receipts", options.file + ": " + lease.error().detail);
    return report.finish();
  }
  Digest pool_key = lease.value().pool_key;
  if (!options.pool_key.empty()) {
    const auto key = digest_from_hex(options.pool_key);
    if (!key) return cli::fail(ExitCode::command_line, "--pool-key: expected 64 hex digits");
    pool_key = key.value();
  }
  for (const Statement& word : kept.words) {
    const std::string fault = fault_of(word, pool_key);
    report.finding(fault.empty() ? Outcome::valid : Outcome::invalid, words_of(word), fault);
  }
  if (kept.cut)
    report.finding(Outcome::malformed, "receipts", options.file + ": the last word is cut short");
  report.fact("lease", to_hex(lease.value().id.view()));
  report.fact("pool", to_hex(pool_key.view()));
  report.fact("miner", to_hex(lease.value().miner_key.view()));
  return report.finish();
}

}  // namespace gemmine::verifier
