// Files that show others what an audit found: proofs and bundles that gemmine-verify judges, and
// the ledger as it was sent, record by record.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "verifier/ledger/signed_record.h"

namespace gemmine::pool {

class EvidenceFolder {
 public:
  // FOLDER/ledger.bin is begun anew. Errors: io.
  static Result<EvidenceFolder> open(const std::string& folder);

  // The next record as an export has it (PROTOCOL 8.8), whether the fold takes it or not.
  void heard(const verifier::SignedRecord& record);
  // A file of its own; returns its path, empty where it could not be written.
  std::string keep(const std::string& name, ByteView bytes);
  // The ledger so far, on disk; returns its path.
  std::string ledger();

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  explicit EvidenceFolder(std::string folder) : folder_(std::move(folder)) {}

  std::string folder_;
  std::unique_ptr<std::FILE, CloseFile> ledger_;
};

}  // namespace gemmine::pool
