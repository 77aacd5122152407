// The leases that an auditor replays: share after share as the ledger has them, each from the state
// that the one before it ended with. Few at a time hold their weights, so that a pool with a long
// history is caught up with slowly instead of all at once.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "pool/auditor/replayer.h"
#include "pool/client/fetcher.h"
#include "verifier/ledger/ledger.h"

namespace gemmine::pool {

inline constexpr size_t kLoadedLeasesMax = 8;  // with weights and state in memory

class LeaseWatch {
 public:
  struct Hooks {
    // Valid or invalid, by our own replay.
    std::function<void(const ReplayDone&)> replayed;
    // What could not be replayed, and why; a reason is the same words for all of a kind.
    std::function<void(const std::string& reason, const std::string& what)> unchecked;
    // Every share that was logged is replayed, or one was wrong.
    std::function<void(const Digest& lease_id)> finished;
  };
  LeaseWatch(Fetcher& fetcher, const verifier::LedgerState& ledger, Hooks hooks);

  void use(Replayer& replayer) { replayer_ = &replayer; }

  void watch(const verifier::Lease& lease);
  // The ledger has another share of it, or it was closed. Unwatched ones are nobody's concern.
  void on_logged(const Digest& lease_id);
  void on_replayed(ReplayDone done);

  // What leases still wait for will not come: they are given up, for this reason.
  void give_up_all(const std::string& reason);
  // θ of a lease that is being replayed; null when it is not at hand.
  const std::vector<float>* theta_of(const Digest& lease_id) const;

  // Shares in the ledger that are not replayed yet, and leases that wait for their data.
  size_t replays_owed() const;
  size_t downloads() const;
  size_t replaying() const;  // right now

 private:
  enum class Stage : unsigned char { waiting, loading, ready, replaying };
  struct Watched {
    verifier::Lease lease;
    Stage stage = Stage::waiting;
    uint32_t next = 0;  // the share to replay next
    std::vector<float> theta;
    std::vector<float> state;
  };

  const verifier::LeaseState& logged(const Digest& lease_id) const;
  bool owes(const Watched& watched) const;
  void go_on();
  void load(Watched& watched);
  void fetch_theta(const Digest& lease_id);
  void run_next(Watched& watched);
  void give_up(const Digest& lease_id, const std::string& reason, const std::string& why);
  bool drop_if_done(const Digest& lease_id);

  Fetcher& fetcher_;
  const verifier::LedgerState& ledger_;
  const Hooks hooks_;
  Replayer* replayer_ = nullptr;
  std::map<Digest, const Bytes> records_;  // training data by job; stays where it is
  std::map<Digest, Watched> leases_;
  std::deque<Digest> order_;  // of those that wait to be loaded
  size_t loaded_ = 0;
};

}  // namespace gemmine::pool
