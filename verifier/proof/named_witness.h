// The witness of a scale as the miner named it in an answer (PROTOCOL 12.11): it is in no root, so
// only his signature makes it his.
#pragma once

#include <string>

#include "verifier/proof/evidence.h"
#include "verifier/proof/question.h"

namespace gemmine::verifier {

struct NamedWitness {
  SignedAnswer answer;
  Question question;
  uint32_t witness = 0;
};

// An answer that names the witness of scale `number`. Errors: malformed.
Result<NamedWitness> get_named_witness(Reader& in, const kernels::Program& program,
                                       uint32_t number);
// Why it is no word of the lease's miner about that tensor of that step; empty when it is.
std::string doubt_of(const NamedWitness& named, const Lease& lease, uint32_t step,
                     uint32_t position);

}  // namespace gemmine::verifier
