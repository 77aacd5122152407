// Content-addressed blobs: fetched in parts, every part checked before it is kept. They come from
// the pool, or from a relay where there is one (PROTOCOL 14), and from the pool when that fails.
//
// A blob grows in FOLDER/ADDRESS.part and is read again whole, on a thread of its own, before it
// gets its name; one that is in the folder already is read and checked there too. So the loop's
// thread hashes one part (256 KiB) at a time. A few blobs are on their way at once; what is asked
// for beyond that waits in line. Memory: one part, and a blob while its owner is told.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/blobs/part_writer.h"
#include "pool/client/message_sink.h"
#include "pool/client/relay_client.h"
#include "pool/net/side_thread.h"

namespace gemmine::pool {

inline constexpr uint32_t kPartsInFlightMax = 4;  // of a blob, asked for and not there yet
inline constexpr size_t kFetchesAtOnceMax = 4;    // blobs on their way; 16 parts in all

class Fetcher {
 public:
  struct Progress {
    uint64_t done = 0;
    uint64_t total = 0;
  };
  using OnDone = std::function<void(Result<Bytes>)>;
  // May a blob of so many bytes come into the folder? Its error ends the fetch.
  using MayTake = std::function<Status(uint64_t bytes)>;
  using OnProgress = std::function<void(const Digest& address, Progress)>;

  // folder: the cache, one file per blob named by its address; it exists.
  Fetcher(Loop& loop, MessageSink& sink, std::string folder, OnProgress on_progress);

  // bytes: what the blob must have, at most kBlobBytesMax. on_done comes from the loop, later,
  // once. A fetch survives reconnects and goes on where a killed one stopped; asking twice for one
  // blob answers both. Errors: invalid (the blob has another length, the pool has none of this
  // address, or sends something else), io (our disk).
  void fetch(const Digest& address, uint64_t bytes, OnDone on_done);

  // The same, of a blob that is not in the folder, whose length only the pool knows: at most
  // kBlobBytesMax, and what may_take says. on_done gets no bytes: the blob is in its file.
  void bring(const Digest& address, MayTake may_take, OnDone on_done);

  // Blobs come from here as long as it is good; before anything is fetched. on_lost, on_back: as of
  // RelayClient::Owner, told to a person.
  void use_relay(const HttpAddress& relay,
                 std::function<void(const std::string& reason, uint64_t retry_ms)> on_lost,
                 std::function<void()> on_back);

  void on_ready();  // after a reconnect: asks again for what is missing
  void on_blob(const BlobPart& blob);
  void on_error(const ErrorMessage& error);  // one that answers a GET_BLOB of ours

 private:
  enum class Stage : uint8_t { cached, waiting, measuring, loading, checking };
  struct Fetch {
    uint64_t bytes = 0;  // 0 while nobody has said it (bring)
    MayTake may_take;    // of bring alone
    Stage stage = Stage::cached;
    std::optional<PartWriter> file;       // while loading
    uint64_t asked = 0;                   // groups asked for on this connection, from the first
    std::map<uint32_t, uint64_t> frames;  // GET_BLOBs under way: first group by number of frame
    bool disturbed = false;               // the pool was too busy for a part on this connection
    bool relayed = false;                 // the relay brings it
    std::vector<OnDone> waiting;
  };

  std::string path(const Digest& address) const;
  void load(const Digest& address, Fetch& fetch);
  void measure(const Digest& address, Fetch& fetch);
  void on_measured(const BlobPart& blob, Fetch& fetch);
  bool take_notice(const Digest& address, Fetch& fetch);
  void look_in_cache(const Digest& address, uint64_t bytes);
  void begin_waiting();
  void ask_again();
  void ask_more(const Digest& address, Fetch& fetch);
  void check(const Digest& address, Fetch& fetch);
  void finish(const Digest& address, const Result<Bytes>& result);

  Loop& loop_;
  MessageSink& sink_;
  const std::string folder_;
  const OnProgress on_progress_;
  std::map<Digest, Fetch> fetches_;
  std::list<Digest> line_;  // waiting, in the order of asking
  size_t loading_ = 0;
  Timer retry_;
  std::unique_ptr<RelayClient> relay_;
  SideThread side_;  // last: its results come to what is above
};

}  // namespace gemmine::pool
