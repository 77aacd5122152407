// The pool's loop: connections, the ledger's thread, audit threads and the clock around the pure
// Pool. Dispatch only; every decision is Pool's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "pool/config/pool_config.h"
#include "pool/core/pool.h"
#include "pool/net/connection.h"
#include "pool/net/loop.h"
#include "pool/server/disk.h"
#include "pool/server/status_file.h"
#include "pool/server/watchers.h"
#include "pool/server/workers.h"
#include "pool/store/blobs.h"
#include "pool/store/writer.h"

namespace gemmine::pool {

inline constexpr uint64_t kTickMs = 200;
// Decided and not durable yet. Over it the ledger's disk is too slow, and nothing new is decided.
inline constexpr uint64_t kUnwrittenBytesMax = uint64_t{256} << 20;

struct ServerOptions {
  PoolConfig config;
  std::string status_file;  // empty: none
  bool exit_when_finished = false;
};

class Server final : private ConnectionObserver {
 public:
  using OnNote = std::function<void(const Event&)>;
  struct Opened {  // what main made before: files, keys, ledger
    std::unique_ptr<LedgerStore> store;
    Blobs blobs;
    TlsContext tls;
    JobTable jobs;
    std::string evaluations;  // file of what past rounds were evaluated to; empty: none
    OpenStore open_store;     // to read what `store` keeps
  };
  // Errors: io (port in use, the status file), busy (no threads).
  static Result<std::unique_ptr<Server>> start(Loop& loop, Opened opened, Pool pool,
                                               ServerOptions options, uint64_t start_ms,
                                               OnNote on_note);
  ~Server();

  // What was decided becomes durable and followers of the ledger hear of it; then everybody gets
  // BYE, and the loop ends.
  void stop(const std::string& reason);
  uint16_t port() const { return listener_->port(); }

 private:
  struct Client {
    std::unique_ptr<Connection> connection;
  };
  enum class Stage { running, stopping, said_bye };

  Server(Loop& loop, Opened opened, Pool pool, ServerOptions options, uint64_t start_ms,
         uint64_t durable, OnNote on_note);
  Status start_threads();
  void sweep();
  Status listen();
  void on_open(Connection& connection) override;
  void on_frame(Connection& connection, const Frame& frame) override;
  void on_close(Connection& connection, const std::string& reason) override;
  void on_drained(Connection& connection) override;

  void make_room();
  uint64_t now() const;  // pool time: never before the ledger's last record, never back
  void on_get_blob(ConnId id, Client& client, const Frame& frame);
  void on_watch(ConnId id, Client& client, const Frame& frame);
  Disk::Peers disk_peers();
  Watchers::Port watcher_port();
  void watch_on();
  void refuse(Client& client, uint32_t seq, WireError code, const std::string& text,
              uint32_t retry_after_ms);
  template <Message M>
  static uint32_t say(const Client& client, const M& message) {
    return client.connection->send(static_cast<uint8_t>(M::kType), 0, encode(message));
  }
  // Nothing new may be decided: what was is not durable, and will not be soon.
  bool held_up() const { return stalled_ || step_bytes_ > kUnwrittenBytesMax; }
  bool all_durable() const { return step_.empty() && !writer_->writing(); }
  void schedule();
  void flush();
  Writer::Observer writer_observer();
  void on_durable(std::vector<verifier::SignedRecord> records);
  void carry_out(Actions actions);
  void hang_up(ConnId id, const std::string& reason);
  void note(Level level, std::string name, Fields fields);
  void on_tick();
  void write_status();
  void leave_when_done();
  void say_bye();

  Loop& loop_;
  Opened opened_;
  Pool pool_;
  const ServerOptions options_;
  const uint64_t start_ms_;  // pool time when monotonic time was started_at_ms_
  const uint64_t started_at_ms_;
  const OnNote on_note_;
  std::map<ConnId, Client> clients_;
  std::map<const Connection*, ConnId> ids_;
  std::set<ConnId> greeting_;                        // clients that are not ready yet, by age
  std::vector<std::unique_ptr<Connection>> closed_;  // destroyed on the next turn
  uint64_t next_id_ = 1;
  // Decided, and waiting for the writer; and what may be done once the step it has is durable.
  Step step_;
  uint64_t step_bytes_ = 0;  // step_.bytes() when it was last added to
  Actions actions_;
  Actions actions_of_written_;
  bool stalled_ = false;
  bool scheduled_ = false;
  Stage stage_ = Stage::running;
  std::string stop_reason_;
  uint64_t stop_at_ms_ = 0;
  uint64_t status_at_ms_ = 0;
  uint64_t blobs_until_ms_ = 0;  // somebody fetches blobs, as far as we know
  Watchers watchers_;
  Timer watch_;
  Timer flush_;
  Timer tick_;
  std::unique_ptr<Listener> listener_;
  // Last: their threads end first.
  std::unique_ptr<StatusFile> status_file_;
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Workers> workers_;
};

}  // namespace gemmine::pool
