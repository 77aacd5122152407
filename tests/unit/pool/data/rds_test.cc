#include "pool/data/rds.h"

#include <zlib.h>

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

// Writes R's XDR, version 3, as saveRDS does.
class R {
 public:
  R() { raw("X\n").word(3).word(0x040201).word(0x030500).word(5).raw("UTF-8"); }
  R& word(uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
      out_.push_back(static_cast<uint8_t>(value >> shift));
    return *this;
  }
  R& raw(std::string_view bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  R& text(std::string_view value) {
    return word(0x00040009).word(static_cast<uint32_t>(value.size())).raw(value);
  }
  R& texts(const std::vector<std::string>& values, uint32_t flags = 16) {
    word(flags).word(static_cast<uint32_t>(values.size()));
    for (const auto& value : values)
      text(value);
    return *this;
  }
  const Bytes& bytes() const { return out_; }

 private:
  Bytes out_;
};

// The index of a database with one object, the texts at [at, at + size).
Bytes index(const std::string& object, uint32_t at, uint32_t size, uint32_t compressed = 1) {
  R out;
  out.word(0x213).word(2);
  out.word(0x213).word(1).word(13).word(2).word(at).word(size);
  out.word(0x402).word(1).text("names").texts({object}).word(254);
  out.word(10).word(1).word(compressed);
  out.word(0x402).word(0x1ff).texts({"variables", "compressed"}).word(254);
  return out.bytes();
}

std::string refusal(const Bytes& bytes) {
  const auto value = parse_rds(bytes, "f.rds");
  return value ? "" : value.error().detail;
}

TEST(Rds, ReadsTextsNumbersNamesAndReferences) {
  const auto texts = parse_rds(R().texts({"one", "", "three"}).bytes(), "f");
  ASSERT_TRUE(texts) << texts.error().detail;
  EXPECT_EQ(texts.value().texts, (std::vector<std::string>{"one", "", "three"}));
  const auto list = parse_rds(index("novel", 3, 40), "f");
  ASSERT_TRUE(list) << list.error().detail;
  ASSERT_NE(list.value().find("variables"), nullptr);
  const RdsValue* novel = list.value().find("variables")->find("novel");
  ASSERT_NE(novel, nullptr);
  EXPECT_EQ(novel->integers, (std::vector<int32_t>{3, 40}));
  EXPECT_EQ(list.value().find("absent"), nullptr);
}

TEST(Rds, RefusesEveryTruncationAndTrailingBytes) {
  Bytes bytes = index("novel", 3, 40);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_NE(refusal(Bytes(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size))), "")
        << size;
  bytes.push_back(0);
  EXPECT_NE(refusal(bytes).find("trailing"), std::string::npos);
}

TEST(Rds, RefusesOtherFormatsTypesAndDepths) {
  EXPECT_NE(refusal({'A', '\n'}).find("no R data"), std::string::npos);
  EXPECT_NE(refusal(R().word(14).word(0).bytes()).find("R type 14"), std::string::npos);
  EXPECT_NE(refusal(R().word(19).word(0x40000000).bytes()).find("cut short"), std::string::npos);
  R deep;
  for (uint32_t i = 0; i < 2 * kRdsDepthMax; ++i)
    deep.word(19).word(1);
  EXPECT_NE(refusal(deep.word(254).bytes()).find("too deep"), std::string::npos);
  R stranger;  // a reference to a symbol that was never written
  stranger.word(0x213).word(0).word(0x402).word(0x2ff).word(254).word(254);
  EXPECT_NE(refusal(stranger.bytes()).find("reference"), std::string::npos);
}

class RdsFiles : public testing::Test {
 protected:
  // A database whose only object is `object`, with one word of what is on disk changed.
  std::string write(const Bytes& object, uint32_t size_change = 0, uint32_t compressed = 1) {
    Bytes packed(compressBound(object.size()));
    uLongf size = packed.size();
    EXPECT_EQ(compress(packed.data(), &size, object.data(), object.size()), Z_OK);
    packed.resize(size);
    Bytes file;
    for (int shift = 24; shift >= 0; shift -= 8)
      file.push_back(static_cast<uint8_t>((object.size() + size_change) >> shift));
    file.insert(file.end(), packed.begin(), packed.end());
    const auto length = static_cast<uint32_t>(file.size());
    EXPECT_TRUE(write_durable(stem_ + ".rdb", file));
    EXPECT_TRUE(write_durable(stem_ + ".rdx", index("novel", 0, length, compressed)));
    return stem_;
  }
  std::string refusal(const std::string& object, uint64_t bytes_max = 1 << 20) {
    const auto opened = RdsDatabase::open(stem_);
    if (!opened) return opened.error().detail;
    const auto lines = opened.value().lines(object, bytes_max);
    return lines ? "" : lines.error().detail;
  }
  TempDirectory directory_;
  std::string stem_ = directory_.path() + "/Rdata";
};

TEST_F(RdsFiles, GiveTheLinesOfAnObject) {
  write(R().texts({"It is a truth", "", "universally"}).bytes());
  const auto lines = RdsDatabase::open(stem_).value().lines("novel", 100);
  ASSERT_TRUE(lines) << lines.error().detail;
  EXPECT_EQ(std::string(lines.value().begin(), lines.value().end()),
            "It is a truth\n\nuniversally\n");
}

TEST_F(RdsFiles, AreRefusedWithTheReason) {
  EXPECT_NE(refusal("novel").find("Rdata.rdx"), std::string::npos);
  write(R().texts({"a"}).bytes());
  EXPECT_NE(refusal("nvel").find("no such object; there are novel"), std::string::npos);
  EXPECT_NE(refusal("novel", 8).find("more than 8 bytes"), std::string::npos);
  write(R().texts({"a"}).bytes(), 1);
  EXPECT_NE(refusal("novel").find("damaged"), std::string::npos);
  write(R().texts({"a"}).bytes(), 0, 2);
  EXPECT_NE(refusal("novel").find("only zlib"), std::string::npos);
  write(R().word(13).word(1).word(7).bytes());
  EXPECT_NE(refusal("novel").find("not a vector of texts"), std::string::npos);
  EXPECT_TRUE(write_durable(stem_ + ".rdb", Bytes{1, 2, 3}));
  EXPECT_NE(refusal("novel").find("outside the file"), std::string::npos);
}

TEST(RdsPackages, AreNamedWhenTheyAreMissing) {
  const auto opened = RdsDatabase::open("/usr/lib/R/site-library/NoSuchThing/data/Rdata");
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().detail.find("apt-get install r-cran-nosuchthing"), std::string::npos)
      << opened.error().detail;
}

}  // namespace
}  // namespace gemmine::pool
