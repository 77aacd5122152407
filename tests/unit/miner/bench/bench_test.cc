#include "miner/bench/bench.h"

#include <regex>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kernels/base/cpu.h"
#include "miner/bench/report.h"
#include "tests/support/toy.h"
#include "tests/support/toy_gpt.h"

namespace gemmine::miner {
namespace {

using kernels::Program;
using nlohmann::json;

constexpr uint64_t kMacs = 2'000'000'000;

verifier::Job job_of(uint32_t steps_per_lease) {
  verifier::Job job;
  job.name = "of-a-test";
  job.spec = test::toy_spec(kernels::Optimiser::sgd);
  job.spec.steps_per_lease = steps_per_lease;
  job.steps_per_share = 7;
  job.price_per_tmac = 1000;
  job.fee_ppm = 20'000;
  return job;
}

TEST(Earnings, AShareTakesWhatThePoolWantsItToTake) {
  const Earnings earned = earnings_of(job_of(10'000), kMacs, 50.0, 20);
  EXPECT_EQ(earned.rule, ShareRule::target);
  EXPECT_EQ(earned.share_steps, 400U);
  EXPECT_DOUBLE_EQ(earned.share_seconds, 20.0);
  EXPECT_DOUBLE_EQ(earned.shares_per_day, 4320.0);
  EXPECT_DOUBLE_EQ(earned.tmacs_per_day, 3456.0);
  EXPECT_DOUBLE_EQ(earned.units_per_day, 3'456'000.0);
  EXPECT_DOUBLE_EQ(earned.paid_per_day, 3'386'880.0);
}

TEST(Earnings, AFastDevicesShareLeavesALeaseSomeShares) {
  const Earnings earned = earnings_of(job_of(20), kMacs, 50.0, 20);
  EXPECT_EQ(earned.rule, ShareRule::largest);
  EXPECT_EQ(earned.share_steps, 7U);
  EXPECT_DOUBLE_EQ(earned.shares_per_day, 3 * 86'400.0);
}

TEST(Earnings, ASlowDevicesShareIsTheLeastOfALease) {
  const Earnings earned = earnings_of(job_of(65'536), kMacs, 60'000.0, 20);
  EXPECT_EQ(earned.rule, ShareRule::fewest);
  EXPECT_EQ(earned.share_steps, 16U);
  EXPECT_DOUBLE_EQ(earned.share_seconds, 960.0);
}

TEST(Earnings, WithoutATargetAShareIsTheJobs) {
  const Earnings earned = earnings_of(job_of(20), kMacs, 50.0, 0);
  EXPECT_EQ(earned.rule, ShareRule::job);
  EXPECT_EQ(earned.share_steps, 7U);
  EXPECT_DOUBLE_EQ(earned.shares_per_day, 3 * 86'400.0);  // 7 + 7 + 6 steps
}

BenchReport report_of(const DeviceSpeed& speed, uint32_t share_seconds) {
  BenchReport report;
  report.job = job_of(10'000);
  report.model = describe_model(report.job.spec);
  report.macs_per_step = kMacs;
  report.share_seconds = share_seconds;
  DeviceResult measured{"cpu", "avx512 code, 3 threads", {}, speed, {}};
  measured.earnings = earnings_of(report.job, kMacs, speed.step_ms, share_seconds);
  report.devices = {measured, {"cuda", {}, "there is none", {}, {}}};
  return report;
}

DeviceSpeed some_speed() {
  DeviceSpeed speed;
  speed.products = {{{.m = 33, .n = 48, .k = 37}, 345.678, 0.0123},
                    {{.kind = kernels::ProductKind::attention,
                      .m = 1024,
                      .n = 1024,
                      .k = 64,
                      .sequences = 2,
                      .heads = 12,
                      .times = 6},
                     222.22,
                     3.21}};
  speed.steps = 174;
  speed.step_ms = 23.4567;
  speed.alone_ms = 22.1111;
  speed.proof_ratio = 1.0612;
  speed.digest.bytes.fill(0xab);
  return speed;
}

void collect(const json& value, std::vector<double>& numbers, std::string& words) {
  if (value.is_number()) numbers.push_back(value.get<double>());
  if (value.is_string()) words += value.get<std::string>() + "\n";
  if (value.is_structured())
    for (const json& inner : value)
      collect(inner, numbers, words);
}

// Whatever a person reads, a program can read too.
TEST(BenchReport, EveryNumberOfTheTextIsInTheJson) {
  for (const uint32_t share_seconds : {0U, 20U, 600U}) {
    const BenchReport report = report_of(some_speed(), share_seconds);
    std::vector<double> numbers;
    std::string words = "10^9 10^12";  // what GMAC and TMAC are
    collect(json::parse(bench_json(report)), numbers, words);
    const std::string text = bench_text(report);
    const std::regex number(R"([0-9][0-9,]*(\.([0-9]+))?)");
    for (std::sregex_iterator at(text.begin(), text.end(), number), end; at != end; ++at) {
      if (words.find(at->str()) != std::string::npos) continue;
      std::string digits = at->str();
      std::erase(digits, ',');
      const auto decimals = static_cast<int>((*at)[2].length());
      EXPECT_TRUE(std::ranges::any_of(numbers,
                                      [&](double value) {
                                        char rounded[64];
                                        std::snprintf(rounded, sizeof rounded, "%.*f", decimals,
                                                      value);
                                        return digits == rounded;
                                      }))
          << at->str() << " of\n"
          << text;
    }
  }
}

TEST(BenchReport, ADeviceThatWasNotMeasuredSaysWhyInBoth) {
  const BenchReport report = report_of(some_speed(), 20);
  EXPECT_NE(bench_text(report).find("cuda\n  not measured: there is none\n"), std::string::npos)
      << bench_text(report);
  EXPECT_EQ(json::parse(bench_json(report))["devices"][1]["not_measured"], "there is none");
}

TEST(BenchReport, ColumnsStandUnderTheirNames) {
  const std::string text = bench_text(report_of(some_speed(), 20));
  const size_t header = text.find("  product ");
  ASSERT_NE(header, std::string::npos);
  const size_t width = text.find('\n', header) - header;
  size_t line = header;
  for (int row = 0; row < 4; ++row) {
    const size_t end = text.find('\n', line);
    EXPECT_EQ(end - line, width) << text;
    line = end + 1;
  }
}

struct Toy {
  Program program;
  Bytes records;
};
std::vector<Toy> toys() {
  kernels::Spec mlp = test::toy_spec(kernels::Optimiser::adamw);  // leases of 5 steps
  kernels::Spec gpt = testing::toy_gpt();
  gpt.steps_per_lease = 3;  // fewer than the digest has
  std::vector<Toy> out;
  out.push_back({Program::make(mlp).value(), test::toy_train()});
  out.push_back({Program::make(gpt).value(), testing::toy_tokens(gpt)});
  return out;
}

TEST(MeasureDevice, TimesEveryProductAndGivesTheSameDigestByEveryEngine) {
  for (const Toy& toy : toys()) {
    const auto cpu = measure_device("cpu", toy.program, toy.records, 2, {0, 0});
    ASSERT_TRUE(cpu.ok()) << cpu.error().detail;
    ASSERT_EQ(cpu.value().products.size(), products_of(toy.program).size());
    for (const ProductSpeed& timed : cpu.value().products)
      EXPECT_GT(timed.gmac_s, 0);
    EXPECT_GE(cpu.value().steps, 4U);
    EXPECT_GT(cpu.value().step_ms, 0);
    EXPECT_GT(cpu.value().alone_ms, 0);
    EXPECT_GT(cpu.value().proof_ratio, 0);
    const auto slow = measure_device("reference", toy.program, toy.records, 1, {0, 0});
    ASSERT_TRUE(slow.ok()) << slow.error().detail;
    EXPECT_EQ(slow.value().digest, cpu.value().digest);
    EXPECT_TRUE(slow.value().products.empty());
    EXPECT_NE(slow.value().products_refusal, "");
  }
}

TEST(MeasureDevice, ADeviceThatIsNotThereIsAnError) {
  const Toy toy = std::move(toys().front());
  const auto none = measure_device("cuda:77", toy.program, toy.records, 1, {0, 0});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Errc::unsupported);
}

}  // namespace
}  // namespace gemmine::miner
