#include "pool/data/model_file.h"

#include <cmath>

#include <gtest/gtest.h>

#include "tests/support/toy_gpt.h"
#include "verifier/merge/safetensors.h"

namespace gemmine::pool {
namespace {

kernels::Program program_of(const kernels::Spec& spec) {
  return kernels::Program::make(spec).value();
}

kernels::Spec toy_mlp() {
  kernels::Spec spec;
  spec.widths = {4, 3, 2};
  spec.records = spec.batch = spec.steps_per_lease = spec.slots = spec.rounds = 1;
  return spec;
}

Bytes file_of(const kernels::Spec& spec) {
  const auto program = program_of(spec);
  return verifier::encode_safetensors(program, program.initial_theta(),
                                      {.job_name = "a \"job\"", .job_id = Digest{}, .round = 7});
}

// The file with one text in its header replaced by another of the same length.
Bytes edited(Bytes file, std::string_view from, std::string_view to) {
  EXPECT_EQ(from.size(), to.size());
  const auto at = std::search(file.begin(), file.end(), from.begin(), from.end());
  EXPECT_NE(at, file.end()) << from;
  std::copy(to.begin(), to.end(), at);
  return file;
}

std::string refusal(const Bytes& file, const kernels::Spec& spec) {
  const auto model = parse_model(file, "m", program_of(spec));
  return model ? "" : model.error().detail;
}

TEST(ModelFile, GivesBackWhatWasWritten) {
  for (const kernels::Spec& spec : {testing::toy_gpt(), testing::toy_gpt_tied(), toy_mlp()}) {
    const auto model = parse_model(file_of(spec), "m", program_of(spec));
    ASSERT_TRUE(model) << model.error().detail;
    EXPECT_EQ(model.value().theta, program_of(spec).initial_theta());
    EXPECT_EQ(model.value().job_id, Digest{});
    EXPECT_EQ(model.value().round, 7U);
  }
}

TEST(ModelFile, SaysItsOwnShape) {
  for (const kernels::Spec& spec : {testing::toy_gpt(), testing::toy_gpt_tied()}) {
    const auto program = model_program(file_of(spec), "m");
    ASSERT_TRUE(program) << program.error().detail;
    kernels::GptShape expected = spec.gpt;
    expected.token_bytes = expected.vocabulary <= 256 ? 1 : 2;
    EXPECT_EQ(program.value().spec().gpt, expected);
  }
  kernels::Spec rows = toy_mlp();
  rows.feature_scale = 0.1F;
  rows.feature_shift = -1.0F / 3;
  const auto mlp = model_program(file_of(rows), "m");
  ASSERT_TRUE(mlp) << mlp.error().detail;
  EXPECT_EQ(mlp.value().spec().widths, rows.widths);
  EXPECT_EQ(mlp.value().spec().feature_scale, rows.feature_scale);
  EXPECT_EQ(mlp.value().spec().feature_shift, rows.feature_shift);
  const Bytes other = edited(file_of(testing::toy_gpt()), R"("heads":"2")", R"("heads":"3")");
  ASSERT_FALSE(model_program(other, "m"));
  EXPECT_NE(model_program(other, "m").error().detail.find("heads must cut width"),
            std::string::npos);
}

verifier::Sheet small_sheet() {
  return {.features = 4,
          .missing = true,
          .scalings = {{0.1, 1.0 / 3}, {-1e300, 5e-324}, {0, 1}, {3.25, -2}},
          .names = {{"größe \"m\""}, {"b"}, {"c, d"}, {"e"}},
          .label = {"kind"},
          .classes = {{"猫"}, {"no"}}};
}

Bytes file_with(const verifier::Sheet& sheet) {
  const auto program = program_of(toy_mlp());
  return verifier::encode_safetensors(
      program, program.initial_theta(),
      {.job_name = "rows", .job_id = Digest{}, .round = 1, .sheet = sheet});
}

TEST(ModelFile, GivesBackItsSheetToTheLastBit) {
  const auto sheet = model_sheet(file_with(small_sheet()), "m", program_of(toy_mlp()));
  ASSERT_TRUE(sheet) << sheet.error().detail;
  EXPECT_EQ(sheet.value(), small_sheet());
}

TEST(ModelFile, RefusesASheetThatDoesNotFit) {
  const auto why = [](const Bytes& file) {
    const auto sheet = model_sheet(file, "m", program_of(toy_mlp()));
    return sheet ? "" : sheet.error().detail;
  };
  EXPECT_NE(why(file_of(toy_mlp())).find("m: its metadata has no scalings"), std::string::npos);
  verifier::Sheet sheet = small_sheet();
  sheet.classes.push_back({"more"});
  EXPECT_NE(why(file_with(sheet)).find("more classes"), std::string::npos);
  const Bytes file = file_with(small_sheet());
  EXPECT_NE(why(edited(file, "[0.0,1.0]", "[0 ,null]")).find("scalings is not what"),
            std::string::npos);
  EXPECT_NE(why(edited(file, "[0.0,1.0]", "[0.0;1.0]")).find("scalings is no JSON"),
            std::string::npos);
}

TEST(ModelFile, RefusesOtherWeightsThanItsRootNames) {
  Bytes file = file_of(toy_mlp());
  file.back() ^= 1;
  EXPECT_NE(refusal(file, toy_mlp()).find("are not those of the theta_root"), std::string::npos);
}

TEST(ModelFile, RefusesAnotherArchitectureShapeOrType) {
  const kernels::Spec gpt = testing::toy_gpt();
  EXPECT_EQ(refusal(file_of(toy_mlp()), gpt),
            "m: is a model of architecture \"mlp\", the job's is \"gpt\"");
  kernels::Spec wider = gpt;
  wider.gpt.hidden = 160;
  EXPECT_EQ(refusal(file_of(wider), gpt),
            "m: h.0.mlp.up.weight: has shape [160,64], the job's is [128,64]");
  kernels::Spec deeper = gpt;
  deeper.gpt.blocks = 3;
  EXPECT_NE(refusal(file_of(deeper), gpt).find("tensors more than the model"), std::string::npos);
  EXPECT_NE(refusal(file_of(gpt), deeper).find("h.2.ln_1.weight: is missing"), std::string::npos);
  EXPECT_NE(refusal(edited(file_of(gpt), R"("F32")", R"("I32")"), gpt)
                .find("wte.weight: has elements of type \"I32\", not F32"),
            std::string::npos);
}

TEST(ModelFile, RefusesNanAndInfinityWithTheirPlace) {
  const auto program = program_of(testing::toy_gpt());
  for (const float bad : {std::nanf(""), INFINITY}) {
    std::vector<float> theta = program.initial_theta();
    theta[program.gain_offset(1) + 5] = bad;
    EXPECT_EQ(refusal(verifier::encode_safetensors(program, theta, {}), testing::toy_gpt()),
              "m: h.0.ln_2.weight: element 5 is NaN or infinite");
  }
}

TEST(ModelFile, RefusesEveryTruncationOfItsHeaderAndACutTail) {
  const Bytes file = file_of(toy_mlp());
  for (size_t size = 0; size < file.size(); ++size)
    EXPECT_NE(refusal(Bytes(file.begin(), file.begin() + static_cast<ptrdiff_t>(size)), toy_mlp()),
              "")
        << size;
  Bytes huge = file;
  huge[7] = 0x7f;  // of the header's length
  EXPECT_NE(refusal(huge, toy_mlp()).find("cut short"), std::string::npos);
}

// A megabyte of brackets would need more stack than there is, wherever they stand.
TEST(ModelFile, RefusesAHeaderThatNestsDeep) {
  for (const size_t depth : {size_t{6}, size_t{7}, size_t{500'000}}) {
    const std::string text = R"({"__metadata__":{"architecture":"gpt"},"wte.weight":{"dtype":)" +
                             std::string(depth, '[') + std::string(depth, ']') + "}}";
    Writer out;
    out.put(uint64_t{text.size()}).put_raw(as_bytes(text));
    EXPECT_EQ(
        refusal(out.bytes(), testing::toy_gpt()).find("nests deeper than 8") != std::string::npos,
        depth > 6)
        << depth;
    EXPECT_FALSE(model_program(out.bytes(), "m"));
  }
}

}  // namespace
}  // namespace gemmine::pool
