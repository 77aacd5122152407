// What an auditor has of its own and reads in pieces: θ of the lease's round, the training data.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/model/program.h"

namespace gemmine::verifier {

// Floats of θ from number `first` on. Errors: the reader's own; nothing is decided then.
using ReadFloats = std::function<Status(uint64_t first, std::span<float> out)>;
// Bytes of the training data's blob from `offset` on. Errors: as above.
using ReadBytes = std::function<Status(uint64_t offset, std::span<uint8_t> out)>;

struct PublicData {
  ReadFloats theta;
  ReadBytes train;
};
// Of whole objects in memory, which outlive it.
PublicData public_data(std::span<const float> theta, ByteView train);

// x_t of every row of a gpt's step (PROTOCOL 10.2); empty for an MLP. Errors: those of the reader;
// invalid (a token that is not in the vocabulary).
Result<std::vector<uint32_t>> step_tokens(const kernels::Program& program, kernels::StepKey key,
                                          const ReadBytes& train);
// x_t of one row.
Result<uint32_t> token_of_row(const kernels::Program& program, kernels::StepKey key, uint32_t row,
                              const ReadBytes& train);

}  // namespace gemmine::verifier
