// What the pool decides, as values: the orchestrator makes the records durable, then does the rest.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/base/bytes.h"
#include "pool/log/events.h"
#include "pool/wire/messages.h"
#include "verifier/audit/replay.h"
#include "verifier/proof/accuser.h"
#include "verifier/records/records.h"

namespace gemmine::pool {

enum class ConnId : uint64_t {};

struct Outgoing {
  ConnId to{};
  MessageType type{};
  Bytes payload;
};

struct Hangup {
  ConnId to{};
  std::string reason;
};

// Who is told what became of a frame.
struct Sender {
  ConnId id{};
  uint32_t seq = 0;  // of the frame
};

// Work for the audit threads; results come back as events.
struct ReplayTask {
  verifier::Lease lease;
  std::vector<verifier::Share> shares;  // of the lease, all that are logged
};
// Is the answer to a thread right?
struct ThreadTask {
  verifier::Lease lease;
  std::vector<verifier::Share> shares;
  uint64_t challenge = 0;  // seq of its record
  Digest seed;
  Digest address;  // the answer's, a blob
};
// The next step of a descent, from the answers so far.
struct DescentAnswer {
  uint64_t challenge = 0;  // seq of its record
  verifier::Asked what = verifier::Asked::roots;
  Digest address;  // a blob
  uint64_t bytes = 0;
  verifier::Signature signature{};
};
struct DescentTask {
  verifier::Lease lease;
  std::vector<verifier::Share> shares;  // of the lease, all that are logged
  uint32_t index = 0;                   // of the one at fault
  std::vector<DescentAnswer> answers;   // in the order of their questions
};
// Does the lease diverge at the step of which its miner says so?
struct DivergenceTask {
  verifier::Lease lease;
  std::vector<verifier::Share> shares;  // of the lease, all that are logged
  uint32_t step = 0;                    // behind them
};
// Does a file that somebody sent convict a miner?
struct ProofTask {
  Sender from;
  std::string source;  // of pool/core/proofs.h
  Bytes file;
};
struct MergeTask {
  Digest job_id;
  uint32_t round = 0;
  Digest theta_root;
  std::vector<Digest> lease_ids;    // by slot
  std::vector<Digest> delta_roots;  // by slot
  // Merged in earlier rounds and found wrong since: their deltas are taken out.
  std::vector<Digest> subtracted;  // leases, ascending
  std::vector<Digest> subtracted_roots;
};
struct EvaluateTask {
  Digest job_id;
  uint32_t round = 0;  // rounds merged into this θ
  Digest theta_root;
};
using Task = std::variant<ReplayTask, ThreadTask, DescentTask, DivergenceTask, ProofTask, MergeTask,
                          EvaluateTask>;

// A proof that was decided and is a blob.
struct ProvenFile {
  verifier::ProofFinding finding;
  Digest address;
  uint32_t bytes = 0;
};
struct ProofDone {
  Sender from;
  std::string source;
  std::optional<ProvenFile> proven;
  std::string why;      // when it is not
  bool failed = false;  // our disk's fault: nobody knows
};
// What an accuser does next; a proof is a file by then.
struct DescentNext {
  verifier::DescentStep step = {};
  std::optional<ProvenFile> proven = {};  // of `accuse`
  std::string failed = {};                // not empty: why nobody knows yet
};
struct DescentDone {
  Digest lease_id;
  DescentNext next;
};
struct AuditDone {
  Digest lease_id;
  verifier::LeaseFinding found;
  DescentNext next = {};  // where the lease is wrong
};
struct ThreadDone {
  Digest lease_id;
  uint64_t challenge = 0;
  verifier::ThreadFinding found;
  std::optional<ProvenFile> proven = {};  // of what is wrong, where it can be cut out
};
struct DivergenceDone {
  Digest lease_id;
  uint32_t step = 0;
  bool diverges = false;
  verifier::LeaseFinding shares;  // what the ones before it are; valid when there are none
  std::string failed;             // not empty: why nobody knows yet
};
struct MergeDone {
  Digest job_id;
  uint32_t round = 0;
  std::vector<Digest> lease_ids;
  std::vector<Digest> subtracted;
  Digest theta_root;   // of the next round; its blob is durable
  Digest start_root;   // verifier::start_root of it
  std::string failed;  // not empty: why it could not be merged
};
struct EvaluateDone {
  Digest job_id;
  Digest theta_root;
  uint32_t round = 0;
  uint64_t correct = 0;
  uint64_t records = 0;
  double loss = 0;
};
using TaskDone = std::variant<AuditDone, ThreadDone, DescentDone, DivergenceDone, ProofDone,
                              MergeDone, EvaluateDone>;

// What a miner sends in bulk, for the disk; what became of it comes back as an event. The pool
// looks at none of its bytes.
struct StorePart {
  Sender from;
  Digest lease_id;
  Digest root;
  Part part;
};
// A delta all of whose parts are stored: becomes a durable blob.
struct FinishDelta {
  Digest lease_id;
  Digest root;
  uint64_t parameters = 0;
  int8_t delta_max = 0;  // the job's
};
// An answer all of whose parts are stored: becomes a durable blob.
struct FinishAnswer {
  Digest upload_id;
  Digest root;
  uint64_t total_bytes = 0;
};
// Half of a delta that is of no use any more.
struct DropUpload {
  Digest lease_id;
};
// Blobs that nothing needs; in turn with FinishDelta, so that no delta is taken from a later lease
// that names the same bytes.
struct DropBlobs {
  std::vector<Digest> addresses;  // those that are not there are no failure
};
using DiskTask = std::variant<StorePart, FinishDelta, FinishAnswer, DropUpload, DropBlobs>;

enum class Stored : uint8_t {
  yes,
  later,    // not now: something before it is missing, or the disk lost it
  refused,  // it is not what it should be
  failed,   // the disk's fault
};
struct PartStored {
  Sender from;
  Digest lease_id;
  uint64_t bytes = 0;  // of the part
  uint64_t had = 0;    // groups on disk, from the first
  Stored stored = Stored::failed;
  std::string why;
};
struct DeltaFinished {
  Digest lease_id;
  Stored stored = Stored::failed;
  std::string why;
};
struct Dropped {
  std::string failed;  // not empty: why a blob is still there
};
using DiskDone = std::variant<PartStored, DeltaFinished, Dropped>;

struct Actions {
  std::vector<Outgoing> sends;
  std::vector<Hangup> hangups;
  std::vector<Task> tasks;
  std::vector<DiskTask> disk;
  std::vector<Event> notes;  // lines for people

  template <Message M>
  void send(ConnId to, const M& message) {
    sends.push_back({to, M::kType, encode(message)});
  }
  void note(std::string name, Fields fields, Level level = Level::info) {
    notes.push_back({level, std::move(name), std::move(fields)});
  }
};

}  // namespace gemmine::pool
