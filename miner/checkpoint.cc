#include "miner/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>

#include "kernels/base/files.h"
#include "verifier/merge/delta.h"

namespace gemmine::miner {

namespace fs = std::filesystem;

Result<Checkpoint> Checkpoint::open(const std::string& folder) {
  if (auto made = make_folder(folder); !made) return made.error();
  return Checkpoint(folder);
}

std::string Checkpoint::path(const Digest& lease_id, const std::string& name) const {
  return folder_ + "/" + to_hex(lease_id.bytes) + "/" + name;
}

Status Checkpoint::save_lease(const verifier::Lease& lease) const {
  const Digest id = verifier::lease_id(lease);
  if (auto made = make_folder(path(id, "")); !made) return made;
  return write_durable(path(id, "lease"), verifier::encode(lease));
}

Status Checkpoint::save_state(const Digest& lease_id, uint32_t share,
                              std::span<const float> state) const {
  return write_durable(path(lease_id, "state-" + std::to_string(share)), as_bytes(state));
}

Status Checkpoint::save_share(const verifier::Share& share) const {
  return write_durable(path(share.lease_id, "share-" + std::to_string(share.index)),
                       verifier::encode(share));
}

Status Checkpoint::save_delta(const Digest& lease_id, ByteView delta) const {
  return write_durable(path(lease_id, "delta"), delta);
}

Result<verifier::Lease> Checkpoint::load_lease(const Digest& lease_id) const {
  const auto bytes = read_file(path(lease_id, "lease"), verifier::kLeaseBytes);
  if (!bytes) return bytes.error();
  return verifier::decode_lease(bytes.value());
}

Result<verifier::Share> Checkpoint::load_share(const Digest& lease_id, uint32_t index) const {
  const auto bytes =
      read_file(path(lease_id, "share-" + std::to_string(index)), verifier::kShareBytes);
  if (!bytes) return bytes.error();
  return verifier::decode_share(bytes.value());
}

Result<std::vector<float>> Checkpoint::load_state(const Digest& lease_id, uint32_t share,
                                                  uint64_t floats) const {
  const std::string file = path(lease_id, "state-" + std::to_string(share));
  const auto bytes = read_file(file, floats * sizeof(float));
  if (!bytes) return bytes.error();
  if (bytes.value().size() != floats * sizeof(float)) {
    return Error{Errc::malformed, file + " is not a state of this job"};
  }
  std::vector<float> state(floats);
  std::memcpy(state.data(), bytes.value().data(), bytes.value().size());
  return state;
}

Result<Bytes> Checkpoint::load_delta(const Digest& lease_id) const {
  return read_file(path(lease_id, "delta"), verifier::delta_bytes(kernels::kParametersMax));
}

std::vector<Digest> Checkpoint::leases() const {
  std::vector<std::pair<fs::file_time_type, Digest>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const auto id = digest_from_hex(entry.path().filename().string());
    if (id) found.emplace_back(fs::last_write_time(entry.path(), error), id.value());
  }
  std::sort(found.begin(), found.end());
  std::vector<Digest> out;
  out.reserve(found.size());
  for (const auto& [time, id] : found)
    out.push_back(id);
  while (out.size() > kLeasesKeptMax) {
    forget(out.front());
    out.erase(out.begin());
  }
  return out;
}

void Checkpoint::forget(const Digest& lease_id) const {
  std::error_code error;  // What cannot be removed is removed by a later forget.
  fs::remove_all(path(lease_id, ""), error);
}

}  // namespace gemmine::miner
