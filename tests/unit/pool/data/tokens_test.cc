#include "pool/data/tokens.h"

#include <unistd.h>
#include <zlib.h>

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

ByteView view(std::string_view text) {
  return as_bytes(text);
}

class Corpus : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string write(const std::string& name, std::string_view text) const {
    EXPECT_TRUE(write_durable(path(name), view(text)));
    return path(name);
  }
  Result<Tokens> load(std::vector<std::string> train, std::vector<std::string> held_out,
                      std::string_view fraction = "0.5") const {
    DataFiles files;
    files.kind = kind_;
    files.folder = folder_;
    files.train = std::move(train);
    files.held_out = std::move(held_out);
    files.held_out_fraction = Fraction::parse(fraction).value();
    return load_tokens(files, shape_);
  }
  std::string refusal(std::vector<std::string> train, std::vector<std::string> held_out,
                      std::string_view fraction = "0.5") const {
    const auto loaded = load(std::move(train), std::move(held_out), fraction);
    return loaded ? "" : loaded.error().detail;
  }
  std::string loaded_text(std::vector<std::string> train) {
    const auto loaded = load(std::move(train), {write("held out", {"\1\0\2\0\3\0\4\0\5\0", 10})});
    EXPECT_TRUE(loaded) << loaded.error().detail;
    return loaded ? text(loaded.value().train) : "";
  }
  static std::string text(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

  DataKind kind_ = DataKind::text;
  std::string folder_;
  kernels::GptShape shape_{.vocabulary = 256, .context = 4};
  TempDirectory directory_;
};

TEST_F(Corpus, HoldsOutTheEndOfEveryFile) {
  write("a.txt", "0123456789");
  write("b.txt", "abcdefghij");
  const auto loaded = load({path("*.txt")}, {}, "0.4");
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(text(loaded.value().train), "012345abcdef");
  EXPECT_EQ(text(loaded.value().held_out), "6789ghij");
}

TEST_F(Corpus, ReadsFilesOfItsOwnToValidateOnAndAnyBytes) {
  const std::string train = write("a", std::string("\xff\x00\x80zz", 5));
  const auto loaded = load({train}, {write("b", "54321")});
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(loaded.value().train, (Bytes{0xff, 0, 0x80, 'z', 'z'}));
  EXPECT_EQ(text(loaded.value().held_out), "54321");
}

TEST_F(Corpus, UnpacksGzip) {
  std::string long_text;
  for (int i = 0; i < 400'000; ++i)
    long_text += std::to_string(i);
  gzFile file = gzopen(path("a.gz").c_str(), "wb");
  ASSERT_GT(gzwrite(file, long_text.data(), static_cast<unsigned>(long_text.size())), 0);
  ASSERT_EQ(gzclose(file), Z_OK);
  const auto loaded = load({path("a.gz")}, {write("b", "54321")});
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(text(loaded.value().train), long_text);
}

TEST_F(Corpus, SaysWhichByteIsNoToken) {
  shape_.vocabulary = 128;
  const std::string file = write("a", "abc\xc3\xa9ghi");
  EXPECT_EQ(refusal({file}, {}),
            file + ": byte 3: token 195; model.vocabulary is 128, so tokens are 0 to 127");
}

TEST_F(Corpus, ReadsSixteenBitTokensAndNumpyArrays) {
  kind_ = DataKind::tokens;
  shape_.vocabulary = 1000;
  shape_.token_bytes = 2;
  const std::string raw("\xe7\x03\1\0\2\0\3\0\4\0", 10);
  const std::string header =
      "{'descr': '<u2', 'fortran_order': False, 'shape': (5,), }            \n";
  const std::string npy = "\x93NUMPY" + std::string("\1\0", 2) + static_cast<char>(header.size()) +
                          std::string("\0", 1) + header + raw;
  const auto loaded = load({write("a.bin", raw)}, {write("b.npy", npy)});
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(text(loaded.value().train), raw);
  EXPECT_EQ(text(loaded.value().held_out), raw);
  shape_.vocabulary = 5;  // and one byte would hold it
  shape_.token_bytes = 1;
  const auto small = load({write("c.bin", raw.substr(2) + raw.substr(8))}, {});
  ASSERT_FALSE(small);
  EXPECT_NE(small.error().detail.find("training data has 3 tokens"), std::string::npos);
}

TEST_F(Corpus, RefusesTokensOutOfTheVocabularyAndHalfTokens) {
  kind_ = DataKind::tokens;
  shape_.vocabulary = 300;
  shape_.token_bytes = 2;
  const std::string bad = write("a", std::string("\1\0\2\0\3\0\4\0\x2c\1", 10));
  EXPECT_EQ(refusal({bad}, {}),
            bad + ": number 4: token 300; model.vocabulary is 300, so tokens are 0 to 299");
  EXPECT_NE(
      refusal({write("b", std::string("\1\0\2\0\3\0\4", 7))}, {}).find("an odd number of bytes"),
      std::string::npos);
  const std::string header =
      "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }          \n";
  const std::string npy = "\x93NUMPY" + std::string("\1\0", 2) + static_cast<char>(header.size()) +
                          std::string("\0", 1) + header + "123456";
  EXPECT_NE(refusal({write("c", npy)}, {}).find("has 2 dimensions"), std::string::npos);
}

TEST_F(Corpus, RefusesFewerTokensThanAContextAndOne) {
  const std::string five = write("five", "01234");
  const std::string four = write("four", "0123");
  EXPECT_EQ(refusal({five}, {four}),
            "the validation data has 4 tokens; model.context = 4 needs at least 5: add text or "
            "make the context shorter");
  EXPECT_NE(refusal({four}, {five}).find("the training data has 4 tokens"), std::string::npos);
}

TEST_F(Corpus, RefusesFilesThatAreNotThereOrOnBothSides) {
  const std::string file = write("a", "0123456789");
  EXPECT_NE(refusal({path("*.text")}, {file}).find("no file has this name"), std::string::npos);
  EXPECT_NE(refusal({path("absent")}, {file}).find("cannot open"), std::string::npos);
  EXPECT_NE(refusal({directory_.path()}, {file}).find("is a folder"), std::string::npos);
  EXPECT_NE(refusal({path("?")}, {file}).find("training data and validation data"),
            std::string::npos);
}

TEST_F(Corpus, RefusesAFileOnBothSidesByAnyName) {
  const std::string file = write("a", "0123456789");
  ASSERT_EQ(::symlink("a", path("b").c_str()), 0);
  EXPECT_EQ(refusal({file}, {path("b")}), file + ": is training data and validation data");
}

TEST_F(Corpus, ReadsTextThatLooksLikeGzipAndTokensToo) {
  const std::string text("\x1f\x8b but no gzip");
  EXPECT_EQ(loaded_text({write("t", text)}), text);
  kind_ = DataKind::tokens;
  shape_.vocabulary = 40'000;
  shape_.token_bytes = 2;
  const std::string tokens("\x1f\x8b\x08\0\1\0\2\0\3\0\4\0", 12);
  EXPECT_EQ(loaded_text({write("u", tokens)}), tokens);
}

TEST_F(Corpus, RefusesTextOverTheLimitByItsSize) {
  const std::string file = write("a", "x");
  ASSERT_EQ(::truncate(file.c_str(), off_t{5} << 30), 0);
  EXPECT_NE(refusal({file}, {}).find("has 5368709120 bytes, more than 4294967296"),
            std::string::npos);
}

}  // namespace
}  // namespace gemmine::pool
