#include "verifier/proof/question.h"

#include <algorithm>

#include "kernels/hash/blake3.h"
#include "verifier/audit/block_reader.h"

namespace gemmine::verifier {

Digest question_digest(const Question& question) {
  return kernels::blake3(encode(question));
}

uint64_t node_count(uint64_t bytes, uint8_t level) {
  const uint64_t chunks = std::max<uint64_t>(1, (bytes + kChunk - 1) / kChunk);
  return (chunks + (uint64_t{1} << level) - 1) >> level;
}

uint64_t answer_bytes(const kernels::Program& program, const Question& question) {
  const auto& tensors = program.tensors();
  const auto within = [&](uint64_t whole) {
    return question.count > 0 && question.first < whole && question.count <= whole - question.first;
  };
  const bool of_step = question.asked != Asked::state_nodes && question.asked != Asked::roots;
  if (of_step && question.position >= tensors.size()) return 0;
  if (question.level >= 32) return 0;
  const kernels::TensorInfo& tensor = tensors[of_step ? question.position : 0];
  uint64_t out = 0;
  switch (question.asked) {
    case Asked::thread:
      break;
    case Asked::roots:
      out = tensors.size() * 32 + 4;
      break;
    case Asked::nodes:
      if (within(node_count(tensor.bytes(), question.level))) out = uint64_t{question.count} * 32;
      break;
    case Asked::chunks:
      if (within(node_count(tensor.bytes(), 0)))
        out = std::min((question.first + question.count) * kChunk, tensor.bytes()) -
              question.first * kChunk;
      break;
    case Asked::witnesses:
      if (tensor.is_int8() && within(tensors[question.position + 1].bytes() / sizeof(float)))
        out = uint64_t{question.count} * (sizeof(float) + sizeof(uint32_t));
      break;
    case Asked::state_nodes:
      if (within(node_count(program.state_floats() * sizeof(float), question.level)))
        out = uint64_t{question.count} * 32;
      break;
  }
  return out + kQuestionBytes <= kAnswerBytesMax ? out : 0;
}

}  // namespace gemmine::verifier
