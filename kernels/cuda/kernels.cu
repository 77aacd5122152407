// Every kernel of the CUDA engine, as one translation unit: what nvcc and ptxas are asked about.
#include "kernels/cuda/gemm.cuh"
#include "kernels/cuda/gradients.cuh"
#include "kernels/cuda/hash.cuh"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/update.cuh"
