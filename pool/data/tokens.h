// The tokens of a language model's corpus (PROTOCOL 10.2), from text, token files or R packages.
#pragma once

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/model/program.h"
#include "pool/config/job_file.h"

namespace gemmine::pool {

inline constexpr uint64_t kCorpusBytesMax = uint64_t{4} << 30;  // as they are stored
inline constexpr size_t kCorpusFilesMax = 1 << 16;              // that patterns stand for

struct Tokens {
  Bytes train;  // each token as GptShape::token_bytes bytes
  Bytes held_out;
};
// Errors, each naming the file and the place: io; malformed; unsupported; invalid (a token that is
// not in the vocabulary, too few tokens for one context, a file on both sides).
Result<Tokens> load_tokens(const DataFiles& files, const kernels::GptShape& shape);

}  // namespace gemmine::pool
