#include "miner/cache.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

namespace gemmine::miner {

namespace fs = std::filesystem;

void prune_blobs(const std::string& folder, std::span<const Digest> needed,
                 std::span<const Digest> outdated) {
  const auto has = [](std::span<const Digest> set, const Digest& digest) {
    return std::find(set.begin(), set.end(), digest) != set.end();
  };
  std::error_code error;  // what cannot be removed now is looked at again
  const auto spare_since = fs::file_time_type::clock::now() - std::chrono::hours(kSpareHours);
  std::vector<fs::path> gone;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    // Also half of one, and its tree: ADDRESS.part, ADDRESS.tree.
    const std::string name = entry.path().filename().string();
    const auto address = digest_from_hex(name.substr(0, name.find('.')));
    if (!address || has(needed, address.value())) continue;
    if (has(outdated, address.value()) || fs::last_write_time(entry, error) < spare_since)
      gone.push_back(entry.path());
  }
  for (const fs::path& path : gone)
    fs::remove(path, error);
}

}  // namespace gemmine::miner
