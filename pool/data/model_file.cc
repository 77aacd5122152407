#include "pool/data/model_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "kernels/base/printable.h"
#include "pool/data/byte_stream.h"
#include "pool/data/memory.h"
#include "verifier/merge/safetensors.h"

namespace gemmine::pool {
namespace {

using nlohmann::json;

struct Parts {
  json header;
  ByteView data;
};

// What a header of strangers must not have, seen while it is parsed.
class HeaderCheck {
 public:
  // Whether to keep a value.
  bool see(int depth, json::parse_event_t event, const json& value) {
    deep_ = deep_ || depth > kModelHeaderDepthMax;
    if (deep_) return false;
    const auto level = static_cast<size_t>(depth);
    if (event == json::parse_event_t::object_start) {
      keys_.resize(std::max(keys_.size(), level + 2));
      keys_[level + 1].clear();
    } else if (event == json::parse_event_t::key) {
      if (!keys_[level].insert(value.get<std::string>()).second) twice_ = value;
    }
    return true;
  }
  bool is_deep() const { return deep_; }
  const std::string& twice() const { return twice_; }

 private:
  std::vector<std::set<std::string>> keys_;  // of the objects that are open, by their depth
  bool deep_ = false;
  std::string twice_;
};

Error no_model(const std::string& name) {
  return {Errc::malformed, name + ": is no safetensors file, or is cut short"};
}

Result<Parts> split(ByteView file, const std::string& name) {
  Reader in(file);
  const auto size = in.get<uint64_t>();
  if (!in.ok() || size > in.rest()) return no_model(name);
  if (size > kModelHeaderBytesMax)
    return Error{Errc::malformed, name + ": a header of more than " +
                                      std::to_string(kModelHeaderBytesMax) + " bytes"};
  const ByteView text = in.get_raw(size);
  Parts out;
  // What nests deeper is never built: to print or copy it would take as much of the stack.
  HeaderCheck check;
  const auto keep = [&](int depth, json::parse_event_t event, json& value) {
    return check.see(depth, event, value);
  };
  out.header = json::parse(text.begin(), text.end(), keep, false);
  out.data = in.get_raw(in.rest());
  if (check.is_deep()) return Error{Errc::malformed, name + ": its header nests too deep"};
  if (!out.header.is_object()) return no_model(name);
  if (!check.twice().empty())
    return Error{Errc::malformed,
                 name + ": its header has '" + printable(check.twice()) + "' twice"};
  return out;
}

// What the metadata says about `key`, printable; empty where it says nothing.
std::string fact(const json& header, const char* key) {
  const auto facts = header.find("__metadata__");
  if (facts == header.end() || !facts->is_object()) return {};
  const auto found = facts->find(key);
  if (found == facts->end() || !found->is_string()) return {};
  return printable(found->get<std::string>());
}

uint32_t number(const json& header, const char* key) {
  const std::string text = fact(header, key);
  uint32_t out = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  return code == std::errc{} && end == text.data() + text.size() ? out : 0;
}

std::string shape_text(const json& shape) {
  return shape.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 100);
}

// Whether the tensors lie one behind the other, in any order, and fill the data: each byte once.
bool fill(std::vector<ByteView> tensors, ByteView data) {
  std::ranges::sort(tensors, {}, [](ByteView tensor) { return tensor.data(); });
  const uint8_t* at = data.data();
  for (const ByteView tensor : tensors) {
    if (tensor.data() != at) return false;
    at += tensor.size();
  }
  return at == data.data() + data.size();
}

// One tensor, checked against what the program has in its place.
class TensorReader {
 public:
  TensorReader(const Parts& parts, const std::string& file) : parts_(parts), file_(file) {}

  Result<ByteView> find(const std::string& name, const kernels::ParameterInfo& parameter) const {
    const auto wrong = [&](const std::string& why) {
      return Error{Errc::invalid, file_ + ": " + name + ": " + why};
    };
    const auto found = parts_.header.find(name);
    if (found == parts_.header.end() || !found->is_object())
      return wrong("is missing; is this a model of another architecture?");
    const json type = found->value("dtype", json());
    if (type != "F32") return wrong("has elements of type " + shape_text(type) + ", not F32");
    json expected = json::array({parameter.rows});
    if (parameter.decays()) expected.push_back(parameter.cols);
    const json shape = found->value("shape", json());
    if (shape != expected)
      return wrong("has shape " + shape_text(shape) + ", the job's is " + shape_text(expected));
    const json offsets = found->value("data_offsets", json());
    const bool pair = offsets.is_array() && offsets.size() == 2 &&
                      offsets[0].is_number_unsigned() && offsets[1].is_number_unsigned();
    if (!pair) return wrong("has no data_offsets");
    const auto begin = offsets[0].get<uint64_t>();
    const auto end = offsets[1].get<uint64_t>();
    if (begin > end || end > parts_.data.size() || end - begin != 4 * parameter.count())
      return wrong("its data_offsets " + shape_text(offsets) +
                   " do not fit its shape or the file; is the file cut short?");
    return parts_.data.subspan(begin, end - begin);
  }

 private:
  const Parts& parts_;
  const std::string& file_;
};

// PROTOCOL 9 asks for more than a shape.
kernels::Spec untrained(const kernels::GptShape& shape) {
  kernels::Spec spec;
  spec.architecture = kernels::Architecture::gpt;
  spec.gpt = shape;
  spec.records = kernels::kRecordsMax;
  spec.batch = spec.steps_per_lease = spec.slots = spec.rounds = 1;
  return spec;
}

}  // namespace

Result<Bytes> read_model_file(const std::string& path) {
  auto stream = ByteStream::open(path, kModelBytesMax);
  if (!stream) return stream.error();
  const std::string& name = stream.value().name();
  return within_memory(name, [&]() -> Result<Bytes> {
    auto out = stream.value().read(sizeof(uint64_t) + 1);
    if (!out) return out;
    Reader in(out.value());
    const auto header_bytes = in.get<uint64_t>();
    if (in.get<char>() != '{' || header_bytes > kModelHeaderBytesMax) return no_model(name);
    out.value().reserve(stream.value().size_hint());
    while (true) {
      const auto piece = stream.value().next();
      if (!piece) return piece.error();
      if (piece.value().empty()) return out;
      out.value().insert(out.value().end(), piece.value().begin(), piece.value().end());
    }
  });
}

Result<kernels::Program> model_program(ByteView file, const std::string& path) {
  const std::string name = printable(path);
  const auto parts = split(file, name);
  if (!parts) return parts.error();
  const json& header = parts.value().header;
  const std::string architecture = fact(header, "architecture");
  if (architecture != "gpt")
    return Error{Errc::unsupported,
                 name + ": its metadata says " +
                     (architecture.empty() ? "no architecture" : "\"" + architecture + "\"") +
                     ", and only a gpt writes text"};
  kernels::GptShape shape{.vocabulary = number(header, "vocabulary"),
                          .width = number(header, "width"),
                          .heads = std::max(number(header, "heads"), 1U),
                          .hidden = number(header, "hidden"),
                          .blocks = number(header, "blocks"),
                          .context = number(header, "context")};
  const std::string norm = fact(header, "norm");
  const std::string activation = fact(header, "activation");
  if ((norm != "rms" && norm != "layer") || (activation != "gelu" && activation != "silu"))
    return Error{Errc::unsupported, name + ": its metadata names no norm or activation of ours"};
  shape.norm = norm == "rms" ? kernels::Norm::rms : kernels::Norm::layer;
  shape.activation = activation == "gelu" ? kernels::Activation::gelu : kernels::Activation::silu;
  shape.tied = fact(header, "tied") == "true";
  shape.token_bytes = shape.vocabulary <= 256 ? 1 : 2;
  auto program = kernels::Program::make(untrained(shape));
  if (!program) return Error{Errc::invalid, name + ": its metadata: " + program.error().detail};
  return program;
}

Result<Model> parse_model(ByteView file, const std::string& path, const kernels::Program& program) {
  const std::string name = printable(path);
  const auto parts = split(file, name);
  if (!parts) return parts.error();
  const json& header = parts.value().header;
  const std::string ours = program.is_gpt() ? "gpt" : "mlp";
  const std::string architecture = fact(header, "architecture");
  if (!architecture.empty() && architecture != ours)
    return Error{Errc::invalid, name + ": is a model of architecture \"" + architecture +
                                    "\", the job's is \"" + ours + "\""};
  Model out;
  size_t known = header.contains("__metadata__") ? 1 : 0;
  const TensorReader tensors(parts.value(), name);
  std::vector<ByteView> found;
  for (const kernels::ParameterInfo& parameter : program.parameter_list()) {
    const auto values = tensors.find(verifier::parameter_name(program, parameter), parameter);
    if (!values) return values.error();
    found.push_back(values.value());
    ++known;
  }
  if (header.size() != known)
    return Error{Errc::invalid, name + ": has " + std::to_string(header.size() - known) +
                                    " tensors more than the model; is it tied, or deeper?"};
  // Only now is memory taken: there is as much in the file.
  if (!fill(found, parts.value().data))
    return Error{Errc::malformed, name + ": its tensors overlap, or have gaps between them"};
  out.theta.resize(program.parameters());
  for (size_t j = 0; j < found.size(); ++j) {
    const kernels::ParameterInfo& parameter = program.parameter_list()[j];
    float* const values = out.theta.data() + parameter.offset;
    std::memcpy(values, found[j].data(), found[j].size());
    const float* const bad =
        std::find_if(values, values + parameter.count(), [](float x) { return !std::isfinite(x); });
    if (bad != values + parameter.count())
      return Error{Errc::invalid, name + ": " + verifier::parameter_name(program, parameter) +
                                      ": element " + std::to_string(bad - values) +
                                      " is NaN or infinite"};
  }
  if (auto id = digest_from_hex(fact(header, "job_id")); id) {
    out.job_id = id.value();
    out.round = number(header, "round");
  }
  return out;
}

}  // namespace gemmine::pool
