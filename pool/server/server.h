// The pool's loop: connections, disk, audit threads and the clock around the pure Pool. Dispatch
// only; every decision is Pool's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "pool/config/pool_config.h"
#include "pool/core/pool.h"
#include "pool/net/connection.h"
#include "pool/net/loop.h"
#include "pool/server/watchers.h"
#include "pool/server/workers.h"
#include "pool/store/blobs.h"
#include "pool/store/sqlite_store.h"

namespace gemmine::pool {

inline constexpr uint64_t kTickMs = 200;
inline constexpr uint64_t kStoreRetryMs = 1'000;
inline constexpr size_t kSendAheadMax = 6 << 20;  // bytes a peer may leave unread before it waits
inline constexpr size_t kBlobWaitsMax = 16;       // GET_BLOBs a peer may have unanswered

struct ServerOptions {
  PoolConfig config;
  std::string status_file;  // empty: none
  bool exit_when_finished = false;
};

class Server final : private ConnectionObserver {
 public:
  using OnNote = std::function<void(const Event&)>;
  struct Opened {  // what main made before: files, keys, ledger
    Store store;
    Blobs blobs;
    TlsContext tls;
    JobTable jobs;
  };
  // Errors: io (port in use), those of Pool::add_job.
  static Result<std::unique_ptr<Server>> start(Loop& loop, Opened opened, Pool pool,
                                               ServerOptions options, uint64_t start_ms,
                                               OnNote on_note);
  ~Server();

  void stop(const std::string& reason);  // BYE to everybody, then the loop ends
  uint16_t port() const { return listener_->port(); }

 private:
  struct Client {
    std::unique_ptr<Connection> connection;
    std::vector<GetBlob> blob_waits;  // not answered yet: the peer reads slowly
  };

  Server(Loop& loop, Opened opened, Pool pool, ServerOptions options, uint64_t start_ms,
         uint64_t durable, OnNote on_note);
  void on_open(Connection& connection) override;
  void on_frame(Connection& connection, const Frame& frame) override;
  void on_close(Connection& connection, const std::string& reason) override;
  void on_drained(Connection& connection) override;

  uint64_t now() const;  // pool time: never before the ledger's last record, never back
  void on_get_blob(ConnId id, Client& client, const Frame& frame);
  void on_watch(ConnId id, Client& client, const Frame& frame);
  void serve_blobs(Client& client);
  Watchers::Port watcher_port();
  void watch_on();
  void refuse(Client& client, uint32_t seq, WireError code, const std::string& text,
              uint32_t retry_after_ms);
  template <Message M>
  static uint32_t say(const Client& client, const M& message) {
    return client.connection->send(static_cast<uint8_t>(M::kType), 0, encode(message));
  }
  void schedule();
  void flush();
  bool make_durable();
  void carry_out(Actions actions);
  void hang_up(ConnId id, const std::string& reason);
  void note(std::string name, Fields fields, Level level = Level::info);
  void on_tick();
  void write_status();

  Loop& loop_;
  Opened opened_;
  Pool pool_;
  const ServerOptions options_;
  const uint64_t start_ms_;  // pool time when monotonic time was started_at_ms_
  const uint64_t started_at_ms_;
  const OnNote on_note_;
  std::map<ConnId, Client> clients_;
  std::map<const Connection*, ConnId> ids_;
  std::vector<std::unique_ptr<Connection>> closed_;  // destroyed on the next turn
  uint64_t next_id_ = 1;
  // Decided and not durable yet; while stalled, nothing new is decided.
  std::vector<Bytes> blobs_;
  std::vector<verifier::Record> records_;
  Actions actions_;
  bool stalled_ = false;
  bool scheduled_ = false;
  bool stopping_ = false;
  uint64_t stop_at_ms_ = 0;
  uint64_t status_at_ms_ = 0;
  Watchers watchers_;
  Timer watch_;
  Timer flush_;
  Timer tick_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Workers> workers_;  // last: its threads end first
};

}  // namespace gemmine::pool
