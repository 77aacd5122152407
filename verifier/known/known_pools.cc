#include "verifier/known/known_pools.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <thread>
#include <unistd.h>

#include "kernels/base/files.h"
#include "kernels/base/folder_lock.h"
#include "kernels/base/user_folder.h"
#include "kernels/hash/blake3.h"
#include "verifier/proof/write.h"

namespace gemmine::verifier {

namespace {

constexpr int kLockTries = 20;
constexpr auto kLockPause = std::chrono::milliseconds(10);

bool there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

// Programs that hold it do so for one small file.
Result<FolderLock> lock_folder(const std::string& folder) {
  if (const Status made = make_folder(folder); !made) return made.error();
  for (int tries = 1;; ++tries) {
    auto lock = FolderLock::take(folder, "gemmine");
    if (lock || lock.error().code != Errc::busy || tries == kLockTries) return lock;
    std::this_thread::sleep_for(kLockPause);
  }
}

}  // namespace

std::string default_known_folder() {
  const std::string state = user_state_folder("gemmine");
  return state.empty() ? "" : state + "/pools";
}

std::string KnownPools::head_path(const Digest& pool_key) const {
  return folder_ + "/" + to_hex(pool_key.view()) + ".head";
}

std::string KnownPools::way_out(const Digest& pool_key) const {
  if (folder_.empty()) return "";
  const std::string name = folder_ + "/" + to_hex(pool_key.view());
  return "Whoever trusts the pool all the same removes " + name + ".head and " + name + "-*.proof";
}

Result<std::optional<std::string>> KnownPools::evidence(const Digest& pool_key) const {
  const std::string prefix = to_hex(pool_key.view()) + "-";
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder_, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(".proof"))
      return std::optional(at->path().string());
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return Error{Errc::io, folder_ + ": " + error.message()};
  return std::optional<std::string>{};
}

Result<std::optional<SignedHead>> KnownPools::head(const Digest& pool_key) const {
  const std::string path = head_path(pool_key);
  if (folder_.empty() || !there(path)) return std::optional<SignedHead>{};
  const auto bytes = read_file(path, kSignedHeadBytes);
  if (!bytes) return bytes.error();
  const auto head = decode<SignedHead>(bytes.value());
  if (!head || !signed_by(head.value(), pool_key))
    return Error{Errc::invalid, path +
                                    ": is not a head that this pool signed. Remove the file to "
                                    "begin anew with this pool"};
  return std::optional<SignedHead>(head.value());
}

Status KnownPools::keep(const Digest& pool_key, const SignedHead& head) const {
  if (folder_.empty()) return Ok{};
  const auto lock = lock_folder(folder_);
  if (!lock) return lock.error();
  const auto known = this->head(pool_key);
  if (!known) return known.error();
  if (known.value() && known.value()->seq >= head.seq) return Ok{};
  return write_durable(head_path(pool_key), gemmine::encode(head));
}

Result<std::optional<Digest>> KnownPools::key_at(std::string_view address) const {
  const std::string path =
      folder_ + "/" + to_hex(kernels::blake3(as_bytes(address)).view()) + ".key";
  if (folder_.empty() || !there(path)) return std::optional<Digest>{};
  const auto bytes = read_file(path, sizeof(Digest));
  if (!bytes) return bytes.error();
  if (bytes.value().size() != sizeof(Digest)) return Error{Errc::invalid, path + ": is no key"};
  return std::optional<Digest>(Reader(bytes.value()).get_digest());
}

Status KnownPools::keep_key(std::string_view address, const Digest& pool_key) const {
  if (folder_.empty()) return Ok{};
  const auto lock = lock_folder(folder_);
  if (!lock) return lock.error();
  return write_durable(folder_ + "/" + to_hex(kernels::blake3(as_bytes(address)).view()) + ".key",
                       pool_key.view());
}

Result<std::string> KnownPools::write_evidence(const Digest& pool_key, const SignedHead& known,
                                               const SignedHead& now) const {
  if (!folder_.empty()) {
    if (const Status made = make_folder(folder_); !made) return made.error();
  }
  const std::string path = (folder_.empty() ? "" : folder_ + "/") + to_hex(pool_key.view()) + "-" +
                           std::to_string(std::min(known.seq, now.seq)) + ".proof";
  // The earlier record first.
  const bool in_order = known.seq <= now.seq;
  const Status written =
      write_durable(path, write_equivocation(pool_key, {.head = in_order ? &known : &now},
                                             {.head = in_order ? &now : &known}));
  if (!written) return written.error();
  return path;
}

}  // namespace gemmine::verifier
