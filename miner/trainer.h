// The device thread: runs shares of leases, one engine, nothing else.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kernels/base/task_queue.h"
#include "kernels/engine.h"
#include "kernels/hash/blake3.h"
#include "kernels/hash/opening.h"
#include "miner/checkpoint.h"
#include "miner/pace.h"
#include "verifier/audit/opening.h"
#include "verifier/audit/replay.h"
#include "verifier/ledger/bodies.h"
#include "verifier/proof/question.h"
#include "verifier/records/records.h"

namespace gemmine::miner {

// A job this device can work on. Read-only once made; shared by loop and device thread.
struct Workload {
  verifier::Work work;
  Bytes train_records;
  kernels::ChunkTree train_tree;
};

struct RunShare {
  const Workload* workload;
  verifier::Lease lease;
  uint32_t index;
  std::vector<float> theta;  // global θ of the lease's round
};

// A thread of a lease that is done, or what a descent asks about one of its steps.
struct AnswerThread {
  const Workload* workload;
  verifier::Lease lease;
  uint64_t challenge = 0;  // seq of its record
  Digest seed;
  std::vector<float> theta;                         // global θ of the lease's round
  uint64_t within_ms = 0;                           // shares give way to it if it would be later
  std::optional<verifier::Question> question = {};  // in place of a thread
};

using Task = std::variant<RunShare, AnswerThread>;

struct ShareDone {
  verifier::Share share;      // signed, checked by ourselves, and on disk, as the lease's delta is
  std::vector<Digest> steps;  // digests
  uint64_t macs = 0;
  double seconds = 0;
};

// What a failure says about the work to come.
enum class Trouble : uint8_t {
  lease,          // this lease cannot go on
  diverged,       // nor would it anywhere else: NaN or infinity
  disk,           // what was computed could not be kept
  interrupted,    // the program ends, or was asked to do something else
  job,            // no lease of this job can: it does not fit the device
  lost,           // the device is gone
  wrong_numbers,  // the device computed something that does not check
};

struct TaskFailed {
  Digest lease_id;
  uint32_t index = 0;
  uint32_t step = verifier::kNoStep;  // of the lease, where training diverges
  Trouble trouble = Trouble::lease;
  Error error;
};

// Checked by ourselves, and on disk with its tree.
struct ThreadAnswered {
  verifier::AnswerBody answer;  // signed
  double seconds = 0;
};

struct AnswerFailed {
  Digest lease_id;
  uint64_t challenge = 0;
  Trouble trouble = Trouble::lease;
  Error error;
};

using Report = std::variant<ShareDone, TaskFailed, ThreadAnswered, AnswerFailed>;

using EngineFactory = std::function<Result<std::unique_ptr<kernels::Engine>>(
    const kernels::Program&, ByteView train_records)>;

struct TrainerOptions {
  bool check_own = true;        // a block of each own share, before it is reported
  int throttle = kThrottleMax;  // percent of the device's time that shares may take
};

// Tasks in, one report each out: answers first, else in the order in which they were posted.
class Trainer {
 public:
  // on_report is called on the device thread.
  Trainer(EngineFactory factory, const verifier::Identity& identity, const Checkpoint& checkpoint,
          TrainerOptions options, std::function<void(Report)> on_report);
  ~Trainer();  // ends the task in hand between two steps, drops the rest
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // Begins with what was posted. Once. Errors: busy (the system gives no thread).
  Status start();

  // One thread posts and ends shares. False when kTasksMax wait.
  static constexpr size_t kTasksMax = 64;
  [[nodiscard]] bool post(Task task);
  // Shares that were posted so far are reported as interrupted, the one in hand between two steps.
  void end_shares();

 private:
  // A task, and how often shares had been ended when it was posted.
  struct Posted {
    Task task;
    uint64_t ends;
  };

  void work(Posted posted);
  TaskFailed failure(const RunShare& task, const Error& error);
  void run(const RunShare& task);
  void run(const AnswerThread& task);
  Result<verifier::AnswerBody> answer(const AnswerThread& task);
  Status prove(const AnswerThread& task, const std::string& path);
  Status explain(const AnswerThread& task, const std::string& path);
  Result<ShareDone> run_share(const RunShare& task);
  Status keep(const RunShare& task, const verifier::ShareRun& run, bool last);
  Status check_own(const RunShare& task, const verifier::ShareRun& run,
                   std::span<const float> state_before);
  Result<Bytes> open_block(const Workload& workload, const verifier::Lease& lease,
                           const verifier::ShareRun& run, std::span<const float> theta,
                           std::span<const float> state_before,
                           const verifier::BlockChoice& choice);
  Result<kernels::Engine*> engine(const Workload& workload);
  // The state that share `index` starts from: from disk, or walked to from the nearest one there.
  Result<std::vector<float>> state_before(const Workload& workload, const verifier::Lease& lease,
                                          uint32_t index, std::span<const float> theta);

  const EngineFactory factory_;
  const verifier::Identity& identity_;
  const Checkpoint& checkpoint_;
  const TrainerOptions options_;
  const std::function<void(Report)> on_report_;
  Pace pace_;

  std::optional<Digest> loaded_;  // the job that engine_ was made for
  std::unique_ptr<kernels::Engine> engine_;
  Trouble trouble_ = Trouble::lease;  // of the task in hand, where its error does not say
  uint32_t steps_done_ = 0;           // of the share in hand

  std::atomic<uint64_t> ends_{0};       // calls of end_shares()
  TaskQueue<Posted> tasks_{kTasksMax};  // last: joined first
};

}  // namespace gemmine::miner
