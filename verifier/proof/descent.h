// The way from a replay that differs down to a proof (PROTOCOL 12.11): the accuser asks the miner
// for at most three things, each bounded and each held against what he has signed, and writes the
// proof from his own bytes. Silence on the way proves nothing.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "verifier/audit/opening.h"
#include "verifier/proof/claimed_tree.h"
#include "verifier/proof/evidence.h"
#include "verifier/proof/proof.h"
#include "verifier/proof/question.h"

namespace gemmine::verifier {

// What is accused, and what the accuser computed himself. All outlive the descent.
struct DescentCase {
  LeaseView at;
  const Share& share;               // as the miner signed it
  std::span<const Digest> digests;  // of its steps, as he sent them
  const ShareRun& own;              // our run from the same state, at least to what differs
  // Our engine right after a step of the share, with the states around the share.
  std::function<Result<ProverView>(uint32_t step)> stand;
  ByteView published;  // what the lease's round publishes
  ByteView delta;      // the miner's, where it is to be had
};

class Descent {
 public:
  enum class Stage : uint8_t {
    asking,   // question() waits for its answer
    proven,   // proof() convicts the miner
    fibre,    // an update is wrong: fibre() says where; a thread through it proves it (12.4)
    helpless  // nothing can be proven from here: why()
  };
  // Parameters that moved otherwise than ours.
  struct FibrePlace {
    uint32_t parameter = 0;  // in Program::parameter_list()
    uint32_t row = 0;
    uint32_t col = 0;
    uint32_t step = 0;  // of the lease, before which they differ
  };

  // answer_max: of an answer, with its question; a test's may be small. The share is the lease's
  // and fits it.
  explicit Descent(const DescentCase& at, uint64_t answer_max = kAnswerBytesMax);

  Stage stage() const { return stage_; }
  const Question& question() const;  // while asking
  const Bytes& proof() const;        // when proven
  const FibrePlace& fibre() const;   // when it is a fibre
  const std::string& why() const { return why_; }
  // Step of the lease that differs first, kNoStep where only the end does.
  uint32_t wrong_step() const { return step_ ? at_.share.first_step + *step_ : kNoStep; }
  uint32_t questions_asked() const { return asked_; }

  // The answer to question(). Errors: invalid, when it is none, or not what the miner committed to:
  // it counts as silence, and the question stays.
  Status take(const SignedAnswer& answer);

 private:
  void begin();
  void ask(Question question);
  void ask_nodes(uint16_t position);
  void end(Stage stage, std::string why);
  void accuse(Result<Bytes> proof);

  Status take_roots(ByteView payload);
  Status take_nodes(ByteView payload);
  Status take_chunks(ByteView payload);
  Status take_witnesses(const SignedAnswer& answer, ByteView payload);
  Status take_state_nodes(ByteView payload);
  void choose_tensor();
  void go_into_chunk(uint64_t chunk);
  void go_into_weights(uint64_t chunk, uint64_t element);
  void accuse_delta();
  void accuse_block(const BlockChoice& choice);
  void accuse_scale(const ProverView& own, uint32_t number, uint32_t witness,
                    const SignedAnswer& answer);
  void find_fibre(uint64_t parameter_number, uint32_t before_step);
  Result<ProverView> stand() const { return at_.stand(*step_); }
  // Our objects, read through `engine`, under the miner's roots and digests.
  ProverView claimed_view(const ProverView& own, kernels::Engine& engine) const;
  // An opening of ours with what the miner showed of his tensor.
  Result<Bytes> with_claimed(const Result<Bytes>& opening) const;
  // The block that has the element of the tensor that is looked into.
  BlockChoice choice_of(uint64_t chunk, uint64_t element) const;
  kernels::Blake3Mode mode() const;

  const DescentCase at_;
  const kernels::Program& program_;
  const uint64_t payload_max_;
  Stage stage_ = Stage::helpless;
  std::string why_;
  Question question_;
  uint32_t asked_ = 0;
  Bytes proof_;
  FibrePlace fibre_;

  std::optional<uint32_t> step_;     // in the share
  ShareRun claimed_;                 // what the miner committed to, as far as it is known
  uint16_t position_ = 0;            // of the tensor that is looked into: maybe a scale
  std::optional<ClaimedTree> tree_;  // of it, or of state_after
};

// A miner's answer: the question, then its payload. `stand`: his engine right after the step of a
// question about one, with his run of the share; not asked for when roots or a state are wanted,
// which `run` has. Errors: invalid_argument (nothing of his is asked for), undecided (not to be
// had).
Result<Bytes> answer_question(const Work& work, const Question& question,
                              const std::function<Result<ProverView>(uint32_t step)>& stand,
                              const ShareRun& run);

}  // namespace gemmine::verifier
