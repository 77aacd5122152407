// The miner's centre: what the pool says becomes tasks for the device, what it reports becomes
// messages. Dispatch only; the work is the trainer's, the memory the checkpoint's.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "miner/checkpoint.h"
#include "miner/trainer.h"
#include "pool/client/fetcher.h"
#include "pool/client/session.h"
#include "pool/log/events.h"

namespace gemmine::miner {

using pool::Events;
using pool::Level;
using pool::short_hex;

struct MinerOptions {
  std::string data;  // folder of blobs and checkpoints
  bool exit_when_finished = false;
  bool dry_run = false;   // log in, list the jobs, end
  bool check_own = true;  // a block of each own share, before it is sent
  uint64_t parameters_max = kernels::kParametersMax;  // jobs larger than that are left to others
};

// How a run ended, and the exit code that says so (0 when jobs are finished or on a signal).
struct Ending {
  int exit_code = 0;
  std::string reason;
};

class Miner final : public pool::SessionObserver {
 public:
  // Errors: io (the data folder).
  static Result<std::unique_ptr<Miner>> make(pool::Loop& loop, const pool::TlsContext& tls,
                                             const verifier::Identity& identity,
                                             pool::SessionOptions session, EngineFactory factory,
                                             MinerOptions options, Events& events);
  ~Miner();

  void start();
  void stop(const std::string& reason);
  const Ending& ending() const { return ending_; }

 private:
  struct JobWork {
    verifier::Job job;
    std::unique_ptr<Workload> workload;  // when the data is here
    bool fetching = false;
    bool refused = false;  // too large for us or our device, or its data could not be had
    uint32_t round = 0;
    bool finished = false;
  };

  struct LeaseWork {
    verifier::Lease lease;
    JobWork* job = nullptr;
    std::vector<float> theta;
    uint32_t run = 0;       // shares that are on disk, signed
    uint32_t accepted = 0;  // shares the pool has acknowledged
    bool busy = false;      // a share of it is with the trainer
    bool delta_stored = false;
    std::map<uint32_t, Digest> challenges;  // seed by share, for the fairness check
  };

  Miner(pool::Loop& loop, const verifier::Identity& identity, MinerOptions options,
        Checkpoint checkpoint, Events& events);

  // Session events.
  void on_ready(const pool::AuthOk& state) override;
  void on_message(pool::MessageType type, ByteView payload) override;
  void on_error(const pool::ErrorMessage& error) override;
  void on_down(const std::string& reason, uint64_t retry_ms) override;
  void on_end(pool::SessionEnd end, const std::string& reason) override;

  // Messages (miner_messages.cc).
  void on_blob(ByteView payload);
  void on_round(ByteView payload);
  void on_lease(ByteView payload);
  void on_no_lease(ByteView payload);
  void on_share_ok(ByteView payload);
  void on_challenge(ByteView payload);
  void on_verdict(ByteView payload);
  void on_delta_ok(ByteView payload);
  void on_lease_closed(ByteView payload);
  void broken_message(const char* what, const Error& error);

  // Device reports (miner_reports.cc).
  void on_report(Report report);
  void on_share_done(const ShareDone& done);
  void on_challenge_answered(const ChallengeAnswered& answered);
  void on_task_failed(const TaskFailed& failed);

  void list_jobs(const pool::AuthOk& state);
  void add_job(const Bytes& job_bytes, uint32_t round, bool finished);
  void prepare(const Digest& job_id, JobWork& work);  // fetches the training data
  const char* objection(const verifier::Lease& lease) const;
  LeaseWork* hold(const verifier::Lease& lease);
  void resume(const verifier::Lease& lease, uint32_t accepted, bool delta_stored);
  void begin(LeaseWork& work);  // fetches θ, then runs
  void run_next(LeaseWork& work);
  void send_share(const LeaseWork& work, uint32_t index);
  void send_delta(const LeaseWork& work);
  void abandon(const Digest& lease_id, const std::string& reason);
  void want_lease();
  void check_finished();
  void check_fairness(const LeaseWork& work, const Digest& secret);
  LeaseWork* find(const Digest& lease_id);

  pool::Loop& loop_;
  const verifier::Identity& identity_;
  const MinerOptions options_;
  const Checkpoint checkpoint_;
  Events& events_;
  std::map<Digest, JobWork> jobs_;
  std::map<Digest, LeaseWork> leases_;
  bool asked_ = false;  // GET_LEASE is under way
  Ending ending_;
  std::unique_ptr<pool::Session> session_;
  std::unique_ptr<pool::Fetcher> fetcher_;
  std::unique_ptr<pool::Timer> retry_;
  std::unique_ptr<pool::Mailbox<Report>> mailbox_;
  std::unique_ptr<Trainer> trainer_;  // last: joined before the mailbox goes
};

}  // namespace gemmine::miner
