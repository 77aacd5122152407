#include "verifier/records/job.h"

#include <algorithm>
#include <utility>

#include "kernels/base/fields.h"
#include "kernels/hash/blake3.h"
#include "verifier/records/identity.h"

namespace gemmine::verifier {

using kernels::Architecture;

namespace {

constexpr size_t kNameBytesMax = 64;
constexpr uint16_t kNumerics = 1;
constexpr uint32_t kMillion = 1'000'000;

Error refuse(std::string_view field, std::string_view rule) {
  return {Errc::invalid, "job: " + std::string(field) + " " + std::string(rule)};
}

Error ends_early() {
  return {Errc::malformed, "job: ends early, or its name is not plain text"};
}

// What Reader::get_text() takes.
bool name_ok(std::string_view name) {
  return name.size() <= kNameBytesMax &&
         std::ranges::all_of(name, [](char c) { return c >= 0x20 && c <= 0x7e; });
}

using Fault = kernels::SpecFault;

Fault fault(std::string field, std::string rule) {
  return {.field = std::move(field), .element = {}, .rule = std::move(rule)};
}

// PROTOCOL 9, 13.1.
std::optional<Fault> find_policy_fault(const AuditPolicy& audit) {
  if (audit.batch_leases == 0 || audit.batch_leases > kBatchLeasesMax)
    return fault("batch_leases", "must be in 1 … 1024");
  if (audit.first_batch == 0 || audit.first_batch > audit.batch_leases)
    return fault("first_batch", "must be in 1 … batch_leases");
  if (audit.threads > kTicketsMax) return fault("threads", "exceeds 64");
  if (audit.replays_ppm > kTicketsMax * kMillion) return fault("replays_ppm", "exceeds 64000000");
  // A batch without a ticket would be paid unaudited.
  if (audit.threads == 0 && audit.replays_ppm < kMillion)
    return fault("replays_ppm", "must be at least 1000000 without threads");
  if (audit.thread_blocks > kThreadBlocksMax) return fault("thread_blocks", "exceeds 512");
  if (audit.now_ppm > kMillion) return fault("now_ppm", "exceeds 1000000");
  if (audit.fail_ppm > kMillion) return fault("fail_ppm", "exceeds 1000000");
  if (audit.silent_free == 0) return fault("silent_free", "must be at least 1");
  if (audit.lease_ms == 0) return fault("lease_ms", "must be at least 1");
  if (audit.delta_max < kDeltaMaxMin || audit.delta_max > kDeltaMaxMax)
    return fault("delta_max", "must be in -32 … 8");
  return {};
}

// Bounds of what Program does not know (PROTOCOL 9).
Status check_terms(const Job& job) {
  if (job.test_records > kernels::kRecordsMax) return refuse("n_test", "exceeds 2^31 - 1");
  const bool gpt = job.spec.architecture == Architecture::gpt;
  if (gpt && job.test_records <= job.spec.gpt.context)
    return refuse("n_test", "must be more tokens than the context has");
  if (const auto found = find_terms_fault(job)) return refuse(found->field, found->rule);
  return Ok{};
}

// A job as its bytes say it: some fields are narrower there, or can only have one value.
struct JobBytes {
  uint16_t numerics = kNumerics;
  uint8_t layers = 0;  // mlp
  uint8_t blocks = 0;  // gpt
  uint8_t tied = 0;    // gpt
  Job job;

  static void fields(auto& f, auto& m) {
    auto& job = m.job;
    auto& spec = job.spec;
    f.text(job.name, kNameBytesMax)(m.numerics)(spec.architecture);
    shape(f, m);
    f(job.train_address)(spec.records)(job.test_address)(job.test_records);
    if (spec.architecture == Architecture::mlp)
      f(spec.feature_scale)(spec.feature_shift)(job.sheet_address);
    f(spec.optimiser)(spec.lr)(spec.beta1)(spec.beta2)(spec.eps)(spec.wd)(spec.warmup)(spec.batch);
    f(spec.steps_per_lease)(job.steps_per_share)(spec.slots)(spec.rounds);
    f(spec.init_seed)(spec.data_seed)(spec.sr_seed);
    auto& audit = job.audit;
    f(audit.batch_leases)(audit.first_batch)(audit.threads)(audit.thread_blocks);
    f(audit.replays_ppm)(audit.first_audits)(audit.now_ppm)(audit.fail_ppm)(audit.silent_free);
    f(audit.lease_ms)(audit.answer_ms)(audit.delta_max)(job.price_per_tmac)(job.fee_ppm);
  }
  // PROTOCOL 6.1 or 10.12. What follows a count out of bounds cannot be placed.
  static void shape(auto& f, auto& m) {
    auto& spec = m.job.spec;
    if (spec.architecture == Architecture::mlp) {
      f(m.layers).array(spec.widths, m.layers <= kernels::kLayersMax ? m.layers + 1 : 0);
    } else if (spec.architecture == Architecture::gpt) {
      auto& gpt = spec.gpt;
      f(gpt.vocabulary)(gpt.width)(gpt.heads)(gpt.hidden)(m.blocks)(gpt.context)(gpt.norm);
      f(gpt.activation)(m.tied)(gpt.token_bytes);
      f(spec.clip)(spec.outer_lr)(spec.outer_momentum);
    }
  }
};

// The fields as they stand in the bytes; their other bounds are check()'s.
Result<Job> parse(ByteView bytes) {
  if (bytes.size() > kJobBytesMax) return Error{Errc::malformed, "job: more than 1024 bytes"};
  GetFields get(bytes);
  JobBytes out;
  JobBytes::fields(get, out);
  const Architecture architecture = out.job.spec.architecture;
  const bool mlp = architecture == Architecture::mlp;
  if (!get.good()) return ends_early();
  if (out.numerics != kNumerics) return refuse("numerics", "must be 1");
  if (!mlp && architecture != Architecture::gpt)
    return refuse("architecture", "must be 1 (mlp) or 2 (gpt)");
  if (mlp && (out.layers == 0 || out.layers > kernels::kLayersMax))
    return refuse("layers", "must be in 1 … 16");
  if (out.tied > 1) return refuse("tied", "must be 0 or 1");
  if (get.error() != nullptr) return Error{Errc::malformed, "job: has trailing bytes"};
  out.job.spec.gpt.blocks = out.blocks;
  out.job.spec.gpt.tied = out.tied == 1;
  return out.job;
}

// Everything that PROTOCOL 9 and 10.14 bound.
Result<kernels::Program> check(const Job& job) {
  auto program = kernels::Program::make(job.spec);
  if (!program) return Error{Errc::invalid, "job: " + program.error().detail};
  if (Status terms = check_terms(job); !terms) return terms.error();
  return program;
}

}  // namespace

std::optional<kernels::SpecFault> find_terms_fault(const Job& job) {
  if (job.steps_per_share == 0 || job.steps_per_share > job.spec.steps_per_lease)
    return fault("steps_per_share", "must be in 1 … steps_per_lease");
  if (!share_size_ok(job.spec.steps_per_lease, job.steps_per_share))
    return fault("steps_per_share", "gives more than 4096 shares per lease");
  if (auto found = find_policy_fault(job.audit)) return found;
  if (job.audit.thread_blocks > 0 && job.spec.architecture == Architecture::mlp &&
      kernels::mlp_opening_bytes(job.spec.widths) > kernels::kBlockOpeningMax)
    return fault("thread_blocks", "must be 0: a layer's block is too large for an opening");
  if (job.price_per_tmac > kPricePerTmacMax) return fault("price_per_tmac", "exceeds 2^40");
  if (job.fee_ppm > kMillion) return fault("fee_ppm", "exceeds 1000000");
  return {};
}

Bytes encode_job(const Job& job) {
  const kernels::Spec& spec = job.spec;
  JobBytes out{.job = job};
  if (spec.architecture == Architecture::mlp) {
    GEMMINE_CHECK(spec.widths.size() >= 2 && spec.widths.size() <= kernels::kLayersMax + 1);
    out.layers = static_cast<uint8_t>(spec.widths.size() - 1);
  }
  GEMMINE_CHECK(spec.gpt.blocks <= UINT8_MAX);
  out.blocks = static_cast<uint8_t>(spec.gpt.blocks);
  out.tied = spec.gpt.tied ? 1 : 0;
  PutFields put;
  JobBytes::fields(put, out);
  return put.take();
}

Digest job_id(ByteView job_bytes) {
  return kernels::blake3_derive_key(domain::kJob, job_bytes);
}

Work::Work(Job job, Bytes bytes, kernels::Program program)
    : job_(std::move(job)),
      bytes_(std::move(bytes)),
      id_(job_id(bytes_)),
      program_(std::move(program)) {
  GEMMINE_CHECK(bytes_.size() <= kJobBytesMax);
  GEMMINE_CHECK(program_.spec() == job_.spec);
}

Result<Work> Work::decode(ByteView job_bytes) {
  auto job = parse(job_bytes);
  if (!job) return job.error();
  auto program = check(job.value());
  if (!program) return program.error();
  return Work(std::move(job.value()), Bytes(job_bytes.begin(), job_bytes.end()),
              std::move(program.value()));
}

Result<Work> Work::make(const Job& job) {
  auto program = check(job);
  if (!program) return program.error();
  if (!name_ok(job.name)) return refuse("name", "must be at most 64 printable ASCII characters");
  return Work(job, encode_job(job), std::move(program.value()));
}

}  // namespace gemmine::verifier
