#include "pool/config/toml.h"

#include <array>

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

Toml parsed(const std::string& text) {
  auto toml = Toml::parse("f.toml", text);
  EXPECT_TRUE(toml) << toml.error().detail;
  return std::move(toml.value());
}

std::string syntax_error(std::string_view text) {
  const auto toml = Toml::parse("f.toml", text);
  return toml ? "" : toml.error().detail;
}

TEST(Toml, RoundsADecimalOnce) {
  // As a double this is a tie between two floats; the decimal itself is just above it.
  auto toml = Toml::parse("t", "x = 1.00000005960464477540\n");
  ASSERT_TRUE(toml);
  EXPECT_EQ(toml.value().decimal("x"), 1.00000011920928955078125F);
}

TEST(Toml, CountsCharactersAndNotBytes) {
  auto toml =
      parsed("t = { folder = \"../\u00fcn\u00ef \u65e5\u672c\", scale = 0.0125, low = -1 }\n");
  EXPECT_EQ(toml.decimal("t.scale"), 0.0125F);
  EXPECT_EQ(toml.text("t.folder", 99), "../\u00fcn\u00ef \u65e5\u672c");
  toml.integer("t.low", {0, 9});
  EXPECT_EQ(toml.finish().error().detail,
            "f.toml:1:51: error: t.low: -1 is out of range (expected a whole number from 0 to 9)\n"
            "  t = { folder = \"../\u00fcn\u00ef \u65e5\u672c\", scale = 0.0125, low = -1 }\n" +
                std::string(54, ' ') + "^");
}

TEST(Toml, PutsTheCaretBehindTabs) {
  auto toml = parsed("\ta\t= 5\n");
  toml.text("a", 9);
  EXPECT_EQ(toml.finish().error().detail,
            "f.toml:1:6: error: a: is not a text (expected a text of at most 9 bytes)\n"
            "   a = 5\n"
            "       ^\n"
            "hint: put it in \"quotes\"");
}

TEST(Toml, ShowsAPartOfALongLineAndReadsOldLineEnds) {
  auto toml = parsed("a = \"" + std::string(5'000, 'x') + "\"\n");
  toml.text("a", 9);
  const std::string detail = toml.finish().error().detail;
  EXPECT_LT(detail.size(), 400U);
  EXPECT_NE(detail.find("xxx...\n"), std::string::npos) << detail;
  EXPECT_EQ(parsed("a = 1\rb = 2\r").integer("b", {0, 9}), 2U);
  EXPECT_TRUE(syntax_error("a = 1\rb = = 2\r").starts_with("f.toml:2:5: error"));
}

TEST(Toml, ListsEveryUnknownKeyInTheOrderOfTheFile) {
  auto toml = parsed("b = 1\na = 2\n[t]\nlearning_rate = 3\n");
  toml.integer("t.lr", {0, 9});
  const std::string detail = toml.finish().error().detail;
  EXPECT_TRUE(detail.starts_with("f.toml:1:1: error: b: is unknown")) << detail;
  EXPECT_LT(detail.find("2:1: error: a: is unknown"), detail.find("4:1: error: t.learning_rate"));
  EXPECT_NE(detail.find("hint: did you mean `t.lr`?"), std::string::npos);
  std::string many;
  for (int i = 0; i < 20; ++i)
    many.append("k").append(std::to_string(i)).append(" = 1\n");
  EXPECT_TRUE(parsed(many).finish().error().detail.ends_with("and 12 more"));
}

TEST(Toml, TellsUtf16AndOtherEncodings) {
  const std::string_view little(
      "\xff\xfe"
      "a\0=\0",
      6);
  const std::string_view big("\xfe\xff\0a\0=", 6);
  const std::string_view unmarked("a\0=\0", 4);
  for (const std::string_view text : {little, big, unmarked})
    EXPECT_EQ(syntax_error(text),
              "f.toml:1:1: error: this is UTF-16, or no text\nhint: save the file as UTF-8");
  const std::string latin = syntax_error("a = \"caf\xe9\"\n");
  EXPECT_TRUE(latin.starts_with("f.toml:1:")) << latin;
  EXPECT_TRUE(latin.ends_with("hint: save the file as UTF-8")) << latin;
  EXPECT_EQ(latin.find('\xe9'), std::string::npos) << latin;
  EXPECT_EQ(parsed("\xef\xbb\xbf"
                   "a = 1\r\nb = 2\r\n")
                .integer("b", {0, 9}),
            2U);
}

TEST(Toml, ShowsNothingThatATerminalObeys) {
  auto toml = parsed("a = \"\\u001b[2J\"\n");
  toml.choice<int>("a", std::array{Toml::Word<int>{"x", 1}});
  const std::string detail = toml.finish().error().detail;
  EXPECT_EQ(detail.find('\x1b'), std::string::npos) << detail;
  EXPECT_EQ(syntax_error("a = \x1b[2J\n").find('\x1b'), std::string::npos);
}

TEST(Toml, RefusesLettersOutsideQuotesAndTextsOfSeveralLines) {
  EXPECT_TRUE(syntax_error("a = 1\n\u00e9 = 2\n").starts_with("f.toml:2:1: error: a character"));
  EXPECT_TRUE(syntax_error("a = \"\"\"\nx\"\"\"\n").starts_with("f.toml:1:5: error: a text of"));
  EXPECT_EQ(parsed("a = '\u00e9\\' # \u00e9 \"\nb = \"\\\"\u00e9\"\n").text("b", 9), "\"\u00e9");
}

TEST(Likeness, KnowsTypingErrorsInitialsAndWords) {
  for (const auto& [written, key] : {std::pair{"train.batsh", "train.batch"},
                                     {"train.learning_rate", "train.lr"},
                                     {"train.weight_decay", "train.wd"},
                                     {"train.batch_size", "train.batch"},
                                     {"model.num_heads", "model.heads"},
                                     {"model.vocab_size", "model.vocabulary"},
                                     {"train.epsilon", "train.eps"},
                                     {"lr", "train.lr"},
                                     {"model.lr", "train.lr"}})
    EXPECT_TRUE(likeness(written, key)) << written;
  EXPECT_FALSE(likeness("train.foo", "train.lr"));
  EXPECT_FALSE(likeness("model.width", "train.warmup"));
}

}  // namespace
}  // namespace gemmine::pool
