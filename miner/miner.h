// The miner: carries out what messages, reports and leases decide, over a session, a device thread
// and a disk.
#pragma once

#include <memory>
#include <string>

#include "miner/state.h"
#include "miner/trainer.h"
#include "pool/client/fetcher.h"
#include "pool/client/session.h"
#include "pool/client/uploader.h"
#include "pool/log/events.h"

namespace gemmine::miner {

class Miner final : public pool::SessionObserver {
 public:
  // identity outlives it. Errors: io (the data folder), busy (no thread for the device).
  static Result<std::unique_ptr<Miner>> make(pool::Loop& loop, const verifier::Identity& identity,
                                             pool::SessionOptions session, EngineFactory factory,
                                             MinerOptions options, pool::Events& events);
  ~Miner();

  void start();
  // Gives leases back, then the loop ends; called again, it ends at once.
  void stop(const std::string& reason);
  const Ending& ending() const { return state_.ending; }

 private:
  Miner(pool::Loop& loop, const verifier::Identity& identity, State state, pool::Events& events);

  void on_ready(const pool::AuthOk& said) override;
  void on_message(pool::MessageType type, ByteView payload) override;
  void on_error(const pool::ErrorMessage& error) override;
  void on_down(const std::string& reason, uint64_t retry_ms) override;
  void on_end(pool::SessionEnd end, const std::string& reason) override;
  void on_drained() override;
  bool meet_pool();
  void remember_pool();
  void forget_uploads();
  void on_upload_refused(const Digest& lease_id, uint64_t challenge, const std::string& reason);

  // Decides what follows from a change of the state, and carries it out.
  void go_on();
  void carry_out(Send& send);
  void carry_out(SendDelta& delta);
  void carry_out(SendAnswer& answer);
  void carry_out(GiveBack& given);
  void carry_out(Task& task);
  void carry_out(Fetch& fetch);
  void carry_out(pool::Event& event);
  void carry_out(Prune& prune);
  void carry_out(Distrust& distrust);
  void carry_out(Leave& leave);

  pool::Loop& loop_;
  const verifier::Identity& identity_;
  State state_;
  pool::Events& events_;
  bool carrying_out_ = false;
  uint64_t remember_at_ms_ = 0;
  bool forgetful_ = false;  // and its owner was told
  std::unique_ptr<pool::Session> session_;
  std::unique_ptr<pool::Fetcher> fetcher_;
  std::unique_ptr<pool::Uploader> uploader_;
  std::unique_ptr<pool::Timer> tick_;
  std::unique_ptr<pool::Mailbox<Report>> mailbox_;
  std::unique_ptr<Trainer> trainer_;  // last: joined before the mailbox goes
};

}  // namespace gemmine::miner
