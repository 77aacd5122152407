#include "tests/cuda/gpu/peer_products.h"

namespace gemmine::test {

namespace cuda = kernels::cuda;

namespace {

constexpr uint32_t pieces(uint32_t count, uint32_t size) {
  return (count + size - 1) / size;
}

std::vector<int8_t> operand(uint32_t rows, uint32_t cols, uint32_t ld, uint32_t seed) {
  std::vector<int8_t> out(size_t{pieces(rows, 16)} * 16 * ld);
  for (uint32_t r = 0; r < rows; ++r) {
    for (uint32_t c = 0; c < cols; ++c) {
      seed = seed * 1664525 + 1013904223;
      out[size_t{r} * ld + c] = static_cast<int8_t>(static_cast<int>((seed >> 16) % 127) - 63);
    }
  }
  return out;
}

Error peer_error(const cuda::PeerApi& peer, cuda::DeviceStatus status) {
  return cuda::device_error(status, peer.reason());
}

}  // namespace

Result<std::unique_ptr<PeerProducts>> PeerProducts::make(cuda::DeviceSession& session,
                                                         const cuda::PeerApi& peer,
                                                         ProductShape shape) {
  std::unique_ptr<PeerProducts> made(new PeerProducts(session, peer, shape));
  made->ld_ = pieces(shape.k, cuda::kGemmDepth) * cuda::kGemmDepth;
  const std::vector<int8_t> a = operand(shape.m, shape.k, made->ld_, 1);
  const std::vector<int8_t> b = operand(shape.n, shape.k, made->ld_, 2);
  made->a_ = session.allocate<int8_t>(a.size());
  made->b_ = session.allocate<int8_t>(b.size());
  made->ours_ = session.allocate<int32_t>(uint64_t{shape.m} * shape.n);
  made->theirs_ = session.allocate<int32_t>(uint64_t{shape.m} * shape.n);
  session.upload(made->a_, a.data(), a.size());
  session.upload(made->b_, b.data(), b.size());
  if (Status status = session.status(); !status) return status.error();
  const auto planned = peer.plan(session.context(), shape.m, shape.n, made->ld_, &made->plan_);
  if (planned != cuda::DeviceStatus::ok) return peer_error(peer, planned);
  return made;
}

PeerProducts::~PeerProducts() {
  if (plan_ != nullptr) peer_.release(plan_);
}

void PeerProducts::run_ours(uint32_t times) {
  const cuda::Grid grid{pieces(shape_.n, cuda::kGemmTile), pieces(shape_.m, cuda::kGemmTile)};
  for (uint32_t i = 0; i < times; ++i)
    session_.run<cuda::kernel::GemmInt32>(grid, a_, b_, shape_.m, shape_.n, ld_, ours_);
}

Status PeerProducts::run_peer(uint32_t times) {
  for (uint32_t i = 0; i < times; ++i) {
    const auto ran = peer_.run(plan_, a_, b_, theirs_);
    if (ran != cuda::DeviceStatus::ok) return peer_error(peer_, ran);
  }
  return Ok{};
}

Status PeerProducts::finish() {
  int32_t one = 0;
  session_.download(&one, ours_, sizeof one);
  return session_.status();
}

Status PeerProducts::compare() {
  run_ours(1);
  if (Status ran = run_peer(1); !ran) return ran;
  std::vector<int32_t> ours(size_t{shape_.m} * shape_.n);
  std::vector<int32_t> theirs(ours.size());
  session_.download(ours.data(), ours_, ours.size() * sizeof(int32_t));
  session_.download(theirs.data(), theirs_, theirs.size() * sizeof(int32_t));
  if (Status status = session_.status(); !status) return status;
  for (size_t i = 0; i < ours.size(); ++i) {
    if (ours[i] == theirs[i]) continue;
    return Error{Errc::invalid,
                 "product " + std::to_string(shape_.m) + " x " + std::to_string(shape_.n) + " x " +
                     std::to_string(shape_.k) + ": element (" + std::to_string(i / shape_.n) +
                     ", " + std::to_string(i % shape_.n) + ") is " + std::to_string(ours[i]) +
                     ", by cuBLASLt " + std::to_string(theirs[i])};
  }
  return Ok{};
}

}  // namespace gemmine::test
