#include "pool/blobs/part_writer.h"

namespace gemmine::pool {

std::string part_path(const std::string& path) {
  return path + ".part";
}

Result<PartWriter> PartWriter::open(const std::string& path, const Digest& root,
                                    uint64_t total_bytes) {
  GEMMINE_CHECK(total_bytes <= kBlobBytesMax);
  auto file = PieceFile::open_or_make(path);
  if (!file) return file.error();
  const auto size = file.value().size();
  if (!size) return size.error();
  // The last group may be short, and an empty string is whole without a byte.
  const bool whole = size.value() == total_bytes && total_bytes > 0;
  const uint64_t groups =
      whole ? groups_of(total_bytes) : std::min(size.value(), total_bytes) / kGroupBytes;
  const uint64_t kept = whole ? total_bytes : groups * kGroupBytes;
  if (size.value() != kept) {
    if (const Status cut = file.value().resize(kept); !cut) return cut.error();
  }
  return PartWriter(std::move(file.value()), root, total_bytes, groups);
}

Status PartWriter::take(const Part& part) {
  const GroupRange range = range_of(part);
  if (part.total_bytes == total_bytes_ && range.is_in(total_bytes_)) {
    if (range.first + range.count <= groups_) return Ok{};
    if (range.first != groups_)
      return Error{Errc::undecided, "group " + std::to_string(groups_) + " comes next, not group " +
                                        std::to_string(range.first)};
  }
  if (const Status checked = check_part(part, root_, total_bytes_); !checked) return checked;
  if (const Status written = file_.write(range.offset(), part.bytes); !written) return written;
  groups_ += range.count;
  return Ok{};
}

Status PartWriter::finish(const std::string& to, const OnPiece& on_piece) {
  GEMMINE_CHECK(whole());
  const auto tree = hash_file(file_, on_piece);
  if (!tree || tree.value().root() != root_) {
    const bool unread = !tree && tree.error().code == Errc::io;
    if (!unread) remove_file(file_.path());
    if (!tree) return tree.error();
    return Error{Errc::invalid, file_.path() + " was damaged on disk"};
  }
  if (const Status saved = save_tree(to, tree.value()); !saved) return saved;
  if (const Status synced = file_.sync(); !synced) return synced;
  return rename_durable(file_.path(), to);
}

}  // namespace gemmine::pool
