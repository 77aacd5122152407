// What miners send in bulk, on its way to disk (PROTOCOL 5.6). Bytes pass through; what is kept
// here is how far each upload is.
#pragma once

#include <map>

#include "pool/core/state.h"

namespace gemmine::pool {

inline constexpr uint32_t kOutOfOrderMs = 200;  // until what is on its way has arrived
inline constexpr uint32_t kDiskBehindMs = 1'000;
inline constexpr uint32_t kDiskFailedMs = 5'000;
// What a peer is told then; which file, and why, is in the pool's own log.
inline constexpr const char* kDiskInTrouble = "the pool's disk is in trouble";

// Room for so many bytes among what waits for the disk. False: the sender was told to come back.
bool wait_for_disk(PoolState& pool, const Sender& from, uint64_t bytes);

// What is uploaded: a delta, or an answer under a name of its own.
struct Incoming {
  Digest id;  // of the upload
  Digest root;
  uint64_t total_bytes = 0;
  Have have;  // what its sender is told, but for the count
  WireError wrong = WireError::bad_delta;
};
// A part of it, in its turn.
void take_part(PoolState& pool, const Sender& from, const Incoming& incoming, Part& part);
// The upload, when a part more of it is on disk; null when it is not, and its sender was told.
Uploads::Upload* part_stored(PoolState& pool, const PartStored& done, WireError wrong);

void on_upload(PoolState& pool, const Peer& peer, Upload& upload, uint32_t seq);
void on_part_stored(PoolState& pool, const PartStored& done);
void on_delta_finished(PoolState& pool, const DeltaFinished& done, uint64_t now);

// How far a half upload of the lease is, to a miner that came back.
void say_have(PoolState& pool, ConnId to, const Digest& lease_id);
// Half of a delta: of no use when the lease is closed.
void drop_upload(PoolState& pool, const Digest& lease_id);
void take_up_uploads(PoolState& pool, const std::map<Digest, uint64_t>& half_deltas);

}  // namespace gemmine::pool
