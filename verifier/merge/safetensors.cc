#include "verifier/merge/safetensors.h"

#include "kernels/hash/blake3.h"

namespace gemmine::verifier {

namespace {

using kernels::ParameterKind;

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {  // Job names are printable ASCII.
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

class Header {
 public:
  Header() : out_(R"({"__metadata__":{"format":"pt")") {}
  void fact(std::string_view key, std::string_view value) {
    out_.append(",").append(json_text(key)).append(":").append(json_text(value));
  }
  void fact(std::string_view key, uint64_t value) { fact(key, std::to_string(value)); }
  void end_facts() { out_.append("}"); }
  void tensor(const std::string& name, const kernels::ParameterInfo& parameter) {
    out_.append(",").append(json_text(name)).append(R"(:{"dtype":"F32","shape":[)");
    out_.append(std::to_string(parameter.rows));
    if (parameter.decays()) out_.append(",").append(std::to_string(parameter.cols));
    out_.append(R"(],"data_offsets":[)").append(std::to_string(parameter.offset * 4)).append(",");
    out_.append(std::to_string((parameter.offset + parameter.count()) * 4)).append("]}");
  }
  std::string take() {
    out_.append("}");
    out_.append((8 - out_.size() % 8) % 8, ' ');
    return std::move(out_);
  }

 private:
  std::string out_;
};

void put_shape(const kernels::Spec& spec, Header& header) {
  if (spec.architecture == kernels::Architecture::mlp) {
    header.fact("architecture", "mlp");
    return;
  }
  const kernels::GptShape& gpt = spec.gpt;
  header.fact("architecture", "gpt");
  header.fact("vocabulary", gpt.vocabulary);
  header.fact("width", gpt.width);
  header.fact("heads", gpt.heads);
  header.fact("hidden", gpt.hidden);
  header.fact("blocks", gpt.blocks);
  header.fact("context", gpt.context);
  header.fact("norm", gpt.norm == kernels::Norm::rms ? "rms" : "layer");
  header.fact("activation", gpt.activation == kernels::Activation::gelu ? "gelu" : "silu");
  header.fact("tied", gpt.tied ? "true" : "false");
}

// A gpt's linear λ and norm ν belong to block i; the last of each to the head.
std::string gpt_name(const kernels::GptShape& gpt, const kernels::ParameterInfo& parameter) {
  constexpr const char* kLinears[] = {".attn.qkv", ".attn.o", ".mlp.up", ".mlp.down"};
  constexpr const char* kNorms[] = {".ln_1", ".ln_2"};
  const uint32_t index = parameter.index;
  switch (parameter.kind) {
    case ParameterKind::tokens:
      return "wte";
    case ParameterKind::positions:
      return "wpe";
    case ParameterKind::gain:
    case ParameterKind::shift:
      if (index == gpt.last_norm()) return "ln_f";
      return "h." + std::to_string(index / 2) + kNorms[index % 2];
    default:
      if (index == gpt.head_linear()) return "lm_head";
      return "h." + std::to_string(index / 4) + kLinears[index % 4];
  }
}

}  // namespace

std::string parameter_name(const kernels::Program& program,
                           const kernels::ParameterInfo& parameter) {
  const bool is_bias =
      parameter.kind == ParameterKind::bias || parameter.kind == ParameterKind::shift;
  const char* const part = is_bias ? ".bias" : ".weight";
  if (program.is_gpt()) return gpt_name(program.spec().gpt, parameter) + part;
  return "layers." + std::to_string(parameter.index) + part;
}

Bytes encode_safetensors(const kernels::Program& program, std::span<const float> theta,
                         const ModelOrigin& origin) {
  GEMMINE_CHECK(theta.size() == program.parameters());
  Header header;
  header.fact("job", origin.job_name);
  header.fact("job_id", to_hex(origin.job_id.bytes));
  header.fact("round", origin.round);
  header.fact("theta_root", to_hex(kernels::blake3(as_bytes(theta)).bytes));
  put_shape(program.spec(), header);
  header.end_facts();
  for (const kernels::ParameterInfo& parameter : program.parameter_list())
    header.tensor(parameter_name(program, parameter), parameter);
  const std::string text = header.take();
  Writer out;
  out.put(uint64_t{text.size()}).put_raw(as_bytes(std::string_view(text)));
  return out.put_raw(as_bytes(theta)).take();
}

}  // namespace gemmine::verifier
