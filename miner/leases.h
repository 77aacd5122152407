// Leases: held, worked on, given back, asked for. One place decides what happens next: advance().
#pragma once

#include "miner/state.h"

namespace gemmine::miner {

// How long an owner who asked for the end waits: for acknowledgements.
inline constexpr uint64_t kStopMs = 5'000;

// Starts whatever can be started now: downloads, answers, shares, resending, giving back, asking
// for a lease, ending. To be called after every change of the state, and regularly for its pauses.
void advance(State& state, uint64_t now_ms);

// A lease that the pool has just granted. Null when it is not for us, or could not be written down.
LeaseWork* take(State& state, const verifier::Lease& lease, uint64_t now_ms);
// A lease that the pool still counts as ours.
void resume(State& state, const verifier::Lease& lease, uint32_t accepted, bool delta_stored,
            uint64_t now_ms);
// Nothing more will be asked about it.
void close(State& state, const Digest& lease_id);
// It is done; a thread of it may be asked for until it is settled.
void retire(State& state, const Digest& lease_id);
// Posts to the device, if it takes more.
bool post(State& state, Task task);
// Asks for what the job is trained on, unless it is here.
void need_data(State& state, JobWork& job, uint64_t now_ms);

// The lease cannot go on here: it is given back when there is a connection.
void give_back(LeaseWork& lease, const std::string& reason);

// Something could not be written. Said once, and looked at again with growing pauses.
void disk_trouble(State& state, const std::string& reason, uint64_t now_ms);

// A download came to its end.
void on_fetched(State& state, const Fetch& fetch, Result<Bytes> bytes, uint64_t now_ms);

// The owner wants the program to end: what is owed first, but not for long.
void ask_to_stop(State& state, const std::string& reason, uint64_t now_ms);

// Addresses that the cache must keep.
std::vector<Digest> needed_blobs(const State& state);

}  // namespace gemmine::miner
