#include "verifier/safetensors.h"

#include <string>

#include "kernels/blake3.h"

namespace gemmine::verifier {

namespace {

std::string entry(const std::string& name, const std::string& shape, uint64_t first_float,
                  uint64_t floats) {
  std::string out = ",\"";
  out.append(name).append(R"(":{"dtype":"F32","shape":[)").append(shape);
  out.append(R"(],"data_offsets":[)").append(std::to_string(first_float * 4)).append(",");
  return out.append(std::to_string((first_float + floats) * 4)).append("]}");
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {  // Job names are printable ASCII.
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

}  // namespace

Bytes encode_safetensors(const kernels::Program& program, std::span<const float> theta,
                         std::string_view job_name, const Digest& job_id) {
  GEMMINE_CHECK(theta.size() == program.parameters());
  std::string header = "{\"__metadata__\":{\"format\":\"pt\",\"job\":" + json_text(job_name) +
                       ",\"job_id\":\"" + to_hex(job_id.bytes) + "\",\"theta_root\":\"" +
                       to_hex(kernels::blake3(as_bytes(theta)).bytes) + "\"}";
  for (uint32_t l = 0; l < program.layers(); ++l) {
    const std::string n = std::to_string(program.outputs(l));
    const std::string k = std::to_string(program.inputs(l));
    const std::string layer = "layers." + std::to_string(l);
    std::string shape = n;
    shape.append(",").append(k);
    header += entry(layer + ".weight", shape, program.weight_offset(l),
                    uint64_t{program.outputs(l)} * program.inputs(l));
    header += entry(layer + ".bias", n, program.bias_offset(l), program.outputs(l));
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  Writer out;
  out.put(uint64_t{header.size()}).put_raw(as_bytes(std::string_view(header)));
  return out.put_raw(as_bytes(theta)).take();
}

}  // namespace gemmine::verifier
