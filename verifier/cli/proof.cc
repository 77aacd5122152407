// `gemmine-verify proof`: whether a file proves that somebody signed what is not so.
#include "verifier/proof/proof.h"

#include <cstdio>

#include "kernels/base/files.h"
#include "kernels/base/printable.h"
#include "kernels/cli/output.h"
#include "kernels/engines.h"
#include "verifier/cli/blob_folder.h"
#include "verifier/cli/commands.h"
#include "verifier/merge/delta.h"
#include "verifier/proof/replayed.h"

namespace gemmine::verifier {

namespace {

void print_text(const ProofFinding& finding, bool pool_given) {
  const auto row = [](const char* name, const std::string& value) {
    std::printf("%-10s %s\n", name, printable(value).c_str());
  };
  row(finding.proven ? "PROVEN" : "not proven", finding.words);
  row("kind", std::string(to_string(finding.kind)));
  row("against",
      std::string(finding.against_pool ? "pool " : "miner ") + to_hex(finding.accused.view()));
  row("pool", to_hex(finding.pool_key.view()) +
                  (pool_given ? "" : " (the file's word: --pool-key compares it)"));
  if (!finding.job_id.is_zero()) row("job", to_hex(finding.job_id.view()));
  if (!finding.lease_id.is_zero()) row("lease", to_hex(finding.lease_id.view()));
}

void print_json(const ProofFinding& finding) {
  cli::print_json({{"proven", finding.proven},
                   {"kind", to_string(finding.kind)},
                   {"against", finding.against_pool ? "pool" : "miner"},
                   {"accused", to_hex(finding.accused.view())},
                   {"pool", to_hex(finding.pool_key.view())},
                   {"job", to_hex(finding.job_id.view())},
                   {"lease", to_hex(finding.lease_id.view())},
                   {"words", finding.words}},
                  true);
}

// What the blobs let a replay decide.
Result<ProofFinding> replay(const ProofFinding& finding, const ProofOptions& options) {
  const ToReplay& asked = *finding.replay;
  const kernels::Program& program = asked.work.program();
  const verifier::Job& job = asked.work.job();
  const BlobFolder blobs(options.blobs);
  const auto records = blobs.get(job.train_address, program.data_bytes(job.spec.records));
  if (!records) return records.error();
  const auto published = blobs.floats(asked.lease.theta_root, program.published_floats());
  if (!published) return published.error();
  const auto engine = kernels::make_engine(options.engine, program, records.value(), 1);
  if (!engine) return engine.error();
  return decide_by_replay(finding, *engine.value(), theta_of(program, published.value()), {});
}

// Where to look for what decides.
std::string with_blobs(const ProofFinding& finding) {
  return finding.words + "; --blobs DIR, with the weights " +
         to_hex(finding.replay->lease.theta_root.view()) + " and the records " +
         to_hex(finding.replay->work.job().train_address.view()) + ", runs it";
}

}  // namespace

ExitCode run_proof(const ProofOptions& options) {
  std::optional<Digest> pool_key;
  if (!options.pool_key.empty()) {
    const auto key = digest_from_hex(options.pool_key);
    if (!key) return cli::fail(ExitCode::command_line, "--pool-key: is not 64 hex digits");
    pool_key = key.value();
  }
  const auto file = read_file(options.file, kProofBytesMax);
  if (!file) return cli::fail(ExitCode::failed, file.error().detail);
  auto finding = decide_proof(file.value(), pool_key);
  if (!finding) return cli::fail(ExitCode::malformed, options.file + ": " + finding.error().detail);
  if (finding.value().replay && options.blobs.empty()) {
    finding.value().words = with_blobs(finding.value());
  } else if (finding.value().replay) {
    finding = replay(finding.value(), options);
    if (!finding) return cli::fail(ExitCode::failed, finding.error().detail);
  }
  options.json ? print_json(finding.value()) : print_text(finding.value(), pool_key.has_value());
  return finding.value().proven ? ExitCode::invalid : ExitCode::ok;
}

}  // namespace gemmine::verifier
