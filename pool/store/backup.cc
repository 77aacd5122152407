// Copies of a pool's folder, taken while it works.
#include <fcntl.h>
#include <filesystem>
#include <system_error>
#include <unistd.h>

#include "kernels/base/files.h"
#include "pool/store/folder.h"
#include "pool/store/sqlite_store.h"

namespace gemmine::pool {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kKeyBytesMax = 1 << 20;

Status sync_path(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok() || ::fsync(fd.get()) != 0) return io_error("cannot sync", path);
  return Ok{};
}

Status copy_key(const std::string& from, const std::string& to) {
  const auto bytes = read_file(from, kKeyBytesMax);
  if (!bytes) return bytes.error();
  return write_secret(to, bytes.value());
}

// The ledger was copied first: every blob that it names was durable before the record that names
// it.
Status copy_blobs(const std::string& from, const std::string& to) {
  if (const Status made = make_folder(to); !made) return made;
  std::error_code error;
  for (const fs::directory_entry& each : fs::directory_iterator(from, error)) {
    const std::string name = each.path().filename();
    if (!digest_from_hex(name)) continue;  // on its way, not a blob yet
    const std::string target = fs::path(to) / name;
    if (!fs::copy_file(each.path(), target, error) || error) {
      if (error == std::errc::no_such_file_or_directory) continue;  // no longer needed by the pool
      return Error{Errc::io, "cannot copy " + each.path().string() + ": " + error.message()};
    }
    if (const Status synced = sync_path(target); !synced) return synced;
  }
  if (error) return Error{Errc::io, "cannot read " + from + ": " + error.message()};
  return sync_path(to);
}

// Whole, and every record chained to the one before.
Status check_ledger(const std::string& path) {
  auto store = SqliteStore::open_to_read(path);
  if (!store) return store.error();
  return store.value()->replay([](const verifier::SignedRecord&) { return Status(Ok{}); });
}

Status copy_parts(const std::string& data, const std::string& to) {
  if (const Status made = make_folder(to); !made) return made;
  if (const Status copied = SqliteStore::copy(ledger_path(data), ledger_path(to)); !copied)
    return copied;
  if (const Status checked = check_ledger(ledger_path(to)); !checked) return checked;
  for (const char* const name : {"/pool.key", "/tls.pem"}) {
    if (const Status copied = copy_key(data + name, to + name); !copied) return copied;
  }
  if (const Status copied = copy_blobs(blobs_path(data), blobs_path(to)); !copied) return copied;
  if (const Status synced = sync_path(ledger_path(to)); !synced) return synced;
  return sync_path(to);
}

}  // namespace

Status back_up(const std::string& data, const std::string& to) {
  if (const Status whole = check_parts(data); !whole) return whole;
  std::error_code error;
  if (fs::exists(to, error) && !fs::is_empty(to, error))
    return Error{Errc::invalid, to + " is there already; name a folder that is not, or is empty"};
  std::string part = to;
  while (part.size() > 1 && part.back() == '/')
    part.pop_back();
  part += ".part";
  fs::remove_all(part, error);  // of a backup that was cut short
  if (const Status copied = copy_parts(data, part); !copied) {
    fs::remove_all(part, error);
    return copied;
  }
  fs::rename(part, to, error);  // only now is it a backup
  if (error) return Error{Errc::io, "cannot rename " + part + ": " + error.message()};
  return sync_path(folder_of(fs::absolute(to, error)));
}

}  // namespace gemmine::pool
