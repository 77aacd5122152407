// Models in safetensors files: to continue from, and to write text with.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/model/program.h"
#include "verifier/records/sheet.h"

namespace gemmine::pool {

inline constexpr uint64_t kModelHeaderBytesMax = 16 << 20;
inline constexpr size_t kModelHeaderDepthMax =
    8;  // objects and arrays in one another; three are of use
inline constexpr uint64_t kModelBytesMax = 8 + kModelHeaderBytesMax + 4 * kernels::kParametersMax;

struct Model {
  std::vector<float> theta;
  std::optional<Digest> job_id;  // of the job that made it, and after how many of its rounds;
  uint32_t round = 0;            // other tools' files do not say
};

// The bytes of a model file; its first ones are looked at before the others are read.
// Errors: those of ByteStream; malformed (no safetensors file); out_of_memory.
Result<Bytes> read_model_file(const std::string& path);

// A program with the shape that a file's metadata gives and nothing to train; token_bytes is the
// least that holds the vocabulary. `path` opens each message, which is printable.
// Errors: malformed; invalid (bounds); unsupported (no model of ours).
Result<kernels::Program> model_program(ByteView file, const std::string& path);

// What an MLP's metadata says of its rows and classes. Errors: malformed; unsupported (it does not
// say); invalid (it does not fit the program).
Result<verifier::Sheet> model_sheet(ByteView file, const std::string& path,
                                    const kernels::Program& program);

// θ of `program` by the names of verifier/merge/safetensors.h.
// Errors: malformed (also tensors that do not fill the data, each byte once, and names given
// twice); invalid (another architecture, a missing or unknown tensor, another shape or element
// type, NaN or infinity: with the tensor's name; other values than its theta_root names).
Result<Model> parse_model(ByteView file, const std::string& path, const kernels::Program& program);

}  // namespace gemmine::pool
