// Deltas and answers on their way to the pool: in order, a window at a time, from where the pool
// says it has them (PROTOCOL 5.6).
//
// They are read from disk part by part; no more than the window (4 MiB) of them is in memory or
// in a queue, so that a share or a ping waits for that much at most. The window begins small, grows
// while the pool is quick and shrinks when it is late. Answers go before deltas: they have the
// shorter deadline.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <string>

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
    // The pool has all of it, and looks at it now.
    std::function<void(const Digest& lease_id, uint64_t challenge)> on_sent;
    // The pool will not have it, or our file cannot be read; the upload is over.
    std::function<void(const Digest& lease_id, uint64_t challenge, const std::string& reason)>
        on_refused;
  };
  Uploader(MessageSink& sink, Owner owner) : sink_(sink), owner_(std::move(owner)) {}

  // The file at `path` with its PATH.tree: the lease's delta (kDelta), or the answer to a
  // challenge. Does nothing when it is on its way already. Errors: those of PartReader::open.
  Status send(const Digest& lease_id, uint64_t challenge, const std::string& path,
              const Digest& root, uint64_t now_ms);
  // Drops what is of no use any more.
  void keep_if(const std::function<bool(const Digest& lease_id, uint64_t challenge)>& wanted);

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
    uint64_t end = 0;  // groups that are had when it arrived
    size_t bytes = 0;
    uint64_t sent_ms = 0;
  };
  struct Sending {
    Digest lease_id;
    uint64_t challenge = kDelta;
    PartReader file;
    uint64_t groups = 0;         // in all
    uint64_t had = 0;            // by the pool, from the first
    uint64_t sent = 0;           // on this connection, from the first
    uint64_t wait_until_ms = 0;  // the pool was busy
    std::deque<Flight> flights;
  };

  Sending* find(const Digest& lease_id, uint64_t challenge);
  void go_on(uint64_t now_ms);
  bool send_next(Sending& sending, uint64_t now_ms);
  void again(Sending& sending);
  void land(Sending& sending, uint64_t now_ms);
  void drop(const Digest& lease_id, uint64_t challenge);

  MessageSink& sink_;
  const Owner owner_;
  std::list<Sending> uploads_;  // in the order of sending: answers first
  size_t window_ = kUploadWindowMin;
  size_t in_flight_ = 0;
};

}  // namespace gemmine::pool
