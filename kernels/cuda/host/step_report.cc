#include "kernels/cuda/host/step_report.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/cuda/host/device_matrix.h"
#include "kernels/hash/blake3.h"

namespace gemmine::kernels::cuda {
namespace {

constexpr uint32_t kRootWords = 8;
static_assert(kHashChunk == kChunkBytes && kPanelRow == kPanelRowBytes);

uint32_t ld_of(const TensorInfo& tensor) {
  return tensor.tile_cols() * static_cast<uint32_t>(kTileCols);
}

}  // namespace

void StepReport::prepare(const std::vector<TensorInfo>& tensors,
                         const std::vector<TensorMemory>& memory) {
  GEMMINE_CHECK(tensors.size() == memory.size());
  tensors_ = tensors;
  memory_ = memory;
  std::vector<HashJob> jobs;
  uint32_t groups = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& tensor = tensors[i];
    HashJob job{};
    job.data = static_cast<const unsigned char*>(memory[i]);
    job.bytes = tensor.bytes();
    if (tensor.is_int8()) {
      job.ld = ld_of(tensor);
      job.tiles_down = tensor.tile_rows();
    } else if (tensor.in_panels) {
      job.ld = tensor.cols * static_cast<uint32_t>(sizeof(float));
      job.panel_rows = tensor.rows;
    }
    job.chunks = static_cast<uint32_t>(chunks_of(job.bytes));
    job.first_group = groups;
    const uint32_t of_job = pieces(job.chunks, kHashGroup);
    groups += of_job;
    groups_max_ = std::max(groups_max_, of_job);
    jobs.push_back(job);
  }
  jobs_ = session_.allocate<HashJob>(jobs.size());
  session_.upload(jobs_, jobs.data(), jobs.size() * sizeof(HashJob));
  step_key_ = session_.allocate<uint32_t>(kRootWords);
  group_cvs_ = session_.allocate<uint32_t>(uint64_t{groups} * kRootWords);
  hash_scratch_ = session_.allocate<uint32_t>(uint64_t{groups} * kRootWords);
  report_ = session_.allocate<uint32_t>(kHead + jobs.size() * kRootWords);
}

void StepReport::begin() {
  troubles_.clear();
  has_roots_ = false;
  const uint32_t nothing[kHead] = {};
  session_.upload(report_, nothing, sizeof nothing);
}

uint32_t StepReport::code_for(std::string what) {
  troubles_.push_back(std::move(what));
  return kCodeFirst - static_cast<uint32_t>(troubles_.size() - 1);
}

void StepReport::queue_roots(const Digest& step_key) {
  const auto count = static_cast<uint32_t>(tensors_.size());
  uint32_t* const roots = report_ + kHead;
  has_roots_ = true;
  session_.upload(step_key_, step_key.bytes.data(), sizeof(Digest));
  session_.run<kernel::HashGroups>({groups_max_, count}, jobs_, step_key_, group_cvs_, roots);
  if (groups_max_ > 1)
    session_.run<kernel::HashRoots>({count}, jobs_, step_key_, group_cvs_, hash_scratch_, roots);
}

Result<StepResult> StepReport::finish() {
  const size_t roots = has_roots_ ? tensors_.size() : 0;
  std::vector<uint32_t> report(kHead + roots * kRootWords);
  session_.download(report.data(), report_, report.size() * sizeof(uint32_t));
  if (Status status = session_.status(); !status) return status.error();
  if (report[0] != 0)
    return Error{Errc::invalid, "NaN or infinity in " + troubles_.at(kCodeFirst - report[0])};
  StepResult result{.loss = std::bit_cast<float>(report[1]), .roots = std::vector<Digest>(roots)};
  for (size_t i = 0; i < roots; ++i)
    std::memcpy(result.roots[i].bytes.data(), &report[kHead + i * kRootWords], sizeof(Digest));
  return result;
}

Result<Bytes> StepReport::read_panels(uint32_t position) const {
  const TensorInfo& tensor = tensors_[position];
  std::vector<float> values(uint64_t{tensor.rows} * tensor.cols);
  session_.download(values.data(), memory_[position], values.size() * sizeof(float));
  if (Status status = session_.status(); !status) return status.error();
  return to_panel_order(values.data(), tensor.rows, tensor.cols, tensor.cols);
}

Result<Bytes> StepReport::read_tensor(uint32_t position) const {
  if (position >= tensors_.size()) return Error{Errc::invalid_argument, "no such tensor"};
  const TensorInfo& tensor = tensors_[position];
  if (tensor.in_panels) return read_panels(position);
  Bytes rows(tensor.bytes());  // tiles are the matrix's own bytes in another order
  session_.download(rows.data(), memory_[position], rows.size());
  if (Status status = session_.status(); !status) return status.error();
  if (!tensor.is_int8()) return rows;
  return to_tile_order(reinterpret_cast<const int8_t*>(rows.data()), tensor.rows, tensor.cols,
                       ld_of(tensor));
}

}  // namespace gemmine::kernels::cuda
