#include "pool/auditor/evidence.h"

#include <cerrno>
#include <cstring>

#include "kernels/base/files.h"

namespace gemmine::pool {

Result<EvidenceFolder> EvidenceFolder::open(const std::string& folder) {
  if (Status made = make_folder(folder); !made) return made.error();
  EvidenceFolder out(folder);
  out.ledger_.reset(std::fopen((folder + "/ledger.bin").c_str(), "wb"));
  if (out.ledger_ == nullptr)
    return Error{Errc::io, folder + "/ledger.bin: " + std::strerror(errno)};
  return out;
}

void EvidenceFolder::heard(const verifier::SignedRecord& record) {
  const Bytes bytes = Writer()
                          .put_blob(verifier::encode(static_cast<const verifier::Record&>(record)))
                          .put_raw(record.signature)
                          .take();
  // A full disk costs the evidence, not the audit.
  (void)std::fwrite(bytes.data(), 1, bytes.size(), ledger_.get());
}

std::string EvidenceFolder::keep(const std::string& name, ByteView bytes) {
  const std::string path = folder_ + "/" + name;
  return write_durable(path, bytes) ? path : std::string{};
}

std::string EvidenceFolder::ledger() {
  (void)std::fflush(ledger_.get());
  return folder_ + "/ledger.bin";
}

}  // namespace gemmine::pool
