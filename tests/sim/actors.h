// Miners, honest and not, and auditors, honest and not, as the pool sees them.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "tests/sim/world.h"

namespace gemmine::sim {

// Greets, comes back when the connection is lost, and acts again every now and then.
class Client : public Actor {
 public:
  Client(World& world, uint8_t key, pool::Role role, std::string account);
  void begin(uint64_t after_ms);
  void on_message(ConnId link, MessageType type, const Bytes& payload) override;
  void on_lost(ConnId link) override;
  Digest key() const { return identity_.public_key(); }
  bool banned() const { return banned_; }

 protected:
  virtual void on_ready(ConnId link, const pool::AuthOk& hello) = 0;
  virtual void on_other(ConnId link, MessageType type, const Bytes& payload) = 0;
  virtual void act() = 0;
  // On every ready connection: the pool must live with what comes twice and in any order.
  void say(MessageType type, const Bytes& payload);
  bool ready() const { return !ready_.empty(); }
  void lose_all();  // the process dies
  void leave();     // and does not come back

  World& world_;
  const verifier::Identity identity_;
  const pool::Role role_;
  const std::string account_;

 private:
  void open();
  void beat();
  std::set<ConnId> open_;
  std::set<ConnId> ready_;
  bool banned_ = false;
  bool opening_ = false;
  bool gone_ = false;
};

// What of a lease is not as it should be, and committed to.
enum class Cheat { none, trace, loss, state, delta };

// How a device works, and for how long.
struct Habits {
  uint32_t step_ms = 0;  // of every step; 0: erratic
  size_t leases_max = SIZE_MAX;
  bool vanishes = false;  // in the middle of its last lease; else it leaves when that is done
  uint32_t failures = 0;  // leases given back by local trouble
};

class Miner : public Client {
 public:
  Miner(World& world, uint8_t key, Cheat cheat, Habits habits = {});
  // A lease with something wrong in it is complete.
  bool cheated() const;
  // None of those is, that nobody has found wrong.
  bool caught() const;
  const Habits& habits() const { return habits_; }
  // What has to be true before the job's last delta is handed in.
  std::function<bool()> may_finish = [] { return true; };
  // Every SHARE_OK, for whoever looks at the ledger in the end.
  struct Acknowledged {
    uint64_t seq;
    Digest share_id;
  };
  const std::vector<Acknowledged>& acknowledged() const { return acknowledged_; }
  bool is_logged(const Acknowledged& share) const;

 private:
  struct Held {
    verifier::Lease lease;
    std::vector<verifier::Share> shares;
    std::vector<std::vector<Digest>> steps;  // by share
    Bytes delta;
    uint32_t accepted = 0;
    bool stored = false;
    uint64_t ready_ms = 0;
  };
  void on_ready(ConnId link, const pool::AuthOk& hello) override;
  void on_other(ConnId link, MessageType type, const Bytes& payload) override;
  void act() override;
  Held& take(const verifier::Lease& lease);
  void spoil(Held& held);
  void give_back(const Digest& lease_id);
  uint64_t share_ms(const Held& held);

  const Cheat cheat_;
  const Habits habits_;
  uint32_t honest_leases_ = 0;  // played straight first
  uint32_t failures_ = 0;       // still to come
  std::set<Digest> spoiled_;
  std::set<Digest> known_;
  std::map<Digest, Held> held_;
  std::vector<Acknowledged> acknowledged_;
};

class Watcher : public Client {
 public:
  // lies: says the opposite of what it found.
  Watcher(World& world, uint8_t key, bool lies);
  // It has seen the whole disk, and the ledger has all it has to say.
  bool quiet() const;
  const verifier::LedgerState& ledger() const { return ledger_; }

 private:
  void on_ready(ConnId link, const pool::AuthOk& hello) override;
  void on_other(ConnId link, MessageType type, const Bytes& payload) override;
  void act() override;
  void on_record(const verifier::Record& record);
  void judge(const verifier::Share& share);

  const bool lies_;
  verifier::LedgerState ledger_;
  size_t judging_ = 0;
  std::map<Digest, Bytes> unheard_;  // accusations by lease, until the pool has looked at it
};

}  // namespace gemmine::sim
