#include "pool/config/job_file.h"

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "tests/support/paths.h"

namespace gemmine::pool {
namespace {

std::string example(const std::string& name) {
  const auto bytes = read_file(test::source_dir() + "/configs/jobs/" + name, kTomlBytesMax);
  EXPECT_TRUE(bytes);
  return {bytes.value().begin(), bytes.value().end()};
}

Result<JobFile> parse(const std::string& text) {
  auto toml = Toml::parse("job.toml", text);
  if (!toml) return toml.error();
  return parse_job_file(std::move(toml.value()));
}

// What is wrong with the language model's job once `from` reads `to`.
std::string refusal(const std::string& from, const std::string& to) {
  std::string text = example("austen-gpt.toml");
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  const auto job = parse(text);
  return job ? "" : job.error().detail;
}

void expect_refusal(const std::string& from, const std::string& to, const std::string& why) {
  const std::string detail = refusal(from, to);
  EXPECT_NE(detail.find(why), std::string::npos) << detail;
  EXPECT_TRUE(detail.starts_with("job.toml:")) << detail;
}

TEST(GptJobFile, AcceptsTheExample) {
  const auto job = parse(example("austen-gpt.toml"));
  ASSERT_TRUE(job) << job.error().detail;
  const kernels::Spec& spec = job.value().job.spec;
  EXPECT_EQ(spec.architecture, kernels::Architecture::gpt);
  EXPECT_EQ(spec.gpt.vocabulary, 256U);
  EXPECT_EQ(spec.gpt.token_bytes, 1U);
  EXPECT_EQ(spec.gpt.norm, kernels::Norm::rms);
  EXPECT_EQ(spec.gpt.activation, kernels::Activation::gelu);
  EXPECT_FALSE(spec.gpt.tied);
  EXPECT_EQ(spec.clip, 1.0F);
  EXPECT_EQ(job.value().data.train.size(), 6U);
  EXPECT_EQ(job.value().data.path(job.value().data.train[0]), "data/austen/emma.txt");
}

// Two keys that do not fit each other have a place, too.
TEST(GptJobFile, NamesThePlaceOfTermsThatDoNotFit) {
  std::string text = example("austen-gpt.toml");
  for (const auto& [from, to] : {std::pair{"threads = 1\n", "threads = 0\n"},
                                 std::pair{"replays_ppm = 1000000", "replays_ppm = 900000"}})
    text.replace(text.find(from), std::string(from).size(), to);
  const auto job = parse(text);
  ASSERT_FALSE(job);
  const std::string& detail = job.error().detail;
  EXPECT_TRUE(detail.starts_with("job.toml:")) << detail;
  EXPECT_NE(detail.find("audit.replays_ppm: must be at least 1000000"), std::string::npos)
      << detail;
}

TEST(GptJobFile, ReadsEveryWordOfTheModel) {
  std::string text = example("austen-gpt.toml");
  const auto put = [&](const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
  };
  put("norm = \"rms\"", "norm = \"layer\"");
  put("\"gelu\"", "\"silu\"");
  put("tied = false", "tied = true");
  put("clip = 1.0", "clip = 0.5\nouter_lr = 0.7\nouter_momentum = 0.9");
  const auto job = parse(text);
  ASSERT_TRUE(job) << job.error().detail;
  const kernels::Spec& spec = job.value().job.spec;
  EXPECT_EQ(spec.gpt.norm, kernels::Norm::layer);
  EXPECT_EQ(spec.gpt.activation, kernels::Activation::silu);
  EXPECT_TRUE(spec.gpt.tied);
  EXPECT_EQ(spec.clip, 0.5F);
  EXPECT_EQ(spec.outer_lr, 0.7F);
  EXPECT_EQ(spec.outer_momentum, 0.9F);
}

TEST(GptJobFile, PointsAtAMisspeltWordWithAHint) {
  EXPECT_EQ(refusal("\"gelu\"", "\"gleu\""),
            "job.toml:21:14: error: model.activation: 'gleu' is unknown (expected \"gelu\" or "
            "\"silu\")\n  activation = \"gleu\"\n               ^");
  expect_refusal("vocabulary =", "vocabluary =", "did you mean `model.vocabulary`");
  expect_refusal("clip =", "clipp =", "did you mean `train.clip`");
  expect_refusal("\"gpt\"", "\"gtp\"", "'gtp' is unknown (expected \"mlp\" or \"gpt\")");
  expect_refusal("tied = false", "tied = \"no\"", "model.tied: is neither true nor false");
}

TEST(GptJobFile, PointsAtShapesThatNoModelHas) {
  expect_refusal("heads = 4", "heads = 3", "job.toml:16:9: error: model.heads: must cut width");
  expect_refusal("context = 128", "context = 100", "model.context: must be a multiple of 32");
  expect_refusal("vocabulary = 256", "vocabulary = 257", "at most 256");
  expect_refusal("width = 128", "width = 32", "model.width: 32 is out of range");
  expect_refusal("batch = 8", "batch = 1024", "train.batch: times context must be in 1");
  expect_refusal("blocks = 4", "blocks = 65", "from 1 to 64");
  expect_refusal("warmup = 40", "warmup = 4000", "train.warmup: must not exceed");
}

TEST(GptJobFile, PointsAtNumbersOutOfRange) {
  expect_refusal("clip = 1.0", "clip = -1.0", "train.clip: must be finite and not negative");
  expect_refusal("clip = 1.0", "outer_momentum = 1.0", "train.outer_momentum: must be in 0");
  expect_refusal("clip = 1.0", "outer_lr = 0", "train.outer_lr: must be in >0");
  expect_refusal("clip = 1.0", "clip = nan", "train.clip: is not a decimal number");
  expect_refusal("beta2 = 0.99", "beta2 = 1", "train.beta2: must be in 0");
}

TEST(GptJobFile, WantsValidationDataOnceAndOfItsOwn) {
  const std::string fraction = "validation_fraction = 0.01";
  expect_refusal(fraction, "", "data.validation: is missing");
  expect_refusal(fraction, fraction + "\nvalidation = [\"emma\"]", "remove one of the two");
  for (const char* number : {"1.5", "1", "0", "0.0", "-0.1", "\"0.1\"", "nan", "1e-19"})
    expect_refusal(fraction, std::string("validation_fraction = ") + number,
                   "more than 0, less than 1");
  expect_refusal("train = [\"emma.txt\",", "train = [5,", "data.train: is not a list of texts");
}

TEST(GptJobFile, WantsDataThatFitsTheArchitecture) {
  expect_refusal("\"text\"", "\"idx\"", "data.kind: is a table, and a gpt reads tokens");
  expect_refusal("\"text\"", "\"texts\"", "'texts' is unknown");
  std::string text = example("fashion-mnist.toml");
  text.replace(text.find("\"idx\""), 5, "\"text\"");
  const auto job = parse(text);
  ASSERT_FALSE(job);
  EXPECT_NE(job.error().detail.find("`architecture = \"gpt\"` under [model]"), std::string::npos);
}

TEST(GptJobFile, NamesEveryKeyItDoesNotKnowBeforeWhatIsMissing) {
  const std::string detail = refusal("lr = 0.002", "learning_rate = 0.002\nbatch_size = 8");
  EXPECT_NE(detail.find("train.learning_rate: is unknown"), std::string::npos) << detail;
  EXPECT_NE(detail.find("did you mean `train.lr`?"), std::string::npos) << detail;
  EXPECT_NE(detail.find("train.batch_size: is unknown"), std::string::npos) << detail;
  EXPECT_EQ(detail.find("is missing"), std::string::npos) << detail;
  expect_refusal("lr = 0.002", "", "job.toml:1:1: error: train.lr: is missing");
  expect_refusal("[train]\n", "[trian]\n", "trian.lr: is unknown");
  expect_refusal("kind = \"text\"", "kinds = \"text\"", "did you mean `data.kind`?");
}

TEST(GptJobFile, TakesNamesOfPlainAsciiOnly) {
  const std::string name = "name = \"austen-gpt\"";
  expect_refusal(name, "name = \"b\u00fccher\"", "job.toml:3:8: error: name: has characters");
  expect_refusal(name, "name = \"a\\nb\"", "job.toml:3:8: error: name: has characters");
  expect_refusal(name, "name = \"" + std::string(65, 'a') + "\"", "name: is too long");
  expect_refusal(name, "name = \"\"", "name: is empty");
}

TEST(JobFile, LeavesAbsoluteNamesWhereTheyAre) {
  EXPECT_EQ(seen_from("folder", "/data/x"), "/data/x");
  EXPECT_EQ(seen_from("folder", "x"), "folder/x");
  EXPECT_EQ(seen_from("folder/", "./x"), "folder/x");
  EXPECT_EQ(seen_from("a/b", "../x"), "a/b/../x");  // b may be a link
  EXPECT_EQ(seen_from("folder", "."), "folder");
  EXPECT_EQ(seen_from("", "x"), "x");
  EXPECT_EQ(seen_from(".", "x"), "x");
}

TEST(MlpJobFile, ReadsCsvAndNumpyFiles) {
  std::string text = example("fashion-mnist.toml");
  text.replace(text.find("\"idx\""), 5, "\"npy\"");
  EXPECT_TRUE(parse(text));
  const size_t begin = text.find("train_images");
  text.replace(begin, text.find("feature_scale") - begin,
               "train = \"a.csv\"\ntest_fraction = 0.1\nlabel_column = \"first\"\n");
  text.replace(text.find("\"npy\""), 5, "\"csv\"");
  const auto job = parse(text);
  ASSERT_TRUE(job) << job.error().detail;
  const DataFiles& data = job.value().data;
  EXPECT_EQ(data.label, LabelColumn::first);
  EXPECT_EQ(data.path(data.train[0]), "/usr/share/datasets/fashion-mnist/a.csv");
  EXPECT_EQ(data.held_out_fraction.of(100), 10U);
  EXPECT_EQ(data.scaling, FeatureScaling::bytes);
  text.replace(text.find("\"first\""), 7, "\"third\"");
  EXPECT_EQ(parse(text).value().data.label, LabelColumn::named);
  EXPECT_EQ(parse(text).value().data.label_name, "third");
}

std::string csv_job(const std::string& keys) {
  std::string text = example("fashion-mnist.toml");
  const size_t begin = text.find("kind = \"idx\"");
  text.replace(begin, text.find("[model]") - begin, "kind = \"csv\"\ntrain = \"a.csv\"\n" + keys);
  return text;
}

TEST(MlpJobFile, StandardisesWhatIsNotSaidToBeBytes) {
  const auto job =
      parse(csv_job("test_fraction = 0.1\nskip_columns = [\"id\"]\n"
                    "missing = \"mean\"\nclasses = [\"no\", \"ja\"]\n"));
  ASSERT_TRUE(job) << job.error().detail;
  const DataFiles& data = job.value().data;
  EXPECT_EQ(data.scaling, FeatureScaling::by_shape);
  EXPECT_TRUE(data.missing);
  EXPECT_EQ(data.skip, (std::vector<std::string>{"id"}));
  EXPECT_EQ(data.classes, (std::vector<std::string>{"no", "ja"}));
  EXPECT_EQ(data.held_out_rows, HeldOutRows::spread);
  const auto refusal = [](const std::string& keys) {
    const auto bad = parse(csv_job("test_fraction = 0.1\n" + keys));
    return bad ? "" : bad.error().detail;
  };
  EXPECT_NE(refusal("feature_scale = 0.1\n").find("feature_shift"), std::string::npos);
  EXPECT_NE(refusal("feature_scale = 0.1\nfeature_shift = 0.0\nmissing = \"mean\"\n")
                .find("has a mean only where"),
            std::string::npos);
  EXPECT_NE(refusal("feature_scale = 0.1\nfeature_shift = 0.0\nscaling = \"whole\"\n")
                .find("makes no sense next to feature_scale"),
            std::string::npos);
  EXPECT_NE(refusal("scaling = \"rows\"\n").find("\"columns\""), std::string::npos);
  EXPECT_NE(refusal("test_rows = \"random\"\n").find("\"spread\""), std::string::npos);
  EXPECT_NE(refusal("classes = [\"a\\tb\"]\n").find("no class may have"), std::string::npos);
}

TEST(MlpJobFile, ReadsArchivesAndFoldersOfImages) {
  std::string text = csv_job("");
  text.replace(text.find("kind = \"csv\"\ntrain = \"a.csv\""), 28,
               "kind = \"npz\"\nfile = \"m.npz\"");
  const auto npz = parse(text);
  ASSERT_TRUE(npz) << npz.error().detail;
  EXPECT_EQ(npz.value().data.train, (std::vector<std::string>{"x_train", "y_train"}));
  EXPECT_EQ(npz.value().data.held_out, (std::vector<std::string>{"x_test", "y_test"}));
  text.replace(text.find("kind = \"npz\"\nfile = \"m.npz\""), 28,
               "kind = \"images\"\ntrain = \"a\"\ntest = \"b\"\n");
  const auto images = parse(text);
  ASSERT_TRUE(images) << images.error().detail;
  EXPECT_EQ(images.value().data.scaling, FeatureScaling::whole);
}

TEST(MlpJobFile, HasNoKeysOfAGpt) {
  std::string text = example("fashion-mnist.toml");
  text.replace(text.find("warmup"), 0, "clip = 1.0\n");
  const auto job = parse(text);
  ASSERT_FALSE(job);
  EXPECT_NE(job.error().detail.find("train.clip: is unknown"), std::string::npos);
}

// What a file leaves out is sound for any job, as terms_test says.
TEST(AuditPolicyOfAFile, HasSoundDefaults) {
  std::string text = example("austen-gpt.toml");
  const size_t from = text.find("batch_leases");
  text.erase(from, text.find("[pay]") - from);
  const auto job = parse(text);
  ASSERT_TRUE(job) << job.error().detail;
  const verifier::AuditPolicy& audit = job.value().job.audit;
  EXPECT_EQ(audit.batch_leases, 20U);
  EXPECT_EQ(audit.first_batch, 4U);
  EXPECT_EQ(audit.threads, 2U);
  EXPECT_EQ(audit.replays_ppm, 1'000'000U);
  EXPECT_EQ(audit.first_audits, 1U);
  EXPECT_EQ(audit.fail_ppm, 750'000U);
  EXPECT_EQ(audit.silent_free, 25U);
  EXPECT_EQ(audit.delta_max, 0);
}

TEST(AuditPolicyOfAFile, HasADeltaBoundThatIsAPowerOfTwo) {
  expect_refusal("delta_max = 1.0", "delta_max = 0.75", "power of two");
  expect_refusal("delta_max = 1.0", "delta_max = 512.0", "power of two");
  expect_refusal("first_batch = 4", "first_batch = 21", "out of range");
  std::string text = example("austen-gpt.toml");
  text.replace(text.find("delta_max = 1.0"), 15, "delta_max = 0.5");
  EXPECT_EQ(parse(text).value().job.audit.delta_max, -1);
}

}  // namespace
}  // namespace gemmine::pool
