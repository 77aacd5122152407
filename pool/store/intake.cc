#include "pool/store/intake.h"

#include <filesystem>

#include "kernels/base/files.h"
#include "pool/blobs/part_writer.h"
#include "pool/store/blobs.h"
#include "verifier/merge/delta.h"

namespace gemmine::pool {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOpening = ".opening";

std::string incoming_path(const std::string& blobs) {
  return blobs + "/incoming";
}

Stored outcome_of(const Status& status) {
  if (status) return Stored::yes;
  switch (status.error().code) {
    case Errc::undecided:
      return Stored::later;
    case Errc::invalid:
    case Errc::malformed:
      return Stored::refused;
    default:
      return Stored::failed;
  }
}

std::string why(const Status& status) {
  return status ? "" : status.error().detail;
}

// The file is written whole, or the process dies and it does not count.
Status write_plain(const std::string& path, ByteView bytes) {
  auto file = PieceFile::open_or_make(path);
  if (!file) return file.error();
  if (const Status cut = file.value().resize(0); !cut) return cut;
  return file.value().write(0, bytes);
}

}  // namespace

std::string opening_path(const std::string& blobs, const Digest& lease_id, uint32_t share,
                         uint32_t block) {
  return incoming_path(blobs) + "/" + to_hex(lease_id.bytes) + "-" + std::to_string(share) + "-" +
         std::to_string(block) + std::string(kOpening);
}

Result<Intake> Intake::open(const std::string& blobs) {
  if (const Status made = make_folder(incoming_path(blobs)); !made) return made.error();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(incoming_path(blobs), error)) {
    if (entry.path().extension() == kOpening) remove_file(entry.path().string());
  }
  return Intake(blobs);
}

std::string Intake::delta_path(const Digest& lease_id) const {
  return part_path(incoming_path(blobs_) + "/" + to_hex(lease_id.bytes));
}

std::map<Digest, uint64_t> Intake::half_deltas() const {
  std::map<Digest, uint64_t> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(incoming_path(blobs_), error)) {
    const auto lease_id = digest_from_hex(entry.path().stem().string());
    const uint64_t bytes = entry.file_size(error);
    if (lease_id && !error) out[lease_id.value()] = bytes;
  }
  return out;
}

DiskDone Intake::run(DiskTask& task) const {
  return std::visit([this](auto& what) { return run(what); }, task);
}

DiskDone Intake::run(StorePart& task) const {
  PartStored out{
      .from = task.from, .lease_id = task.lease_id, .bytes = task.part.bytes.size(), .why = {}};
  auto file = PartWriter::open(delta_path(task.lease_id), task.root, task.part.total_bytes);
  const Status taken = file ? file.value().take(task.part) : Status(file.error());
  if (file) out.had = file.value().groups();
  out.stored = outcome_of(taken);
  out.why = why(taken);
  return out;
}

DiskDone Intake::run(FinishDelta& task) const {
  DeltaFinished out{.lease_id = task.lease_id, .why = {}};
  const uint64_t bytes = verifier::delta_bytes(task.parameters);
  auto file = PartWriter::open(delta_path(task.lease_id), task.root, bytes);
  Status checked = file ? Status(Ok{}) : Status(file.error());
  bool in_range = true;
  if (file && !file.value().whole()) {
    out.stored = Stored::later;
    out.why = "the file of the upload has become shorter";
    return out;
  }
  if (file) {
    checked = file.value().finish(
        blobs_ + "/" + to_hex(task.root.bytes), [&](uint64_t at, ByteView piece) {
          const Status fits = verifier::check_delta_piece(at, piece, task.parameters);
          in_range = fits.ok();
          return fits;
        });
  }
  // What the disk has damaged is sent again; numbers out of range are the miner's.
  const bool damaged = !checked && in_range && checked.error().code == Errc::invalid;
  out.stored = damaged ? Stored::later : outcome_of(checked);
  out.why = why(checked);
  return out;
}

DiskDone Intake::run(StoreOpening& task) const {
  OpeningStored out{.from = task.from,
                    .lease_id = task.lease_id,
                    .share = task.share,
                    .bytes = task.opening.size(),
                    .why = {}};
  const Status written =
      write_plain(opening_path(blobs_, task.lease_id, task.share, task.block), task.opening);
  out.stored = outcome_of(written);
  out.why = why(written);
  return out;
}

DiskDone Intake::run(DropUpload& task) const {
  if (task.delta) remove_file(delta_path(task.lease_id));
  for (const auto& [share, blocks] : task.openings) {
    for (uint32_t block = 0; block < blocks; ++block)
      remove_file(opening_path(blobs_, task.lease_id, share, block));
  }
  return Dropped{};
}

DiskDone Intake::run(DropBlobs& task) const {
  const auto dropped = drop_blobs(blobs_, task.addresses);
  return Dropped{dropped ? "" : dropped.error().detail};
}

}  // namespace gemmine::pool
