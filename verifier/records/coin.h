// The coins: which leases are audited, and how, is drawn after they were logged, from secrets that
// were committed to before (PROTOCOL 7.1, 7.2, 13).
//
// A lease has a secret of its own: the immediate coin is tossed with it when the lease is whole. A
// batch has two, s0 and s1 = coin_commit(s0), committed to by batch_commit = coin_commit(s1): s1
// draws the batch's tickets, s0 the silent ticket that is replayed.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kernels/base/bytes.h"
#include "verifier/records/job.h"
#include "verifier/records/records.h"

namespace gemmine::verifier {

// What is said of a secret while it is still hidden.
Digest coin_commit(const Digest& secret);

uint64_t draw(const Digest& seed, uint32_t number);  // R(i)
// Uniform in [0, count). count > 0.
uint64_t pick(const Digest& seed, uint32_t number, uint64_t count);

// Seed of a lease's immediate coin. share_ids: of all its shares, in order.
Digest immediate_seed(const Digest& lease_secret, std::span<const Digest> share_ids);
// Whether a lease is audited before it may be complete. right_leases: those of its key in the job
// that were found right since one was found wrong, when its delta was logged.
bool audited_at_once(const AuditPolicy& policy, const Digest& immediate_seed,
                     uint32_t right_leases);

// Seed of a batch's draw. share_ids: of all its leases in the order they were closed, each lease's
// in order.
Digest batch_seed(const Digest& s1, std::span<const Digest> share_ids);

struct Ticket {
  uint32_t lease = 0;                  // its place in the batch
  AuditKind kind = AuditKind::replay;  // or thread
  bool operator==(const Ticket&) const = default;
};
// The audits of a batch of `leases` > 0: threads first, without replacement and round and round
// when there are more than leases; then the replays, without replacement.
std::vector<Ticket> draw_tickets(const AuditPolicy& policy, uint32_t leases,
                                 const Digest& batch_seed);
// What a thread audit is drawn with: the seed in its CHALLENGE. seed: the immediate coin's (number
// 0) or the batch's (number: of the ticket among the batch's).
Digest ticket_seed(const Digest& seed, const Digest& lease_id, uint32_t number);

// Which of the batch's silent tickets is replayed. silent > 0: their number.
uint32_t silent_ticket(const Digest& s0, const Digest& batch_seed, uint32_t silent);

// Leases of a batch of `leases` that a single failed one costs: at least itself (PROTOCOL 13.6).
uint32_t fine_of(const AuditPolicy& policy, uint32_t leases);

}  // namespace gemmine::verifier
