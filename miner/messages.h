// What the pool says becomes facts of the state. Every value in a message is a stranger's.
#pragma once

#include "miner/state.h"

namespace gemmine::miner {

// Authenticated, on a new connection: the pool's jobs, and the leases that it counts as ours. State
// of another pool is left on disk, for when we come back to it.
void on_ready(State& state, const Digest& pool_key, const pool::AuthOk& said, uint64_t now_ms);
void on_down(State& state);
// Any message but BLOB, which is the fetcher's. What does not decode is told and ignored.
void on_message(State& state, pool::MessageType type, ByteView payload, uint64_t now_ms);
void on_error(State& state, const pool::ErrorMessage& error, uint64_t now_ms);
void broken_message(State& state, const std::string& what, const Error& error);

}  // namespace gemmine::miner
