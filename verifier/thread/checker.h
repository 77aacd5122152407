// An auditor's check of an answer to a thread: in one pass over its bytes, without a device, and
// without memory that grows with the model or the lease (PROTOCOL 11.10).
#pragma once

#include <optional>
#include <string>

#include "verifier/audit/choice.h"
#include "verifier/thread/answer.h"
#include "verifier/thread/claim.h"

namespace gemmine::verifier {

enum class ThreadOutcome : uint8_t {
  valid,
  wrong,     // something committed to is not so: what proves it is cut out below
  unusable,  // it does not decode, is not what was asked for, or not what was committed to: as if
             // there had been no answer
  undecided  // the auditor's own data could not be read
};

// A block that failed, with its opening.
struct WrongBlock {
  uint32_t number = 0;  // in the order of ThreadPlan::blocks()
  uint32_t share = 0;
  BlockChoice choice;
  Bytes opening;
};

struct ThreadFinding {
  ThreadOutcome outcome = ThreadOutcome::undecided;
  std::string detail;
  uint32_t step = kNoStep;  // of the lease, of what is wrong
  // wrong: exactly one of these.
  std::optional<UpdateClaim> update;
  std::optional<WrongBlock> block;
};

// Memory: the states of the chains (at most 12 KiB each, twice), the digests of one step, one part.
ThreadFinding check_thread(const ThreadCase& thread, const AnswerSource& answer,
                           const PublicData& data);

}  // namespace gemmine::verifier
