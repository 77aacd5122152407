// `gemmine-verify ledger`: folds an exported ledger, and where the blobs are redoes its merges and
// decides its proofs.
#include "verifier/ledger/ledger.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <span>

#include "kernels/cli/output.h"
#include "kernels/hash/blake3.h"
#include "verifier/cli/blob_folder.h"
#include "verifier/cli/commands.h"
#include "verifier/cli/report.h"
#include "verifier/known/head_watch.h"
#include "verifier/ledger/signed_record.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/proof/kept_words.h"
#include "verifier/proof/proof.h"

namespace gemmine::verifier {

namespace {

constexpr size_t kPackedMax = 8 + 8 + 1 + 4 + kRecordBytesMax;

// What the fold cannot see without blobs: θ of round 0, where leases start, and what merges give.
class MergeCheck {
 public:
  MergeCheck(BlobFolder blobs, Report& report) : blobs_(std::move(blobs)), report_(report) {}

  void after(const LedgerState& state, const Record& record) {
    if (record.kind != RecordKind::merge) return;
    const std::string name = "seq " + std::to_string(record.seq) + " merge";
    const auto body = decode<MergeBody>(record.body);
    GEMMINE_CHECK(body.ok());  // the fold has accepted it
    const JobState& job = state.jobs().at(body.value().job_id);
    ++merges_;
    if (!all_there(state, body.value())) {
      ++dropped_;
      return;
    }
    const std::string round = "round " + std::to_string(body.value().round);
    if (Status status = redo(state, job, body.value()); !status) {
      report_.failure(name, status.error());
    } else {
      report_.finding(Outcome::valid, name,
                      round + (body.value().repairs() ? " repaired: bad deltas taken out"
                                                      : " redone from its deltas"));
    }
  }

  // One line for all the rounds that are not to be had.
  void finish() {
    if (dropped_ == 0) return;
    report_.finding(Outcome::undecided, "merges",
                    std::to_string(dropped_) + " of " + std::to_string(merges_) +
                        " cannot be checked: their blobs are not in " + blobs_.folder() +
                        ". A pool keeps its last rounds only (limits.rounds_kept), and older "
                        "ones are checked by whoever watched then");
  }

 private:
  // Of the round's slots, then those that it takes out again.
  static std::vector<Digest> leases_of(const MergeBody& body) {
    std::vector<Digest> out = body.lease_ids;
    out.insert(out.end(), body.subtracted.begin(), body.subtracted.end());
    return out;
  }
  bool all_there(const LedgerState& state, const MergeBody& body) const {
    return blobs_.has(body.theta_before) &&
           std::ranges::all_of(leases_of(body), [&](const Digest& lease) {
             return blobs_.has(*state.leases().at(lease).delta_root);
           });
  }
  Status redo(const LedgerState& state, const JobState& job, const MergeBody& body) {
    const kernels::Program& program = job.work.program();
    const auto published = blobs_.floats(body.theta_before, program.published_floats());
    if (!published) return published.error();
    if (body.round == 0 && !same_bits(published.value(), initial_published(program)))
      return Error{Errc::invalid, "theta of round 0 does not follow from init_seed"};
    const Digest start = start_root(program, theta_of(program, published.value()));
    const std::vector<Digest> leases = leases_of(body);
    const MergeCounts counts{static_cast<uint32_t>(body.lease_ids.size()),
                             static_cast<uint32_t>(body.subtracted.size())};
    const auto delta_of = [&](uint32_t number) -> Result<Bytes> {
      const LeaseState& lease = state.leases().at(leases[number]);
      if (number < counts.added && lease.shares.front().share.state_before != start)
        return Error{Errc::invalid,
                     "lease " + to_hex(lease.lease.id.view()) + " does not start from theta"};
      return blobs_.get(*lease.delta_root, delta_bytes(program.parameters()));
    };
    const auto redone = redo_round(job.work, published.value(), counts, delta_of);
    if (!redone) return redone.error();
    if (redone.value().theta_root != body.theta_root)
      return Error{Errc::invalid, "the deltas give another theta than theta_root"};
    return Ok{};
  }

  static bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  }

  BlobFolder blobs_;
  Report& report_;
  uint64_t merges_ = 0;
  uint64_t dropped_ = 0;  // of them, merges whose blobs are not all there
};

// Whether the proofs that a ledger logs, and bans and refuses pay by, prove what it says they do.
class ProofCheck {
 public:
  ProofCheck(BlobFolder blobs, Report& report) : blobs_(std::move(blobs)), report_(report) {}

  void after(const LedgerState& state, const Record& record) {
    if (record.kind != RecordKind::proof) return;
    const auto body = decode<ProofBody>(record.body);
    GEMMINE_CHECK(body.ok());  // the fold has accepted it
    const ProofBody& said = body.value();
    ++proofs_;
    if (!blobs_.has(said.address)) {
      ++missing_;
      return;
    }
    const std::string name = "seq " + std::to_string(record.seq) + " proof";
    const auto file = blobs_.get(said.address, said.bytes);
    if (!file) return report_.failure(name, file.error());
    const auto found = decide_proof(file.value(), state.pool_key());
    if (!found) return report_.finding(Outcome::invalid, name, found.error().detail);
    const ProofFinding& proof = found.value();
    const bool same =
        proof.kind == said.kind && (said.lease_id.is_zero() || proof.lease_id == said.lease_id);
    report_.finding(proof.proven && same ? Outcome::valid : Outcome::invalid, name,
                    same ? proof.words : "it is about something else: " + proof.words);
  }

  void finish() {
    if (missing_ == 0) return;
    report_.finding(Outcome::undecided, "proofs",
                    std::to_string(missing_) + " of " + std::to_string(proofs_) +
                        " cannot be checked: they are not in " + blobs_.folder());
  }

 private:
  BlobFolder blobs_;
  Report& report_;
  uint64_t proofs_ = 0;
  uint64_t missing_ = 0;
};

enum class Read : unsigned char { record, end, broken, failed };

// The stream: u32 length, record bytes and the pool's signature, again and again.
Read read_packed(std::FILE* file, Bytes& packed, Signature& signature) {
  uint32_t size = 0;
  const size_t got = std::fread(&size, 1, sizeof size, file);
  if (got == 0 && std::feof(file) != 0) return Read::end;
  if (std::ferror(file) != 0) return Read::failed;
  if (got != sizeof size || size > kPackedMax) return Read::broken;
  packed.resize(size);
  if (std::fread(packed.data(), 1, size, file) == size &&
      std::fread(signature.data(), 1, signature.size(), file) == signature.size())
    return Read::record;
  return std::ferror(file) != 0 ? Read::failed : Read::broken;
}

void report_state(const LedgerState& state, Report& report) {
  report.fact("records", std::to_string(state.next_seq()));
  report.fact("head", to_hex(state.head().view()));
  report.fact("pool", to_hex(state.pool_key().view()));
  int64_t sum = 0;
  for (const auto& [account, amount] : state.accounts()) {
    report.fact("balance " + account, std::to_string(amount));
    sum += amount;
  }
  report.finding(sum == 0 ? Outcome::valid : Outcome::invalid, "balances sum to zero");
}

// A file of receipts that was compared.
struct ReceiptFile {
  std::string path;
  Digest pool_key;
  uint64_t words = 0;     // that a ledger must hold
  uint64_t last_seq = 0;  // of them
};

struct Given {
  PoolWords words;
  std::vector<ReceiptFile> receipts;
};

// What the pool has signed, as the options say. Errors: invalid_argument; those of load();
// malformed, invalid (a file of receipts that is none, or that was changed).
Result<Given> given_words(const LedgerOptions& options) {
  auto words = parse_pool_words(options.pool_keys, options.heads);
  if (!words) return words.error();
  Given given{std::move(words.value()), {}};
  for (const std::string& path : options.receipts) {
    const auto bytes = load(path, kKeptFileBytesMax);
    if (!bytes) return bytes.error();
    const KeptWords kept = read_kept(bytes.value());
    const auto lease = lease_of(kept);
    if (!lease) return Error{Errc::malformed, path + ": " + lease.error().detail};
    if (kept.cut) return Error{Errc::malformed, path + ": the last word is cut short"};
    ReceiptFile file{.path = path, .pool_key = lease.value().pool_key};
    for (const Statement& word : kept.words) {
      // A word that the pool did not sign cannot be held against its ledger, nor be passed over.
      const std::string fault = fault_of(word, lease.value().pool_key);
      if (!fault.empty()) {
        std::string detail = path;
        detail.append(": ").append(verifier::words_of(word)).append(": ").append(fault);
        return Error{Errc::invalid, std::move(detail)};
      }
      if (word.receipt == Receipt{}) continue;  // a lease or a verdict, signed by itself
      given.words.heads.push_back(
          head_of(word.receipt, static_cast<uint8_t>(word.kind), word.body));
      ++file.words;
      file.last_seq = std::max(file.last_seq, word.receipt.seq);
    }
    given.receipts.push_back(std::move(file));
  }
  return given;
}

// The record that was just folded in: is the pool's signature under it, and does it fit what the
// pool has signed before? Errors: invalid.
Status check_words(const LedgerState& state, const Signature& signature, HeadWatch& heads,
                   std::span<const ReceiptFile> receipts) {
  if (state.next_seq() == 1) {
    for (const ReceiptFile& file : receipts) {
      if (file.pool_key != state.pool_key())
        return Error{Errc::invalid, file.path + ": receipts of pool " +
                                        to_hex(file.pool_key.view()) + "; this ledger is of pool " +
                                        to_hex(state.pool_key().view())};
    }
    if (const Status met = heads.meet(state.pool_key(), ""); !met) return met;
  }
  if (const Status vouched = check_signature(state, signature); !vouched) return vouched;
  const auto conflict = heads.saw(signed_head(state, signature));
  if (!conflict) return Ok{};
  return Error{
      Errc::invalid,
      conflict->words + (conflict->evidence.empty() ? "" : "; the proof is " + conflict->evidence)};
}

// Folds up to the first record that breaks a rule. Returns whether all of the file was folded.
bool fold(std::FILE* file, const LedgerOptions& options, std::span<const ReceiptFile> receipts,
          LedgerState& state, HeadWatch& heads, const std::function<void(const Record&)>& look,
          Report& report) {
  Bytes packed;
  Signature signature{};
  for (;;) {
    const Read read = read_packed(file, packed, signature);
    const std::string place = options.file + " after record " + std::to_string(state.next_seq());
    if (read == Read::end) return true;
    if (read == Read::failed) {
      report.finding(Outcome::undecided, "ledger", place + ": cannot be read");
      return false;
    }
    if (read == Read::broken) {
      report.finding(Outcome::malformed, "ledger", place + ": the stream is cut or no ledger");
      return false;
    }
    const auto record = decode_record(packed);
    Status status = record ? state.apply(record.value()) : Status(record.error());
    if (status) status = check_words(state, signature, heads, receipts);
    if (!status) {
      report.failure("ledger", status.error());
      return false;
    }
    look(record.value());
  }
}

}  // namespace

ExitCode run_ledger(const LedgerOptions& options) {
  Report report(options.json);
  auto given = given_words(options);
  if (!given) {
    if (given.error().code == Errc::invalid_argument)
      return cli::fail(ExitCode::command_line, given.error().detail);
    report.failure("receipts", given.error());
    return report.finish();
  }
  const std::vector<ReceiptFile>& receipts = given.value().receipts;
  HeadWatch heads(KnownPools(default_known_folder()), std::move(given.value().words));
  const auto file = open_file(options.file);
  if (!file) {
    report.failure("ledger", file.error());
    return report.finish();
  }
  LedgerState state;
  MergeCheck merges{BlobFolder(options.blobs), report};
  ProofCheck proofs{BlobFolder(options.blobs), report};
  const auto look = [&](const Record& record) {
    if (options.blobs.empty()) return;
    merges.after(state, record);
    proofs.after(state, record);
  };
  const bool whole = fold(file.value().get(), options, receipts, state, heads, look, report);
  merges.finish();
  proofs.finish();
  if (whole) {
    if (state.next_seq() == 0) {
      report.finding(Outcome::malformed, "ledger", options.file + ": is empty");
    } else if (state.expected_post()) {
      report.finding(Outcome::invalid, "ledger", "the post of the last record is missing");
    } else {
      report.finding(Outcome::valid, "ledger", "every record follows the rules and is signed");
    }
  }
  if (const std::string cut = heads.cut(); whole && !cut.empty())
    report.finding(Outcome::undecided, "ledger", options.file + ": " + cut);
  for (const ReceiptFile& kept : receipts) {  // each word was met at its place
    if (whole && kept.last_seq < state.next_seq())
      report.finding(Outcome::valid, "receipts",
                     std::to_string(kept.words) + " words of " + kept.path + " are in the ledger");
  }
  if (state.next_seq() > 0) report_state(state, report);
  if (heads.newest()) report.fact("signed_head", text_of(*heads.newest()));
  // What cannot be remembered is no finding about the ledger.
  if (const Status saved = heads.save(); !saved)
    std::fprintf(stderr, "gemmine-verify: %s\n", saved.error().detail.c_str());
  return report.finish();
}

}  // namespace gemmine::verifier
