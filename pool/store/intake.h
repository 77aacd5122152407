// What strangers send, on disk: BLOBS/incoming holds half uploads. No thread in here; slow, so not
// for the loop's.
//
// A half delta is LEASE.part: every part in it was checked. It survives a kill of the pool, which
// goes on after its last whole group; a power cut that damages it is found when it is whole, and
// the upload begins again.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/core/actions.h"

namespace gemmine::pool {

class Intake {
 public:
  // blobs: the folder of blobs, where finished deltas go. Errors: io.
  static Result<Intake> open(const std::string& blobs);

  // Bytes on disk of half deltas, by lease.
  std::map<Digest, uint64_t> half_deltas() const;

  DiskDone run(DiskTask& task) const;
  DiskDone run(StorePart& task) const;
  DiskDone run(FinishDelta& task) const;
  DiskDone run(FinishAnswer& task) const;
  DiskDone run(DropUpload& task) const;
  DiskDone run(DropBlobs& task) const;

  std::string delta_path(const Digest& lease_id) const;

 private:
  explicit Intake(std::string blobs) : blobs_(std::move(blobs)) {}
  std::string blobs_;
};

}  // namespace gemmine::pool
