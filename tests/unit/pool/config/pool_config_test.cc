#include "pool/config/pool_config.h"

#include <gtest/gtest.h>

#include "pool/config/job_file.h"
#include "tests/support/paths.h"

namespace gemmine::pool {
namespace {

std::string refusal(const std::string& text) {
  auto toml = Toml::parse("pool.toml", text);
  if (!toml) return toml.error().detail;
  const auto config = parse_pool_config(std::move(toml.value()));
  return config ? "" : config.error().detail;
}

// The example job with one line of it replaced.
std::string job_refusal(const std::string& from, const std::string& to) {
  auto toml = Toml::load(test::source_dir() + "/configs/jobs/fashion-mnist.toml");
  EXPECT_TRUE(toml);
  const auto file =
      std::fopen((test::source_dir() + "/configs/jobs/fashion-mnist.toml").c_str(), "r");
  std::string text(8192, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  toml = Toml::parse("job.toml", text);
  if (!toml) return toml.error().detail;
  const auto job = parse_job_file(std::move(toml.value()));
  return job ? "" : job.error().detail;
}

// In plain sight, and where a text goes on behind the end of a line.
TEST(PoolConfig, RefusesOrTakesLettersOutsideAscii) {
  for (const std::string letter : {"é", "Í", "ж", "日", "\u00a0"}) {
    EXPECT_TRUE(refusal("listen " + letter + " = 1\n").starts_with("pool.toml:1"));
    EXPECT_TRUE(refusal("# " + letter + "\nlisten = " + letter).starts_with("pool.toml:2"));
    EXPECT_NE(refusal("x = \"\"\"\\\n" + letter + "\"\"\"\n").find("x"), std::string::npos);
  }
}

TEST(PoolConfig, AcceptsTheExampleAndNothingAtAll) {
  EXPECT_EQ(refusal(""), "");
  auto toml = Toml::load(test::source_dir() + "/configs/pool.toml");
  ASSERT_TRUE(toml);
  const auto config = parse_pool_config(std::move(toml.value()));
  ASSERT_TRUE(config) << config.error().detail;
  EXPECT_EQ(config.value().listen_port, 4400);
  EXPECT_EQ(config.value().share_seconds, PoolConfig{}.share_seconds);
}

TEST(PoolConfig, PointsAtTheKeyItDoesNotKnow) {
  EXPECT_EQ(refusal("fee_account = \"a\"\n[limits]\nidel_ms = 5\n"),
            "pool.toml:3:1: error: limits.idel_ms: is unknown, not a key of this file\n"
            "  idel_ms = 5\n"
            "  ^\n"
            "hint: did you mean `limits.idle_ms`?");
}

TEST(PoolConfig, RefusesWrongTypesAndRanges) {
  EXPECT_EQ(refusal("share_seconds = 0"), "");
  EXPECT_NE(refusal("share_seconds = 3601").find("share_seconds: 3601 is out of range"),
            std::string::npos);
  EXPECT_NE(refusal("listen = 5").find("pool.toml:1:10: error: listen: is not a text"),
            std::string::npos);
  EXPECT_NE(refusal("[audit]\nthreads = 0")
                .find("audit.threads: 0 is out of range (expected a "
                      "whole number from 1 to 64)"),
            std::string::npos);
  EXPECT_NE(refusal("[audit]\nthreads = -1").find("out of range"), std::string::npos);
  EXPECT_NE(refusal("[audit]\nthreads = 1.5").find("is not a whole number"), std::string::npos);
  EXPECT_NE(refusal("[audit]\nauditors = [\"00\"]").find("is no key"), std::string::npos);
  EXPECT_NE(refusal("fee_account = \"a b\"").find("is no account name"), std::string::npos);
  EXPECT_NE(refusal("listen = \"127.0.0.1\"").find("the port is missing"), std::string::npos);
  EXPECT_NE(refusal("listen = \"[::1]\"").find("the port is missing"), std::string::npos);
  EXPECT_NE(refusal("listen = \"tls://127.0.0.1:1\"").find("no scheme is wanted: leave out"),
            std::string::npos);
  EXPECT_NE(refusal("listen = \"127.0.0.1:70000\"").find("0 to 65535"), std::string::npos);
}

TEST(PoolConfig, SaysWhereTheSyntaxIsWrong) {
  EXPECT_NE(refusal("a = 1\nb = = 2\n").find("pool.toml:2:5: error: "), std::string::npos);
}

TEST(JobFile, AcceptsTheExample) {
  EXPECT_EQ(job_refusal("sgd", "sgd"), "");
}

TEST(JobFile, RefusesWhatDoesNotFit) {
  EXPECT_NE(job_refusal("\"sgd\"", "\"sgdd\"").find("'sgdd' is unknown"), std::string::npos);
  EXPECT_NE(job_refusal("batch = 256", "").find("train.batch: is missing"), std::string::npos);
  EXPECT_NE(job_refusal("batch = 256", "batsh = 256").find("did you mean `train.batch`"),
            std::string::npos);
  EXPECT_NE(job_refusal("lr = 0.2", "lr = inf").find("train.lr"), std::string::npos);
  EXPECT_NE(job_refusal("steps_per_share = 25", "steps_per_share = 201").find("from 1 to 200"),
            std::string::npos);
  EXPECT_NE(job_refusal("[784, 512, 512, 10]", "[]").find("model.widths"), std::string::npos);
  EXPECT_NE(job_refusal("[784, 512, 512, 10]", "[784, 0, 10]").find("model.widths"),
            std::string::npos);
}

}  // namespace
}  // namespace gemmine::pool
