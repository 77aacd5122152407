// `gemmine-verify digest`, `share` and `replay`: one file, judged.
#include <algorithm>
#include <cstdio>

#include "kernels/cli/output.h"
#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "verifier/audit/bundle.h"
#include "verifier/cli/commands.h"
#include "verifier/cli/report.h"
#include "verifier/merge/round.h"

namespace gemmine::verifier {

namespace {

Result<Bundle> load_bundle(const std::string& path) {
  auto bytes = load(path, kBundleBytesMax);
  if (!bytes) return bytes.error();
  auto bundle = decode_bundle(bytes.value());
  if (!bundle) return Error{bundle.error().code, path + ": " + bundle.error().detail};
  return bundle;
}

// Is the lease of the pool that is meant? Said to `report`, if not.
bool of_the_pool(const Bundle& bundle, const std::string& pool_key, Report& report) {
  if (pool_key.empty() || pool_key == to_hex(bundle.lease.pool_key.view())) return true;
  report.finding(Outcome::invalid, "pool", "the lease is of a pool with another key");
  return false;
}

void report_bundle(const Bundle& bundle, Report& report) {
  report.fact("job", to_hex(bundle.work.id().view()));
  report.fact("lease", to_hex(bundle.lease.id.view()));
  report.fact("share",
              std::to_string(bundle.share.index) + " " + to_hex(share_id(bundle.share).view()));
  report.fact("pool", to_hex(bundle.lease.pool_key.view()));
  report.fact("miner", to_hex(bundle.lease.miner_key.view()));
}

Result<Bytes> load_records(const std::string& path, const Work& work) {
  const uint64_t size = work.program().data_bytes(work.job().spec.records);
  auto records = load(path, size);
  if (!records) return records;
  if (records.value().size() != size)
    return Error{Errc::malformed, path + ": has " + std::to_string(records.value().size()) +
                                      " bytes, the job's records have " + std::to_string(size)};
  if (kernels::blake3(records.value()) != work.job().train_address)
    return Error{Errc::malformed, path + ": these are not the job's records (train_address)"};
  return records;
}

// Runs the lease from its start up to the share: states between shares are not in a bundle.
Result<ShareRun> rerun(const Bundle& bundle, ByteView records, const ReplayOptions& options) {
  const kernels::Program& program = bundle.work.program();
  const auto theta = bundle_theta(bundle);
  if (!theta) return theta.error();
  auto engine = kernels::make_engine(options.engine, program, records, options.threads);
  if (!engine) return engine.error();
  std::vector<float> state = start_state(program, theta.value());
  for (uint32_t index = 0;; ++index) {
    show_progress("replaying shares", index, bundle.share.index + 1);
    auto run = run_share(*engine.value(), {bundle.work, bundle.lease, theta.value()}, index, state);
    if (!run || index == bundle.share.index) {
      if (run) show_progress("replaying shares", index + 1, index + 1);
      return run;
    }
    state = std::move(run.value().state_after);
  }
}

}  // namespace

ExitCode run_digest(const FileOptions& options) {
  const auto file = open_file(options.file);
  if (!file) return cli::fail(ExitCode::undecided, file.error().detail);
  kernels::Blake3 hasher;
  Bytes buffer(size_t{1} << 20);
  size_t count = 0;
  while ((count = std::fread(buffer.data(), 1, buffer.size(), file.value().get())) > 0)
    hasher.update(ByteView(buffer).first(count));
  if (std::ferror(file.value().get()) != 0)
    return cli::fail(ExitCode::undecided, "cannot read " + options.file);
  std::printf("%s  %s\n", to_hex(hasher.finish().view()).c_str(), options.file.c_str());
  return ExitCode::ok;
}

ExitCode run_share(const FileOptions& options) {
  Report report(options.json);
  const auto bundle = load_bundle(options.file);
  if (!bundle) {
    report.failure("bundle", bundle.error());
    return report.finish();
  }
  report_bundle(bundle.value(), report);
  of_the_pool(bundle.value(), options.pool_key, report);
  for (const BundleFinding& item : check_bundle(bundle.value()))
    report.finding(item.finding.outcome, item.check, item.finding.detail);
  return report.finish();
}

ExitCode run_replay(const ReplayOptions& options) {
  Report report(options.json);
  const auto bundle = load_bundle(options.bundle);
  if (!bundle) {
    report.failure("bundle", bundle.error());
    return report.finish();
  }
  report_bundle(bundle.value(), report);
  bool sound = of_the_pool(bundle.value(), options.pool_key, report);
  for (const BundleFinding& item : check_bundle(bundle.value())) {
    report.finding(item.finding.outcome, item.check, item.finding.detail);
    sound &= item.check.starts_with("verdict") || item.finding.outcome == Outcome::valid;
  }
  if (!sound) return report.finish();
  const auto records = load_records(options.data, bundle.value().work);
  if (!records) {
    report.failure("data", records.error());
    return report.finish();
  }
  const auto run = rerun(bundle.value(), records.value(), options);
  if (!run) {
    report.failure("replay", run.error());
    return report.finish();
  }
  const Finding finding = compare_share(bundle.value().share, run.value());
  report.finding(finding.outcome, "replay", finding.detail);
  return report.finish();
}

}  // namespace gemmine::verifier
