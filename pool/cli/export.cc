// Writes what others need to believe nobody: the ledger as a stream, and the model.
#include <cstdio>

#include "kernels/base/output.h"
#include "kernels/cli/output.h"
#include "pool/cli/bundles.h"
#include "pool/cli/commands.h"
#include "pool/store/folder.h"
#include "pool/store/sqlite_store.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/merge/safetensors.h"

namespace gemmine::pool {

using cli::fail;

namespace {

// Record after record: u32 length, the record's bytes and the pool's signature (PROTOCOL 8.1).
Status export_ledger(LedgerStore& store, const std::string& path) {
  Writer out;
  const Status read = store.replay([&](const verifier::SignedRecord& record) {
    out.put_blob(encode(record)).put_raw(record.signature);
    return Status(Ok{});
  });
  if (!read) return read;
  return write_output(path, out.bytes());
}

Result<const verifier::JobState*> choose_job(const verifier::LedgerState& state,
                                             const std::string& wanted) {
  if (wanted.empty() && state.jobs().size() == 1) return &state.jobs().begin()->second;
  for (const auto& [id, job] : state.jobs()) {
    if (to_hex(id.bytes) == wanted) return &job;
  }
  return Error{Errc::invalid_argument, wanted.empty()
                                           ? "there is not exactly one job: say which with --job"
                                           : "no job " + wanted + " in this ledger"};
}

Status export_model(const verifier::LedgerState& state, const ExportCommand& command) {
  const auto job = choose_job(state, command.job);
  if (!job) return job.error();
  const verifier::Work& work = job.value()->work;
  const kernels::Program& program = work.program();
  const uint64_t bytes = program.published_floats() * sizeof(float);
  const auto& roots = job.value()->theta_roots;
  const auto blob = read_blob(blobs_path(command.data), roots.back(), bytes);
  if (!blob) return blob.error();
  if (blob.value().size() != bytes) return Error{Errc::invalid, "theta of another length"};
  const std::vector<float> published = verifier::floats_of(blob.value());
  verifier::ModelOrigin origin{.job_name = work.job().name,
                               .job_id = work.id(),
                               .round = static_cast<uint32_t>(roots.size() - 1)};
  if (const Digest& sheet = work.job().sheet_address; !sheet.is_zero()) {
    const auto text = read_blob(blobs_path(command.data), sheet, verifier::kSheetBytesMax);
    if (!text) return text.error();
    auto decoded = verifier::decode_sheet(text.value(), program.spec().widths);
    if (!decoded) return decoded.error();
    origin.sheet = std::move(decoded.value());
  }
  return write_output(command.model, verifier::encode_safetensors(
                                         program, verifier::theta_of(program, published), origin));
}

Status export_shares(LedgerStore& store, const verifier::LedgerState& state,
                     const ExportCommand& command) {
  const auto left_out = export_bundles(store, state, command.data, command.bundles);
  if (!left_out) return left_out.error();
  for (const std::string& line : left_out.value())
    std::fprintf(stderr, "gemmine-pool export: %s\n", line.c_str());
  return Ok{};
}

}  // namespace

ExitCode export_data(const ExportCommand& command) {
  if (command.ledger.empty() && command.model.empty() && command.bundles.empty())
    return fail(ExitCode::command_line,
                "say what to write: --ledger FILE, --model FILE, --bundles DIR");
  if (!command.ledger.empty() && same_output(command.ledger, command.model))
    return fail(ExitCode::command_line, "--ledger and --model name the same file");
  auto store = SqliteStore::open_to_read(ledger_path(command.data));
  if (!store) return fail(ExitCode::failed, store.error().detail);
  if (!command.ledger.empty()) {
    const Status done = export_ledger(*store.value(), command.ledger);
    if (!done) return fail(ExitCode::failed, done.error().detail);
  }
  if (command.model.empty() && command.bundles.empty()) return ExitCode::ok;
  verifier::LedgerState state;
  Status done = fold(*store.value(), state);
  if (done && !command.model.empty()) done = export_model(state, command);
  if (done && !command.bundles.empty()) done = export_shares(*store.value(), state, command);
  return done ? ExitCode::ok : fail(ExitCode::failed, done.error().detail);
}

}  // namespace gemmine::pool
