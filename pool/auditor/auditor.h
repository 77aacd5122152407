// A live auditor: folds the pool's ledger as it grows, replays leases of its own choice bit for
// bit, redoes every merge, and says so in signed verdicts. Believes nobody.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kernels/engine.h"
#include "pool/client/fetcher.h"
#include "pool/client/session.h"
#include "pool/net/loop.h"
#include "verifier/audit/replay.h"
#include "verifier/ledger/ledger.h"

namespace gemmine::verifier {

struct AuditorOptions {
  std::string data;
  double rate = 0.25;  // of the leases, by a coin that only we know
  std::string engine = "cpu";
  int threads = 1;
  bool exit_when_finished = false;
};

// What was found so far; the program prints it.
struct AuditorReport {
  uint64_t records = 0;
  uint64_t shares_seen = 0;
  uint64_t shares_valid = 0;  // replayed by us
  uint64_t shares_invalid = 0;
  uint64_t disagreements = 0;  // with a verdict of the pool
  uint64_t merges_redone = 0;
  uint64_t coins_checked = 0;
  Digest head;
  std::string broken;  // the first thing that is not true; empty when all is well
};

class AuditorEvents {
 public:
  virtual ~AuditorEvents() = default;
  virtual void line(const std::string& text) = 0;
};

class Auditor final : public pool::SessionObserver {
 public:
  Auditor(pool::Loop& loop, const Identity& identity, pool::SessionOptions session,
          AuditorOptions options, AuditorEvents& events);
  ~Auditor();

  void start();
  void stop(const std::string& reason);
  const AuditorReport& report() const { return report_; }
  const LedgerState& ledger() const { return ledger_; }
  int exit_code() const { return exit_code_; }

 private:
  // A lease we replay: its shares in order, each from the state the last one ended with.
  struct Watched {
    Lease lease;
    uint32_t next = 0;  // share to replay next
    std::vector<float> theta;
    std::vector<float> state;
    bool busy = false;
    bool done = false;
  };
  // The parts of a merge while they are downloaded.
  struct PendingMerge {
    std::vector<Bytes> deltas;
    std::vector<float> published;
    uint32_t missing = 0;
  };
  struct ReplayTask {
    const Work* work;            // the ledger's
    const Bytes* train_records;  // of records_
    Lease lease;
    uint32_t index;
    std::vector<float> theta;
    std::vector<float> state;
    Share claimed;
  };
  struct ReplayDone {
    Digest lease_id;
    uint32_t index;
    Finding finding;
    std::vector<float> state_after;
  };

  void on_ready(const pool::AuthOk& state) override;
  void on_message(pool::MessageType type, ByteView payload) override;
  void on_error(const pool::ErrorMessage& error) override;
  void on_down(const std::string& reason, uint64_t retry_ms) override;
  void on_end(pool::SessionEnd end, const std::string& reason) override;

  void on(const pool::BlobPart& blob);
  void on(const pool::RecordMessage& message);
  void look_at(const Record& record);
  void watch_lease(const Record& record);
  void check_merge(const Record& record);
  void finish_merge(const Digest& job_id, uint32_t round, const PendingMerge& parts,
                    const Digest& claimed);
  void advance(const Digest& lease_id);
  void on_replayed(ReplayDone done);
  void send_verdict(const Digest& lease_id, uint32_t index, const Finding& finding);
  void check_done();
  void broken(const std::string& what);
  void fetch_floats(const Digest& address, uint64_t floats,
                    std::function<void(std::vector<float>)> then);
  void work();

  pool::Loop& loop_;
  const Identity& identity_;
  const AuditorOptions options_;
  AuditorEvents& events_;
  const Digest coin_;  // ours alone
  LedgerState ledger_;
  AuditorReport report_;
  int exit_code_ = 0;
  uint64_t pool_time_ms_ = 0;
  std::map<Digest, const Bytes> records_;  // training data by job; not changed once it is there
  std::map<Digest, Watched> watched_;
  std::vector<std::unique_ptr<PendingMerge>> merges_;
  std::unique_ptr<pool::Session> session_;
  std::unique_ptr<pool::Fetcher> fetcher_;
  std::unique_ptr<pool::Mailbox<ReplayDone>> mailbox_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<ReplayTask> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace gemmine::verifier
