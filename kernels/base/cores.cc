#include "kernels/base/cores.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fcntl.h>
#include <optional>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>
#if defined(__linux__)
#include <sched.h>
#endif

#include "kernels/base/thread_pool.h"

namespace gemmine {
namespace {

constexpr int kCpusMax = 1 << 20;
constexpr size_t kProcFileBytesMax = size_t{1} << 20;
constexpr int64_t kUsualPeriodUs = 100'000;

// Files of the kernel: they say size 0 and are read to their end. Empty when there is none.
std::string slurp(const std::string& path) {
  std::string out;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return out;
  char block[4096];
  ssize_t count = 0;
  while (out.size() < kProcFileBytesMax && (count = ::read(fd, block, sizeof block)) > 0)
    out.append(block, static_cast<size_t>(count));
  ::close(fd);
  return out;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find(at), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

bool contains(const std::vector<std::string_view>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::optional<int64_t> number(std::string_view text) {
  int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{}) return std::nullopt;
  return out;
}

// mountinfo writes a space in a path as \040.
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    int code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(&text[i + 1], &text[i] + 4, code, 8).ptr == &text[i] + 4) {
      out += static_cast<char>(code);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

struct Hierarchy {
  bool v2 = false;
  std::string path;   // of our group in it, from /proc/self/cgroup
  std::string mount;  // where it can be seen; empty when it cannot
  std::string top;    // which of its groups is seen there
};

// Of "ID:CONTROLLERS:PATH" lines the unified one (no controllers) and the one of the v1 cpu.
std::vector<Hierarchy> hierarchies(const std::string& root) {
  std::vector<Hierarchy> out;
  const std::string groups = slurp(root + "/proc/self/cgroup");
  for (const std::string_view line : split(groups, '\n')) {
    const size_t first = line.find(':');
    const size_t second = first == line.npos ? first : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && !contains(split(controllers, ','), "cpu")) continue;
    out.push_back({controllers.empty(), std::string(line.substr(second + 1)), {}, {}});
  }
  // "36 35 98:0 /top /mount/point options shared:1 - type source super,options"
  const std::string mounts = slurp(root + "/proc/self/mountinfo");
  for (const std::string_view line : split(mounts, '\n')) {
    const auto words = split(line, ' ');
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words.end() - dash < 4) continue;
    const bool v2 = dash[1] == "cgroup2";
    if (!v2 && (dash[1] != "cgroup" || !contains(split(dash[3], ','), "cpu"))) continue;
    for (Hierarchy& hierarchy : out) {
      if (hierarchy.v2 != v2 || !hierarchy.mount.empty()) continue;
      hierarchy.top = unescaped(words[3]);
      hierarchy.mount = unescaped(words[4]);
    }
  }
  return out;
}

// Cores that the group of this folder may use at once, rounded up.
std::optional<int64_t> quota_of(const std::string& folder, bool v2) {
  std::optional<int64_t> quota;
  std::optional<int64_t> period;
  if (v2) {
    const std::string text = slurp(folder + "/cpu.max");  // "max 100000" or "150000 100000"
    const auto words = split(std::string_view(text).substr(0, text.find('\n')), ' ');
    if (!words.empty()) quota = number(words[0]);
    period = words.size() > 1 ? number(words[1]) : kUsualPeriodUs;
  } else {
    quota = number(slurp(folder + "/cpu.cfs_quota_us"));  // -1: none
    period = number(slurp(folder + "/cpu.cfs_period_us"));
  }
  if (!quota || *quota <= 0 || !period || *period <= 0) return std::nullopt;
  return *quota / *period + (*quota % *period != 0 ? 1 : 0);
}

int affinity_cores() {
#if defined(__linux__)
  // The kernel refuses a set that is smaller than its own, which may be larger than cpu_set_t.
  for (int cpus = CPU_SETSIZE; cpus <= kCpusMax; cpus *= 2) {
    std::vector<cpu_set_t> set(static_cast<size_t>(cpus) / CPU_SETSIZE);
    const size_t bytes = set.size() * sizeof(cpu_set_t);
    if (::sched_getaffinity(0, bytes, set.data()) == 0) return CPU_COUNT_S(bytes, set.data());
  }
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

int cgroup_cores(const std::string& root) {
  int64_t least = 0;
  for (const Hierarchy& hierarchy : hierarchies(root)) {
    if (hierarchy.mount.empty()) continue;
    std::string below = hierarchy.path;
    if (hierarchy.top != "/") {
      // A container sees only its own part of the tree, or a group beside it: then the mount
      // itself is what is known.
      const std::string& top = hierarchy.top;
      const bool inside =
          below.starts_with(top) && (below.size() == top.size() || below[top.size()] == '/');
      below = inside ? below.substr(top.size()) : "";
    }
    if (below.find("/..") != below.npos) below.clear();
    const std::string seen_at = root + hierarchy.mount;
    while (true) {
      std::string folder = seen_at;
      folder += below;
      const auto cores = quota_of(folder, hierarchy.v2);
      if (cores && (least == 0 || *cores < least)) least = *cores;
      if (below.empty()) break;
      below.resize(below.rfind('/') == below.npos ? 0 : below.rfind('/'));
    }
  }
  return static_cast<int>(std::min<int64_t>(least, kCpusMax));
}

int usable_cores() {
  const int allowed = std::clamp(affinity_cores(), 1, kPoolThreadsMax);
  const int quota = cgroup_cores("");
  return quota == 0 ? allowed : std::min(allowed, quota);
}

}  // namespace gemmine
