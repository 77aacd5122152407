// `gemmine receipts`: what pools have signed about this miner's leases.
#include "miner/receipts.h"

#include <cstdio>

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
  std::string end;  // how the lease ended, in the pool's words; empty: not yet
  uint32_t words = 0;
  std::string fault;  // the first word that is not signed, and why; empty: none
};

Result<Row> row_of(const Receipts::Kept& kept) {
  const auto bytes = read_file(kept.path, verifier::kKeptFileBytesMax);
  if (!bytes) return bytes.error();
  Row row;
  for (const verifier::Statement& word : verifier::read_kept(bytes.value()).words) {
    if (row.words++ == 0) {
      const auto lease =
          verifier::decode_lease(Reader(word.body).get_blob(verifier::kRecordBytesMax));
      if (word.kind != RecordKind::lease || !lease)
        return Error{Errc::malformed, kept.path + ": does not begin with a lease"};
      row.pool_key = lease.value().pool_key;
      row.issued_ms = lease.value().issued_ms;
      row.shares = lease.value().shares();
    }
    row.acknowledged += word.kind == RecordKind::share ? 1 : 0;
    row.verdicts += word.kind == RecordKind::verdict ? 1 : 0;
    if (word.kind == RecordKind::close) row.end = verifier::words_of(word);
    const std::string fault = verifier::fault_of(word, row.pool_key);
    if (!fault.empty() && row.fault.empty()) row.fault = verifier::words_of(word) + ": " + fault;
  }
  if (row.words == 0) return Error{Errc::malformed, kept.path + ": is empty"};
  return row;
}

void print(const Receipts::Kept& kept, const Row& row) {
  std::printf("lease %s  pool %s  issued %llu\n", to_hex(kept.lease_id.view()).c_str(),
              to_hex(row.pool_key.view()).c_str(), static_cast<unsigned long long>(row.issued_ms));
  std::printf("  %u of %u shares acknowledged, %u verdicts, %s; %s\n", row.acknowledged, row.shares,
              row.verdicts, row.end.empty() ? "open" : row.end.c_str(),
              row.fault.empty() ? "every word is signed" : ("NOT SIGNED: " + row.fault).c_str());
  std::printf("  %s\n", kept.path.c_str());
}

Json json_of(const Receipts::Kept& kept, const Row& row) {
  return {{"lease", to_hex(kept.lease_id.view())},
          {"pool_key", to_hex(row.pool_key.view())},
          {"issued_ms", row.issued_ms},
          {"shares", row.shares},
          {"acknowledged", row.acknowledged},
          {"verdicts", row.verdicts},
          {"end", row.end},
          {"fault", row.fault},
          {"file", kept.path}};
}

}  // namespace

ExitCode receipts(const ReceiptsOptions& options) {
  if (options.data.empty()) return fail(ExitCode::command_line, std::string(kNoUserFolder));
  ExitCode code = ExitCode::ok;
  Json rows = Json::array();
  for (const Receipts::Kept& kept : Receipts(options.data + "/receipts").list()) {
    const auto row = row_of(kept);
    if (!row) {
      code = fail(ExitCode::failed, row.error().detail);
      continue;
    }
    if (!row.value().fault.empty()) code = ExitCode::invalid;
    if (options.json) {
      rows.push_back(json_of(kept, row.value()));
    } else {
      print(kept, row.value());
    }
  }
  if (options.json) cli::print_json(rows);
  return code;
}

}  // namespace gemmine::miner
