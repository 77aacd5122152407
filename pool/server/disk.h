// What goes to and from the disk in bulk, beside the loop: half uploads in, parts of blobs
// out. Two threads: one for parts, so that nobody waits for a whole blob to be read or
// synced, which is the other's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "pool/core/actions.h"
#include "pool/net/side_thread.h"
#include "pool/server/blob_server.h"
#include "pool/store/blob_reader.h"
#include "pool/store/intake.h"

namespace gemmine::pool {

// Everything is the loop's, but what the threads do. Memory: what core/uploads.h lets wait for the
// disk (128 MiB), what blob_server.h lets wait for peers (128 MiB, and 256 KiB a connection), and
// trees at hand (64 MiB).
class Disk {
 public:
  struct Peers {
    std::function<size_t(ConnId)> queued_bytes;
    std::function<uint64_t(ConnId)> received_bytes;
    std::function<std::string(ConnId)> address;
    std::function<void(ConnId, const BlobPart&)> send;
    std::function<void(ConnId, const ErrorMessage&)> refuse;
    std::function<void(ConnId, const std::string& reason)> hang_up;
  };
  // blobs: the folder. Errors: io.
  static Result<std::unique_ptr<Disk>> start(Loop& loop, const std::string& blobs, Peers peers,
                                             std::function<void(const DiskDone&)> on_done,
                                             std::function<uint64_t()> now);

  // Bytes of half deltas that an earlier process left, by lease.
  std::map<Digest, uint64_t> half_deltas() const { return intake_.half_deltas(); }
  void post(DiskTask task);
  bool idle() const { return quick_.waiting() == 0 && slow_.waiting() == 0; }

  void ask(ConnId id, uint32_t seq, const GetBlob& get) { server_.ask(id, seq, get, now_()); }
  void on_drained(ConnId id) { server_.on_drained(id); }
  void forget(ConnId id) { server_.forget(id); }
  void on_tick() { server_.on_tick(now_()); }

 private:
  Disk(Loop& loop, Intake intake, const std::string& blobs, Peers peers,
       std::function<void(const DiskDone&)> on_done, std::function<uint64_t()> now);
  void post_to(SideThread& thread, std::unique_ptr<DiskTask> kept);
  void read(ConnId id, uint32_t seq, const GetBlob& get, bool may_make_tree);

  const std::function<void(const DiskDone&)> on_done_;
  const std::function<uint64_t()> now_;
  const Intake intake_;
  BlobReader reader_;  // quick_'s
  BlobServer server_;
  SideThread quick_;  // last: their threads end first
  SideThread slow_;
};

}  // namespace gemmine::pool
