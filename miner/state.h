// What a miner knows, and what it wants done: data only. messages.h, reports.h and leases.h decide;
// miner.h carries the actions out.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "kernels/base/exit_code.h"
#include "miner/checkpoint.h"
#include "miner/pause.h"
#include "miner/receipts.h"
#include "miner/trainer.h"
#include "pool/client/session.h"
#include "pool/log/events.h"
#include "pool/wire/http.h"
#include "pool/wire/messages.h"
#include "verifier/known/head_watch.h"

namespace gemmine::miner {

using pool::Level;
using pool::short_hex;

// A lease that is done leaves the roots of its steps and their digests: 32 bytes a tensor and step.
inline constexpr uint64_t kKeptBytes = uint64_t{4} << 30;

struct MinerOptions {
  std::string data;  // folder of blobs and checkpoints
  bool exit_when_finished = false;
  bool dry_run = false;              // log in, list the jobs, end
  bool check_own = true;             // a block of each own share, before it is sent
  int throttle = 100;                // percent of the device's time
  uint64_t kept_bytes = kKeptBytes;  // on disk, of leases that are done and not settled
  std::string known_pools = {};      // folder of what is remembered of pools; empty: nothing is
  verifier::PoolWords words = {};    // which pools, and what they have signed
  std::optional<pool::HttpAddress> relay = {};        // where blobs come from, before the pool
  uint64_t parameters_max = kernels::kParametersMax;  // jobs larger than that are left to others
};

// How a run ended, and the exit code that says so (ok when jobs are finished or on a signal).
struct Ending {
  ExitCode code = ExitCode::ok;
  std::string reason;
};

// A job that some pool has offered. Stays for good: tasks look at its workload.
struct JobWork {
  Digest id;
  std::optional<verifier::Work> work;  // none: it is no job, or too large for us
  std::unique_ptr<Workload> workload;  // when the data is here
  Digest theta_root;                   // of the current round
  uint32_t round = 0;
  bool offered = false;  // by the pool we are connected to
  bool finished = false;
  bool fetching = false;
  bool refused = false;   // too large for us or our device, or its data could not be had
  bool no_data = false;   // refused for that alone: another connection may be to one that has it
  bool diverges = false;  // and its owner was told
  Pause pause;            // after trouble with a lease of it; a share that succeeds heals it
};

// A lease that the pool counts as ours. Shares 0 … run-1 are on disk, signed.
struct LeaseWork {
  Digest id;
  verifier::Lease lease;
  JobWork* job = nullptr;
  std::vector<float> theta;  // empty until it is here
  bool fetching = false;
  bool busy = false;         // a share of it is with the device
  uint32_t run = 0;          // shares computed
  uint32_t sent = 0;         // shares sent on any connection
  uint32_t accepted = 0;     // shares the pool has acknowledged
  uint32_t states_from = 1;  // states of earlier shares are gone from disk
  bool delta_stored = false;
  std::string give_back;                  // why it is to be given back; empty: it is not
  uint32_t diverged = verifier::kNoStep;  // the step of it at which training went off its rails
  Pause pause;                            // after trouble to fetch its weights
};

// A thread that the pool asks for, of a lease that is done.
struct AnswerWork {
  uint64_t challenge = 0;  // seq of its record
  Digest seed;
  std::optional<verifier::Question> question = {};  // of a descent, in place of a thread's seed
  bool descent = false;
  uint64_t due_ms = 0;  // by our clock
  verifier::Lease lease;
  JobWork* job = nullptr;
  std::vector<float> theta;  // empty until it is here, and when the answer is
  bool fetching = false;
  bool busy = false;                         // with the device
  std::optional<verifier::AnswerBody> said;  // the answer lies on disk
  bool sent = false;                         // the pool has all of it
  Pause pause;
};

// The disk takes no more: no lease is asked for and no share begun until it does.
struct Disk {
  bool full = false;
  Pause pause;
};

struct Send {
  std::variant<pool::GetLease, pool::ShareMessage, pool::AnswerMessage, pool::Settle> message;
};
struct SendDelta {
  Digest lease_id;
};
struct SendAnswer {
  uint64_t challenge = 0;
};
// Signed where the key is.
struct GiveBack {
  Digest lease_id;
  uint32_t diverged = verifier::kNoStep;
};
// Training data of a job, or the weights of a lease, to train from or to answer with.
struct Fetch {
  enum class What : uint8_t { data, weights, answer } what = What::data;
  Digest id;  // of the job or lease
  Digest address;
  uint64_t bytes = 0;
};
// Blobs that nobody needs any more go from the cache: these, unless something still needs them, and
// old ones.
struct Prune {
  std::vector<Digest> outdated;
};
// The pool said something that it has not signed, or contradicts what it has: no more work for it.
struct Distrust {
  pool::SessionEnd why = pool::SessionEnd::untrue;
  std::string reason;
};
// The program ends with state.ending.
struct Leave {};
using Action = std::variant<Send, SendDelta, SendAnswer, GiveBack, Task, Fetch, pool::Event, Prune,
                            Distrust, Leave>;

struct State {
  State(const Digest& miner_key, MinerOptions wishes, Checkpoint folder)
      : key(miner_key),
        options(std::move(wishes)),
        checkpoint(std::move(folder)),
        receipts(options.data + "/receipts"),
        heads(verifier::KnownPools(options.known_pools), options.words) {}

  const Digest key;
  const MinerOptions options;
  const Checkpoint checkpoint;
  const Receipts receipts;
  std::deque<Action> out;  // in the order of carrying out

  bool connected = false;
  Digest pool_key;  // of the connection, or of the last one
  verifier::HeadWatch heads;
  std::map<Digest, JobWork> jobs;
  std::map<Digest, LeaseWork> leases;      // of pool_key
  std::map<uint64_t, AnswerWork> answers;  // owed to pool_key, by challenge
  std::set<Digest> given_back;             // leases whose end the pool has still to say
  size_t tasks = 0;                        // with the device
  Disk disk;
  bool receipts_lost = false;  // one could not be kept, and its owner was told

  bool asked = false;         // GET_LEASE is under way
  Digest asked_job;           // of the last one
  bool none_here = false;     // and it had none
  std::string waiting_for;    // why the pool has no lease for us, as our owner was told
  uint64_t ask_at_ms = 0;     // not before: the pool's wish
  Pause ask_pause;            // after leases that are not for us, and refusals without a wish
  uint64_t resend_at_ms = 0;  // shares that the pool was too busy for; 0: none

  std::optional<uint64_t> stop_by_ms;  // the owner wants it to end; then without waiting
  bool ended = false;
  Ending ending;

  LeaseWork* find(const Digest& lease_id) {
    const auto found = leases.find(lease_id);
    return found == leases.end() ? nullptr : &found->second;
  }
  void note(Level level, std::string name, pool::Fields fields) {
    out.emplace_back(pool::Event{level, std::move(name), std::move(fields)});
  }
  template <class Message>
  void send(Message message) {
    out.emplace_back(Send{std::move(message)});
  }
  void leave(ExitCode code, std::string reason) {
    ended = true;
    ending = {code, std::move(reason)};
    out.emplace_back(Leave{});
  }
};

}  // namespace gemmine::miner
