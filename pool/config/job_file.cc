#include "pool/config/job_file.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/printable.h"
#include "verifier/records/sheet.h"

namespace gemmine::pool {
namespace {

using kernels::Architecture;

constexpr uint64_t kPpm = 1'000'000;
constexpr size_t kPathBytesMax = 4096;
constexpr Toml::Word<Architecture> kArchitectures[] = {{"mlp", Architecture::mlp},
                                                       {"gpt", Architecture::gpt}};
constexpr Toml::Word<DataKind> kKinds[] = {
    {"idx", DataKind::idx},   {"npy", DataKind::npy},      {"npz", DataKind::npz},
    {"csv", DataKind::csv},   {"jsonl", DataKind::jsonl},  {"images", DataKind::images},
    {"text", DataKind::text}, {"tokens", DataKind::tokens}};
constexpr Toml::Word<FeatureScaling> kScalings[] = {{"bytes", FeatureScaling::bytes},
                                                    {"columns", FeatureScaling::columns},
                                                    {"whole", FeatureScaling::whole}};
constexpr Toml::Word<HeldOutRows> kHeldOutRows[] = {{"spread", HeldOutRows::spread},
                                                    {"end", HeldOutRows::end}};
constexpr Toml::Word<bool> kMissing[] = {{"refuse", false}, {"mean", true}};
constexpr Toml::Word<kernels::Norm> kNorms[] = {{"rms", kernels::Norm::rms},
                                                {"layer", kernels::Norm::layer}};
constexpr Toml::Word<kernels::Activation> kActivations[] = {{"gelu", kernels::Activation::gelu},
                                                            {"silu", kernels::Activation::silu}};
constexpr Toml::Word<kernels::Optimiser> kOptimisers[] = {{"sgd", kernels::Optimiser::sgd},
                                                          {"adamw", kernels::Optimiser::adamw}};

template <class T>
T narrow(uint64_t value) {
  return static_cast<T>(value);  // in T by the range it was read with
}

bool reads_tokens(DataKind kind) {
  return kind == DataKind::text || kind == DataKind::tokens;
}

std::string file_name(Toml& toml, const std::string& key) {
  std::string name = toml.text(key, kPathBytesMax);
  if (name.find('\0') != std::string::npos) toml.fail(key, "has a zero byte", "a file's name");
  return name;
}

std::vector<std::string> file_names(Toml& toml, const std::string& key) {
  std::vector<std::string> names = toml.texts(key, kDataFilesMax);
  if (names.empty() && toml.has(key)) toml.fail(key, "names no file", "a file or a list of files");
  for (const std::string& name : names)
    if (name.empty() || name.size() > kPathBytesMax || name.find('\0') != std::string::npos)
      toml.fail(key, "has an item that is no file's name", "1 to 4096 bytes, none of them zero");
  return names;
}

// `key` or `fraction`, but one of them: data of its own, or a part of the training data.
void read_held_out(Toml& toml, const std::string& key, const std::string& fraction,
                   DataFiles& out) {
  if (toml.has(fraction)) {
    out.held_out_fraction = toml.fraction(fraction);
    if (!out.held_out.empty())
      toml.fail(fraction, "makes no sense next to " + key, "", "remove one of the two");
  } else if (!toml.has(key)) {
    toml.miss(key, "name files, or say `" + fraction + " = 0.1`");
  }
}

// Arrays: features and labels apart.
void read_arrays(Toml& toml, DataFiles& out) {
  out.train = {file_name(toml, "data.train_images"), file_name(toml, "data.train_labels")};
  if (toml.has("data.test_images") || !toml.has("data.test_fraction"))
    out.held_out = {file_name(toml, "data.test_images"), file_name(toml, "data.test_labels")};
  read_held_out(toml, "data.test_images", "data.test_fraction", out);
}

// The same in one archive, under the names that Keras gives them.
void read_archive(Toml& toml, DataFiles& out) {
  const auto name = [&](const char* key, const char* usual) {
    return toml.text(std::string("data.") + key, kPathBytesMax, usual);
  };
  out.archive = file_name(toml, "data.file");
  out.train = {name("train_images", "x_train"), name("train_labels", "y_train")};
  if (toml.has("data.test_fraction")) {
    out.held_out_fraction = toml.fraction("data.test_fraction");
  } else {
    out.held_out = {name("test_images", "x_test"), name("test_labels", "y_test")};
  }
}

// Rows of columns with names, or none.
void read_columns(Toml& toml, DataFiles& out) {
  out.label_name = toml.text("data.label_column", kPathBytesMax, "last");
  out.label = out.label_name == "first"  ? LabelColumn::first
              : out.label_name == "last" ? LabelColumn::last
                                         : LabelColumn::named;
  out.skip = toml.texts("data.skip_columns", kernels::kWidthMax);
}

void read_scaling(Toml& toml, DataFiles& out, kernels::Spec& spec) {
  const bool given = toml.has("data.feature_scale") || toml.has("data.feature_shift");
  const bool images = out.kind == DataKind::idx || out.kind == DataKind::images;
  const FeatureScaling usual = given    ? FeatureScaling::bytes
                               : images ? FeatureScaling::whole
                                        : FeatureScaling::by_shape;
  out.scaling = toml.choice<FeatureScaling>("data.scaling", kScalings, usual);
  if (out.scaling == FeatureScaling::bytes || given) {
    spec.feature_scale = toml.decimal("data.feature_scale");
    spec.feature_shift = toml.decimal("data.feature_shift");
  }
  if (out.scaling != FeatureScaling::bytes && given) {
    toml.fail("data.scaling", "makes no sense next to feature_scale and feature_shift", "",
              "remove them: they come from the training rows");
  }
  out.missing = toml.choice<bool>("data.missing", kMissing, false);
  if (out.missing && out.scaling != FeatureScaling::columns &&
      out.scaling != FeatureScaling::by_shape)
    toml.fail("data.missing", "has a mean only where columns are standardised", "",
              "say `scaling = \"columns\"`, without feature_scale and feature_shift");
}

void read_table(Toml& toml, DataFiles& out, kernels::Spec& spec) {
  if (out.kind == DataKind::idx || out.kind == DataKind::npy) {
    read_arrays(toml, out);
  } else if (out.kind == DataKind::npz) {
    read_archive(toml, out);
  } else {
    out.train = {file_name(toml, "data.train")};
    if (out.kind != DataKind::images) read_columns(toml, out);
    if (toml.has("data.test")) out.held_out = {file_name(toml, "data.test")};
    read_held_out(toml, "data.test", "data.test_fraction", out);
  }
  out.held_out_rows = toml.choice<HeldOutRows>("data.test_rows", kHeldOutRows, HeldOutRows::spread);
  out.classes = toml.texts("data.classes", kernels::kWidthMax);
  for (const std::string& name : out.classes)
    if (name.empty() || name.size() > verifier::kSheetNameBytesMax || printable(name) != name)
      toml.fail("data.classes", "has a name that no class may have",
                "1 to 256 bytes of printable text");
  read_scaling(toml, out, spec);
}

void read_data(Toml& toml, DataFiles& out, kernels::Spec& spec) {
  out.folder = toml.beside(toml.text("data.directory", kPathBytesMax, "."));
  if (!reads_tokens(out.kind)) return read_table(toml, out, spec);
  out.train = file_names(toml, "data.train");
  if (!toml.has("data.train")) toml.miss("data.train", "name a file or a list of files");
  out.held_out = file_names(toml, "data.validation");
  read_held_out(toml, "data.validation", "data.validation_fraction", out);
}

void read_mlp(Toml& toml, kernels::Spec& spec) {
  for (const uint64_t width :
       toml.integers("model.widths", {1, kernels::kWidthMax}, kernels::kLayersMax + 1))
    spec.widths.push_back(narrow<uint32_t>(width));
}

// PROTOCOL 10.1, 10.7, 10.13.
void read_gpt(Toml& toml, DataKind data, kernels::Spec& spec) {
  const auto number = [&](const char* key, uint64_t low, uint64_t high) {
    return narrow<uint32_t>(toml.integer(key, {low, high}));
  };
  kernels::GptShape& gpt = spec.gpt;
  gpt.vocabulary = number("model.vocabulary", 2, kernels::kVocabularyMax);
  if (data != DataKind::tokens && gpt.vocabulary > 256)
    toml.fail("model.vocabulary", "is more than there are bytes, and this data is bytes",
              "at most 256");
  gpt.width = number("model.width", 64, kernels::kModelWidthMax);
  gpt.heads = number("model.heads", 1, kernels::kHeadsMax);
  gpt.hidden = number("model.hidden", 16, kernels::kWidthMax);
  gpt.blocks = number("model.blocks", 1, kernels::kBlocksMax);
  gpt.context = number("model.context", 32, kernels::kContextMax);
  gpt.norm = toml.choice<kernels::Norm>("model.norm", kNorms, kernels::Norm::rms);
  gpt.activation =
      toml.choice<kernels::Activation>("model.activation", kActivations, kernels::Activation::gelu);
  gpt.tied = toml.boolean("model.tied", false);
  gpt.token_bytes = gpt.vocabulary <= 256 ? 1 : 2;
  spec.clip = toml.decimal("train.clip", 0.0F);
  spec.outer_lr = toml.decimal("train.outer_lr", 1.0F);
  spec.outer_momentum = toml.decimal("train.outer_momentum", 0.0F);
}

// PROTOCOL 6.1 has printable ASCII.
void read_name(Toml& toml, verifier::Job& job) {
  job.name = toml.text("name", 64);
  const auto plain = [](char c) { return c >= 0x20 && c <= 0x7e; };
  if (toml.good("name") && job.name.empty()) toml.fail("name", "is empty", "1 to 64 characters");
  if (toml.good("name") && !std::ranges::all_of(job.name, plain))
    toml.fail("name", "has characters outside plain ASCII", "letters, digits, marks and spaces");
}

void read_training(Toml& toml, verifier::Job& job) {
  kernels::Spec& spec = job.spec;
  spec.optimiser = toml.choice<kernels::Optimiser>("train.optimiser", kOptimisers);
  spec.lr = toml.decimal("train.lr");
  spec.beta1 = toml.decimal("train.beta1");
  spec.beta2 = toml.decimal("train.beta2", 0.0F);
  spec.eps = toml.decimal("train.eps", 0.0F);
  spec.wd = toml.decimal("train.wd", 0.0F);
  spec.warmup = narrow<uint32_t>(toml.integer("train.warmup", {0, (1 << 24) - 1}, 0));
  spec.batch = narrow<uint32_t>(toml.integer("train.batch", {1, kernels::kBatchMax}));
  spec.steps_per_lease =
      narrow<uint32_t>(toml.integer("train.steps_per_lease", {1, kernels::kStepsPerLeaseMax}));
  job.steps_per_share =
      narrow<uint32_t>(toml.integer("train.steps_per_share", {1, spec.steps_per_lease}));
  spec.slots = narrow<uint32_t>(toml.integer("train.slots", {1, kernels::kSlotsMax}));
  spec.rounds = narrow<uint32_t>(toml.integer("train.rounds", {1, 1 << 24}));
  constexpr Toml::Range kSeed{0, INT64_MAX};  // a TOML integer has a sign
  spec.init_seed = toml.integer("train.init_seed", kSeed, 1);
  spec.data_seed = toml.integer("train.data_seed", kSeed, 2);
  spec.sr_seed = toml.integer("train.sr_seed", kSeed, 3);
}

// A lease moves no parameter by so much. In the job it is the power of two.
void read_delta_max(Toml& toml, verifier::AuditPolicy& audit) {
  int exponent = 0;
  const float bound = toml.decimal("audit.delta_max", 1.0F);
  const bool power = std::frexp(bound, &exponent) == 0.5F;
  --exponent;  // frexp's is of a number in [1/2, 1)
  if (!power || exponent < verifier::kDeltaMaxMin || exponent > verifier::kDeltaMaxMax)
    return toml.fail("audit.delta_max", "is no bound for a lease's change",
                     "a power of two from 2^-32 to 256, e.g. 0.5");
  audit.delta_max = static_cast<int8_t>(exponent);
}

// What a file says nothing about is sound for any job: no theft pays, and nothing is skipped.
void read_audit(Toml& toml, verifier::AuditPolicy& audit) {
  const auto number = [&](const char* key, Toml::Range range, uint64_t otherwise) {
    return toml.integer(std::string("audit.") + key, range, otherwise);
  };
  constexpr uint64_t kTickets = verifier::kTicketsMax;
  audit.batch_leases = narrow<uint32_t>(number("batch_leases", {1, verifier::kBatchLeasesMax}, 20));
  audit.first_batch = narrow<uint32_t>(number("first_batch", {1, audit.batch_leases},
                                              std::max<uint64_t>(1, audit.batch_leases / 5)));
  audit.threads = narrow<uint16_t>(number("threads", {0, kTickets}, 2));
  audit.thread_blocks =
      narrow<uint16_t>(number("thread_blocks", {0, verifier::kThreadBlocksMax}, 16));
  audit.replays_ppm = narrow<uint32_t>(number("replays_ppm", {0, kTickets * kPpm}, kPpm));
  audit.first_audits = narrow<uint8_t>(number("first_audits", {0, UINT8_MAX}, 1));
  audit.now_ppm = narrow<uint32_t>(number("now_ppm", {0, kPpm}, 20'000));
  audit.fail_ppm = narrow<uint32_t>(number("fail_ppm", {0, kPpm}, 750'000));
  audit.silent_free = narrow<uint32_t>(number("silent_free", {1, UINT32_MAX}, 25));
  audit.lease_ms = narrow<uint32_t>(number("lease_ms", {1'000, UINT32_MAX}, 600'000));
  audit.answer_ms = narrow<uint32_t>(number("answer_ms", {100, UINT32_MAX}, 30'000));
  read_delta_max(toml, audit);
}

// What no single key shows: a Program must exist, and terms fit each other.
void check_together(Toml& toml, const verifier::Job& job) {
  kernels::Spec spec = job.spec;
  spec.records = kernels::kRecordsMax;  // not known yet, and not what is asked
  auto fault = kernels::find_fault(spec);
  if (!fault) fault = verifier::find_terms_fault(job);
  if (!fault) return;
  for (const char* table : {"model.", "train.", "data.", "audit.", "pay."}) {
    if (toml.has(table + fault->field)) return toml.fail(table + fault->field, fault->rule, "");
  }
  toml.fail("model", fault->text(), "");
}

}  // namespace

Result<JobFile> parse_job_file(Toml toml) {
  JobFile out;
  out.path = toml.path();
  read_name(toml, out.job);
  kernels::Spec& spec = out.job.spec;
  spec.architecture =
      toml.choice<Architecture>("model.architecture", kArchitectures, Architecture::mlp);
  out.data.kind = toml.choice<DataKind>("data.kind", kKinds);
  // Which keys a file has hangs on these two.
  const bool gpt = spec.architecture == Architecture::gpt;
  if (toml.good("model.architecture") && toml.good("data.kind") &&
      gpt != reads_tokens(out.data.kind))
    toml.fail("data.kind", gpt ? "is a table, and a gpt reads tokens" : "are tokens for a gpt",
              gpt ? R"("text" or "tokens")" : R"("csv", "jsonl", "npy", "npz", "idx" or "images")",
              gpt ? "" : "`architecture = \"gpt\"` under [model] makes it a language model");
  if (!toml.good("model.architecture") || !toml.good("data.kind")) return toml.first_error();
  read_data(toml, out.data, spec);
  if (gpt) {
    read_gpt(toml, out.data.kind, spec);
  } else {
    read_mlp(toml, spec);
  }
  read_training(toml, out.job);
  read_audit(toml, out.job.audit);
  out.job.price_per_tmac = toml.integer("pay.price_per_tmac", {0, verifier::kPricePerTmacMax});
  out.job.fee_ppm = narrow<uint32_t>(toml.integer("pay.fee_ppm", {0, kPpm}));
  if (const Status finished = toml.finish(); !finished) return finished.error();
  check_together(toml, out.job);
  if (const Status finished = toml.finish(); !finished) return finished.error();
  return out;
}

Result<JobFile> load_job_file(const std::string& path) {
  auto toml = Toml::load(path);
  if (!toml) return toml.error();
  return parse_job_file(std::move(toml.value()));
}

}  // namespace gemmine::pool
