#include "pool/config.h"

#include <charconv>
#include <filesystem>

#include "pool/messages.h"

namespace gemmine::pool {
namespace {

constexpr uint64_t kPpm = 1'000'000;

std::string in_quotes(std::string_view text) {
  std::string out(1, '\'');
  out.append(text).push_back('\'');
  return out;
}

template <class T>
T narrow(uint64_t value) {
  return static_cast<T>(value);  // in T by the range it was read with
}

// Paths in a file are relative to the file, so that a configuration can be moved as a whole.
std::string beside(const std::string& file, const std::string& path) {
  if (path.empty() || path.front() == '/') return path;
  return (std::filesystem::path(file).parent_path() / path).lexically_normal().string();
}

DataSource read_source(Toml& toml, const std::string& prefix, const std::string& directory) {
  const auto path = [&](const std::string& key) {
    return beside(toml.path(), directory + "/" + toml.text(key, 255));
  };
  return {path(prefix + "_images"), path(prefix + "_labels")};
}

void read_model(Toml& toml, kernels::Spec& spec) {
  for (const uint64_t width :
       toml.integers("model.widths", {1, kernels::kWidthMax}, kernels::kLayersMax + 1))
    spec.widths.push_back(narrow<uint32_t>(width));
  spec.feature_scale = toml.decimal("data.feature_scale");
  spec.feature_shift = toml.decimal("data.feature_shift");
}

void read_training(Toml& toml, verifier::Job& job) {
  kernels::Spec& spec = job.spec;
  const std::string optimiser = toml.text("train.optimiser", 16);
  const bool adamw = optimiser == "adamw";
  if (!adamw && optimiser != "sgd")
    toml.fail("train.optimiser", in_quotes(optimiser) + " is unknown", "\"sgd\" or \"adamw\"");
  spec.optimiser = adamw ? kernels::Optimiser::adamw : kernels::Optimiser::sgd;
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

}  // namespace

Status parse_listen(std::string_view text, std::string& host, uint16_t& port) {
  const auto wrong = [&](const char* why) {
    return Error{Errc::invalid_argument,
                 in_quotes(text) + ": " + why + " (expected address:port, e.g. 127.0.0.1:4400)"};
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong("the port is missing");
  std::string_view name = text.substr(0, colon);
  if (name.size() >= 2 && name.front() == '[' && name.back() == ']')
    name = name.substr(1, name.size() - 2);
  if (name.empty()) return wrong("the address is missing");
  const std::string_view digits = text.substr(colon + 1);
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (code != std::errc{} || end != digits.data() + digits.size())
    return wrong("the port is not a number from 0 to 65535");
  host = std::string(name);
  return Ok{};
}

Result<PoolConfig> parse_pool_config(Toml toml) {
  PoolConfig out;
  const std::string listen = toml.text("listen", 255, "127.0.0.1:4400");
  if (const Status parsed = parse_listen(listen, out.listen_host, out.listen_port); !parsed)
    toml.fail("listen", parsed.error().detail, "");
  out.fee_account = toml.text("fee_account", kAccountBytesMax, "pool");
  if (!verifier::account_ok(out.fee_account))
    toml.fail("fee_account", "is no account name", "1 to 64 characters of A-Z a-z 0-9 . _ -");
  const auto u32 = [&](const char* key, Toml::Range range, uint32_t fallback) {
    return narrow<uint32_t>(toml.integer(key, range, fallback));
  };
  out.audit_threads = u32("audit.threads", {1, kAuditThreadsMax}, out.audit_threads);
  out.audit_cache_bytes = toml.integer("audit.cache_mib", {0, 1 << 20}, 512) << 20;
  out.upload_bytes = toml.integer("limits.upload_mib", {1, 1 << 20}, 512) << 20;
  out.idle_ms = u32("limits.idle_ms", {1'000, 86'400'000}, out.idle_ms);
  out.connections = u32("limits.connections", {1, 1'000'000}, out.connections);
  out.connections_per_ip = u32("limits.connections_per_ip", {1, 1'000'000}, out.connections_per_ip);
  out.leases_per_key = u32("limits.leases_per_key", {1, kOpenLeasesMax}, out.leases_per_key);
  for (const std::string& text : toml.texts("audit.auditors", kAuditorsMax)) {
    const auto key = digest_from_hex(text);
    if (key) {
      out.auditors.push_back(key.value());
    } else {
      toml.fail("audit.auditors", in_quotes(text) + " is no key", "64 hex digits each");
    }
  }
  for (const std::string& path : toml.texts("jobs", kJobFilesMax))
    out.jobs.push_back(beside(toml.path(), path));
  if (const Status finished = toml.finish(); !finished) return finished.error();
  return out;
}

Result<JobFile> parse_job_file(Toml toml) {
  JobFile out;
  out.path = toml.path();
  out.job.name = toml.text("name", 64);
  if (const std::string kind = toml.text("data.kind", 16); kind != "idx")
    toml.fail("data.kind", in_quotes(kind) + " is unknown", "\"idx\"");
  const std::string directory = toml.text("data.directory", 1024, ".");
  out.train = read_source(toml, "data.train", directory);
  out.test = read_source(toml, "data.test", directory);
  read_model(toml, out.job.spec);
  read_training(toml, out.job);
  read_audit(toml, out.job.audit);
  out.job.price_per_tmac = toml.integer("pay.price_per_tmac", {0, verifier::kPricePerTmacMax});
  out.job.fee_ppm = narrow<uint32_t>(toml.integer("pay.fee_ppm", {0, kPpm}));
  if (const Status finished = toml.finish(); !finished) return finished.error();
  return out;
}

}  // namespace gemmine::pool
