// The coin: whether a share is audited, and how, is drawn after it was logged, from a secret that
// was committed to before (PROTOCOL 7.1, 7.2).
#pragma once

#include "kernels/base/bytes.h"
#include "verifier/records/job.h"
#include "verifier/records/records.h"

namespace gemmine::verifier {

// The pool derives every lease's secret from its master secret and the lease's serial number.
Digest lease_secret(const Digest& pool_master, uint64_t serial);
// What the lease says of its secret while that is still hidden.
Digest coin_commit(const Digest& secret);
// The seed of all draws about a share. Whoever learns the secret (LEASE_CLOSED) can derive it again
// (PROTOCOL 7.7).
Digest challenge_seed(const Digest& secret, const Digest& share_id);

uint64_t draw(const Digest& seed, uint32_t number);  // R(i)
// Uniform in [0, count). count > 0.
uint64_t pick(const Digest& seed, uint32_t number, uint64_t count);

// PROTOCOL 7.2. valid_shares_of_key: its shares with a valid verdict when this one was logged.
AuditKind audit_kind(const AuditPolicy& policy, const Digest& seed, uint32_t valid_shares_of_key);

}  // namespace gemmine::verifier
