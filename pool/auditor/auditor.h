// A live auditor: folds the pool's ledger as it grows, replays leases of its own choice bit for
// bit, redoes every merge, and says so in signed verdicts. Believes nobody. Dispatch only: leases
// and merges have files of their own, and so has the question when it may end.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "pool/auditor/agreement.h"
#include "pool/auditor/ending.h"
#include "pool/auditor/evidence.h"
#include "pool/auditor/lease_watch.h"
#include "pool/auditor/merge_watch.h"
#include "pool/auditor/proof_watch.h"
#include "pool/auditor/replayer.h"
#include "pool/auditor/report.h"
#include "pool/client/fetcher.h"
#include "pool/client/session.h"
#include "pool/log/events.h"
#include "pool/net/loop.h"
#include "verifier/known/head_watch.h"
#include "verifier/ledger/ledger.h"

namespace gemmine::pool {

struct AuditorOptions {
  std::string data;    // folder of our own, with blobs/ in it
  double rate = 0.25;  // of the leases, by a coin that only we know; 0 to 1
  std::string engine = "cpu";
  int threads = 1;                   // of the cpu engine, 1 or more
  bool exit_when_finished = false;   // stop the loop when every job is finished and checked
  std::string known_pools;           // folder of what is remembered of pools; empty: nothing is
  std::optional<HttpAddress> relay;  // where blobs come from, before the pool
  verifier::PoolWords words;         // which pool, and what it has signed
  uint64_t patience_ms = 60'000;     // without a byte of what a connected pool owes us
};

class Auditor final : public SessionObserver {
 public:
  // Errors: busy (no thread to replay on), io (no folder for evidence).
  static Result<std::unique_ptr<Auditor>> make(Loop& loop, const verifier::Identity& identity,
                                               SessionOptions session, AuditorOptions options,
                                               Events& events);

  void start();
  void stop(const std::string& reason);  // says BYE, then the loop ends
  const AuditReport& report();

 private:
  Auditor(Loop& loop, const verifier::Identity& identity, SessionOptions session,
          AuditorOptions options, Events& events);

  void on_ready(const AuthOk& state) override;
  void on_message(MessageType type, ByteView payload) override;
  void on_error(const ErrorMessage& error) override;
  void on_down(const std::string& reason, uint64_t retry_ms) override;
  void on_end(SessionEnd end, const std::string& reason) override;

  void follow_relay();
  void on(const BlobPart& blob);
  void on(const RecordMessage& message);
  bool stands_by(const verifier::SignedRecord& record);
  void on_untrue_record(const verifier::SignedRecord& record, const std::string& why);
  void look_at(const verifier::SignedRecord& record);
  void watch_lease(const verifier::Record& record);
  void on_verdict_record(const verifier::Record& record);
  void on_replayed(const ReplayDone& done);
  void on_finished(const Digest& lease_id);
  void on_proven(const verifier::ProofFinding& finding, const Bytes& file);
  std::string proof_name();
  void accuse(const ReplayDone& done);
  void compare(bool at_end);
  void on_stop_record(const verifier::SignedRecord& record);
  void untrue(const std::string& what, const std::string& evidence = "");
  void unchecked(const std::string& reason, const std::string& what);
  void look_for_end();

  Loop& loop_;
  const verifier::Identity& identity_;
  const AuditorOptions options_;
  Events& events_;
  const Digest coin_;  // ours alone
  verifier::HeadWatch heads_;
  bool shown_again_ = true;  // the last record, on this connection: the pool stands by it
  verifier::LedgerState ledger_;
  AuditReport report_;
  OwnVerdicts own_verdicts_;
  Agreement agreement_;
  std::optional<EvidenceFolder> evidence_;         // from make() on
  std::optional<verifier::SignedHead> last_head_;  // after the last record that was taken
  uint64_t pool_time_ms_ = 0;
  uint64_t last_change_ms_;
  bool connected_ = false;
  uint64_t down_since_ms_;  // while not connected
  Session session_;
  Fetcher fetcher_;
  LeaseWatch leases_;
  MergeWatch merges_;
  ProofWatch proofs_;
  Timer look_;
  std::unique_ptr<Replayer> replayer_;  // last: its thread looks at the leases
};

}  // namespace gemmine::pool
