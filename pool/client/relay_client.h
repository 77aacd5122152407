// Blobs from a farm's relay in place of the pool (PROTOCOL 14). Nothing that it says is believed:
// the tree that it names must have the blob's address as its root, and each part must be in it.
//
// A relay that is gone, slow or wrong is left alone for a while, longer each time; what it did not
// bring is left to the owner. One that brings a blob is trusted with the next one at once.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/hash/opening.h"
#include "pool/client/upstreams.h"
#include "pool/net/http_get.h"
#include "pool/net/loop.h"
#include "pool/wire/http.h"
#include "pool/wire/parts.h"

namespace gemmine::pool {

// Over this time a relay must bring so much a second of a blob that it has; or come so far itself
// with one that it has not. Slower, and the pool is asked.
inline constexpr uint64_t kRelayWindowMs = 10'000;
inline constexpr uint64_t kRelaySendMin = uint64_t{128} << 10;  // bytes a second
inline constexpr uint64_t kRelayComeMin = uint64_t{16} << 10;   // bytes a second
inline constexpr uint64_t kRelayAskMs = 1'000;  // how often we ask for what is on its way

class RelayClient {
 public:
  // They come from the loop, never out of a call of ours; each may call this class.
  struct Owner {
    // The next part of the blob, from the group that get() named on. It is of the tree that the
    // address names, unless the owner's own check (PartWriter::take) says it is not: then its error
    // is malformed or invalid, and the relay is wrong. After any other error the owner drops it.
    std::function<Status(const Digest& address, const Part& part)> on_part;
    std::function<void(const Digest& address)> on_left;  // the relay brings no more of it
    // It is not asked for retry_ms. Told once, until it has brought a blob again.
    std::function<void(const std::string& reason, uint64_t retry_ms)> on_lost;
    std::function<void()> on_back;
  };
  RelayClient(Loop& loop, HttpAddress relay, Owner owner);

  bool usable() const;  // now
  // A blob of so many bytes, at most kBlobBytesMax, from a group on that it has. Not one that is on
  // its way. Memory: its tree (64 bytes for each 64 KiB) and a part.
  void get(const Digest& address, uint64_t bytes, uint64_t from_group);
  void drop(const Digest& address);

 private:
  struct Download {
    Download(RelayClient& client, const Digest& address, uint64_t bytes, uint64_t from_group);
    const Digest address;
    const uint64_t bytes;
    uint64_t groups;                         // that the owner has, from the first
    std::optional<kernels::ChunkTree> tree;  // of more than one group
    Bytes gathered;                          // of the tree, or of the next part
    std::unique_ptr<HttpGet> request;
    bool coming = false;         // the relay has not all of it yet
    uint64_t progress = 0;       // bytes that came here, or to the relay
    uint64_t progress_then = 0;  // when the window began
    bool over = false;
    Timer ask;
    Timer window;
  };
  enum class Fault : uint8_t { none, gone, wrong };

  void ask(Download& download);
  void on_head(Download& download, const HttpHead& head);
  void on_body(Download& download, ByteView bytes);
  void on_end(Download& download, const Status& status);
  void on_window(Download& download);
  bool take_tree(Download& download);
  void take_parts(Download& download);
  void leave(Download& download, Fault fault, const std::string& reason);
  void retire(Download& download);

  Loop& loop_;
  const HttpAddress relay_;
  const Owner owner_;
  Upstreams upstream_{1};
  bool told_ = false;
  std::list<Download> downloads_;
  Timer reaper_;  // downloads end inside their own callbacks, and go after them
};

}  // namespace gemmine::pool
