#include "pool/data/byte_stream.h"

#include <algorithm>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "pool/data/gzip.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

Bytes bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

// One member.
Bytes gzip(std::string_view text) {
  Bytes out(compressBound(text.size()) + 64);
  z_stream zlib{};
  EXPECT_EQ(deflateInit2(&zlib, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  zlib.avail_in = static_cast<uInt>(text.size());
  zlib.next_out = out.data();
  zlib.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&zlib, Z_FINISH), Z_STREAM_END);
  out.resize(zlib.total_out);
  deflateEnd(&zlib);
  return out;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class Streams : public testing::Test {
 protected:
  std::string write(const std::string& name, const Bytes& bytes) const {
    const std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(write_durable(path, bytes));
    return path;
  }
  // All that comes out, or "! " and what is wrong.
  static std::string all(const std::string& path, uint64_t bytes_max = 1 << 30) {
    auto stream = ByteStream::open(path, bytes_max);
    if (!stream) return "! " + stream.error().detail;
    std::string out;
    while (true) {
      const auto piece = stream.value().next();
      if (!piece) return "! " + piece.error().detail;
      if (piece.value().empty()) return out;
      out.append(piece.value().begin(), piece.value().end());
    }
  }
  std::string all_of(const std::string& name, const Bytes& bytes) const {
    return all(write(name, bytes));
  }
  TempDirectory directory_;
};

TEST_F(Streams, UnpackEveryMember) {
  EXPECT_EQ(all_of("a.gz", gzip("hello")), "hello");
  EXPECT_EQ(all_of("a.GZ", gzip("one ") + gzip("two ") + gzip("three")), "one two three");
  EXPECT_EQ(all_of("b.gz", gzip("") + gzip("x") + gzip("")), "x");  // bgzip ends with an empty one
  EXPECT_EQ(all_of("c.gz", gzip("")), "");
  EXPECT_EQ(all_of("d.gz", gzip("x") + Bytes(1'000, 0)), "x");  // tapes fill their blocks
}

// The pieces of a file end at 1 MiB: here in the first bytes of the second member.
TEST_F(Streams, UnpackMembersThatBeginWhereAPieceEnds) {
  std::string noise(1'040'000, '\0');
  uint32_t state = 1;
  for (char& c : noise)
    c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  const size_t plain = gzip(noise).size();
  ASSERT_LT(plain, size_t{1} << 20);
  for (size_t short_by = 0; short_by < 3; ++short_by) {
    noise.resize(1'040'000 + (1 << 20) - plain - short_by, 'n');
    for (size_t at = 1'040'000; at < noise.size(); ++at)
      noise[at] = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    EXPECT_EQ(all_of("n.gz", gzip(noise) + gzip("end") + gzip("!")), noise + "end!") << short_by;
  }
}

TEST_F(Streams, RefuseWhatIsNoMember) {
  const std::string trailing = "the bytes after the gzip data are no gzip member";
  EXPECT_TRUE(all_of("a.gz", gzip("x") + bytes_of("y")).ends_with(trailing));
  EXPECT_TRUE(all_of("b.gz", gzip("x") + Bytes(9, 0) + bytes_of("y")).ends_with(trailing));
  EXPECT_TRUE(all_of("c.gz", gzip("x") + Bytes(9, 0) + gzip("y")).ends_with(trailing));
  EXPECT_TRUE(all_of("d.gz", gzip("x") + Bytes{0x1f}).ends_with("cut short"));
  EXPECT_TRUE(all_of("e.gz", gzip("x") + Bytes{0x1f, 0x8c}).ends_with("damaged gzip file"));
  const Bytes two = gzip("hello") + gzip("world");
  const size_t first = gzip("hello").size();
  for (size_t size = 0; size < two.size(); ++size) {
    const std::string text =
        all_of("f.gz", Bytes(two.begin(), two.begin() + static_cast<long>(size)));
    EXPECT_TRUE(size == first ? text == "hello" : text.starts_with("! ")) << size << text;
  }
  Bytes damaged = gzip("hello");
  damaged[damaged.size() - 7] ^= 1;
  EXPECT_TRUE(all_of("g.gz", damaged).ends_with("damaged gzip file"));
}

TEST_F(Streams, AreGzipByTheirNameOrAWholeHeader) {
  const std::string not_gzip = "its name ends in .gz, and it is no gzip file";
  EXPECT_TRUE(all_of("plain.gz", bytes_of("text")).ends_with(not_gzip));
  EXPECT_TRUE(all_of("empty.gz", {}).ends_with(not_gzip));
  EXPECT_EQ(all_of("packed", gzip("x")), "x");
  const std::string looks = "\x1f\x8b but this is text";
  EXPECT_EQ(all_of("looks", bytes_of(looks)), looks);
  EXPECT_EQ(all_of("short", {0x1f, 0x8b, 8}), "\x1f\x8b\x08");
  EXPECT_EQ(all_of("empty", {}), "");
  EXPECT_TRUE(opens_gzip(gzip("")));
}

TEST_F(Streams, RefuseWhatIsNoFileWithoutWaiting) {
  EXPECT_NE(all(directory_.path()).find("is a folder"), std::string::npos);
  EXPECT_NE(all(directory_.path() + "/absent").find("cannot open"), std::string::npos);
  const std::string pipe = directory_.path() + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_NE(all(pipe).find("is not a file"), std::string::npos);
  EXPECT_NE(all("/dev/zero").find("is not a file"), std::string::npos);
  const std::string link = directory_.path() + "/link";
  ASSERT_EQ(::symlink(write("target", bytes_of("x")).c_str(), link.c_str()), 0);
  EXPECT_EQ(all(link), "x");
}

TEST_F(Streams, StopAtTheirBound) {
  const std::string plain = write("plain", bytes_of("12345"));
  EXPECT_EQ(all(plain, 5), "12345");
  EXPECT_NE(all(plain, 4).find("has 5 bytes, more than 4"), std::string::npos);
  const std::string bomb = write("bomb.gz", gzip(std::string(20 << 20, '\0')));
  EXPECT_NE(all(bomb, 1 << 20).find("more than 1048576 bytes"), std::string::npos);
}

TEST_F(Streams, KnowHowMuchMayComeOut) {
  const auto plain = ByteStream::open(write("plain", bytes_of("12345")), 100);
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain.value().size_max(), 5U);
  EXPECT_EQ(plain.value().size_hint(), 5U);
  const Bytes packed = gzip(std::string(100'000, 'x'));
  const auto unpacked = ByteStream::open(write("x.gz", packed), 1 << 20);
  ASSERT_TRUE(unpacked);
  EXPECT_EQ(unpacked.value().size_hint(), 100'000U);
  EXPECT_EQ(unpacked.value().size_max(), packed.size() * kDeflateRatioMax);
}

TEST_F(Streams, ShowNamesThatATerminalDoesNotObey) {
  EXPECT_EQ(all(directory_.path() + "/\x1b[2J").find('\x1b'), std::string::npos);
}

TEST(ByteStream, ReadsHeadsAndGoesOnBehindThem) {
  const Bytes bytes = bytes_of("abcdef");
  ByteStream stream = ByteStream::over(bytes, "f", 100);
  EXPECT_EQ(stream.read(2).value(), bytes_of("ab"));
  EXPECT_EQ(stream.offset(), 2U);
  EXPECT_TRUE(std::ranges::equal(stream.next().value(), bytes_of("cdef")));
  EXPECT_TRUE(stream.read(3).value().empty());
}

}  // namespace
}  // namespace gemmine::pool
