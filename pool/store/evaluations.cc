#include "pool/store/evaluations.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fcntl.h>
#include <optional>
#include <string_view>

#include "kernels/base/check.h"
#include "kernels/base/files.h"

namespace gemmine::pool {
namespace {

constexpr uint64_t kFileBytesMax = uint64_t{64} << 20;

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find(at), text.size());
    if (end > 0) out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

template <class T>
bool read_number(std::string_view word, T& value) {
  const char* const end = word.data() + word.size();
  const auto [stop, code] = std::from_chars(word.data(), end, value);
  return code == std::errc{} && stop == end;
}

// job, θ, rounds merged, correct, records, loss; and a point, so that a cut number is no number.
std::optional<EvaluateDone> parse(std::string_view line) {
  const std::vector<std::string_view> words = split(line, ' ');
  if (words.size() != 7 || words[6] != ".") return {};
  const auto job_id = digest_from_hex(words[0]);
  const auto theta_root = digest_from_hex(words[1]);
  EvaluateDone out;
  if (!job_id || !theta_root || !read_number(words[2], out.round) ||
      !read_number(words[3], out.correct) || !read_number(words[4], out.records) ||
      !read_number(words[5], out.loss))
    return {};
  out.job_id = job_id.value();
  out.theta_root = theta_root.value();
  const bool sound = out.records > 0 && out.correct <= out.records && std::isfinite(out.loss);
  return sound ? std::optional(out) : std::nullopt;
}

std::string shortest(double value) {
  char text[64];
  const auto [end, code] = std::to_chars(text, text + sizeof text, value);
  GEMMINE_CHECK(code == std::errc{});
  return {text, end};
}

}  // namespace

std::vector<EvaluateDone> read_evaluations(const std::string& path) {
  const auto bytes = read_file(path, kFileBytesMax);
  if (!bytes) return {};
  const auto* const text = reinterpret_cast<const char*>(bytes.value().data());
  std::vector<EvaluateDone> out;
  for (const std::string_view line : split({text, bytes.value().size()}, '\n')) {
    if (const auto done = parse(line)) out.push_back(*done);
  }
  return out;
}

Status append_evaluation(const std::string& path, const EvaluateDone& done) {
  GEMMINE_CHECK(done.records > 0 && done.correct <= done.records);
  const std::string words[] = {to_hex(done.job_id.bytes),    to_hex(done.theta_root.bytes),
                               std::to_string(done.round),   std::to_string(done.correct),
                               std::to_string(done.records), shortest(done.loss)};
  std::string line(1, '\n');  // first: the line before may have been cut short
  for (const std::string& word : words)
    line.append(word).append(1, ' ');
  line.append(".\n");
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!fd.ok()) return io_error("cannot open", path);
  return write_all(fd.get(), as_bytes(std::string_view(line)), path);
}

}  // namespace gemmine::pool
