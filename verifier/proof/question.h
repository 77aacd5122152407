// What a miner is asked on the way from a replay that differs down to one block (PROTOCOL 12.11),
// and his answers, which are blobs that begin with the question.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/fields.h"
#include "kernels/model/program.h"
#include "verifier/ledger/bodies.h"

namespace gemmine::verifier {

// Payloads of Asked: roots ‖ loss of the step; chaining values of nodes [first, first + count) of
// 2^level chunks of a tensor's string, or of a share's state_after; the bytes of chunks [first,
// first + count) of a tensor; scales [first, first + count) of an int8 tensor (f32), then the
// witness of each of them (u32).
struct Question {
  static constexpr std::string_view kName = "question";
  Digest lease_id = {};
  Asked asked = Asked::roots;
  uint32_t step = 0;      // of the lease; of state_nodes the share's last
  uint16_t position = 0;  // of the tensor; of witnesses of the int8 tensor, not of its scales
  uint8_t level = 0;      // of nodes
  uint64_t first = 0;
  uint32_t count = 0;
  bool operator==(const Question&) const = default;

  static void fields(auto& f, auto& q) {
    f(q.lease_id)(q.asked)(q.step)(q.position)(q.level)(q.first)(q.count);
    f.must(q.asked >= Asked::roots && q.asked <= Asked::state_nodes);
  }
};
inline constexpr uint32_t kDescentQuestionsMax = 3;  // of one lease, a thread included
inline constexpr size_t kQuestionBytes = 32 + 1 + 4 + 2 + 1 + 8 + 4;
inline constexpr size_t kAnswerBytesMax = size_t{1} << 21;

Digest question_digest(const Question& question);  // what a challenge record names
// Nodes of 2^level chunks that a string has, the last maybe of fewer. level < 32.
uint64_t node_count(uint64_t bytes, uint8_t level);
// How long the payload of its answer is; 0 when the program has nothing of the kind, or more than
// an answer holds.
uint64_t answer_bytes(const kernels::Program& program, const Question& question);

}  // namespace gemmine::verifier
