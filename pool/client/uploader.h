// Deltas and openings on their way to the pool: in order, a window at a time, from where the pool
// says it has them (PROTOCOL 5.6).
//
// Deltas are read from disk part by part; no more than the window (4 MiB) of them is in memory or
// in a queue, so that a share or a ping waits for that much at most. The window begins small, grows
// while answers come quickly and shrinks when they come late. Openings go before deltas, since they
// have the shorter deadline; they are in memory, at most spot_blocks times opening_bytes_max.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "pool/blobs/part_reader.h"
#include "pool/client/message_sink.h"

namespace gemmine::pool {

inline constexpr size_t kUploadWindowMin = size_t{256} << 10;  // bytes that no HAVE answered yet
inline constexpr size_t kUploadWindowMax = size_t{4} << 20;
inline constexpr size_t kUploadQueuedMax = size_t{256} << 10;  // in our own queue, before we wait
inline constexpr uint64_t kUploadQuickMs = 250;     // an answer within it lets the window grow
inline constexpr uint64_t kUploadLateMs = 1'000;    // one after it makes it shrink
inline constexpr uint64_t kUploadStallMs = 60'000;  // without an answer: again from what is had

class Uploader {
 public:
  // All uploads are of one pool. The callbacks may call the uploader again.
  struct Owner {
    // All blocks of an answer are with the pool.
    std::function<void(const Digest& lease_id, uint32_t share)> on_answered;
    // The pool will not have it, or our file cannot be read; the upload is over.
    std::function<void(const Digest& lease_id, uint32_t share, const std::string& reason)>
        on_refused;
  };
  Uploader(MessageSink& sink, Owner owner) : sink_(sink), owner_(std::move(owner)) {}

  // The file at `path` with its PATH.tree. Does nothing when it is on its way already.
  // Errors: those of PartReader::open.
  Status send_delta(const Digest& lease_id, const std::string& path, const Digest& root,
                    uint64_t now_ms);
  // By block, at least one, each of at most verifier::kOpeningBytesMax. Replaces an earlier answer.
  void send_openings(const Digest& lease_id, uint32_t share, std::vector<Bytes> openings,
                     uint64_t now_ms);
  // Drops what is of no use any more.
  void keep_if(const std::function<bool(const Digest& lease_id, uint32_t share)>& wanted);

  void on_have(const Have& have, uint64_t now_ms);
  // True when it was about a frame of ours.
  bool on_error(const ErrorMessage& error, uint64_t now_ms);
  void on_drained(uint64_t now_ms) { go_on(now_ms); }
  void on_tick(uint64_t now_ms);  // about once a second
  // Everything on its way is dropped: the owner sends what is still missing when it is back.
  void on_down();

  bool idle() const { return uploads_.empty(); }
  size_t window_bytes() const { return window_; }
  size_t bytes_in_flight() const { return in_flight_; }

 private:
  struct Flight {
    uint32_t seq = 0;
    uint64_t end = 0;  // units that are had when it arrived
    size_t bytes = 0;
    uint64_t sent_ms = 0;
  };
  struct Upload {
    Digest lease_id;
    uint32_t share = kDelta;
    std::optional<PartReader> file;  // of a delta
    std::vector<Bytes> openings;     // of an answer
    uint64_t units = 0;              // groups or blocks in all
    uint64_t had = 0;                // by the pool, from the first
    uint64_t sent = 0;               // on this connection, from the first
    uint64_t wait_until_ms = 0;      // the pool was busy
    std::deque<Flight> flights;
  };

  Upload* find(const Digest& lease_id, uint32_t share);
  void begin(Upload upload, uint64_t now_ms);
  void go_on(uint64_t now_ms);
  bool send_next(Upload& upload, uint64_t now_ms);
  void again(Upload& upload);
  void land(Upload& upload, uint64_t now_ms);
  void drop(const Digest& lease_id, uint32_t share);

  MessageSink& sink_;
  const Owner owner_;
  std::list<Upload> uploads_;  // in the order of sending: answers first
  size_t window_ = kUploadWindowMin;
  size_t in_flight_ = 0;
};

}  // namespace gemmine::pool
