// Where the relay's two threads meet: the server says which blobs are wanted, the loop says how far
// they are. The one state that both see; everything else belongs to one of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

#include "kernels/base/bytes.h"

namespace gemmine::pool {

inline constexpr size_t kWantedMax = 256;           // blobs that are not here, wanted or refused
inline constexpr uint64_t kRefusalLastsMs = 5'000;  // before the pool, or our disk, is asked again

class Desk {
 public:
  enum class Where : uint8_t {
    coming,   // the loop fetches it; also where a blob is that just came
    absent,   // the pool has none of this address
    no_room,  // our disk, or what we may take of it
    no_pool,  // none is connected
    busy,     // too many are wanted
  };
  struct Answer {
    Where where = Where::coming;
    uint64_t have = 0;  // bytes, while it is coming
  };
  struct Counts {
    std::atomic<uint64_t> from_pool{0};  // bytes of blobs
    std::atomic<uint64_t> sent{0};       // bytes of blobs and trees
    std::atomic<uint64_t> blobs{0};      // that came
    std::atomic<uint64_t> requests{0};
    std::atomic<uint64_t> damaged{0};  // blobs that our disk had not kept
  };

  // on_wanted: a blob for the loop to fetch; from any thread, and never with a lock held.
  explicit Desk(std::function<void(const Digest&)> on_wanted) : on_wanted_(std::move(on_wanted)) {}

  // The server's: a blob that is not in the folder.
  Answer want(const Digest& address, uint64_t now_ms);

  // The loop's.
  void connected(bool yes);
  void progress(const Digest& address, uint64_t have);
  void came(const Digest& address);
  void refused(const Digest& address, Where why, uint64_t now_ms);

  bool is_connected() const;
  Counts counts;

 private:
  struct Wanted {
    Answer answer;
    uint64_t until_ms = UINT64_MAX;  // of a refusal
  };
  const std::function<void(const Digest&)> on_wanted_;
  mutable std::mutex mutex_;
  bool connected_ = false;
  std::map<Digest, Wanted> wanted_;
};

}  // namespace gemmine::pool
