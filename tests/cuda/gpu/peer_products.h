// Our int8 product beside cuBLASLt's on one device: the same sums, and how fast each is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/cuda/host/device_session.h"

namespace gemmine::test {

struct ProductShape {
  uint32_t m, n, k;  // n is a multiple of 4
};

// Of issue-sized squares and layers, the shapes of kernels/README.md's table.
inline constexpr ProductShape kPeerShapes[] = {
    {512, 512, 512},   {1024, 1024, 1024}, {2048, 2048, 2048}, {4096, 512, 784},
    {4096, 3072, 768}, {768, 3072, 4096},  {8192, 8192, 8192}};

// Operands of one shape on a device, in rows padded as the engine pads them.
class PeerProducts {
 public:
  // peer: loaded. Errors: those of the session and of the peer.
  static Result<std::unique_ptr<PeerProducts>> make(kernels::cuda::DeviceSession& session,
                                                    const kernels::cuda::PeerApi& peer,
                                                    ProductShape shape);
  ~PeerProducts();
  PeerProducts(const PeerProducts&) = delete;
  PeerProducts& operator=(const PeerProducts&) = delete;

  // Queue `times` products; finish() waits for them.
  void run_ours(uint32_t times);
  Status run_peer(uint32_t times);
  Status finish();

  // Errors: invalid, naming the first sum in which the two differ, and both values.
  Status compare();

 private:
  PeerProducts(kernels::cuda::DeviceSession& session, const kernels::cuda::PeerApi& peer,
               ProductShape shape)
      : session_(session), peer_(peer), shape_(shape) {}

  kernels::cuda::DeviceSession& session_;
  const kernels::cuda::PeerApi& peer_;
  const ProductShape shape_;
  uint32_t ld_ = 0;
  int8_t* a_ = nullptr;
  int8_t* b_ = nullptr;
  int32_t* ours_ = nullptr;
  int32_t* theirs_ = nullptr;
  void* plan_ = nullptr;
};

}  // namespace gemmine::test
