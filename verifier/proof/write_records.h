// Writes the proofs that are made of what a pool signed and logged (PROTOCOL 12.8 – 12.10).
#pragma once

#include <span>
#include <vector>

#include "verifier/proof/evidence.h"
#include "verifier/proof/proof.h"
#include "verifier/proof/write.h"

namespace gemmine::verifier {

// Kind 7. A secret that does not open its lease's commitment; two leases that share what they may
// not.
Bytes write_wrong_secret(const Lease& lease, const Statement& close);
Bytes write_used_twice(const Lease& one, const Lease& other);
// A complete lease as it is logged: the records of all its shares, in order, and of its end.
struct LeaseRecords {
  const Lease& lease;
  std::vector<const Statement*> shares;
  const Statement* close = nullptr;
};
// A challenge that the lease's own coin, or the draw of its batch, does not give. leases: all of
// the batch, in the order they were closed.
Bytes write_wrong_challenge(const LeaseRecords& lease, const Statement& challenge);
Bytes write_wrong_ticket(const Work& work, const Statement& draw,
                         std::span<const LeaseRecords> leases, const Statement& challenge);
Bytes write_wrong_redraw(const Digest& pool_key, const Statement& draw, const Statement& redraw);

// Kind 8. `proof` is one of kinds 1 to 3 about the verdict's lease. digests: of the share's steps,
// as the miner sent them.
Bytes write_false_valid(const Verdict& verdict, ByteView proof);
Bytes write_false_invalid(const Verdict& verdict, const AccusedShare& share,
                          std::span<const Digest> digests);
// The verdict says what a replay got of this share, or that it found the lease valid, whose last it
// is.
Bytes write_doubted_verdict(const Verdict& verdict, const AccusedShare& share);
// The job was stopped where this lease is said to diverge.
Bytes write_doubted_stop(const Work& work, const Lease& lease, const Statement& stop);

// Kind 9. records: all that follow the challenge, to the first after its time; `last` is the
// signature of the head after that one.
Bytes write_silence(const Lease& lease, const Statement& challenge, std::span<const Record> records,
                    const Signature& last);
// answer: null when the verdict came before its time.
Bytes write_denied(const Digest& pool_key, const Statement& challenge, const Statement* answer,
                   const Statement& verdict);

}  // namespace gemmine::verifier
