// `gemmine receipts`: what pools have signed about this miner's leases.
#include "miner/receipts.h"

#include <cstdio>
#include <ctime>
#include <map>
#include <sys/stat.h>
#include <utility>

#include "kernels/base/files.h"
#include "kernels/base/json.h"
#include "kernels/base/user_folder.h"
#include "kernels/cli/output.h"
#include "miner/cli/commands.h"

namespace gemmine::miner {

using cli::fail;
using verifier::RecordKind;

namespace {

struct Row {
  Digest pool_key;
  uint64_t issued_ms = 0;
  uint32_t shares = 0;        // of the lease
  uint32_t acknowledged = 0;  // words of the pool, by kind
  uint32_t verdicts = 0;
  std::string end;                // how the lease ended, in the pool's words; empty: not yet
  std::optional<uint64_t> batch;  // number of its batch, once that is drawn
  std::optional<verifier::SettleOutcome> settled;  // how the batch was
  uint32_t leases_paid = 0;                        // of the batch
  std::pair<uint64_t, int64_t> post;  // of the batch: its record, and tokens; record 0: none
  std::string fault;                  // the first word that is not signed, and why; empty: none
};

void add_batch_word(Row& row, const verifier::Statement& word) {
  if (word.kind == RecordKind::draw) {
    if (const auto draw = decode<verifier::DrawBody>(word.body)) row.batch = draw.value().batch;
  } else if (word.kind == RecordKind::settle) {
    if (const auto settle = decode<verifier::SettleBody>(word.body)) {
      row.settled = settle.value().outcome;
      row.leases_paid = settle.value().paid;
    }
  } else if (word.kind == RecordKind::post) {
    if (const auto post = decode<verifier::PostBody>(word.body))
      row.post = {word.receipt.seq, verifier::paid_to_accounts(post.value())};
  }
}

Result<Row> row_of(const Receipts::Kept& kept) {
  const auto bytes = read_file(kept.path, verifier::kKeptFileBytesMax);
  if (!bytes) return bytes.error();
  const verifier::KeptWords words = verifier::read_kept(bytes.value());
  const auto lease = verifier::lease_of(words);
  if (!lease) return Error{Errc::malformed, kept.path + ": " + lease.error().detail};
  Row row;
  row.pool_key = lease.value().pool_key;
  row.issued_ms = lease.value().issued_ms;
  row.shares = lease.value().shares();
  for (const verifier::Statement& word : words.words) {
    row.acknowledged += word.kind == RecordKind::share ? 1 : 0;
    row.verdicts += word.kind == RecordKind::verdict ? 1 : 0;
    if (word.kind == RecordKind::close) row.end = verifier::words_of(word);
    add_batch_word(row, word);
    const std::string fault = verifier::fault_of(word, row.pool_key);
    if (!fault.empty() && row.fault.empty()) row.fault = verifier::words_of(word) + ": " + fault;
  }
  return row;
}

// UTC; the milliseconds themselves when they are no date.
std::string date_of(uint64_t ms) {
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  char text[40];
  if (::gmtime_r(&seconds, &parts) == nullptr ||
      std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
    return std::to_string(ms) + " ms";
  return text;
}

std::string batch_text(const Row& row) {
  if (!row.batch) return "its batch is not drawn yet";
  std::string out = "batch " + std::to_string(*row.batch) + ": ";
  if (!row.settled) return out + "drawn, not settled yet";
  return out.append(verifier::to_string(*row.settled))
      .append(", leases paid ")
      .append(std::to_string(row.leases_paid))
      .append(", tokens ")
      .append(std::to_string(row.post.second));
}

void print(const Receipts::Kept& kept, const Row& row) {
  std::printf("lease %s  pool %s  issued %s\n", to_hex(kept.lease_id.view()).c_str(),
              to_hex(row.pool_key.view()).c_str(), date_of(row.issued_ms).c_str());
  std::printf("  %u of %u shares acknowledged, %u verdicts, %s; %s\n", row.acknowledged, row.shares,
              row.verdicts, row.end.empty() ? "open" : row.end.c_str(),
              row.fault.empty() ? "every word is signed" : ("NOT SIGNED: " + row.fault).c_str());
  std::printf("  %s\n  %s\n", batch_text(row).c_str(), kept.path.c_str());
}

Json json_of(const Receipts::Kept& kept, const Row& row) {
  return {{"lease", to_hex(kept.lease_id.view())},
          {"pool_key", to_hex(row.pool_key.view())},
          {"issued_ms", row.issued_ms},
          {"shares", row.shares},
          {"acknowledged", row.acknowledged},
          {"verdicts", row.verdicts},
          {"end", row.end},
          {"batch", row.batch ? Json(*row.batch) : Json()},
          {"settled", row.settled ? Json(verifier::to_string(*row.settled)) : Json()},
          {"leases_paid", row.leases_paid},
          {"tokens", row.post.second},
          {"fault", row.fault},
          {"file", kept.path}};
}

}  // namespace

ExitCode receipts(const ReceiptsOptions& options) {
  if (options.data.empty()) return fail(ExitCode::command_line, std::string(kNoUserFolder));
  struct stat info {};
  if (::stat(options.data.c_str(), &info) != 0)
    return fail(ExitCode::bad_input, options.data + ": there is no such folder");
  ExitCode code = ExitCode::ok;
  Json rows = Json::array();
  size_t leases = 0;
  std::map<std::pair<Digest, uint64_t>, int64_t> posts;  // each is told of all leases of a batch
  for (const Receipts::Kept& kept : Receipts(options.data + "/receipts").list()) {
    const auto row = row_of(kept);
    if (!row) {
      code = fail(ExitCode::failed, row.error().detail);
      continue;
    }
    if (!row.value().fault.empty()) code = ExitCode::invalid;
    ++leases;
    const auto& [record, tokens] = row.value().post;
    if (record > 0) posts[{row.value().pool_key, record}] = tokens;
    if (options.json) {
      rows.push_back(json_of(kept, row.value()));
    } else {
      print(kept, row.value());
    }
  }
  int64_t sum = 0;
  for (const auto& [post, tokens] : posts)
    sum += tokens;
  if (options.json) {
    cli::print_json(rows);
  } else if (leases == 0 && code == ExitCode::ok) {
    std::printf("no receipts in %s/receipts yet: they come with the first lease\n",
                options.data.c_str());
  } else {
    std::printf(
        "%zu leases; %lld tokens for %zu batches that were settled while this miner was "
        "there\n",
        leases, static_cast<long long>(sum), posts.size());
  }
  return code;
}

}  // namespace gemmine::miner
