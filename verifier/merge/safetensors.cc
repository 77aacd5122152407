#include "verifier/merge/safetensors.h"

#include "kernels/base/json.h"
#include "kernels/hash/blake3.h"

namespace gemmine::verifier {

namespace {

using kernels::ParameterKind;

Json describe(const kernels::ParameterInfo& parameter) {
  Json shape;
  shape.push_back(parameter.rows);
  if (parameter.decays()) shape.push_back(parameter.cols);
  const uint64_t begin = parameter.offset * sizeof(float);
  const uint64_t end = begin + parameter.count() * sizeof(float);
  Json place;
  place.push_back(begin);
  place.push_back(end);
  return {{"dtype", "F32"}, {"shape", std::move(shape)}, {"data_offsets", std::move(place)}};
}

Json texts(const std::vector<SheetName>& names) {
  Json out = Json::array();
  for (const SheetName& name : names)
    out.push_back(name.text);
  return out;
}

// How a row becomes what the first layer reads, and what the last one's outputs are called: JSON in
// texts, which numbers come back from to the last bit.
void put_sheet(const Sheet& sheet, Json& facts) {
  Json scalings = Json::array();
  for (const Scaling& scaling : sheet.scalings) {
    Json pair;
    pair.push_back(scaling.offset);
    pair.push_back(scaling.factor);
    scalings.push_back(std::move(pair));
  }
  facts["scalings"] = scalings.dump();
  facts["missing"] = sheet.missing ? "mean" : "refused";
  facts["features"] = texts(sheet.names).dump();
  facts["label"] = sheet.label.text;
  facts["classes"] = texts(sheet.classes).dump();
}

// The values of metadata are texts.
void put_shape(const kernels::Spec& spec, Json& facts) {
  if (spec.architecture == kernels::Architecture::mlp) {
    facts["architecture"] = "mlp";
    Json widths;
    for (const uint32_t width : spec.widths)
      widths.push_back(width);
    facts["widths"] = widths.dump();
    facts["activation"] = "relu";
    facts["feature_scale"] = Json(double{spec.feature_scale}).dump();
    facts["feature_shift"] = Json(double{spec.feature_shift}).dump();
    return;
  }
  const kernels::GptShape& gpt = spec.gpt;
  facts["architecture"] = "gpt";
  facts["vocabulary"] = std::to_string(gpt.vocabulary);
  facts["width"] = std::to_string(gpt.width);
  facts["heads"] = std::to_string(gpt.heads);
  facts["hidden"] = std::to_string(gpt.hidden);
  facts["blocks"] = std::to_string(gpt.blocks);
  facts["context"] = std::to_string(gpt.context);
  facts["norm"] = gpt.norm == kernels::Norm::rms ? "rms" : "layer";
  facts["activation"] = gpt.activation == kernels::Activation::gelu ? "gelu" : "silu";
  facts["tied"] = gpt.tied ? "true" : "false";
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
  Json header;
  Json& facts = header["__metadata__"];
  facts["format"] = "pt";
  facts["job"] = origin.job_name;
  facts["job_id"] = to_hex(origin.job_id.bytes);
  facts["round"] = std::to_string(origin.round);
  facts["theta_root"] = to_hex(kernels::blake3(as_bytes(theta)).bytes);
  put_shape(program.spec(), facts);
  if (origin.sheet) put_sheet(*origin.sheet, facts);
  for (const kernels::ParameterInfo& parameter : program.parameter_list())
    header[parameter_name(program, parameter)] = describe(parameter);
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  Writer out;
  out.put(uint64_t{text.size()}).put_raw(as_bytes(std::string_view(text)));
  return out.put_raw(as_bytes(theta)).take();
}

}  // namespace gemmine::verifier
