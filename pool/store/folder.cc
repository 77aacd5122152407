#include "pool/store/folder.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <unistd.h>

#include "kernels/base/check.h"
#include "kernels/base/files.h"
#include "pool/store/evaluations.h"
#include "pool/store/sqlite_store.h"

namespace gemmine::pool {
namespace {

struct FolderPart {
  std::string_view name;
  std::string_view means;  // for whoever has lost it
};
constexpr FolderPart kParts[] = {
    {"ledger.sqlite", "the ledger: who did and owns what"},
    {"pool.key", "the key that signed the ledger; with another one it is another pool"},
    {"tls.pem", "the certificate that miners pin"},
    {"blobs", "the folder of data and models"},
};

bool there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

std::string place(const std::string& data, const FolderPart& part) {
  return data + "/" + std::string(part.name);
}

bool is_empty_folder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_empty(path, error) && !error;
}

Error missing(const std::string& data, const FolderPart& part) {
  std::string text = data + " lacks " + std::string(part.name) + " (" + std::string(part.means) +
                     "). Restore it from your copy of this folder";
  if (part.name == "tls.pem")
    text += ". If there is none: `gemmine-pool init --data " + data +
            " --new-tls` makes another, and every miner needs the new pin";
  return Error{Errc::invalid, text};
}

// Blobs by their names, without their trees and what is half written.
std::vector<std::string> blob_names(const std::string& data) {
  std::vector<std::string> out;
  std::error_code error;
  for (std::filesystem::directory_iterator at(blobs_path(data), error), end; !error && at != end;
       at.increment(error)) {
    std::string name = at->path().filename().string();
    if (name.size() == 2 * sizeof(Digest) && name.find('.') == std::string::npos)
      out.push_back(std::move(name));
  }
  return out;
}

Result<Keys> read_keys(const std::string& data) {
  const auto seed = load_secret(data + "/pool.key");
  if (!seed) return seed.error();
  auto tls = load_or_make_identity(data);
  if (!tls) return tls.error();
  return Keys{verifier::Identity::from_seed(seed.value()), std::move(tls.value())};
}

// Everything but the ledger, as far as it is not there.
Status make_parts(const std::string& data) {
  if (const Status made = make_folder(blobs_path(data)); !made) return made;
  if (const auto secret = load_or_make_secret(data + "/pool.key"); !secret) return secret.error();
  const auto tls = load_or_make_identity(data);
  return tls ? Status(Ok{}) : Status(tls.error());
}

}  // namespace

Result<FolderLock> lock_folder(const std::string& data) {
  return FolderLock::take(data, "gemmine-pool");
}

Result<FolderLock> lock_blobs(const std::string& data) {
  // What strangers send is what two pools would take from each other.
  const std::string incoming = blobs_path(data) + "/incoming";
  if (const Status made = make_folder(incoming); !made) return made.error();
  return FolderLock::take(incoming, "gemmine-pool");
}

Status check_parts(const std::string& data) {
  const FolderPart* lost = nullptr;
  size_t found = 0;
  for (const FolderPart& part : kParts) {
    if (there(place(data, part))) {
      ++found;
    } else if (lost == nullptr) {
      lost = &part;
    }
  }
  if (lost == nullptr) return Ok{};
  if (found > 0) return missing(data, *lost);
  return Error{
      Errc::io,
      data + (there(data) ? ": nothing of a pool is in this folder" : ": there is no such folder") +
          ". For a new pool: gemmine-pool init --data " + data +
          " (if it was a pool, its disk may not be mounted)"};
}

Result<Keys> init_folder(const std::string& data) {
  if (const Status made = make_folder(data); !made) return made.error();
  const auto lock = lock_folder(data);
  if (!lock) return lock.error();
  if (!there(ledger_path(data))) {
    for (const FolderPart& part : kParts) {
      const std::string path = place(data, part);
      if (there(path) && !is_empty_folder(path)) return missing(data, kParts[0]);
    }
    const auto made = SqliteStore::make(ledger_path(data));
    if (!made) return made.error();
  } else if (!check_parts(data)) {
    const auto store = SqliteStore::open(ledger_path(data));
    if (!store) return store.error();
    const auto records = store.value()->size();
    if (!records) return records.error();
    if (records.value() > 0) return check_parts(data).error();
    if (const Status none = check_nothing_began(data, {}); !none) return none.error();
  }
  if (const Status made = make_parts(data); !made) return made.error();
  return read_keys(data);
}

Result<Keys> load_keys(const std::string& data) {
  if (const Status whole = check_parts(data); !whole) return whole.error();
  return read_keys(data);
}

Status check_keys(const Keys& keys, const verifier::LedgerState& state) {
  if (state.next_seq() == 0) return Ok{};
  if (state.pool_key() != keys.identity.public_key())
    return Error{Errc::invalid, "the ledger belongs to another pool key than pool.key: pool " +
                                    to_hex(state.pool_key().bytes) + " signed it"};
  return Ok{};
}

Status check_nothing_began(const std::string& data, std::span<const Digest> own) {
  std::string found;
  for (const std::string& name : blob_names(data)) {
    const auto is_it = [&](const Digest& blob) { return to_hex(blob.bytes) == name; };
    if (std::ranges::none_of(own, is_it)) found = "blobs/" + name;
  }
  for (const EvaluateDone& done : read_evaluations(evaluations_path(data))) {
    if (done.round > 0) found = "the evaluation of round " + std::to_string(done.round);
  }
  if (found.empty()) return Ok{};
  return Error{
      Errc::invalid,
      data + ": a part is missing: ledger.sqlite knows of no job, yet there is " + found +
          ". A copy of ledger.sqlite needs the ledger.sqlite-wal that was beside it; of a "
          "pool that runs, only `gemmine-pool backup` makes a copy that is whole. Restore "
          "one; if no miner has ever worked for this pool, empty its blobs folder instead"};
}

Result<Keys> renew_certificate(const std::string& data) {
  if (!there(ledger_path(data))) return check_parts(data).error();
  const auto lock = lock_folder(data);
  if (!lock) return lock.error();
  const std::string path = data + "/tls.pem";
  if (there(path)) {
    if (std::rename(path.c_str(), (path + ".old").c_str()) != 0)
      return io_error("cannot rename", path);
  }
  if (const auto made = load_or_make_identity(data); !made) return made.error();
  return load_keys(data);
}

Result<verifier::LedgerState> read_ledger(const std::string& data) {
  auto store = SqliteStore::open_to_read(ledger_path(data));
  if (!store) return store.error();
  verifier::LedgerState state;
  if (const Status folded = fold(*store.value(), state); !folded) return folded.error();
  return state;
}

}  // namespace gemmine::pool
