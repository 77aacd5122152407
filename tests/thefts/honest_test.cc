// No thread of an honest lease finds anything: random jobs of every kind. GEMMINE_HONEST says how
// many audits; ten thousand take some minutes.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include <gtest/gtest.h>

#include "kernels/numbers/philox.h"
#include "tests/support/thread_stage.h"

namespace gemmine::thefts {
namespace {

using test::ThreadStage;
using verifier::ThreadOutcome;

constexpr uint32_t kAuditsOfALease = 8;

uint32_t audits() {
  const char* const said = std::getenv("GEMMINE_HONEST");
  return said == nullptr ? 400 : static_cast<uint32_t>(std::atoi(said));
}

// Numbers that are a function of the job's number.
class Dice {
 public:
  explicit Dice(uint32_t job) : job_(job) {}
  // first … last.
  uint32_t roll(uint32_t first, uint32_t last) {
    const uint32_t word = kernels::philox(77, job_, count_++, 0, 0).w[0];
    return first + static_cast<uint32_t>((uint64_t{word} * (last - first + 1)) >> 32);
  }
  bool coin() { return roll(0, 1) == 1; }

 private:
  const uint32_t job_;
  uint32_t count_ = 0;
};

void choose_training(Dice& dice, kernels::Spec& spec) {
  const bool sgd = dice.coin();
  spec.optimiser = sgd ? kernels::Optimiser::sgd : kernels::Optimiser::adamw;
  spec.lr = (sgd ? 0.002F : 0.0005F) * static_cast<float>(dice.roll(1, 8));
  spec.beta1 = dice.coin() ? 0.9F : 0.0F;
  spec.beta2 = sgd ? 0.0F : dice.coin() ? 0.99F : 0.999F;
  spec.eps = 1e-8F;
  spec.wd = dice.coin() ? 0.1F : 0.0F;
  spec.steps_per_lease = dice.roll(1, 8);
  spec.warmup = dice.roll(0, spec.steps_per_lease);
  spec.rounds = spec.slots = 2;
  spec.init_seed = dice.roll(0, 1U << 30);
  spec.data_seed = dice.roll(0, 1U << 30);
  spec.sr_seed = dice.roll(0, 1U << 30);
}

kernels::Spec random_gpt(Dice& dice) {
  kernels::Spec spec;
  spec.architecture = kernels::Architecture::gpt;
  kernels::GptShape& gpt = spec.gpt;
  const uint32_t head = 16U << dice.roll(0, 2);
  gpt.heads = std::max(dice.roll(1, 5), 64 / head);
  gpt.width = head * gpt.heads;
  gpt.vocabulary = dice.roll(2, 300);
  gpt.token_bytes = static_cast<uint8_t>(gpt.vocabulary > 256 || dice.coin() ? 2 : 1);
  gpt.hidden = dice.roll(16, 200);
  gpt.blocks = dice.roll(1, 5);
  gpt.context = 32 * dice.roll(1, 2);
  gpt.norm = dice.coin() ? kernels::Norm::rms : kernels::Norm::layer;
  gpt.activation = dice.coin() ? kernels::Activation::gelu : kernels::Activation::silu;
  gpt.tied = dice.coin();
  spec.records = 2000;
  spec.batch = dice.roll(1, 2);
  choose_training(dice, spec);
  spec.clip = dice.coin() ? 0.05F * static_cast<float>(dice.roll(1, 40)) : 0.0F;
  return spec;
}

kernels::Spec random_mlp(Dice& dice) {
  kernels::Spec spec = test::toy_spec(kernels::Optimiser::sgd);
  const uint32_t layers = dice.roll(1, 5);
  spec.widths = {37};
  for (uint32_t l = 1; l < layers; ++l)
    spec.widths.push_back(dice.roll(1, 150));
  spec.widths.push_back(10);
  spec.batch = dice.roll(1, 80);
  choose_training(dice, spec);
  return spec;
}

verifier::Job random_job(uint32_t number, Bytes& train) {
  Dice dice(number);
  verifier::Job job;
  if (number % 3 == 0) {
    job = test::toy_job();
    job.spec = random_mlp(dice);
    train = test::toy_train();
  } else {
    const kernels::Spec spec = random_gpt(dice);
    job = test::toy_gpt_job(spec);
    train = testing::toy_tokens(spec);
  }
  job.steps_per_share = dice.roll(1, job.spec.steps_per_lease);
  return job;
}

TEST(HonestLeases, AreNeverFoundWrong) {
  const uint32_t count = audits();
  uint32_t done = 0;
  for (uint32_t number = 0; done < count; ++number) {
    Bytes train;
    const verifier::Job job = random_job(number, train);
    SCOPED_TRACE("job " + std::to_string(number));
    ThreadStage stage(job, std::move(train));
    const uint16_t full = verifier::full_thread_blocks(stage.program());
    for (uint32_t i = 0; i < kAuditsOfALease && done < count; ++i, ++done) {
      const Digest seed = kernels::blake3(Writer().put(number).put(i).bytes());
      const auto ticket = stage.ticket(seed, static_cast<uint16_t>(i % 2 == 0 ? full : i));
      const auto answer = stage.prove(ticket);
      ASSERT_TRUE(answer) << answer.error().detail;
      const auto finding = stage.check(ticket, answer.value());
      ASSERT_EQ(finding.outcome, ThreadOutcome::valid) << finding.detail;
    }
  }
  std::printf("%u audits of honest leases: none wrong\n", done);
}

}  // namespace
}  // namespace gemmine::thefts
