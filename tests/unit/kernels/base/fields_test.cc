#include "kernels/base/fields.h"

#include <gtest/gtest.h>

namespace gemmine {
namespace {

constexpr size_t kTextMax = 8;
constexpr size_t kBlobMax = 4;
constexpr size_t kItemsMax = 3;

enum class Colour : uint8_t { red = 1, blue = 2 };

struct Item {
  uint16_t number = 0;
  bool flag = false;
  bool operator==(const Item&) const = default;
  static void fields(auto& f, auto& r) { f(r.number)(r.flag); }
};

// One field of each kind.
struct Everything {
  static constexpr std::string_view kName = "EVERYTHING";
  uint64_t wide = 0;
  Colour colour = Colour::red;
  float real = 0;
  Digest digest;
  std::array<uint8_t, 3> raw{};
  std::string text;
  Bytes blob;
  Item one;
  std::vector<Item> items;
  std::vector<Digest> digests;
  std::vector<uint16_t> pair;
  bool operator==(const Everything&) const = default;
  static void fields(auto& f, auto& r) {
    f.constant(uint16_t{7})(r.wide)(r.colour)(r.real)(r.digest).raw(r.raw);
    f.text(r.text, kTextMax).blob(r.blob, kBlobMax).record(r.one);
    f.template list<uint8_t>(r.items, kItemsMax).template list<uint32_t>(r.digests, kItemsMax);
    f.array(r.pair, 2).must(r.colour == Colour::red || r.colour == Colour::blue);
  }
};

Everything sample() {
  Everything out;
  out.wide = 0x0102030405060708;
  out.colour = Colour::blue;
  out.real = 1.5F;
  out.digest.bytes.fill(9);
  out.raw = {1, 2, 3};
  out.text = "words";
  out.blob = {4, 5};
  out.one = {6, true};
  out.items = {{7, false}, {8, true}};
  out.digests.resize(1);
  out.pair = {10, 11};
  return out;
}

std::string why(const Bytes& bytes) {
  return decode<Everything>(bytes).error().detail;
}

TEST(Fields, ComeBackAsTheyWereWritten) {
  const auto again = decode<Everything>(encode(sample()));
  ASSERT_TRUE(again);
  EXPECT_EQ(again.value(), sample());
}

TEST(Fields, LieAsWriterPutsThem) {
  Writer writer;
  writer.put(uint16_t{7}).put(uint64_t{0x0102030405060708}).put(uint8_t{2}).put_f32(1.5F);
  writer.put_digest(sample().digest)
      .put_raw(sample().raw)
      .put_text("words")
      .put_blob(sample().blob);
  writer.put(uint16_t{6}).put(uint8_t{1});
  writer.put(uint8_t{2}).put(uint16_t{7}).put(uint8_t{0}).put(uint16_t{8}).put(uint8_t{1});
  writer.put(uint32_t{1}).put_digest({}).put(uint16_t{10}).put(uint16_t{11});
  EXPECT_EQ(encode(sample()), writer.bytes());
}

TEST(Fields, RefuseEveryTruncationAndTrailingBytes) {
  Bytes bytes = encode(sample());
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode<Everything>(ByteView(bytes).first(size))) << size;
  bytes.push_back(0);
  EXPECT_EQ(why(bytes), "EVERYTHING has trailing bytes");
}

// What decodes after any change of one bit encodes to just these bytes: no two byte strings are one
// record.
TEST(Fields, AreWrittenInOneWayOnly) {
  const Bytes bytes = encode(sample());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes changed = bytes;
    changed[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
    const auto other = decode<Everything>(changed);
    EXPECT_TRUE(!other || encode(other.value()) == changed) << bit;
  }
}

TEST(Fields, RefuseWhatIsOutOfBounds) {
  const auto refused = [](auto change) {
    Everything record = sample();
    change(record);
    return !decode<Everything>(encode(record)).ok();
  };
  EXPECT_TRUE(refused([](Everything& r) { r.text.resize(kTextMax + 1, 'a'); }));
  EXPECT_TRUE(refused([](Everything& r) { r.text[0] = '\n'; }));
  EXPECT_TRUE(refused([](Everything& r) { r.blob.resize(kBlobMax + 1); }));
  EXPECT_TRUE(refused([](Everything& r) { r.items.resize(kItemsMax + 1); }));
  EXPECT_TRUE(refused([](Everything& r) { r.digests.resize(kItemsMax + 1); }));
  EXPECT_TRUE(refused([](Everything& r) { r.colour = static_cast<Colour>(3); }));
  EXPECT_FALSE(refused([](Everything&) {}));
}

TEST(Fields, RefuseAnotherConstantAndOtherFlags) {
  Bytes bytes = encode(sample());
  bytes[0] ^= 1;
  EXPECT_EQ(why(bytes), "EVERYTHING has a value out of bounds");
  Item item;
  Bytes flag = {0, 0, 2};
  GetFields get(flag);
  Item::fields(get, item);
  EXPECT_NE(get.error(), nullptr);
}

// A count over its bound is refused before anything is allocated for it.
TEST(Fields, AllocateForWhatIsThereOnly) {
  std::vector<Digest> items;
  const Bytes bytes = {0xff, 0xff, 0xff, 0x7f};
  GetFields get(bytes);
  get.list<uint32_t>(items, 1000);
  EXPECT_TRUE(items.empty());
  GetFields within(bytes);
  within.list<uint32_t>(items, 0x7fffffff);
  EXPECT_LE(items.size(), 1U);
  EXPECT_NE(within.error(), nullptr);
}

struct Speech {
  static constexpr std::string_view kName = "SPEECH";
  std::string said;
  static void fields(auto& f, auto& r) { f.words(r.said, kTextMax); }
};

TEST(Fields, MakeWordsFitForTheirReader) {
  EXPECT_EQ(decode<Speech>(encode(Speech{"caf\xc3\xa9\n"})).value().said, "caf???");
  EXPECT_EQ(decode<Speech>(encode(Speech{"too long a text"})).value().said, "too long");
}

}  // namespace
}  // namespace gemmine
