// What the gpt engine commits to (PROTOCOL 10.10), and where it lies.
#include "kernels/cpu/gpt_engine.h"
#include "kernels/hash/chunk_source.h"

namespace gemmine::kernels {

// f32 matrices of T rows are hashed by whoever writes them, and so are the parts of column sums
// that are whole chunks; the rest, short, with the roots.
bool GptCpuEngine::hashed_in_parts(const TensorInfo& tensor) const {
  switch (tensor.kind) {
    case TensorKind::residual:
    case TensorKind::d_residual:
    case TensorKind::d_norm:
      return true;
    case TensorKind::bias_parts:
    case TensorKind::gain_parts:
    case TensorKind::shift_parts:
      return tensor.bytes() > kChunkBytes && tensor.bytes() % kChunkBytes == 0;
    default:
      return false;
  }
}

const void* GptCpuEngine::tensor_data(const TensorInfo& tensor) const {
  const uint32_t at = tensor.layer;
  switch (tensor.kind) {
    case TensorKind::residual:
      return residuals_[at].data();
    case TensorKind::d_residual:
      return d_residuals_[at].data();
    case TensorKind::gain:
      return norms_[at].gain.data();
    case TensorKind::shift:
      return norms_[at].shift.data();
    case TensorKind::d_norm:
      return norms_[at].gradient.data();
    case TensorKind::loss_max:
      return loss_max_.data();
    case TensorKind::loss_sum:
      return loss_sum_.data();
    case TensorKind::bias_parts:
      return linears_[at].db_parts.data();
    case TensorKind::gain_parts:
      return norms_[at].gain_parts.data();
    case TensorKind::shift_parts:
      return norms_[at].shift_parts.data();
    case TensorKind::squares:
      return squares_[at].data();
    case TensorKind::clip:
      return clip_.data();
    default:
      break;
  }
  return tensor.kind <= TensorKind::s2 ? linears_[at].data(tensor.kind) : attention_data(tensor);
}

const void* GptCpuEngine::attention_data(const TensorInfo& tensor) const {
  const Block& block = blocks_[tensor.layer];
  switch (tensor.kind) {
    case TensorKind::q:
      return block.q.data();
    case TensorKind::sq:
      return block.sq.data();
    case TensorKind::k:
      return block.k.data();
    case TensorKind::sk:
      return block.sk.data();
    case TensorKind::v:
      return block.v.data();
    case TensorKind::sv:
      return block.sv.data();
    case TensorKind::row_max:
      return block.m.data();
    case TensorKind::row_sum:
      return block.l.data();
    case TensorKind::delta_dot:
      return block.delta.data();
    case TensorKind::ho:
      return block.ho.data();
    case TensorKind::sh:
      return block.sh.data();
    case TensorKind::go:
      return block.go.data();
    case TensorKind::sg:
      return block.sg.data();
    default:
      break;
  }
  GEMMINE_CHECK(!"the tensor is of a gpt");
  return nullptr;
}

void GptCpuEngine::commit(const Run& run, std::initializer_list<TensorPlace> tensors) {
  if (!commits_) return;
  const OpTimer timer(profile_, StepOp::tiles);
  for (const TensorPlace& at : tensors) {
    const uint32_t position = program_.position(at.kind, at.layer);
    const TensorInfo& tensor = program_.tensors()[position];
    if (tensor.is_int8()) {
      forest_.hash_strip(position, run.first / kTileRows, (run.end + kTileRows - 1) / kTileRows);
    } else if (tensor.in_panels) {
      for (uint64_t panel = 0; panel < tensor.tile_cols(); ++panel) {
        const uint64_t above = panel * tensor.rows;  // rows of panels
        forest_.hash_chunks(position, {(above + run.first) * kPanelRowBytes / kChunkBytes,
                                       (above + run.end) * kPanelRowBytes / kChunkBytes});
      }
    } else {
      const uint64_t row_bytes = uint64_t{tensor.cols} * sizeof(float);
      // 16 rows of at least 16 floats are whole chunks.
      forest_.hash_chunks(position,
                          {run.first * row_bytes / kChunkBytes, run.end * row_bytes / kChunkBytes});
    }
  }
}

}  // namespace gemmine::kernels
