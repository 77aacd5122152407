#include "verifier/records/job.h"

#include <algorithm>
#include <utility>

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

// A block of the loss's gradient reads the whole of the last layer's W (PROTOCOL 7.4, 9).
bool loss_fits_opening(const std::vector<uint32_t>& widths) {
  constexpr uint64_t kLastLayerMax = uint64_t{1} << 20;
  return uint64_t{widths[widths.size() - 2]} * widths.back() <= kLastLayerMax;
}

// What Reader::get_text() takes.
bool name_ok(std::string_view name) {
  return name.size() <= kNameBytesMax &&
         std::ranges::all_of(name, [](char c) { return c >= 0x20 && c <= 0x7e; });
}

// Bounds of what Program does not know (PROTOCOL 9).
Status check_terms(const Job& job) {
  const AuditPolicy& audit = job.audit;
  if (job.test_records > kernels::kRecordsMax) return refuse("n_test", "exceeds 2^31 - 1");
  const bool gpt = job.spec.architecture == Architecture::gpt;
  if (gpt && job.test_records <= job.spec.gpt.context)
    return refuse("n_test", "must be more tokens than the context has");
  if (job.steps_per_share == 0 || job.steps_per_share > job.spec.steps_per_lease)
    return refuse("steps_per_share", "must be in 1 … steps_per_lease");
  if (!share_size_ok(job.spec.steps_per_lease, job.steps_per_share))
    return refuse("steps_per_share", "gives more than 4096 shares per lease");
  if (audit.replay_ppm > kMillion) return refuse("replay_ppm", "exceeds 1000000");
  if (audit.spot_ppm > kMillion) return refuse("spot_ppm", "exceeds 1000000");
  if (audit.spot_ppm > 0 && !gpt && !loss_fits_opening(job.spec.widths))
    return refuse("spot_ppm", "must be 0: the last layer is too large for an opening");
  if (audit.spot_blocks > kSpotBlocksMax) return refuse("spot_blocks", "exceeds 64");
  if (job.price_per_tmac > kPricePerTmacMax) return refuse("price_per_tmac", "exceeds 2^40");
  if (job.fee_ppm > kMillion) return refuse("fee_ppm", "exceeds 1000000");
  return Ok{};
}

// PROTOCOL 6.1: the L + 1 widths. What follows a count out of bounds cannot be placed.
Status read_mlp(Reader& in, kernels::Spec& spec) {
  const auto layers = in.get<uint8_t>();
  if (!in.ok()) return ends_early();
  if (layers == 0 || layers > kernels::kLayersMax) return refuse("layers", "must be in 1 … 16");
  for (uint32_t i = 0; i <= layers; ++i)
    spec.widths.push_back(in.get<uint32_t>());
  return Ok{};
}

// PROTOCOL 10.12.
Status read_gpt(Reader& in, kernels::Spec& spec) {
  kernels::GptShape& gpt = spec.gpt;
  gpt.vocabulary = in.get<uint32_t>();
  gpt.width = in.get<uint32_t>();
  gpt.heads = in.get<uint32_t>();
  gpt.hidden = in.get<uint32_t>();
  gpt.blocks = in.get<uint8_t>();
  gpt.context = in.get<uint32_t>();
  gpt.norm = in.get<kernels::Norm>();
  gpt.activation = in.get<kernels::Activation>();
  const auto tied = in.get<uint8_t>();
  gpt.tied = tied == 1;
  gpt.token_bytes = in.get<uint8_t>();
  spec.clip = in.get_f32();
  spec.outer_lr = in.get_f32();
  spec.outer_momentum = in.get_f32();
  if (!in.ok()) return ends_early();
  if (tied > 1) return refuse("tied", "must be 0 or 1");
  return Ok{};
}

void put_shape(Writer& out, const kernels::Spec& spec) {
  if (spec.architecture == Architecture::mlp) {
    GEMMINE_CHECK(spec.widths.size() >= 2 && spec.widths.size() <= kernels::kLayersMax + 1);
    out.put(static_cast<uint8_t>(spec.widths.size() - 1));
    for (const uint32_t width : spec.widths)
      out.put(width);
    return;
  }
  const kernels::GptShape& gpt = spec.gpt;
  GEMMINE_CHECK(gpt.blocks <= UINT8_MAX);
  out.put(gpt.vocabulary).put(gpt.width).put(gpt.heads).put(gpt.hidden);
  out.put(static_cast<uint8_t>(gpt.blocks)).put(gpt.context).put(gpt.norm).put(gpt.activation);
  out.put(static_cast<uint8_t>(gpt.tied ? 1 : 0)).put(gpt.token_bytes);
  out.put_f32(spec.clip).put_f32(spec.outer_lr).put_f32(spec.outer_momentum);
}

void read_terms(Reader& in, Job& job) {
  kernels::Spec& spec = job.spec;
  job.train_address = in.get_digest();
  spec.records = in.get<uint32_t>();
  job.test_address = in.get_digest();
  job.test_records = in.get<uint32_t>();
  if (spec.architecture == Architecture::mlp) {
    spec.feature_scale = in.get_f32();
    spec.feature_shift = in.get_f32();
  }
  spec.optimiser = in.get<kernels::Optimiser>();
  spec.lr = in.get_f32();
  spec.beta1 = in.get_f32();
  spec.beta2 = in.get_f32();
  spec.eps = in.get_f32();
  spec.wd = in.get_f32();
  spec.warmup = in.get<uint32_t>();
  spec.batch = in.get<uint32_t>();
  spec.steps_per_lease = in.get<uint32_t>();
  job.steps_per_share = in.get<uint32_t>();
  spec.slots = in.get<uint32_t>();
  spec.rounds = in.get<uint32_t>();
  spec.init_seed = in.get<uint64_t>();
  spec.data_seed = in.get<uint64_t>();
  spec.sr_seed = in.get<uint64_t>();
  AuditPolicy& audit = job.audit;
  audit.replay_ppm = in.get<uint32_t>();
  audit.spot_ppm = in.get<uint32_t>();
  audit.spot_blocks = in.get<uint16_t>();
  audit.probation_shares = in.get<uint32_t>();
  audit.vest_leases = in.get<uint32_t>();
  audit.lease_ms = in.get<uint32_t>();
  audit.answer_ms = in.get<uint32_t>();
  job.price_per_tmac = in.get<uint64_t>();
  job.fee_ppm = in.get<uint32_t>();
}

// The fields as they stand in the bytes; their bounds are Work's to check.
Result<Job> parse(ByteView bytes) {
  if (bytes.size() > kJobBytesMax) return Error{Errc::malformed, "job: more than 1024 bytes"};
  Reader in(bytes);
  Job job;
  job.name = in.get_text(kNameBytesMax);
  const auto numerics = in.get<uint16_t>();
  job.spec.architecture = in.get<Architecture>();
  if (!in.ok()) return ends_early();
  if (numerics != kNumerics) return refuse("numerics", "must be 1");
  // Before the shape is read: what follows the architecture cannot be placed otherwise.
  const bool mlp = job.spec.architecture == Architecture::mlp;
  if (!mlp && job.spec.architecture != Architecture::gpt)
    return refuse("architecture", "must be 1 (mlp) or 2 (gpt)");
  if (Status shape = mlp ? read_mlp(in, job.spec) : read_gpt(in, job.spec); !shape)
    return shape.error();
  read_terms(in, job);
  if (!in.done()) return Error{Errc::malformed, "job: ends early or has trailing bytes"};
  return job;
}

// Everything that PROTOCOL 9 and 10.14 bound.
Result<kernels::Program> check(const Job& job) {
  auto program = kernels::Program::make(job.spec);
  if (!program) return Error{Errc::invalid, "job: " + program.error().detail};
  if (Status terms = check_terms(job); !terms) return terms.error();
  return program;
}

}  // namespace

Bytes encode_job(const Job& job) {
  const kernels::Spec& spec = job.spec;
  Writer out;
  out.put_text(job.name).put(kNumerics).put(spec.architecture);
  put_shape(out, spec);
  out.put_digest(job.train_address).put(spec.records);
  out.put_digest(job.test_address).put(job.test_records);
  if (spec.architecture == Architecture::mlp)
    out.put_f32(spec.feature_scale).put_f32(spec.feature_shift);
  out.put(spec.optimiser).put_f32(spec.lr).put_f32(spec.beta1).put_f32(spec.beta2);
  out.put_f32(spec.eps).put_f32(spec.wd).put(spec.warmup);
  out.put(spec.batch).put(spec.steps_per_lease).put(job.steps_per_share);
  out.put(spec.slots).put(spec.rounds);
  out.put(spec.init_seed).put(spec.data_seed).put(spec.sr_seed);
  const AuditPolicy& audit = job.audit;
  out.put(audit.replay_ppm).put(audit.spot_ppm).put(audit.spot_blocks);
  out.put(audit.probation_shares).put(audit.vest_leases).put(audit.lease_ms).put(audit.answer_ms);
  out.put(job.price_per_tmac).put(job.fee_ppm);
  return out.take();
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
