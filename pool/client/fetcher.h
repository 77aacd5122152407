// Content-addressed blobs: streamed from the pool, every part checked before it is kept, cached.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/client/session.h"
#include "pool/wire/messages.h"

namespace gemmine::pool {

inline constexpr uint64_t kGroupBytes = 64 << 10;  // PROTOCOL 5.2, GET_BLOB
inline constexpr uint32_t kGroupsPerPart = 8;      // 512 KiB in a message
inline constexpr uint32_t kPartsInFlight = 4;      // asked for and not there yet
inline constexpr size_t kFetchesMax = 16;

class Fetcher {
 public:
  struct Progress {
    uint64_t done = 0;
    uint64_t total = 0;  // 0 until the first part came
  };
  using OnDone = std::function<void(Result<Bytes>)>;
  using OnProgress = std::function<void(const Digest& address, Progress)>;

  // folder: the cache, one file per blob named by its address. Made when missing.
  Fetcher(Session& session, std::string folder, OnProgress on_progress);

  // bytes: what the blob must have; anything else is refused before it is stored. on_done comes at
  // once when the blob is cached (its address is checked again), else from the loop.
  // A fetch survives reconnects; asking twice for one blob answers both.
  void fetch(const Digest& address, uint64_t bytes, OnDone on_done);

  void on_ready();  // after a reconnect: asks again for what is missing
  void on_blob(const BlobPart& blob);
  void on_error(const ErrorMessage& error);  // unknown_blob ends the fetches that are under way

 private:
  struct Fetch {
    uint64_t bytes = 0;
    Bytes data;
    std::vector<bool> have;  // by part
    uint32_t asked = 0;      // parts asked for on this connection
    uint32_t received = 0;
    std::vector<OnDone> waiting;
  };

  uint32_t parts(const Fetch& fetch) const;
  void take(const BlobPart& blob, Fetch& fetch);
  void ask_more(const Digest& address, Fetch& fetch);
  void finish(const Digest& address, const Result<Bytes>& result);
  std::string path(const Digest& address) const;

  Session& session_;
  const std::string folder_;
  const OnProgress on_progress_;
  std::map<Digest, Fetch> fetches_;
};

}  // namespace gemmine::pool
