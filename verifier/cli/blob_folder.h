// Blobs by content address in a folder, as a pool keeps them; each is hashed before it is believed.
#pragma once

#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include "kernels/hash/blake3.h"
#include "verifier/cli/report.h"
#include "verifier/merge/round.h"

namespace gemmine::verifier {

class BlobFolder {
 public:
  explicit BlobFolder(std::string folder) : folder_(std::move(folder)) {}

  const std::string& folder() const { return folder_; }
  bool has(const Digest& address) const { return ::access(path(address).c_str(), F_OK) == 0; }
  Result<Bytes> get(const Digest& address, uint64_t size) const {
    const std::string path = this->path(address);
    auto bytes = load(path, size);
    if (!bytes) return bytes;
    if (bytes.value().size() != size || kernels::blake3(bytes.value()) != address)
      return Error{Errc::malformed, path + ": is not the blob it is named for"};
    return bytes;
  }
  Result<std::vector<float>> floats(const Digest& address, uint64_t count) const {
    const auto bytes = get(address, count * sizeof(float));
    if (!bytes) return bytes.error();
    return floats_of(bytes.value());
  }

 private:
  std::string path(const Digest& address) const { return folder_ + "/" + to_hex(address.view()); }

  std::string folder_;
};

}  // namespace gemmine::verifier
