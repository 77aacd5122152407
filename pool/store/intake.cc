#include "pool/store/intake.h"

#include <filesystem>

#include "kernels/base/files.h"
#include "pool/blobs/part_writer.h"
#include "pool/store/blobs.h"
#include "verifier/merge/delta.h"

namespace gemmine::pool {
namespace {

namespace fs = std::filesystem;

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

}  // namespace

Result<Intake> Intake::open(const std::string& blobs) {
  if (const Status made = make_folder(incoming_path(blobs)); !made) return made.error();
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
    checked = file.value().finish(blobs_ + "/" + to_hex(task.root.bytes), [&](uint64_t at,
                                                                              ByteView piece) {
      const Status fits = verifier::check_delta_piece(at, piece, task.parameters, task.delta_max);
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

DiskDone Intake::run(FinishAnswer& task) const {
  DeltaFinished out{.lease_id = task.upload_id, .why = {}};
  auto file = PartWriter::open(delta_path(task.upload_id), task.root, task.total_bytes);
  if (file && !file.value().whole()) {
    out.stored = Stored::later;
    out.why = "the file of the upload has become shorter";
    return out;
  }
  const Status finished = file
                              ? file.value().finish(blobs_ + "/" + to_hex(task.root.bytes), nullptr)
                              : Status(file.error());
  const bool damaged = !finished && finished.error().code == Errc::invalid;
  out.stored = damaged ? Stored::later : outcome_of(finished);
  out.why = why(finished);
  return out;
}

DiskDone Intake::run(DropUpload& task) const {
  remove_file(delta_path(task.lease_id));
  return Dropped{};
}

DiskDone Intake::run(DropBlobs& task) const {
  const auto dropped = drop_blobs(blobs_, task.addresses);
  return Dropped{dropped ? "" : dropped.error().detail};
}

}  // namespace gemmine::pool
