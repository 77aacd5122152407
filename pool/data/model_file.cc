#include "pool/data/model_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "kernels/base/fields.h"
#include "kernels/base/json.h"
#include "kernels/base/printable.h"
#include "kernels/hash/blake3.h"
#include "pool/data/byte_stream.h"
#include "pool/data/memory.h"
#include "verifier/merge/safetensors.h"

namespace gemmine::pool {
namespace {

struct Parts {
  Json header;
  ByteView data;
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
  auto header =
      Json::parse({reinterpret_cast<const char*>(text.data()), text.size()}, kModelHeaderDepthMax);
  if (!header)
    return Error{Errc::malformed,
                 name + ": is no safetensors file: its header " + header.error().detail};
  if (header.value().members() == nullptr) return no_model(name);
  return Parts{std::move(header.value()), in.get_raw(in.rest())};
}

// What the metadata says about `key`, printable; empty where it says nothing.
std::string fact(const Json& header, std::string_view key) {
  const Json* const facts = header.find("__metadata__");
  const Json* const found = facts == nullptr ? nullptr : facts->find(key);
  return found != nullptr && found->text() != nullptr ? printable(*found->text()) : std::string{};
}

uint32_t number(const Json& header, std::string_view key) {
  const std::string text = fact(header, key);
  uint32_t out = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  return code == std::errc{} && end == text.data() + text.size() ? out : 0;
}

std::string shown(const Json& value) {
  return printable(value.dump().substr(0, 100));
}

Json member(const Json& object, std::string_view key) {
  const Json* const found = object.find(key);
  return found == nullptr ? Json() : *found;
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
    const Json* const found = parts_.header.find(name);
    if (found == nullptr || found->members() == nullptr)
      return wrong("is missing; is this a model of another architecture?");
    const Json type = member(*found, "dtype");
    if (type != Json("F32")) return wrong("has elements of type " + shown(type) + ", not F32");
    Json expected;
    expected.push_back(uint64_t{parameter.rows});
    if (parameter.decays()) expected.push_back(uint64_t{parameter.cols});
    const Json shape = member(*found, "shape");
    if (shape != expected)
      return wrong("has shape " + shown(shape) + ", the job's is " + shown(expected));
    const Json offsets = member(*found, "data_offsets");
    if (offsets.items() == nullptr || offsets.items()->size() != 2)
      return wrong("has no data_offsets");
    const auto begin = offsets.items()->front().whole_number();
    const auto end = offsets.items()->back().whole_number();
    if (!begin || !end) return wrong("has no data_offsets");
    if (*begin > *end || *end > parts_.data.size() || *end - *begin != 4 * parameter.count())
      return wrong("its data_offsets " + shown(offsets) +
                   " do not fit its shape or the file; is the file cut short?");
    return parts_.data.subspan(*begin, *end - *begin);
  }

 private:
  const Parts& parts_;
  const std::string& file_;
};

// Rows that an MLP computes at a time; they do not depend on each other.
constexpr uint32_t kBatch = 256;
constexpr size_t kFactDepthMax = 3;

// PROTOCOL 9 asks for more than a shape.
kernels::Spec untrained() {
  kernels::Spec spec;
  spec.records = kernels::kRecordsMax;
  spec.batch = spec.steps_per_lease = spec.slots = spec.rounds = 1;
  return spec;
}

// JSON in a text of the metadata.
Result<Json> json_fact(const Json& header, std::string_view key, const std::string& name) {
  const Json facts = member(header, "__metadata__");
  const Json text = member(facts, key);
  if (text.text() == nullptr)
    return Error{Errc::unsupported, name + ": its metadata has no " + std::string(key) +
                                        ": gemmine wrote no such file"};
  auto value = Json::parse(*text.text(), kFactDepthMax);
  if (!value)
    return Error{Errc::malformed,
                 name + ": its metadata: " + std::string(key) + " " + value.error().detail};
  return value;
}

Error bad_fact(const std::string& name, std::string_view key) {
  return {Errc::malformed,
          name + ": its metadata: " + std::string(key) + " is not what gemmine writes"};
}

Result<float> float_fact(const Json& header, std::string_view key, const std::string& name) {
  const auto value = json_fact(header, key, name);
  if (!value) return value.error();
  const auto number = value.value().number();
  if (!number) return bad_fact(name, key);
  return static_cast<float>(*number);
}

Result<kernels::Spec> mlp_spec(const Json& header, const std::string& name) {
  const auto widths = json_fact(header, "widths", name);
  if (!widths) return widths.error();
  kernels::Spec spec = untrained();
  spec.batch = kBatch;
  if (widths.value().items() == nullptr) return bad_fact(name, "widths");
  for (const Json& width : *widths.value().items()) {
    const auto number = width.whole_number();
    if (!number || *number > kernels::kWidthMax) return bad_fact(name, "widths");
    spec.widths.push_back(static_cast<uint32_t>(*number));
  }
  if (fact(header, "activation") != "relu") return bad_fact(name, "activation");
  const auto scale = float_fact(header, "feature_scale", name);
  if (!scale) return scale.error();
  const auto shift = float_fact(header, "feature_shift", name);
  if (!shift) return shift.error();
  spec.feature_scale = scale.value();
  spec.feature_shift = shift.value();
  return spec;
}

Result<kernels::Spec> gpt_spec(const Json& header, const std::string& name) {
  kernels::Spec spec = untrained();
  spec.architecture = kernels::Architecture::gpt;
  spec.gpt = {.vocabulary = number(header, "vocabulary"),
              .width = number(header, "width"),
              .heads = std::max(number(header, "heads"), 1U),
              .hidden = number(header, "hidden"),
              .blocks = number(header, "blocks"),
              .context = number(header, "context")};
  const std::string norm = fact(header, "norm");
  const std::string activation = fact(header, "activation");
  if ((norm != "rms" && norm != "layer") || (activation != "gelu" && activation != "silu"))
    return Error{Errc::unsupported, name + ": its metadata names no norm or activation of ours"};
  spec.gpt.norm = norm == "rms" ? kernels::Norm::rms : kernels::Norm::layer;
  spec.gpt.activation =
      activation == "gelu" ? kernels::Activation::gelu : kernels::Activation::silu;
  spec.gpt.tied = fact(header, "tied") == "true";
  spec.gpt.token_bytes = spec.gpt.vocabulary <= 256 ? 1 : 2;
  return spec;
}

// A list of names in a text of the metadata.
Status read_names(const Json& header, std::string_view key, const std::string& name,
                  std::vector<verifier::SheetName>& out) {
  const auto list = json_fact(header, key, name);
  if (!list) return list.error();
  if (list.value().items() == nullptr) return bad_fact(name, key);
  for (const Json& item : *list.value().items()) {
    if (item.text() == nullptr) return bad_fact(name, key);
    out.push_back({*item.text()});
  }
  return Ok{};
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
  const Json& header = parts.value().header;
  const std::string architecture = fact(header, "architecture");
  if (architecture != "gpt" && architecture != "mlp")
    return Error{Errc::unsupported,
                 name + ": its metadata says " +
                     (architecture.empty() ? "no architecture" : "\"" + architecture + "\"") +
                     ", and gemmine has \"mlp\" and \"gpt\""};
  const auto spec = architecture == "gpt" ? gpt_spec(header, name) : mlp_spec(header, name);
  if (!spec) return spec.error();
  auto program = kernels::Program::make(spec.value());
  if (!program) return Error{Errc::invalid, name + ": its metadata: " + program.error().detail};
  return program;
}

Result<verifier::Sheet> model_sheet(ByteView file, const std::string& path,
                                    const kernels::Program& program) {
  GEMMINE_CHECK(!program.is_gpt());
  const std::string name = printable(path);
  const auto parts = split(file, name);
  if (!parts) return parts.error();
  const Json& header = parts.value().header;
  const std::vector<uint32_t>& widths = program.spec().widths;
  verifier::Sheet out{.features = widths.front(), .missing = fact(header, "missing") == "mean"};
  const auto scalings = json_fact(header, "scalings", name);
  if (!scalings) return scalings.error();
  if (scalings.value().items() == nullptr) return bad_fact(name, "scalings");
  for (const Json& pair : *scalings.value().items()) {
    if (pair.items() == nullptr || pair.items()->size() != 2) return bad_fact(name, "scalings");
    const auto offset = pair.items()->front().number();
    const auto factor = pair.items()->back().number();
    if (!offset || !factor) return bad_fact(name, "scalings");
    out.scalings.push_back({.offset = *offset, .factor = *factor});
  }
  if (Status read = read_names(header, "features", name, out.names); !read) return read.error();
  if (Status read = read_names(header, "classes", name, out.classes); !read) return read.error();
  out.label.text = fact(header, "label");
  // By the rules of PROTOCOL 6.7, whoever wrote the file.
  auto checked = verifier::decode_sheet(encode(out), widths);
  if (!checked)
    return Error{checked.error().code, name + ": its metadata: " + checked.error().detail};
  return checked;
}

Result<Model> parse_model(ByteView file, const std::string& path, const kernels::Program& program) {
  const std::string name = printable(path);
  const auto parts = split(file, name);
  if (!parts) return parts.error();
  const Json& header = parts.value().header;
  const std::string ours = program.is_gpt() ? "gpt" : "mlp";
  const std::string architecture = fact(header, "architecture");
  if (!architecture.empty() && architecture != ours)
    return Error{Errc::invalid, name + ": is a model of architecture \"" + architecture +
                                    "\", the job's is \"" + ours + "\""};
  Model out;
  size_t known = header.find("__metadata__") != nullptr ? 1 : 0;
  const TensorReader tensors(parts.value(), name);
  std::vector<ByteView> found;
  for (const kernels::ParameterInfo& parameter : program.parameter_list()) {
    const auto values = tensors.find(verifier::parameter_name(program, parameter), parameter);
    if (!values) return values.error();
    found.push_back(values.value());
    ++known;
  }
  if (header.members()->size() != known)
    return Error{Errc::invalid, name + ": has " + std::to_string(header.members()->size() - known) +
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
  const auto root = digest_from_hex(fact(header, "theta_root"));
  if (root && kernels::blake3(as_bytes(std::span<const float>(out.theta))) != root.value())
    return Error{Errc::invalid, name +
                                    ": its tensors are not those of the theta_root in its "
                                    "metadata: the file is damaged, or was changed (then remove "
                                    "theta_root)"};
  if (auto id = digest_from_hex(fact(header, "job_id")); id) {
    out.job_id = id.value();
    out.round = number(header, "round");
  }
  return out;
}

}  // namespace gemmine::pool
