#include "pool/config/job_file.h"

#include <array>

namespace gemmine::pool {
namespace {

using kernels::Architecture;

constexpr uint64_t kPpm = 1'000'000;
constexpr std::array<std::string_view, 6> kKinds = {"idx", "npy", "csv", "text", "tokens", "rdb"};

template <class T>
T narrow(uint64_t value) {
  return static_cast<T>(value);  // in T by the range it was read with
}

std::string inside(const Toml& toml, std::string directory, const std::string& path) {
  return toml.beside(directory.append("/").append(path));
}

// `key` or `key_fraction`, but one of them: data of its own, or the end of the training data.
void read_held_out(Toml& toml, const std::string& key, const std::string& directory,
                   DataFiles& out) {
  const std::string fraction = key + "_fraction";
  for (const std::string& path : toml.texts(key, kDataFilesMax))
    out.held_out.push_back(out.kind == DataKind::rdb ? path : inside(toml, directory, path));
  out.held_out_fraction = toml.decimal(fraction, 0.0F);
  if (out.held_out.empty() && !toml.has(fraction)) {
    toml.fail(key, "is missing", "", "name files, or say `" + fraction + " = 0.1`");
  } else if (!out.held_out.empty() && toml.has(fraction)) {
    toml.fail(fraction, "makes no sense next to " + key, "", "remove one of the two");
  } else if (toml.has(fraction) && !(out.held_out_fraction > 0 && out.held_out_fraction < 1)) {
    toml.fail(fraction, "is out of range", "more than 0, less than 1");
  }
}

void read_data(Toml& toml, Architecture architecture, DataFiles& out) {
  out.kind = static_cast<DataKind>(toml.choice("data.kind", kKinds));
  const bool gpt = architecture == Architecture::gpt;
  if (gpt != (out.kind >= DataKind::text)) {
    toml.fail("data.kind", gpt ? "is a table, and a gpt reads tokens" : "are tokens for a gpt",
              gpt ? R"("text", "tokens" or "rdb")" : R"("idx", "npy" or "csv")",
              gpt ? "" : "`architecture = \"gpt\"` under [model] makes it a language model");
    return;
  }
  const std::string directory = toml.text("data.directory", 1024, ".");
  const auto path = [&](const std::string& key) {
    return inside(toml, directory, toml.text(key, 255));
  };
  if (out.kind == DataKind::idx || out.kind == DataKind::npy) {
    out.train = {path("data.train_images"), path("data.train_labels")};
    out.held_out = {path("data.test_images"), path("data.test_labels")};
    return;
  }
  if (out.kind == DataKind::csv) {
    constexpr std::array<std::string_view, 2> kColumns = {"first", "last"};
    out.train = {path("data.train")};
    out.label_first = toml.choice("data.label_column", kColumns, 1) == 0;
    read_held_out(toml, "data.test", directory, out);
    if (out.held_out.size() > 1) toml.fail("data.test", "is more than one file", "one table");
    return;
  }
  if (out.kind == DataKind::rdb) out.database = path("data.database");
  for (const std::string& name : toml.texts("data.train", kDataFilesMax))
    out.train.push_back(out.kind == DataKind::rdb ? name : inside(toml, directory, name));
  if (out.train.empty()) toml.fail("data.train", "is missing", "a file or a list of files");
  read_held_out(toml, "data.validation", directory, out);
}

void read_mlp(Toml& toml, kernels::Spec& spec) {
  for (const uint64_t width :
       toml.integers("model.widths", {1, kernels::kWidthMax}, kernels::kLayersMax + 1))
    spec.widths.push_back(narrow<uint32_t>(width));
  spec.feature_scale = toml.decimal("data.feature_scale");
  spec.feature_shift = toml.decimal("data.feature_shift");
}

// PROTOCOL 10.1, 10.7, 10.13.
void read_gpt(Toml& toml, DataKind data, kernels::Spec& spec) {
  constexpr std::array<std::string_view, 2> kNorms = {"rms", "layer"};
  constexpr std::array<std::string_view, 2> kActivations = {"gelu", "silu"};
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
  gpt.context = number("model.context", 16, kernels::kContextMax);
  gpt.norm = static_cast<kernels::Norm>(toml.choice("model.norm", kNorms, 0) + 1);
  gpt.activation =
      static_cast<kernels::Activation>(toml.choice("model.activation", kActivations, 0) + 1);
  gpt.tied = toml.boolean("model.tied", false);
  gpt.token_bytes = gpt.vocabulary <= 256 ? 1 : 2;
  spec.clip = toml.decimal("train.clip", 0.0F);
  spec.outer_lr = toml.decimal("train.outer_lr", 1.0F);
  spec.outer_momentum = toml.decimal("train.outer_momentum", 0.0F);
}

void read_training(Toml& toml, verifier::Job& job) {
  constexpr std::array<std::string_view, 2> kOptimisers = {"sgd", "adamw"};
  kernels::Spec& spec = job.spec;
  spec.optimiser = static_cast<kernels::Optimiser>(toml.choice("train.optimiser", kOptimisers) + 1);
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

void read_audit(Toml& toml, verifier::AuditPolicy& audit) {
  audit.replay_ppm = narrow<uint32_t>(toml.integer("audit.replay_ppm", {0, kPpm}));
  audit.spot_ppm = narrow<uint32_t>(toml.integer("audit.spot_ppm", {0, kPpm}));
  audit.spot_blocks =
      narrow<uint16_t>(toml.integer("audit.spot_blocks", {1, verifier::kSpotBlocksMax}));
  audit.probation_shares = narrow<uint32_t>(toml.integer("audit.probation_shares", {0, 1 << 20}));
  audit.vest_leases = narrow<uint32_t>(toml.integer("audit.vest_leases", {0, 1 << 20}));
  audit.lease_ms = narrow<uint32_t>(toml.integer("audit.lease_ms", {1'000, UINT32_MAX}));
  audit.answer_ms = narrow<uint32_t>(toml.integer("audit.answer_ms", {100, UINT32_MAX}));
}

// What no single key shows: a Program must exist. Its message opens with the field's name.
void check_program(Toml& toml, kernels::Spec spec) {
  spec.records = kernels::kRecordsMax;  // not known yet, and not what is asked
  const auto program = kernels::Program::make(spec);
  if (program) return;
  const std::string& detail = program.error().detail;
  const size_t end = std::min(detail.find(' '), detail.size());
  const std::string field = detail.substr(0, std::min(detail.find('['), end));
  for (const char* table : {"model.", "train.", "data."}) {
    if (toml.has(table + field)) return toml.fail(table + field, detail.substr(end + 1), "");
  }
  toml.fail("model", detail, "");
}

}  // namespace

Result<JobFile> parse_job_file(Toml toml) {
  constexpr std::array<std::string_view, 2> kArchitectures = {"mlp", "gpt"};
  JobFile out;
  out.path = toml.path();
  out.job.name = toml.text("name", 64);
  kernels::Spec& spec = out.job.spec;
  spec.architecture =
      static_cast<Architecture>(toml.choice("model.architecture", kArchitectures, 0) + 1);
  read_data(toml, spec.architecture, out.data);
  if (spec.architecture == Architecture::gpt) {
    read_gpt(toml, out.data.kind, spec);
  } else {
    read_mlp(toml, spec);
  }
  read_training(toml, out.job);
  read_audit(toml, out.job.audit);
  out.job.price_per_tmac = toml.integer("pay.price_per_tmac", {0, verifier::kPricePerTmacMax});
  out.job.fee_ppm = narrow<uint32_t>(toml.integer("pay.fee_ppm", {0, kPpm}));
  if (const Status finished = toml.finish(); !finished) return finished.error();
  check_program(toml, spec);
  if (const Status finished = toml.finish(); !finished) return finished.error();
  return out;
}

Result<JobFile> load_job_file(const std::string& path) {
  auto toml = Toml::load(path);
  if (!toml) return toml.error();
  return parse_job_file(std::move(toml.value()));
}

}  // namespace gemmine::pool
