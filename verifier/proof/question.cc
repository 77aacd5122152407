#include "verifier/proof/question.h"

#include <algorithm>

#include "kernels/hash/blake3.h"
#include "verifier/audit/block_reader.h"

namespace gemmine::verifier {

Digest question_digest(const Question& question) {
  return kernels::blake3(encode(question));
}

uint64_t answer_bytes(const kernels::Program& program, const Question& question) {
  const auto& tensors = program.tensors();
  const auto within = [&](uint64_t whole) {
    return question.count > 0 && question.first < whole && question.count <= whole - question.first;
  };
  const auto chunks_of = [](uint64_t bytes) { return (bytes + kChunk - 1) / kChunk; };
  const bool of_tensor = question.position < tensors.size();
  uint64_t out = 0;
  switch (question.asked) {
    case Asked::roots:
      out = tensors.size() * 32 + 4;
      break;
    case Asked::leaves:
      if (of_tensor && within(chunks_of(tensors[question.position].bytes())))
        out = uint64_t{question.count} * 32;
      break;
    case Asked::chunks:
      if (of_tensor && within(chunks_of(tensors[question.position].bytes())))
        out = std::min((question.first + question.count) * kChunk,
                       tensors[question.position].bytes()) -
              question.first * kChunk;
      break;
    case Asked::witnesses:
      if (of_tensor && tensors[question.position].is_int8() &&
          within(tensors[question.position + 1].bytes() / sizeof(float)))
        out = uint64_t{question.count} * sizeof(uint32_t);
      break;
    case Asked::state_nodes:
      if (question.level < 32 && within((chunks_of(program.state_floats() * sizeof(float)) +
                                         (uint64_t{1} << question.level) - 1) >>
                                        question.level))
        out = uint64_t{question.count} * 32;
      break;
  }
  return out + kQuestionBytes <= kAnswerBytesMax ? out : 0;
}

}  // namespace gemmine::verifier
