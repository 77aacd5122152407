// Memory, state and the order of a step; engine_cuda_step.cc queues its parts.
#include "kernels/cuda/engine_cuda.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/blake3.h"
#include "kernels/numerics.h"
#include "kernels/protocol_floats.h"

namespace gemmine::kernels::cuda {
namespace {

constexpr uint32_t kRootWords = 8;
constexpr auto kRunRows = static_cast<uint32_t>(kColumnSumRun);

}  // namespace

Result<std::unique_ptr<Engine>> CudaEngine::make(const DeviceApi& api, uint32_t device,
                                                 std::string name, const Program& program,
                                                 ByteView train_records) {
  auto session = DeviceSession::open(api, device, std::move(name));
  if (!session) return session.error();
  if (Status status = probe_layout(*session.value()); !status) return status.error();
  std::unique_ptr<CudaEngine> engine(new CudaEngine(std::move(session.value()), program));
  engine->allocate();
  engine->records_ = engine->session_->allocate<uint8_t>(train_records.size());
  engine->session_->upload(engine->records_, train_records.data(), train_records.size());
  engine->prepare_hashing();
  if (Status status = engine->session_->status(); !status) return status.error();
  return std::unique_ptr<Engine>(std::move(engine));
}

CudaEngine::Matrix CudaEngine::allocate_matrix(uint32_t rows, uint32_t cols) {
  Matrix matrix{nullptr, rows, cols, (cols + kGemmDepth - 1) / kGemmDepth * kGemmDepth};
  matrix.q = session_->allocate<int8_t>(matrix.bytes());
  return matrix;
}

void CudaEngine::allocate() {
  const uint32_t batch = program_.spec().batch;
  uint64_t weights_max = 0;
  uint32_t outputs_max = 0;
  for (uint32_t l = 0; l < program_.layers(); ++l) {
    Layer& layer = layers_[l];
    const uint32_t k = program_.inputs(l);
    const uint32_t n = program_.outputs(l);
    weights_max = std::max(weights_max, uint64_t{k} * n);
    outputs_max = std::max(outputs_max, n);
    layer.x = allocate_matrix(batch, k);
    layer.x_transposed = allocate_matrix(k, batch);
    layer.w = allocate_matrix(n, k);
    layer.g2 = allocate_matrix(batch, n);
    layer.g2_transposed = allocate_matrix(n, batch);
    if (l > 0) {
      layer.w_transposed = allocate_matrix(k, n);
      layer.g1 = allocate_matrix(batch, n);
    }
    for (float** per_row : {&layer.sx, &layer.s1})
      *per_row = session_->allocate<float>(batch);
    for (float** per_output : {&layer.sw, &layer.b, &layer.s2})
      *per_output = session_->allocate<float>(n);
    for (float** per_element : {&layer.y, &layer.dy})
      *per_element = session_->allocate<float>(uint64_t{batch} * n);
  }
  const uint64_t runs = (batch + kRunRows - 1) / kRunRows;
  state_ = session_->allocate<float>(program_.state_floats());
  labels_ = session_->allocate<uint32_t>(batch);
  nll_ = session_->allocate<float>(batch);
  dw_ = session_->allocate<float>(weights_max);
  db_ = session_->allocate<float>(outputs_max);
  inv2_ = session_->allocate<float>(outputs_max);
  run_sums_ = session_->allocate<float>(runs * outputs_max);
  run_max_ = session_->allocate<uint32_t>(runs * outputs_max);
}

// Where a committed tensor lies, and how many bytes it has there.
std::pair<const void*, uint64_t> CudaEngine::tensor_memory(const TensorInfo& tensor) const {
  const Layer& layer = layers_[tensor.layer];
  const uint64_t floats = uint64_t{tensor.rows} * sizeof(float);
  switch (tensor.kind) {
    case TensorKind::x:
      return {layer.x.q, layer.x.bytes()};
    case TensorKind::sx:
      return {layer.sx, floats};
    case TensorKind::w:
      return {layer.w.q, layer.w.bytes()};
    case TensorKind::sw:
      return {layer.sw, floats};
    case TensorKind::b:
      return {layer.b, floats};
    case TensorKind::g1:
      return {layer.g1.q, layer.g1.bytes()};
    case TensorKind::s1:
      return {layer.s1, floats};
    case TensorKind::g2:
      return {layer.g2.q, layer.g2.bytes()};
    default:
      break;
  }
  GEMMINE_CHECK(tensor.kind == TensorKind::s2);
  return {layer.s2, floats};
}

void CudaEngine::prepare_hashing() {
  std::vector<HashJob> jobs;
  uint32_t groups = 0;
  for (const TensorInfo& tensor : program_.tensors()) {
    HashJob job{};
    job.data = static_cast<const unsigned char*>(tensor_memory(tensor).first);
    job.bytes = tensor.bytes();
    if (tensor.is_int8()) {
      job.ld = tensor.tile_cols() * static_cast<uint32_t>(kTileCols);
      job.tiles_down = tensor.tile_rows();
    }
    job.chunks = static_cast<uint32_t>((job.bytes + kChunkBytes - 1) / kChunkBytes);
    job.first_group = groups;
    const uint32_t of_job = (job.chunks + kHashGroup - 1) / kHashGroup;
    groups += of_job;
    groups_max_ = std::max(groups_max_, of_job);
    jobs.push_back(job);
  }
  jobs_ = session_->allocate<HashJob>(jobs.size());
  session_->upload(jobs_, jobs.data(), jobs.size() * sizeof(HashJob));
  step_key_ = session_->allocate<uint32_t>(kRootWords);
  group_cvs_ = session_->allocate<uint32_t>(uint64_t{groups} * kRootWords);
  hash_scratch_ = session_->allocate<uint32_t>(uint64_t{groups} * kRootWords);
  report_ = session_->allocate<uint32_t>(kReportHead + jobs.size() * kRootWords);
}

Status CudaEngine::load_state(std::span<const float> state, uint32_t steps_done) {
  const ProtocolFloats floats;
  loaded_ = false;
  if (state.size() != program_.state_floats() || steps_done > program_.spec().steps_per_lease)
    return Error{Errc::invalid_argument, "state: wrong number of floats or steps"};
  if (!std::all_of(state.begin(), state.end(), [](float value) { return std::isfinite(value); }))
    return Error{Errc::invalid, "NaN or infinity in the state"};
  session_->upload(state_, state.data(), state.size_bytes());
  if (Status status = session_->status(); !status) return status;
  steps_done_ = steps_done;
  power1_ = 1;
  power2_ = 1;
  for (uint32_t i = 0; i < steps_done; ++i) {
    power1_ = power1_ * program_.spec().beta1;
    power2_ = power2_ * program_.spec().beta2;
  }
  loaded_ = true;
  return Ok{};
}

Result<StepResult> CudaEngine::run_step(StepKey key, const Digest* step_key) {
  const ProtocolFloats floats;
  const Spec& spec = program_.spec();
  if (!loaded_ || key.step != steps_done_ || key.step >= spec.steps_per_lease ||
      key.round >= spec.rounds || key.slot >= spec.slots)
    return Error{Errc::invalid_argument, "no state, or not the next step"};
  loaded_ = false;
  has_step_ = false;
  troubles_.clear();
  power1_ = power1_ * spec.beta1;
  power2_ = power2_ * spec.beta2;
  const uint32_t nothing[kReportHead] = {};
  session_->upload(report_, nothing, sizeof nothing);
  queue_forward(key);
  queue_loss();
  queue_backward(key);
  if (step_key != nullptr) queue_hashing(*step_key);

  const size_t roots = step_key != nullptr ? program_.tensors().size() : 0;
  std::vector<uint32_t> report(kReportHead + roots * kRootWords);
  session_->download(report.data(), report_, report.size() * sizeof(uint32_t));
  if (Status status = session_->status(); !status) return status.error();
  if (report[0] != 0) {
    const auto& [tensor, layer] = troubles_[kCodeFirst - report[0]];
    return Error{Errc::invalid, "NaN or infinity in " + std::string(tensor) + " of layer " +
                                    std::to_string(layer)};
  }
  StepResult result{.loss = std::bit_cast<float>(report[1]), .roots = std::vector<Digest>(roots)};
  for (size_t i = 0; i < roots; ++i)
    std::memcpy(result.roots[i].bytes.data(), &report[kReportHead + i * kRootWords],
                sizeof(Digest));
  ++steps_done_;
  loaded_ = true;
  has_step_ = true;
  return result;
}

Status CudaEngine::read_state(std::span<float> state) {
  if (!loaded_ || state.size() != program_.state_floats())
    return Error{Errc::invalid_argument, "no state, or another number of floats"};
  session_->download(state.data(), state_, state.size_bytes());
  return session_->status();
}

Result<Bytes> CudaEngine::read_tensor(uint32_t position) {
  if (position >= program_.tensors().size() || !has_step_)
    return Error{Errc::invalid_argument, "no such tensor, or no step yet"};
  const TensorInfo& tensor = program_.tensors()[position];
  const auto [memory, bytes] = tensor_memory(tensor);
  Bytes rows(bytes);
  session_->download(rows.data(), memory, bytes);
  if (Status status = session_->status(); !status) return status.error();
  if (!tensor.is_int8()) return rows;
  return to_tile_order(reinterpret_cast<const int8_t*>(rows.data()), tensor.rows, tensor.cols,
                       size_t{tensor.tile_cols()} * kTileCols);
}

}  // namespace gemmine::kernels::cuda
