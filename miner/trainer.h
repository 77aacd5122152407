// The device thread: runs shares of leases and answers challenges, one engine, nothing else.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "kernels/engine.h"
#include "kernels/hash/blake3.h"
#include "miner/checkpoint.h"
#include "verifier/audit/opening.h"
#include "verifier/audit/replay.h"
#include "verifier/records/records.h"

namespace gemmine::miner {

// A job this device can work on. Read-only once made; shared by loop and device thread.
struct Workload {
  verifier::Job job;
  kernels::Program program;
  Bytes train_records;
  kernels::ChunkTree train_tree;
};

struct RunShare {
  const Workload* workload;
  verifier::Lease lease;
  uint32_t index;
  std::vector<float> theta;  // global θ of the lease's round
};

struct AnswerChallenge {
  const Workload* workload;
  verifier::Lease lease;
  uint32_t index;
  Digest seed;
  std::vector<float> theta;
};

using Task = std::variant<RunShare, AnswerChallenge>;

struct ShareDone {
  verifier::Share share;  // signed, and checked by ourselves
  Bytes delta;            // of the lease's last share
  uint64_t macs = 0;
  double seconds = 0;
};

struct ChallengeAnswered {
  Digest lease_id;
  uint32_t index = 0;
  std::vector<Bytes> openings;  // by block number
};

// What a failure says about the work to come.
enum class Trouble : uint8_t {
  lease,          // this lease cannot go on
  job,            // no lease of this job can: it does not fit the device
  lost,           // the device is gone
  wrong_numbers,  // the device computed something that does not check
};

struct TaskFailed {
  Digest lease_id;
  uint32_t index = 0;
  bool challenge = false;
  Trouble trouble = Trouble::lease;
  Error error;
};

using Report = std::variant<ShareDone, ChallengeAnswered, TaskFailed>;

using EngineFactory = std::function<Result<std::unique_ptr<kernels::Engine>>(
    const kernels::Program&, ByteView train_records)>;

// Tasks in, reports out. Challenges go before shares, since they have the shorter deadline.
class Trainer {
 public:
  // on_report is called on the device thread.
  Trainer(EngineFactory factory, const verifier::Identity& identity, const Checkpoint& checkpoint,
          bool check_own, std::function<void(Report)> on_report);
  ~Trainer();  // Finishes the task in hand, drops the rest.
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  static constexpr size_t kTasksMax = 64;
  [[nodiscard]] bool post(Task task);  // Any thread. False when full.

 private:
  void work();
  TaskFailed failure(const Digest& lease_id, uint32_t index, bool challenge, const Error& error);
  Report run(const RunShare& task);
  Report answer(const AnswerChallenge& task);
  Result<ShareDone> run_share(const RunShare& task);
  Result<std::vector<Bytes>> make_openings(const AnswerChallenge& task);
  Status check_own(const RunShare& task, const verifier::ShareRun& run,
                   std::span<const float> state_before);
  Result<Bytes> open_block(const Workload& workload, const verifier::Lease& lease,
                           const verifier::ShareRun& run, std::span<const float> theta,
                           std::span<const float> state_before,
                           const verifier::BlockChoice& choice);
  Result<std::vector<Bytes>> open_blocks(const Workload& workload, const verifier::Lease& lease,
                                         const verifier::ShareRun& run,
                                         std::span<const float> theta,
                                         std::span<const float> state_before,
                                         std::span<const verifier::BlockChoice> choices);
  Result<kernels::Engine*> engine(const Workload& workload);
  Result<std::vector<float>> state_before(const Workload& workload, const Digest& lease_id,
                                          uint32_t index, std::span<const float> theta);

  const EngineFactory factory_;
  const verifier::Identity& identity_;
  const Checkpoint& checkpoint_;
  const bool check_own_;
  const std::function<void(Report)> on_report_;

  const Workload* loaded_ = nullptr;  // what engine_ was made for
  std::unique_ptr<kernels::Engine> engine_;
  Trouble trouble_ = Trouble::lease;  // of the task in hand, where its error does not say

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::thread thread_;  // last: starts when everything else stands
};

}  // namespace gemmine::miner
