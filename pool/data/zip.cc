// Members of zip archives, by libzip.
#include <algorithm>
#include <memory>
#include <zip.h>

#include "kernels/base/printable.h"
#include "pool/data/arrays.h"
#include "pool/data/memory.h"

namespace gemmine::pool {
namespace {

struct ArchiveEnd {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct MemberEnd {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using Archive = std::unique_ptr<zip_t, ArchiveEnd>;

Result<Archive> open_archive(const std::string& path) {
  int code = 0;
  Archive out(zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
  if (out) return out;
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string why = zip_error_strerror(&error);
  zip_error_fini(&error);
  return Error{code == ZIP_ER_NOENT || code == ZIP_ER_OPEN ? Errc::io : Errc::malformed,
               printable(path) + ": cannot be read as an archive: " + printable(why) +
                   " (numpy.savez makes one)"};
}

std::string member_names(zip_t* archive) {
  constexpr zip_int64_t kShown = 8;
  std::string out;
  const zip_int64_t count = zip_get_num_entries(archive, 0);
  for (zip_int64_t i = 0; i < std::min(count, kShown); ++i) {
    const char* const name = zip_get_name(archive, static_cast<zip_uint64_t>(i), 0);
    std::string text = name == nullptr ? "?" : printable(name);
    if (text.ends_with(".npy")) text.resize(text.size() - 4);
    out.append(out.empty() ? "" : ", ").append(text);
  }
  return count > kShown ? out + " ..." : out;
}

}  // namespace

Result<Bytes> read_zip_member(const std::string& path, const std::string& member) {
  auto archive = open_archive(path);
  if (!archive) return archive.error();
  const std::string name = printable(path) + ": " + printable(member);
  zip_stat_t stat;
  if (zip_stat(archive.value().get(), member.c_str(), 0, &stat) != 0 ||
      (stat.valid & ZIP_STAT_SIZE) == 0)
    return Error{Errc::invalid, name + ": the archive has no such array; it has: " +
                                    member_names(archive.value().get())};
  if (stat.size > kTableBytesMax)
    return Error{Errc::invalid, name + ": has " + std::to_string(stat.size) + " bytes, more than " +
                                    std::to_string(kTableBytesMax)};
  const std::unique_ptr<zip_file_t, MemberEnd> file(
      zip_fopen_index(archive.value().get(), stat.index, 0));
  if (!file)
    return Error{Errc::malformed, name + ": " + printable(zip_strerror(archive.value().get()))};
  return within_memory(name, [&]() -> Result<Bytes> {
    // Grows with what is there, not with what the archive claims.
    constexpr size_t kPiece = 1 << 20;
    Bytes out;
    while (true) {
      const size_t done = out.size();
      out.resize(done + std::min<uint64_t>(kPiece, stat.size - done + 1));
      const zip_int64_t got = zip_fread(file.get(), out.data() + done, out.size() - done);
      if (got < 0 || done + static_cast<uint64_t>(got) > stat.size)
        return Error{Errc::malformed, name + ": is damaged"};
      out.resize(done + static_cast<size_t>(got));
      if (got == 0) break;
    }
    if (out.size() != stat.size) return Error{Errc::malformed, name + ": is cut short"};
    return out;
  });
}

}  // namespace gemmine::pool
