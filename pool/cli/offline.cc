// Commands that need no network: init, job check, report, backup.
#include <cstdio>

#include "kernels/base/files.h"
#include "kernels/cli/output.h"
#include "pool/cli/commands.h"
#include "pool/core/answer_time.h"
#include "pool/core/theft_odds.h"
#include "pool/data/loaded_job.h"
#include "pool/server/status.h"
#include "pool/store/folder.h"

namespace gemmine::pool {

using cli::fail;

ExitCode init(const std::string& data, bool new_tls) {
  const auto keys = new_tls ? renew_certificate(data) : init_folder(data);
  if (!keys) return fail(ExitCode::failed, keys.error().detail);
  if (const std::string open = wide_mode_warning(data); !open.empty())
    std::fprintf(stderr, "warning: %s\n", open.c_str());
  std::printf("pool key  %s\n", to_hex(keys.value().identity.public_key().bytes).c_str());
  std::printf("pin       %s\n", pin_text(keys.value().tls.spki_pin()).c_str());
  std::printf("miners:   gemmine mine --pool HOST:PORT --pin %s --account NAME\n",
              pin_text(keys.value().tls.spki_pin()).c_str());
  return ExitCode::ok;
}

static std::string shape_text(const kernels::Spec& spec) {
  std::string out;
  for (const uint32_t width : spec.widths)
    out.append(out.empty() ? "" : "-").append(std::to_string(width));
  if (spec.architecture != kernels::Architecture::gpt) return out;
  const kernels::GptShape& gpt = spec.gpt;
  return "gpt of " + std::to_string(gpt.blocks) + " blocks, width " + std::to_string(gpt.width) +
         ", " + std::to_string(gpt.heads) + " heads, context " + std::to_string(gpt.context) +
         ", vocabulary " + std::to_string(gpt.vocabulary);
}

static void print_theft_odds(const verifier::Job& job) {
  const TheftOdds odds = theft_odds(job);
  std::printf(
      "audits      %.4g %% of shares replayed; a lease of %u that cheats is found in %.1f %%\n",
      job.audit.replay_ppm * 1e-4, odds.shares, 100 * odds.found);
  std::printf("theft       one who computes nothing is paid %.2f leases before he is found\n",
              odds.leases_paid);
  if (odds.leases_paid <= kTheftLeasesMax) return;
  std::printf(
      "            WARNING: theft pays. Raise replay_ppm or vest_leases, or cut a lease\n"
      "            into more shares; spot audits do not stop it\n");
}

// An honest device's times: what it has for an answer follows its own pace, a lease's does not.
static void print_times(const verifier::Job& job) {
  const uint64_t wanted = uint64_t{1000} * kShareSeconds;
  const uint64_t target = share_target_ms(job, wanted);
  std::printf("times       %u ms a lease; an answer has %u ms and what its device's pace needs\n",
              job.audit.lease_ms, job.audit.answer_ms);
  if (target == wanted) return;
  std::printf(
      "            lease_ms = %u is too short for shares of share_seconds = %u: they get %.3g s\n",
      job.audit.lease_ms, kShareSeconds, static_cast<double>(target) * 1e-3);
}

ExitCode check_job(const std::string& path) {
  const auto loaded = load_job(path);
  if (!loaded) return fail(ExitCode::bad_input, loaded.error().detail);
  const verifier::Job& job = loaded.value().work.job();
  const kernels::Program& program = loaded.value().work.program();
  const uint64_t leases = uint64_t{job.spec.rounds} * job.spec.slots;
  __extension__ using Wide = unsigned __int128;
  const uint64_t lease_macs = program.macs_per_step() * job.spec.steps_per_lease;
  const auto lease_gross =
      static_cast<uint64_t>(Wide{job.price_per_tmac} * lease_macs / 1'000'000'000'000U);
  std::printf("job         %s\n", job.name.c_str());
  std::printf("job_id      %s\n", to_hex(loaded.value().work.id().bytes).c_str());
  std::printf("model       %s, %llu parameters\n", shape_text(job.spec).c_str(),
              static_cast<unsigned long long>(program.parameters()));
  std::printf("data        %u training records, %u test records\n", job.spec.records,
              job.test_records);
  std::printf("train       %s\n", to_hex(job.train_address.bytes).c_str());
  std::printf("test        %s\n", to_hex(job.test_address.bytes).c_str());
  std::printf("work        %u rounds x %u slots x %u steps, %u steps a share at first\n",
              job.spec.rounds, job.spec.slots, job.spec.steps_per_lease, job.steps_per_share);
  std::printf("macs        %llu a step, %.4f T a lease, %.4f T in all\n",
              static_cast<unsigned long long>(program.macs_per_step()),
              static_cast<double>(lease_macs) * 1e-12,
              static_cast<double>(lease_macs) * static_cast<double>(leases) * 1e-12);
  std::printf("cost        %llu a lease, %llu in all\n",
              static_cast<unsigned long long>(lease_gross),
              static_cast<unsigned long long>(lease_gross) * leases);
  print_times(job);
  print_theft_odds(job);
  return ExitCode::ok;
}

ExitCode backup(const std::string& data, const std::string& to) {
  if (const Status done = back_up(data, to); !done)
    return fail(ExitCode::failed, done.error().detail);
  std::printf("%s is a copy of %s; it holds the pool's secret keys\n", to.c_str(), data.c_str());
  return ExitCode::ok;
}

ExitCode report(const std::string& data, bool as_json) {
  const auto state = read_ledger(data);
  if (!state) return fail(ExitCode::failed, state.error().detail);
  const LedgerView view = view_of(state.value(), Totals::of(state.value()));
  const std::string text = as_json ? report_json(view) : report_text(view);
  std::fputs(text.c_str(), stdout);
  return ExitCode::ok;
}

}  // namespace gemmine::pool
