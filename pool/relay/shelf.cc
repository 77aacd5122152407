#include "pool/relay/shelf.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "pool/blobs/part_writer.h"
#include "pool/blobs/tree_file.h"

namespace gemmine::pool {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kSpareBytes = uint64_t{64} << 20;  // of the disk, for whoever else writes to it

struct Kept {
  uint64_t bytes = 0;  // of the blob, its tree and its half
  fs::file_time_type used = fs::file_time_type::min();
};

std::map<Digest, Kept> look(const std::string& folder) {
  std::map<Digest, Kept> out;
  std::error_code error;  // what goes meanwhile takes no room
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const auto address = digest_from_hex(name.substr(0, name.find('.')));
    const uint64_t bytes = entry.file_size(error);
    if (!address || error) continue;
    Kept& kept = out[address.value()];
    kept.bytes += bytes;
    const auto used = entry.last_write_time(error);
    if (!error) kept.used = std::max(kept.used, used);
  }
  return out;
}

uint64_t with_tree(uint64_t bytes) {
  return bytes + (bytes + kGroupBytes - 1) / kGroupBytes * sizeof(Digest);
}

}  // namespace

std::string Shelf::path(const std::string& folder, const Digest& address) {
  return folder + "/" + to_hex(address.bytes);
}

void Shelf::touch(const std::string& folder, const Digest& address) {
  std::error_code error;  // it is only an order
  fs::last_write_time(path(folder, address), fs::file_time_type::clock::now(), error);
}

void Shelf::remove(const std::string& folder, const Digest& address) {
  const std::string blob = path(folder, address);
  remove_file(blob);
  remove_file(tree_path(blob));
  remove_file(part_path(blob));
}

Status Shelf::make_room(const Digest& address, uint64_t bytes) {
  const std::map<Digest, Kept> kept = look(folder_);
  const uint64_t needed = with_tree(bytes);
  uint64_t on_disk = 0;
  for (const auto& [each, blob] : kept)
    on_disk += blob.bytes;
  std::error_code error;
  const fs::space_info disk = fs::space(folder_, error);
  const uint64_t free =
      error ? bytes_max_ : disk.available - std::min<uint64_t>(kSpareBytes, disk.available);
  const uint64_t most = std::min(bytes_max_, on_disk + free);

  uint64_t taken = needed;
  for (const auto& [each, whole] : coming_)
    taken += each == address ? 0 : whole;
  std::vector<std::pair<fs::file_time_type, Digest>> order;
  for (const auto& [each, blob] : kept) {
    if (each == address || coming_.contains(each)) continue;
    taken += blob.bytes;
    order.emplace_back(blob.used, each);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [used, each] : order) {
    if (taken <= most) break;
    remove(folder_, each);
    taken -= kept.at(each).bytes;
  }
  if (taken > most)
    return Error{Errc::io, "a blob of " + std::to_string(bytes) + " bytes does not fit beside " +
                               std::to_string(taken - needed) + " others on their way: there is " +
                               "room for " + std::to_string(most)};
  coming_[address] = needed;
  return Ok{};
}

}  // namespace gemmine::pool
