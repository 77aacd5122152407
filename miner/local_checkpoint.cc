#include "miner/local_checkpoint.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/files.h"
#include "kernels/base/output.h"
#include "kernels/base/printable.h"
#include "kernels/hash/blake3.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"

namespace gemmine::miner {
namespace {

constexpr std::string_view kMagic = "gemmine training 1\n";
constexpr uint64_t kFileBytesMax = uint64_t{64} << 30;

Error malformed() {
  return {Errc::malformed, "is no checkpoint of a training, or is damaged"};
}
Error invalid(const std::string& why) {
  return {Errc::invalid, why};
}

void put_floats(Writer& out, const std::vector<float>& values) {
  out.put(uint64_t{values.size()}).put_raw(as_bytes(std::span<const float>(values)));
}

std::vector<float> get_floats(Reader& in) {
  const auto count = in.get<uint64_t>();
  return verifier::floats_of(
      in.get_raw(count <= in.rest() / sizeof(float) ? count * sizeof(float) : SIZE_MAX));
}

void put_report(Writer& out, const RoundReport& report) {
  out.put(report.round).put_f32(report.loss);
  out.put(report.evaluation.correct).put(report.evaluation.records);
  out.put(std::bit_cast<uint64_t>(report.evaluation.loss)).put_digest(report.theta_root);
  out.put(std::bit_cast<uint64_t>(report.seconds));
}

RoundReport get_report(Reader& in) {
  RoundReport out;
  out.round = in.get<uint32_t>();
  out.loss = in.get_f32();
  out.evaluation.correct = in.get<uint64_t>();
  out.evaluation.records = in.get<uint64_t>();
  out.evaluation.loss = std::bit_cast<double>(in.get<uint64_t>());
  out.theta_root = in.get_digest();
  out.seconds = std::bit_cast<double>(in.get<uint64_t>());
  return out;
}

bool all_finite(const std::vector<float>& values) {
  return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

// A file of ours that is whole still may be of another version of the same job's program.
Status check(const LocalCheckpoint& point, const verifier::Work& work) {
  const kernels::Program& program = work.program();
  const kernels::Spec& spec = program.spec();
  if (point.job_id != work.id())
    return invalid(
        "is the checkpoint of another job, or of this one before its file or data changed");
  const bool fits =
      point.round <= spec.rounds && point.published.size() == program.published_floats() &&
      point.reports.size() <= spec.rounds && point.deltas.size() < spec.slots &&
      point.losses.size() == point.deltas.size() && point.steps < spec.steps_per_lease &&
      point.state.size() == (point.steps > 0 ? program.state_floats() : 0) &&
      all_finite(point.published) && all_finite(point.state);
  if (!fits) return malformed();
  return Ok{};
}

}  // namespace

Bytes encode_local_checkpoint(const LocalCheckpoint& point) {
  Writer out;
  out.put_raw(as_bytes(kMagic)).put_digest(point.job_id).put(point.round);
  put_floats(out, point.published);
  out.put(static_cast<uint32_t>(point.reports.size()));
  for (const RoundReport& report : point.reports)
    put_report(out, report);
  out.put(static_cast<uint32_t>(point.deltas.size()));
  for (const Bytes& delta : point.deltas)
    out.put_blob(delta);
  put_floats(out, point.losses);
  out.put(point.steps);
  put_floats(out, point.state);
  const Digest sum = kernels::blake3(out.bytes());
  return out.put_digest(sum).take();
}

Result<LocalCheckpoint> decode_local_checkpoint(ByteView bytes, const verifier::Work& work) {
  constexpr size_t kSumBytes = sizeof(Digest::bytes);
  if (bytes.size() < kMagic.size() + kSumBytes) return malformed();
  const ByteView body = bytes.first(bytes.size() - kSumBytes);
  Reader end(bytes.last(kSumBytes));
  if (kernels::blake3(body) != end.get_digest()) return malformed();
  Reader in(body);
  if (!std::ranges::equal(in.get_raw(kMagic.size()), as_bytes(kMagic))) return malformed();
  LocalCheckpoint out;
  out.job_id = in.get_digest();
  out.round = in.get<uint32_t>();
  out.published = get_floats(in);
  for (auto left = in.get<uint32_t>(); left > 0 && in.ok(); --left)
    out.reports.push_back(get_report(in));
  for (auto left = in.get<uint32_t>(); left > 0 && in.ok(); --left) {
    const ByteView delta = in.get_blob(UINT32_MAX);
    out.deltas.emplace_back(delta.begin(), delta.end());
  }
  out.losses = get_floats(in);
  out.steps = in.get<uint32_t>();
  out.state = get_floats(in);
  if (!in.done()) return malformed();
  if (Status good = check(out, work); !good) return good.error();
  return out;
}

Status write_local_checkpoint(const std::string& path, const LocalCheckpoint& checkpoint) {
  return write_output(path, encode_local_checkpoint(checkpoint));
}

Result<LocalCheckpoint> read_local_checkpoint(const std::string& path, const verifier::Work& work) {
  const auto file = read_file(path, kFileBytesMax);
  if (!file) return file.error();
  auto out = decode_local_checkpoint(file.value(), work);
  if (!out) return Error{out.error().code, printable(path) + ": " + out.error().detail};
  return out;
}

}  // namespace gemmine::miner
