#include "miner/receipts.h"

#include <algorithm>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

#include "kernels/base/fd.h"
#include "kernels/base/files.h"

namespace gemmine::miner {

namespace fs = std::filesystem;

std::string Receipts::path(const Digest& lease_id) const {
  return folder_ + "/" + to_hex(lease_id.view());
}

Status Receipts::begin(const verifier::Lease& lease) const {
  if (knows(lease.id)) return Ok{};
  if (const Status made = make_folder(folder_); !made) return made;
  make_room();
  const verifier::Statement word{
      verifier::RecordKind::lease, verifier::signed_body(verifier::encode(lease)), {}};
  return write_durable(path(lease.id), verifier::kept_bytes(word));
}

bool Receipts::knows(const Digest& lease_id) const {
  return ::access(path(lease_id).c_str(), F_OK) == 0;
}

Status Receipts::add(const Digest& lease_id, const verifier::Statement& word) const {
  const std::string name = path(lease_id);
  const Bytes bytes = verifier::kept_bytes(word);
  std::error_code error;
  if (fs::file_size(name, error) + bytes.size() > verifier::kKeptFileBytesMax && !error)
    return Error{Errc::io, name + ": is full"};
  const Fd file(::open(name.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!file.ok()) return io_error("cannot open", name);
  const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
  if (written == static_cast<ssize_t>(bytes.size())) return Ok{};
  return io_error("cannot write", name);
}

std::vector<Receipts::Kept> Receipts::list() const {
  std::vector<Kept> out;
  std::error_code error;
  for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
    const auto id = digest_from_hex(at->path().filename().string());
    std::error_code gone;
    const uint64_t bytes = id ? fs::file_size(at->path(), gone) : 0;
    const auto time = id && !gone ? fs::last_write_time(at->path(), gone) : fs::file_time_type{};
    if (!id || gone) continue;
    const auto since = fs::file_time_type::clock::to_sys(time).time_since_epoch();
    out.push_back({at->path().string(), id.value(),
                   static_cast<uint64_t>(
                       std::chrono::duration_cast<std::chrono::milliseconds>(since).count()),
                   bytes});
  }
  std::ranges::sort(out, [](const Kept& a, const Kept& b) {
    return std::pair(a.time_ms, a.lease_id) < std::pair(b.time_ms, b.lease_id);
  });
  return out;
}

std::vector<Digest> Receipts::find(
    const std::function<bool(const verifier::Lease&, const verifier::KeptWords&)>& fits) const {
  std::vector<Digest> out;
  for (const Kept& kept : list()) {
    const auto bytes = read_file(kept.path, verifier::kKeptFileBytesMax);
    if (!bytes) continue;
    const verifier::KeptWords words = verifier::read_kept(bytes.value());
    const auto lease = verifier::lease_of(words);
    if (lease && fits(lease.value(), words)) out.push_back(kept.lease_id);
  }
  return out;
}

// The oldest go until one more lease fits.
void Receipts::make_room() const {
  const std::vector<Kept> all = list();
  size_t count = all.size();
  uint64_t bytes = 0;
  for (const Kept& each : all)
    bytes += each.bytes;
  for (const Kept& each : all) {
    if (count < kReceiptLeasesMax && bytes <= kReceiptBytesMax) return;
    std::error_code ignored;
    fs::remove(each.path, ignored);
    --count;
    bytes -= each.bytes;
  }
}

}  // namespace gemmine::miner
