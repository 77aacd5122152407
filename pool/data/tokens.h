// The tokens of a language model's corpus (PROTOCOL 10.2), from text or token files.
#pragma once

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/model/program.h"
#include "pool/config/job_file.h"

namespace gemmine::pool {

inline constexpr uint64_t kCorpusBytesMax = uint64_t{4} << 30;  // as they are stored

struct Tokens {
  Bytes train;  // each token as GptShape::token_bytes bytes
  Bytes held_out;
};
// Errors, each naming the file and the place: io; malformed; unsupported; out_of_memory; invalid (a
// token that is not in the vocabulary, too few tokens for one context, a file on both sides).
Result<Tokens> load_tokens(const DataFiles& data, const kernels::GptShape& shape);

// All of one file. Errors: as above.
Result<Bytes> read_token_file(DataKind kind, const std::string& path,
                              const kernels::GptShape& shape);

}  // namespace gemmine::pool
