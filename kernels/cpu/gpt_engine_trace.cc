// What the gpt engine commits to (PROTOCOL 10.10), and where it lies.
#include "kernels/cpu/gpt_engine.h"

namespace gemmine::kernels {
namespace {

// f32 matrices of T rows are hashed by whoever writes them; the rest, short, with the roots.
bool in_parts(const TensorInfo& tensor) {
  return tensor.kind == TensorKind::residual || tensor.kind == TensorKind::d_residual ||
         tensor.kind == TensorKind::d_norm;
}

}  // namespace

const void* GptCpuEngine::tensor_data(const TensorInfo& tensor) const {
  const uint32_t at = tensor.layer;
  switch (tensor.kind) {
    case TensorKind::x:
      return linears_[at].x.data();
    case TensorKind::sx:
      return linears_[at].sx.data();
    case TensorKind::w:
      return linears_[at].w.data();
    case TensorKind::sw:
      return linears_[at].sw.data();
    case TensorKind::b:
      return linears_[at].b.data();
    case TensorKind::g1:
      return linears_[at].g1.data();
    case TensorKind::s1:
      return linears_[at].s1.data();
    case TensorKind::g2:
      return linears_[at].g2.data();
    case TensorKind::s2:
      return linears_[at].s2.data();
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
    default:
      return attention_data(tensor);
  }
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

void GptCpuEngine::plant_forest() {
  std::vector<ChunkSource> sources;
  std::vector<bool> parts;
  for (const TensorInfo& tensor : program_.tensors()) {
    const void* const data = tensor_data(tensor);
    parts.push_back(in_parts(tensor));
    sources.push_back(
        tensor.is_int8()
            ? ChunkSource::of_tiles(static_cast<const int8_t*>(data), tensor.rows, tensor.cols,
                                    tensor.cols)
            : ChunkSource::of_bytes({static_cast<const uint8_t*>(data), tensor.bytes()}));
  }
  forest_ = Blake3Forest(std::move(sources), std::move(parts));
}

void GptCpuEngine::commit(const Run& run, std::initializer_list<TensorPlace> tensors) {
  if (!commits_) return;
  const OpTimer timer(profile_, StepOp::tiles);
  for (const TensorPlace& at : tensors) {
    const uint32_t position = program_.position(at.kind, at.layer);
    const TensorInfo& tensor = program_.tensors()[position];
    if (tensor.is_int8()) {
      forest_.hash_strip(position, run.first / kTileRows, (run.end + kTileRows - 1) / kTileRows);
    } else {
      const uint64_t row_bytes = uint64_t{tensor.cols} * sizeof(float);
      // 16 rows of at least 16 floats are whole chunks.
      forest_.hash_chunks(position,
                          {run.first * row_bytes / kChunkBytes, run.end * row_bytes / kChunkBytes});
    }
  }
}

}  // namespace gemmine::kernels
