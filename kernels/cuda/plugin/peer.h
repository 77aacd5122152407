// The plug-in's PeerApi.
#pragma once

#include "kernels/cuda/peer_api.h"

namespace gemmine::kernels::cuda {

const PeerApi* cublas_peer();

}  // namespace gemmine::kernels::cuda
