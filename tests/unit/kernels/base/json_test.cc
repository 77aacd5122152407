#include "kernels/base/json.h"

#include <limits>

#include <gtest/gtest.h>

namespace gemmine {
namespace {

std::string again(std::string_view text) {
  const auto parsed = Json::parse(text, 8);
  return parsed ? parsed.value().dump() : "! " + parsed.error().detail;
}

TEST(Json, IsWrittenInTheOrderItWasMade) {
  Json out = {{"z", 1}, {"a", -2}, {"text", "say \"hi\"\n"}, {"none", nullptr}, {"real", 0.5}};
  out["list"].push_back(true);
  out["list"].push_back(uint64_t{1} << 63);
  out["z"] = "changed";
  EXPECT_EQ(out.dump(), R"({"z":"changed","a":-2,"text":"say \"hi\"\n","none":null,"real":0.5,)"
                        R"("list":[true,9223372036854775808]})");
  EXPECT_EQ(Json::object().dump(), "{}");
  EXPECT_EQ(Json::array().dump(), "[]");
  EXPECT_EQ((Json{{"a", 1}}).dump(2), "{\n  \"a\": 1\n}");
  EXPECT_EQ(Json("\xff").dump(), "\"\ufffd\"");
  EXPECT_EQ(Json(std::numeric_limits<double>::infinity()).dump(), "null");
}

TEST(Json, IsReadAsItWasWritten) {
  for (const char* text : {"null", "true", "-5", "18446744073709551615", "1.5", "\"\u00fc\"", "[]",
                           "{}", R"([1,[2,{"a":[{}]}]])", R"({"b":{"a":1},"a":[null]})"})
    EXPECT_EQ(again(text), text);
}

TEST(Json, RefusesWhatStrangersMustNotSend) {
  EXPECT_EQ(again(R"({"a":1,"b":2,"a":1})"), "! has 'a' twice");
  EXPECT_EQ(again(R"({"a":{"x":1},"b":{"x":1}})"), R"({"a":{"x":1},"b":{"x":1}})");
  EXPECT_EQ(again(R"({"\u001b[2J":1,"\u001b[2J":2})").find('\x1b'), std::string::npos);
  EXPECT_EQ(again("[[[[[[[[]]]]]]]]"), "[[[[[[[[]]]]]]]]");
  EXPECT_EQ(again("[[[[[[[[[]]]]]]]]]"), "! nests deeper than 8");
  EXPECT_EQ(again(std::string(1 << 20, '[')), "! nests deeper than 8");
  for (const char* text : {"", "{", "[1,]", "{\"a\"}", "1 2", "nul", "\"\x01\"", "\"\xff\"", "'a'"})
    EXPECT_EQ(again(text).find("! is no JSON"), 0U) << text;
}

TEST(Json, GivesWhatItHolds) {
  const Json value = Json::parse(R"({"n":5,"t":"x","l":[1],"m":-1,"f":1.0})", 8).value();
  EXPECT_EQ(value.find("n")->whole_number(), 5U);
  EXPECT_FALSE(value.find("m")->whole_number());
  EXPECT_FALSE(value.find("f")->whole_number());
  EXPECT_EQ(*value.find("t")->text(), "x");
  EXPECT_EQ(value.find("l")->items()->size(), 1U);
  EXPECT_EQ(value.members()->size(), 5U);
  EXPECT_EQ(value.find("absent"), nullptr);
  EXPECT_EQ(value.find("n")->find("x"), nullptr);
  EXPECT_EQ(value.find("n")->text(), nullptr);
}

}  // namespace
}  // namespace gemmine
