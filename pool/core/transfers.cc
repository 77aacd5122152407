#include "pool/core/transfers.h"

#include "pool/core/answers.h"
#include "pool/core/garbage.h"
#include "verifier/merge/delta.h"

namespace gemmine::pool {

using verifier::LeaseState;
using verifier::RecordKind;

namespace {

uint64_t delta_bytes_of(const PoolState& pool, const verifier::Lease& lease) {
  return verifier::delta_bytes(pool.work_of(lease).program().parameters());
}

void upload_failed(PoolState& pool, const Digest& lease_id, const std::string& why) {
  pool.out.note("upload_failed", {{"lease", short_hex(lease_id)}, {"reason", why}}, Level::error);
}

void finish(PoolState& pool, const LeaseState& state, const Uploads::Upload& upload) {
  GEMMINE_CHECK(upload.whole());
  pool.out.disk.emplace_back(
      FinishDelta{.lease_id = state.lease.id,
                  .root = upload.root,
                  .parameters = pool.work_of(state.lease).program().parameters(),
                  .delta_max = pool.work_of(state.lease).job().audit.delta_max});
}

}  // namespace

void take_part(PoolState& pool, const Sender& from, const Incoming& incoming, Part& part) {
  const uint64_t total_bytes = incoming.total_bytes;
  const GroupRange range = range_of(part);
  if (part.total_bytes != total_bytes || !range.is_in(total_bytes) ||
      part.bytes.size() != range.bytes(total_bytes))
    return pool.refuse(from.id, from.seq, incoming.wrong,
                       (incoming.have.challenge == kDelta ? "the delta has " : "the answer has ") +
                           std::to_string(total_bytes) + " bytes");
  const auto begun = pool.uploads.begin(incoming.id, incoming.root, total_bytes);
  if (!begun)
    return pool.refuse(from.id, from.seq, WireError::busy, begun.error().detail, 2 * kDiskBehindMs);
  Uploads::Upload& upload = *begun.value();
  GEMMINE_CHECK(upload.had <= upload.taken && upload.taken <= groups_of(total_bytes));
  if (range.first + range.count <= upload.taken)
    return pool.out.send(from.id,
                         Have{incoming.have.lease_id, incoming.have.challenge, upload.had});
  if (range.first != upload.taken)
    return pool.refuse(from.id, from.seq, WireError::out_of_order,
                       "group " + std::to_string(upload.taken) + " comes next", kOutOfOrderMs);
  if (upload.waiting >= kPartsWaitingMax)
    return pool.refuse(from.id, from.seq, WireError::busy, "too many parts at once", kOutOfOrderMs);
  if (!wait_for_disk(pool, from, part.bytes.size())) return;
  upload.taken += range.count;
  ++upload.waiting;
  pool.out.disk.emplace_back(StorePart{from, incoming.id, incoming.root, std::move(part)});
}

bool wait_for_disk(PoolState& pool, const Sender& from, uint64_t bytes) {
  const Status room = pool.uploads.wait_for_disk(bytes);
  if (!room) pool.refuse(from.id, from.seq, WireError::busy, room.error().detail, kDiskBehindMs);
  return room.ok();
}

void on_upload(PoolState& pool, const Peer& peer, Upload& upload, uint32_t seq) {
  const LeaseState* const state = pool.lease(upload.lease_id);
  if (state == nullptr || state->lease.miner_key != peer.key)
    return pool.refuse(peer.id, seq, WireError::unknown_lease, "not a lease of this key");
  if (upload.challenge != kDelta) return on_answer_part(pool, peer, upload, seq);
  if (const auto* const receipt = pool.book.receipts().delta(upload.lease_id))
    return pool.out.send(peer.id, DeltaOk{upload.lease_id, *receipt});
  if (state->closed)
    return pool.refuse(peer.id, seq, WireError::lease_closed, "the lease is closed");
  if (state->shares.size() != state->lease.shares())
    return pool.refuse(peer.id, seq, WireError::out_of_order,
                       "the delta comes after the last share", kDiskBehindMs);
  take_part(pool, {peer.id, seq},
            {.id = upload.lease_id,
             .root = state->shares.back().share.delta_root,
             .total_bytes = delta_bytes_of(pool, state->lease),
             .have = {upload.lease_id, kDelta, 0},
             .wrong = WireError::bad_delta},
            upload.part);
}

Uploads::Upload* part_stored(PoolState& pool, const PartStored& done, WireError wrong) {
  Uploads::Upload* const upload = pool.uploads.find(done.lease_id);
  if (upload == nullptr || upload->waiting == 0) return nullptr;  // of no use meanwhile
  --upload->waiting;
  if (done.stored == Stored::yes) {
    GEMMINE_CHECK(done.had <= groups_of(upload->total_bytes));
    upload->had = done.had;
    return upload;
  }
  // What was taken after it has a gap before it now.
  upload->taken = upload->had;
  if (done.stored == Stored::later) return nullptr;
  const bool refused = done.stored == Stored::refused;
  if (!refused) upload_failed(pool, done.lease_id, done.why);
  pool.refuse(done.from.id, done.from.seq, refused ? wrong : WireError::internal,
              refused ? done.why : kDiskInTrouble, refused ? 0 : kDiskFailedMs);
  return nullptr;
}

void on_part_stored(PoolState& pool, const PartStored& done) {
  pool.uploads.waited_for_disk(done.bytes);
  if (on_answer_stored(pool, done)) return;
  Uploads::Upload* const upload = part_stored(pool, done, WireError::bad_delta);
  if (upload == nullptr) return;
  const LeaseState& state = pool.known_lease(done.lease_id);
  pool.tell_miner(state.lease.miner_key, Have{done.lease_id, kDelta, upload->had});
  if (upload->whole()) finish(pool, state, *upload);
}

void on_delta_finished(PoolState& pool, const DeltaFinished& done, uint64_t now) {
  if (on_answer_finished(pool, done, now)) return;
  Uploads::Upload* const upload = pool.uploads.find(done.lease_id);
  if (upload == nullptr) return;  // the lease was closed meanwhile
  const Digest key = pool.known_lease(done.lease_id).lease.miner_key;
  if (done.stored == Stored::failed) {
    // The file is still there, whole: its last group, sent again, tries again.
    upload_failed(pool, done.lease_id, done.why);
    upload->had = upload->taken = groups_of(upload->total_bytes) - 1;
    return pool.tell_miner(key, Have{done.lease_id, kDelta, upload->had});
  }
  const Digest root = upload->root;
  pool.uploads.forget(done.lease_id);  // the file has its name, or is gone
  if (done.stored == Stored::later) {
    upload_failed(pool, done.lease_id, done.why);
    return pool.tell_miner(key, Have{done.lease_id, kDelta, 0});
  }
  if (done.stored == Stored::refused) {
    for (const ConnId id : pool.sessions.of_miner(key))
      pool.refuse(id, 0, WireError::bad_delta, done.why);
    return;
  }
  const auto logged = pool.book.append(
      RecordKind::delta, verifier::encode(verifier::DeltaBody{done.lease_id, root}), now);
  if (!logged) return upload_failed(pool, done.lease_id, logged.error().detail);
  pool.tell_miner(key, DeltaOk{done.lease_id, logged.value()});
  pool.due.complete.insert(done.lease_id);
}

void say_have(PoolState& pool, ConnId to, const Digest& lease_id) {
  const Uploads::Upload* const upload = pool.uploads.find(lease_id);
  if (upload != nullptr) pool.out.send(to, Have{lease_id, kDelta, upload->had});
}

void drop_upload(PoolState& pool, const Digest& lease_id) {
  const Uploads::Upload* const upload = pool.uploads.find(lease_id);
  if (upload == nullptr) return;
  const Digest root = upload->root;
  pool.uploads.forget(lease_id);
  pool.out.disk.emplace_back(DropUpload{lease_id});
  // It may be becoming a blob right now.
  drop_unneeded(pool, root);
}

void take_up_uploads(PoolState& pool, const std::map<Digest, uint64_t>& half_deltas) {
  for (const auto& [id, bytes] : half_deltas) {
    const LeaseState* const state = pool.lease(id);
    const bool wanted = state != nullptr && !state->closed && !state->delta_root &&
                        state->shares.size() == state->lease.shares() &&
                        pool.room(state->lease.job_id) != nullptr;
    const uint64_t total = wanted ? delta_bytes_of(pool, state->lease) : 0;
    const auto begun = wanted && bytes <= total
                           ? pool.uploads.begin(id, state->shares.back().share.delta_root, total)
                           : Result<Uploads::Upload*>(Error{Errc::invalid, "of no use"});
    if (!begun) {
      pool.out.disk.emplace_back(DropUpload{id});
      continue;
    }
    Uploads::Upload& upload = *begun.value();
    upload.had = upload.taken = bytes == total ? groups_of(total) : bytes / kGroupBytes;
    if (upload.whole()) finish(pool, *state, upload);
  }
}

}  // namespace gemmine::pool
