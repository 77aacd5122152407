#include "pool/data/file_names.h"

#include <algorithm>
#include <cerrno>
#include <glob.h>
#include <memory>
#include <optional>
#include <set>
#include <sys/stat.h>

#include "kernels/base/printable.h"

namespace gemmine::pool {
namespace {

struct GlobEnd {
  void operator()(glob_t* found) const { globfree(found); }
};

bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

bool has_wildcard(std::string_view text) {
  return text.find_first_of("*?[") != std::string_view::npos;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '*' || c == '?' || c == '[' || c == ']' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

// Where the first component of `path` begins that is there under no such name: what comes before is
// no pattern. `from` is where the job's own folder ends.
size_t pattern_begin(const std::string& path, size_t from) {
  const size_t root = path.starts_with('/') ? 1 : 0;
  for (size_t begin = std::max(from, root); begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (!exists(path.substr(0, end))) return begin;
    begin = end + 1;
  }
  return path.size();
}

// Of glob(): whether to give up at a folder. One that is not there just has no such file.
int cannot_list(const char* /*path*/, int error) {
  return error != ENOENT && error != ENOTDIR ? 1 : 0;
}

Status find(const DataFiles& data, const std::string& name, std::vector<std::string>& out) {
  const std::string path = data.path(name);
  const size_t begin = pattern_begin(path, path == name ? 0 : data.path("x").size() - 1);
  if (begin == path.size() || !has_wildcard(std::string_view(path).substr(begin))) {
    out.push_back(path);
    return Ok{};
  }
  const std::string pattern = escaped(path.substr(0, begin)) + path.substr(begin);
  glob_t found{};
  const std::unique_ptr<glob_t, GlobEnd> guard(&found);
  const int code = ::glob(pattern.c_str(), GLOB_NOSORT, cannot_list, &found);
  if (code == GLOB_NOMATCH)
    return Error{Errc::io, printable(path) + ": no file has this name or matches it as a pattern"};
  if (code == GLOB_NOSPACE)
    return Error{Errc::out_of_memory, printable(path) + ": matches too many files"};
  if (code != 0) return Error{Errc::io, printable(path) + ": cannot list its folder"};
  if (found.gl_pathc > kCorpusFilesMax - std::min(out.size(), kCorpusFilesMax))
    return Error{Errc::invalid,
                 printable(path) + ": more than " + std::to_string(kCorpusFilesMax) + " files"};
  const auto first = static_cast<ptrdiff_t>(out.size());
  out.insert(out.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
  std::sort(out.begin() + first, out.end());
  return Ok{};
}

std::optional<std::pair<dev_t, ino_t>> file_id(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return std::pair(info.st_dev, info.st_ino);
}

}  // namespace

Result<std::vector<std::string>> find_files(const DataFiles& data,
                                            const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const std::string& name : names)
    if (auto found = find(data, name, out); !found) return found.error();
  return out;
}

std::string shared_file(const std::vector<std::string>& some,
                        const std::vector<std::string>& others) {
  std::set<std::pair<dev_t, ino_t>> ids;
  for (const std::string& path : others)
    if (const auto id = file_id(path)) ids.insert(*id);
  for (const std::string& path : some)
    if (const auto id = file_id(path); id && ids.contains(*id)) return path;
  return {};
}

}  // namespace gemmine::pool
