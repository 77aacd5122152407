// Threads against the Python reference: the same answers, of honest leases and of lying ones, and
// the same findings (tests/vectors/golden/threads.txt).
#include <memory>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/support/engine_around.h"
#include "tests/support/golden.h"
#include "tests/support/golden_gpt.h"
#include "tests/support/thread_stage.h"
#include "verifier/merge/delta.h"

namespace gemmine::verifier {
namespace {

using test::Golden;
using test::ThreadStage;

// A lie about what a step committed to; position −1 is state_after, −2 the delta.
struct Lie {
  uint32_t step = 0;
  int32_t position = 0;
  uint64_t offset = 0;
  Bytes flips;

  void tell(std::span<uint8_t> bytes) const {
    for (size_t i = 0; i < flips.size(); ++i)
      bytes[offset + i] ^= flips[i];
  }
};

// step.position:offset:xor:bytes, where the xor repeats.
Lie lie_of(std::string text) {
  for (char& c : text)
    if (c == ':') c = ' ';
  text[text.find('.')] = ' ';
  std::istringstream in(text);
  Lie out;
  std::string flips;
  size_t bytes = 0;
  in >> out.step >> out.position >> out.offset >> flips >> bytes;
  const Bytes pattern = from_hex(flips).value();
  for (size_t i = 0; i < bytes; ++i)
    out.flips.push_back(pattern[i % pattern.size()]);
  return out;
}

// Computes honestly, and commits to something else.
class Liar final : public test::EngineAround {
 public:
  Liar(std::unique_ptr<kernels::Engine> inner, const std::vector<Lie>& lies, uint32_t steps)
      : EngineAround(std::move(inner)), lies_(lies), steps_(steps) {}
  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override {
    step_ = key.step;
    auto out = inner().run_step(key, step_key);
    for (const Lie& lie : lies_)
      if (step_key != nullptr && lie.step == step_ && lie.position >= 0)
        out.value().roots[static_cast<size_t>(lie.position)] =
            kernels::blake3_keyed(*step_key, read_tensor(lie.position).value());
    return out;
  }
  Status read_state(std::span<float> state) override {
    if (auto read = inner().read_state(state); !read) return read.error();
    for (const Lie& lie : lies_)
      if (lie.position == -1 && step_ + 1 == steps_)
        lie.tell({reinterpret_cast<uint8_t*>(state.data()), state.size_bytes()});
    return Ok{};
  }
  Result<Bytes> read_tensor(uint32_t position) override {
    auto out = inner().read_tensor(position);
    for (const Lie& lie : lies_)
      if (lie.step == step_ && lie.position == static_cast<int32_t>(position))
        lie.tell(out.value());
    return out;
  }

 private:
  const std::vector<Lie> lies_;
  const uint32_t steps_;
  uint32_t step_ = 0;
};

// What the reference calls it.
std::string name_of(const ThreadFinding& finding, uint32_t steps) {
  if (finding.block) return "block." + std::to_string(finding.block->number);
  if (!finding.update) return "-";
  const UpdateClaim& claim = *finding.update;
  if (claim.step == steps) return "end." + std::to_string(claim.link.chain);
  return "link." + std::to_string(claim.link.chain) + "." + std::to_string(claim.step) + "." +
         std::to_string(claim.link.piece);
}

std::string name_of(ThreadOutcome outcome) {
  constexpr const char* kNames[] = {"valid", "wrong", "unusable", "undecided"};
  return kNames[static_cast<size_t>(outcome)];
}

// A lease of a job of the golden file, with lies.
struct Told {
  Told(const Golden& golden, const std::string& job, const std::vector<Lie>& lies) {
    Work work = Work::decode(golden.bytes("job " + job)).value();
    const Lease lease = decode_lease(golden.bytes("lease " + job)).value();
    train = work.program().is_gpt() ? test::golden_train(work.job().spec) : test::toy_train();
    program = std::make_unique<kernels::Program>(work.program());
    auto engine = std::make_unique<Liar>(
        std::move(kernels::make_engine("cpu", *program, train, 1).value()), lies, lease.steps);
    stage = std::make_unique<ThreadStage>(std::move(work), lease, train, test::toy_identity(2),
                                          std::move(engine));
    // The delta is of the honest end; state_after and it may be lied about.
    ShareRun& last = stage->runs.back();
    for (const Lie& lie : lies) {
      if (lie.position == -1) last.delta = honest_delta(lie);
      if (lie.position == -2) lie.tell(last.delta);
    }
    last.share.delta_root = kernels::blake3(last.delta);
    stage->shares.back().delta_root = last.share.delta_root;
  }
  Bytes honest_delta(const Lie& lie) const {
    std::vector<float> after = stage->runs.back().state_after;
    lie.tell({reinterpret_cast<uint8_t*>(after.data()), after.size() * sizeof(float)});
    after.resize(stage->theta.size());
    return make_delta(after, stage->theta, stage->work.job().audit.delta_max).value();
  }

  Bytes train;
  std::unique_ptr<kernels::Program> program;
  std::unique_ptr<ThreadStage> stage;
};

constexpr uint16_t kBlocks = 7;

TEST(GoldenThreads, AreProvenAndFoundAlike) {
  const Golden golden("threads");
  uint32_t wrong = 0;
  for (const auto& [key, tokens] : golden.lines()) {
    if (!key.starts_with("thread ")) continue;
    SCOPED_TRACE(key);
    std::vector<Lie> lies;
    size_t i = 1;
    for (; tokens[i] != "|"; ++i)
      lies.push_back(lie_of(tokens[i]));
    const std::string job = key.substr(7, key.find(' ', 7) - 7);
    const Told told(golden, job, lies);
    const ThreadCase ticket = told.stage->ticket(digest_from_hex(tokens[0]).value(), kBlocks);
    const auto answer = told.stage->prove(ticket, lies.empty());
    ASSERT_TRUE(answer) << answer.error().detail;
    EXPECT_EQ(std::to_string(answer.value().size()), tokens[i + 1]);
    EXPECT_EQ(to_hex(kernels::blake3(answer.value()).view()), tokens[i + 2]);
    const ThreadFinding finding = told.stage->check(ticket, answer.value());
    EXPECT_EQ(name_of(finding.outcome), tokens[i + 4]) << finding.detail;
    EXPECT_EQ(name_of(finding, told.stage->lease.steps), tokens[i + 5]) << finding.detail;
    wrong += finding.outcome == ThreadOutcome::wrong ? 1 : 0;
    if (!finding.update) continue;
    const uint32_t last = told.stage->lease.steps - 1;
    const Share& share = ticket.share_of(std::min(finding.update->step, last));
    EXPECT_EQ(check_part(ticket, share, *finding.update, told.stage->data()).outcome,
              Outcome::invalid);
  }
  EXPECT_GT(wrong, 40U);
}

TEST(GoldenThreads, AreSignedAndSpoiledAlike) {
  const Golden golden("threads");
  for (const auto& [key, tokens] : golden.lines()) {
    std::istringstream in(key);
    std::string kind;
    std::string job;
    std::string what;
    in >> kind >> job >> what;
    if (kind != "signed" && kind != "spoiled") continue;
    SCOPED_TRACE(key);
    const Told told(golden, job, {});
    const ThreadCase ticket = told.stage->ticket(digest_from_hex(tokens[0]).value(), kBlocks);
    Bytes answer = told.stage->prove(ticket).value();
    if (kind == "spoiled") {
      answer[std::stoul(what)] ^= 4;
    } else {
      ThreadHeader header = decode_thread_header(answer).value();
      for (char& c : what)
        if (c == '.') c = ' ';
      std::istringstream named(what);
      std::string of;
      size_t index = 0;
      uint32_t value = 0;
      named >> of >> index >> value;
      ThreadPlan plan = ThreadPlan::make(ticket, told.stage->data()).value();
      ASSERT_TRUE(plan.set_witnesses(header.features));
      if (of == "digest") answer[header.bytes() + 32 * index] ^= 1;
      if (of == "feature") header.features[index] = value;
      if (of == "claim") ++header.claims[index].witness;
      header.digests_root =
          kernels::blake3(ByteView(answer).subspan(header.bytes(), 32 * plan.digests()));
      sign(header, told.stage->miner());
      std::ranges::copy(encode(header), answer.begin());
    }
    const ThreadFinding finding = told.stage->check(ticket, answer);
    EXPECT_EQ(name_of(finding.outcome), tokens[1]) << finding.detail;
    if (kind == "signed") {
      EXPECT_EQ(name_of(finding, told.stage->lease.steps), tokens[2]);
    }
  }
}

}  // namespace
}  // namespace gemmine::verifier
