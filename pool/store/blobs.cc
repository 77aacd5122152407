#include "pool/store/blobs.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <sys/stat.h>

#include "kernels/base/files.h"
#include "kernels/base/try_resize.h"
#include "kernels/hash/blake3.h"
#include "kernels/hash/opening.h"
#include "pool/blobs/tree_file.h"

namespace gemmine::pool {
namespace {

std::string blob_path(const std::string& folder, const Digest& address) {
  return folder + "/" + to_hex(address.bytes);
}

bool is_there(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0;
}

Error damaged(const Digest& address) {
  return {Errc::invalid, "blob " + to_hex(address.bytes) + " is damaged on disk"};
}

}  // namespace

Result<Bytes> read_blob(const std::string& folder, const Digest& address, uint64_t bytes_max) {
  auto bytes = read_file(blob_path(folder, address), bytes_max);
  if (!bytes) return bytes;
  if (kernels::blake3(bytes.value()) != address) return damaged(address);
  return bytes;
}

Result<std::vector<float>> read_floats(const std::string& folder, const Digest& address,
                                       uint64_t floats) {
  const auto file = PieceFile::open(blob_path(folder, address));
  if (!file) return file.error();
  const auto size = file.value().size();
  if (!size) return size.error();
  if (size.value() != floats * sizeof(float))
    return Error{Errc::invalid, "blob " + to_hex(address.bytes) + " has " +
                                    std::to_string(size.value()) + " bytes of " +
                                    std::to_string(floats * sizeof(float))};
  std::vector<float> out;
  if (const Status sized = try_resize(out, floats, file.value().path()); !sized)
    return sized.error();
  const auto tree = hash_file(file.value(), [&](uint64_t at, ByteView piece) {
    std::memcpy(reinterpret_cast<uint8_t*>(out.data()) + at, piece.data(), piece.size());
    return Status(Ok{});
  });
  if (!tree) return tree.error();
  if (tree.value().root() != address) return damaged(address);
  return out;
}

Result<Digest> put_blob(const std::string& folder, ByteView bytes) {
  const auto tree = kernels::ChunkTree::build(kernels::Blake3Mode::plain(),
                                              kernels::ChunkSource::of_bytes(bytes));
  const std::string path = blob_path(folder, tree.root());
  if (is_there(path)) return tree.root();
  if (const Status saved = save_tree(path, tree); !saved) return saved.error();
  if (const Status written = write_durable(path, bytes); !written) return written.error();
  return tree.root();
}

Result<uint64_t> drop_blobs(const std::string& folder, std::span<const Digest> addresses) {
  uint64_t dropped = 0;
  std::optional<Error> failed;
  for (const Digest& address : addresses) {
    const std::string path = blob_path(folder, address);
    const bool removed = std::remove(path.c_str()) == 0;
    if (!removed && errno != ENOENT) {
      failed = io_error("cannot remove", path);
      continue;
    }
    const bool tree_removed = std::remove(tree_path(path).c_str()) == 0;
    if (removed || tree_removed) ++dropped;
  }
  if (failed) return *failed;
  return dropped;
}

Result<uint64_t> sweep_blobs(const std::string& folder, const std::set<Digest>& needed) {
  std::set<Digest> of_no_use;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    std::string name = at->path().filename().string();
    if (name.ends_with(tree_path(""))) name.resize(name.size() - tree_path("").size());
    const auto address = digest_from_hex(name);
    if (address && to_hex(address.value().bytes) == name && !needed.contains(address.value()))
      of_no_use.insert(address.value());
  }
  if (error) return Error{Errc::io, "cannot list " + folder + ": " + error.message()};
  return drop_blobs(folder, std::vector(of_no_use.begin(), of_no_use.end()));
}

Result<Blobs> Blobs::open(const std::string& folder) {
  if (const Status made = make_folder(folder); !made) return made.error();
  return Blobs(folder);
}

bool Blobs::has(const Digest& address) const {
  return is_there(blob_path(folder_, address));
}

}  // namespace gemmine::pool
