// All kernels with their names and types checked against launch.h, for whoever launches them.
#pragma once

#include "kernels/cuda/device/attention_gradient.cuh"
#include "kernels/cuda/device/gemm.cuh"
#include "kernels/cuda/device/gpt_heads.cuh"
#include "kernels/cuda/device/gpt_loss.cuh"
#include "kernels/cuda/device/gpt_rows.cuh"
#include "kernels/cuda/device/gradients.cuh"
#include "kernels/cuda/device/hash.cuh"
#include "kernels/cuda/device/rows.cuh"
#include "kernels/cuda/device/update.cuh"

namespace gemmine::kernels::cuda {

// visit(kernel number, pointer to function) for each kernel.
template <Kernel kKernel, class Visitor>
void visit_kernel(Visitor& visit, typename Signature<kKernel>::Type* function) {
  static_assert(static_cast<uint32_t>(kKernel) < kKernels);
  visit(static_cast<uint32_t>(kKernel), function);
}
template <class Visitor>
void visit_kernels(Visitor& visit) {
  visit_kernel<Kernel::gather_rows>(visit, gather_rows);
  visit_kernel<Kernel::quantise_rows>(visit, quantise_rows);
  visit_kernel<Kernel::transpose>(visit, transpose);
  visit_kernel<Kernel::gemm_forward>(visit, gemm_forward);
  visit_kernel<Kernel::gemm_input_gradient>(visit, gemm_input_gradient);
  visit_kernel<Kernel::gemm_weight_gradient>(visit, gemm_weight_gradient);
  visit_kernel<Kernel::gemm_int32>(visit, gemm_int32);
  visit_kernel<Kernel::loss_rows>(visit, loss_rows);
  visit_kernel<Kernel::mean_loss>(visit, mean_loss);
  visit_kernel<Kernel::column_runs>(visit, column_runs);
  visit_kernel<Kernel::column_finish>(visit, column_finish);
  visit_kernel<Kernel::stochastic_rows>(visit, stochastic_rows);
  visit_kernel<Kernel::stochastic_columns>(visit, stochastic_columns);
  visit_kernel<Kernel::update_sgd>(visit, update_sgd);
  visit_kernel<Kernel::update_adamw>(visit, update_adamw);
  visit_kernel<Kernel::hash_groups>(visit, hash_groups);
  visit_kernel<Kernel::hash_roots>(visit, hash_roots);
  visit_kernel<Kernel::layout_probe>(visit, layout_probe);
  visit_kernel<Kernel::embed_rows>(visit, embed_rows);
  visit_kernel<Kernel::norm_rows>(visit, norm_rows);
  visit_kernel<Kernel::activation_rows>(visit, activation_rows);
  visit_kernel<Kernel::activation_gradient>(visit, activation_gradient);
  visit_kernel<Kernel::norm_gradient_rows>(visit, norm_gradient_rows);
  visit_kernel<Kernel::norm_gradient_runs>(visit, norm_gradient_runs);
  visit_kernel<Kernel::sum_runs>(visit, sum_runs);
  visit_kernel<Kernel::gemm_residual>(visit, gemm_residual);
  visit_kernel<Kernel::quantise_heads>(visit, quantise_heads);
  visit_kernel<Kernel::quantise_columns>(visit, quantise_columns);
  visit_kernel<Kernel::head_gradient_rows>(visit, head_gradient_rows);
  visit_kernel<Kernel::head_gradient_columns>(visit, head_gradient_columns);
  visit_kernel<Kernel::round_head_gradients>(visit, round_head_gradients);
  visit_kernel<Kernel::attention_forward>(visit, attention_forward);
  visit_kernel<Kernel::attention_by_query>(visit, attention_by_query);
  visit_kernel<Kernel::attention_by_key>(visit, attention_by_key);
  visit_kernel<Kernel::loss_logits>(visit, loss_logits);
  visit_kernel<Kernel::token_gradient>(visit, token_gradient);
  visit_kernel<Kernel::position_gradient>(visit, position_gradient);
  visit_kernel<Kernel::sum_pieces>(visit, sum_pieces);
  visit_kernel<Kernel::clip_factor>(visit, clip_factor);
  visit_kernel<Kernel::scale_gradient>(visit, scale_gradient);
}

}  // namespace gemmine::kernels::cuda
