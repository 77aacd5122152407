// What the pool decides, as values: the orchestrator makes the records durable, then does the rest.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/base/bytes.h"
#include "pool/log/events.h"
#include "pool/wire/messages.h"
#include "verifier/audit/replay.h"
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

// Work for the audit threads; results come back as events.
struct ReplayTask {
  verifier::Lease lease;
  std::vector<verifier::Share> shares;  // 0 … the one in question, as they are in the ledger
};
struct SpotTask {
  verifier::Lease lease;
  verifier::Share share;
  bool last_share = false;
  Digest seed;
  uint32_t blocks = 0;  // their openings are stored (StoreOpening)
};
struct MergeTask {
  Digest job_id;
  uint32_t round = 0;
  Digest theta_root;
  std::vector<Digest> lease_ids;    // by slot
  std::vector<Digest> delta_roots;  // by slot
};
struct EvaluateTask {
  Digest job_id;
  uint32_t round = 0;  // rounds merged into this θ
  Digest theta_root;
};
using Task = std::variant<ReplayTask, SpotTask, MergeTask, EvaluateTask>;

struct AuditDone {
  Digest lease_id;
  uint32_t index = 0;  // the share that was in question
  // What was found; a replay that meets an earlier wrong share names that one.
  uint32_t found_index = 0;
  verifier::AuditKind kind = verifier::AuditKind::replay;
  verifier::Finding finding;
};
struct MergeDone {
  Digest job_id;
  uint32_t round = 0;
  std::vector<Digest> lease_ids;
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
using TaskDone = std::variant<AuditDone, MergeDone, EvaluateDone>;

// What a miner sends in bulk, for the disk; what became of it comes back as an event. The pool
// looks at none of its bytes.
struct Sender {
  ConnId id{};
  uint32_t seq = 0;  // of the frame
};
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
};
struct StoreOpening {
  Sender from;
  Digest lease_id;
  uint32_t share = 0;
  uint32_t block = 0;
  Bytes opening;
};
// Half of a delta that is of no use any more, and openings.
struct DropUpload {
  Digest lease_id;
  bool delta = false;
  std::map<uint32_t, uint32_t> openings;  // blocks stored, by share
};
// Blobs that nothing needs; in turn with FinishDelta, so that no delta is taken from a later lease
// that names the same bytes.
struct DropBlobs {
  std::vector<Digest> addresses;  // those that are not there are no failure
};
using DiskTask = std::variant<StorePart, FinishDelta, StoreOpening, DropUpload, DropBlobs>;

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
struct OpeningStored {
  Sender from;
  Digest lease_id;
  uint32_t share = 0;
  uint64_t bytes = 0;
  Stored stored = Stored::failed;
  std::string why;
};
struct Dropped {
  std::string failed;  // not empty: why a blob is still there
};
using DiskDone = std::variant<PartStored, DeltaFinished, OpeningStored, Dropped>;

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
