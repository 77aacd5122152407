#include "verifier/proof/named_witness.h"

#include <cstring>

namespace gemmine::verifier {

Result<NamedWitness> get_named_witness(Reader& in, const kernels::Program& program,
                                       uint32_t number) {
  NamedWitness out;
  auto answer = get_answer(in);
  if (!answer) return answer.error();
  out.answer = std::move(answer.value());
  const ByteView bytes = out.answer.bytes;
  if (bytes.size() <= kQuestionBytes) return bad_proof("witness", "is no answer to a question");
  auto question = decode<Question>(bytes.first(kQuestionBytes));
  if (!question) return bad_proof("witness", question.error().detail);
  const Question& asked = out.question = question.value();
  if (asked.asked != Asked::witnesses ||
      answer_bytes(program, asked) != bytes.size() - kQuestionBytes)
    return bad_proof("witness", "the answer is not as long as its question asks");
  if (number < asked.first || number - asked.first >= asked.count)
    return bad_proof("witness", "the answer does not name this group's");
  const uint64_t place = asked.count + (number - asked.first);  // after all the scales
  std::memcpy(&out.witness, bytes.data() + kQuestionBytes + place * sizeof(uint32_t),
              sizeof(uint32_t));
  return out;
}

std::string doubt_of(const NamedWitness& named, const Lease& lease, uint32_t step,
                     uint32_t position) {
  const Question& asked = named.question;
  if (asked.lease_id != lease.id || asked.step != step || asked.position != position)
    return "the witness was named for another tensor";
  if (!signed_by(named.answer, lease)) return "the miner did not sign the witness";
  return {};
}

}  // namespace gemmine::verifier
