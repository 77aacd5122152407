// A pool, its disk, its network and its clock in one thread: everything follows from the seed.
//
// Within a connection messages stay in order, as TCP keeps them; between connections anything goes.
// A connection that breaks loses what is under way, and its two ends learn of it at different
// times. The pool dies at any record boundary, and what it had not said yet is never said.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <tuple>
#include <vector>

#include "pool/core/pool.h"
#include "pool/store/intake.h"
#include "tests/sim/training.h"

namespace gemmine::sim {

using pool::ConnId;
using pool::MessageType;

// Bugs that the simulator must find.
enum class Plant {
  none,
  early_words,  // the pool speaks before its records are durable
  lost_tail,    // a crash takes the last record, which was acknowledged, from the disk
  no_velocity,  // a merge forgets what the outer step's velocity was
};

class World;

// Somebody at the other end of connections.
class Actor {
 public:
  virtual ~Actor() = default;
  virtual void on_message(ConnId link, MessageType type, const Bytes& payload) = 0;
  virtual void on_lost(ConnId link) = 0;  // or never connected
};

class World {
 public:
  World(uint64_t seed, Plant plant, const Setting& setting, std::vector<Digest> auditors,
        Random random);

  // Clock.
  uint64_t now() const { return now_; }
  void after(uint64_t ms, std::function<void()> what);
  bool step();  // the next event; false when there is none
  Random& random() { return random_; }

  // Network. connect: an Actor hears on_lost when the pool is down.
  ConnId connect(Actor& actor);
  void send(ConnId link, MessageType type, Bytes payload);
  void drop(ConnId link);  // by a process that dies or a cable that is pulled
  // AUTH of a connection (PROTOCOL 5.4).
  Digest channel_binding(ConnId link) const;

  Training& training() { return training_; }
  const Bytes& blob(const Digest& address) const { return blobs_.at(address); }
  const std::vector<verifier::SignedRecord>& disk() const { return disk_; }
  const pool::Pool* pool() const { return pool_.get(); }
  const verifier::Identity& identity() const { return identity_; }
  uint32_t crashes() const { return crashes_; }
  void crash_no_more() { crash_at_.reset(); }

  // What broke; empty: nothing so far.
  std::vector<std::string> failures;
  void fail(const std::string& what) { failures.push_back(what); }

 private:
  struct Link {
    Actor* actor = nullptr;
    bool cut = false;         // nothing is delivered any more
    uint64_t to_pool_ms = 0;  // arrival of the last message, each way
    uint64_t to_actor_ms = 0;
    std::optional<uint64_t> watch_from;
  };
  struct Event {
    uint64_t time_ms;
    uint64_t order;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return std::tie(time_ms, order) > std::tie(other.time_ms, other.order);
    }
  };
  void start();
  void crash();
  void stop();  // and start again, a little later
  uint64_t fund();
  bool fill_up();  // the owner sees that the pool has run dry, and stops it
  void touch();    // the pool decided something
  void flush();
  void carry_out(pool::Actions actions);
  pool::MergeDone merge(const pool::MergeTask& task);
  void run_task(const pool::Task& task);
  void run_disk_task(pool::DiskTask& task);
  void deliver(ConnId link, MessageType type, const Bytes& payload);
  void to_actor(ConnId link, MessageType type, Bytes payload);
  void pool_hangs_up(ConnId link);
  void serve_watchers();
  void keep(const Bytes& bytes);
  uint64_t delay();

  Random random_;
  const Plant plant_;
  const Setting setting_;
  const std::vector<Digest> auditors_;
  Training training_;
  uint64_t now_ = 1'000'000;
  uint64_t order_ = 0;
  std::priority_queue<Event> events_;
  std::map<ConnId, Link> links_;
  uint64_t next_link_ = 1;

  const verifier::Identity identity_;
  pool::TempDirectory folder_;
  std::optional<pool::Intake> intake_;
  std::map<Digest, Bytes> blobs_;
  pool::KeptMap kept_;
  std::vector<verifier::SignedRecord> disk_;
  pool::JobTable jobs_;
  std::unique_ptr<pool::Examiner> examiner_;
  std::unique_ptr<pool::Pool> pool_;  // null while it is down
  uint64_t life_ = 0;                 // counts starts; events of an earlier life are void
  bool flushing_ = false;
  std::optional<size_t> crash_at_;  // records on disk
  uint32_t crashes_ = 0;
};

}  // namespace gemmine::sim
