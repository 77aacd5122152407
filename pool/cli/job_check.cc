// `gemmine-pool job check`: what a job file trains, costs and pays, and whether a thief likes it.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "kernels/cli/output.h"
#include "pool/cli/commands.h"
#include "pool/core/answer_time.h"
#include "pool/core/terms.h"
#include "pool/data/loaded_job.h"

namespace gemmine::pool {

using cli::fail;

namespace {

constexpr double kSilentPart = 0.05;  // of miners that fall silent, for the second number

// "1 replay", "0.75 replays".
std::string counted(double number, const char* noun) {
  char text[64];
  std::snprintf(text, sizeof text, "%.4g %s%s", number, noun, number == 1 ? "" : "s");
  return text;
}

std::string shape_text(const kernels::Spec& spec) {
  std::string out;
  for (const uint32_t width : spec.widths)
    out.append(out.empty() ? "" : "-").append(std::to_string(width));
  if (spec.architecture != kernels::Architecture::gpt) return out;
  const kernels::GptShape& gpt = spec.gpt;
  return "gpt of " + std::to_string(gpt.blocks) + " blocks, width " + std::to_string(gpt.width) +
         ", " + std::to_string(gpt.heads) + " heads, context " + std::to_string(gpt.context) +
         ", vocabulary " + std::to_string(gpt.vocabulary);
}

std::string time_text(double seconds) {
  char text[32];
  if (seconds < 120) {
    std::snprintf(text, sizeof text, "%.0f s", seconds);
  } else if (seconds < 7200) {
    std::snprintf(text, sizeof text, "%.0f min", seconds / 60);
  } else {
    std::snprintf(text, sizeof text, "%.1f h", seconds / 3600);
  }
  return text;
}

void print_work(const LoadedJob& loaded) {
  const verifier::Job& job = loaded.work.job();
  const kernels::Program& program = loaded.work.program();
  const uint64_t leases = uint64_t{job.spec.rounds} * job.spec.slots;
  __extension__ using Wide = unsigned __int128;
  const uint64_t lease_macs = program.macs_per_step() * job.spec.steps_per_lease;
  const auto lease_gross =
      static_cast<uint64_t>(Wide{job.price_per_tmac} * lease_macs / 1'000'000'000'000U);
  std::printf("job         %s\n", job.name.c_str());
  std::printf("job_id      %s\n", to_hex(loaded.work.id().bytes).c_str());
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
  std::printf("times       %u ms a lease; an answer has %u ms and what its device's pace needs\n",
              job.audit.lease_ms, job.audit.answer_ms);
}

Crowd crowd_of(const verifier::Work& work, const CheckCommand& command) {
  const verifier::Job& job = work.job();
  Crowd crowd;
  crowd.leases = uint64_t{job.spec.rounds} * job.spec.slots;
  crowd.miners = command.miners.value_or(job.spec.slots);
  crowd.auditors = command.auditors;
  crowd.lease_s = command.lease_seconds.value_or(std::max(1U, job.audit.lease_ms / 2000));
  crowd.idle_s = 1e-3 * static_cast<double>(verifier::kIdleLeases * job.audit.lease_ms);
  crowd.answer_s =
      1e-3 * static_cast<double>(job.audit.answer_ms + line_ms(answer_bytes_max(work))) +
      2 * crowd.lease_s;
  crowd.thread_cost = thread_cost(work);
  return crowd;
}

void print_pay(const PayTerms& terms, const Crowd& crowd) {
  const PayTimes times = pay_times(terms, crowd);
  const bool replayed = terms.threads_replayed && terms.threads > 0;
  std::printf("miners      %u assumed (--miners), %s each of %.0f s (--lease-seconds); %s\n",
              crowd.miners,
              counted(static_cast<double>(crowd.leases) / crowd.miners, "lease").c_str(),
              crowd.lease_s, counted(crowd.auditors, "auditor").c_str());
  std::printf(
      "pays        a batch of %s at once (a key's first: %u), after %s and %s\n"
      "            drawn from it when it is closed%s\n",
      counted(terms.batch, "lease").c_str(), terms.first_batch,
      counted(terms.replays, "replay").c_str(), counted(terms.threads, "thread").c_str(),
      replayed ? "; threads are replayed: that is cheaper here" : "");
  std::printf(
      "pay final   after %s in the mean, %s at most; %s at most after a miner's last lease;\n"
      "            the last batch %s after the last merge\n",
      time_text(times.mean).c_str(), time_text(times.longest).c_str(),
      time_text(times.idle).c_str(), time_text(times.last).c_str());
}

void print_theft(const PayTerms& terms, const Crowd& crowd) {
  const BestTheft best = best_theft(terms, crowd.leases);
  const Theft ghost{.name = "", .saved = 1, .convicted = 1};
  const uint32_t batch = terms.batch;
  const double lost = batch - batch_pay(terms, batch, 1, ghost.convicted) - ghost.saved;
  std::printf(
      "theft       best of %zu thefts x all strategies, free keys: %.3f leases' pay (%s); "
      "one stolen\n            lease of a full batch %s the pay of %.2f leases, net\n",
      known_thefts().size(), best.gain,
      best.gain > 0 ? std::string(best.theft.name).c_str() : "none pays",
      lost < 0 ? "gains" : "loses", std::abs(lost));
  const auto least = least_replays(terms);
  std::printf("replays     %.4g a batch", terms.replays);
  if (least) std::printf(", where %.2f would be enough", *least);
  std::printf("; ");
  if (terms.fine < 1)
    std::printf("one failed ticket costs %.4g %% of its batch\n", 100 * terms.fine);
  else
    std::printf("one failed ticket costs the whole batch\n");
}

void print_answers(const verifier::Work& work, const PayTerms& terms) {
  if (terms.threads == 0 || terms.threads_replayed) return;
  std::printf("answers     %.0f MB a thread, %.0f MB at most: what a miner sends for a ticket\n",
              1e-6 * static_cast<double>(answer_bytes_mean(work)),
              1e-6 * static_cast<double>(answer_bytes_max(work)));
}

void print_audits(const PayTerms& terms, Crowd crowd) {
  const AuditCost cost = audit_cost(terms, crowd);
  crowd.silent_part = kSilentPart;
  const AuditCost silent = audit_cost(terms, crowd);
  std::printf(
      "audits      pool %.1f %% of the job's compute (%.1f %% if %.0f %% of miners fall "
      "silent), miners' re-runs\n            at most %.1f %%\n",
      100 * cost.pool, 100 * silent.pool, 100 * kSilentPart, 100 * cost.miner);
  std::printf("sabotage    a new key's ghosts merged before it is caught: %.1f of %llu leases\n",
              sabotage_leases(terms), static_cast<unsigned long long>(crowd.leases));
}

// What is allowed and hardly meant. A lease's own time is no part of the job: who asks names it.
void print_warnings(const PayTerms& terms, const Crowd& crowd) {
  const double each = static_cast<double>(crowd.leases) / crowd.miners;
  if (audit_cost(terms, crowd).pool > 1)
    std::printf(
        "warning     audits take more than the job: let batch_leases be larger, or threads "
        "and replays_ppm smaller\n");
  if (each < terms.batch)
    std::printf("warning     no miner fills a batch: %.4g leases each, batch_leases = %u\n", each,
                terms.batch);
}

}  // namespace

ExitCode check_job(const CheckCommand& command) {
  const auto loaded = load_job(command.job);
  if (!loaded) return fail(ExitCode::bad_input, loaded.error().detail);
  const verifier::Work& work = loaded.value().work;
  const PayTerms terms = terms_of(work);
  const Crowd crowd = crowd_of(work, command);
  print_work(loaded.value());
  print_pay(terms, crowd);
  print_theft(terms, crowd);
  print_audits(terms, crowd);
  print_answers(work, terms);
  print_warnings(terms, crowd);
  Status sound = check_terms(work, uint64_t{1000} * command.share_seconds);
  if (sound && 1000 * crowd.lease_s > work.job().audit.lease_ms)
    sound = Error{Errc::invalid_argument,
                  "lease_ms = " + std::to_string(work.job().audit.lease_ms) +
                      " ends every lease before a device that takes --lease-seconds " +
                      std::to_string(std::lround(crowd.lease_s)) + " for one"};
  std::printf("result      %s\n", sound ? "ok" : "REFUSED");
  if (!sound) return fail(ExitCode::bad_input, command.job + ": " + sound.error().detail);
  return ExitCode::ok;
}

}  // namespace gemmine::pool
