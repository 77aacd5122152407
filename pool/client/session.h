// A client's standing connection to one pool: hello, auth, pings, reconnects. PROTOCOL 5.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pool/net/backoff.h"
#include "pool/net/connection.h"
#include "pool/net/loop.h"
#include "pool/net/tls.h"
#include "pool/wire/messages.h"
#include "verifier/records/identity.h"

namespace gemmine::pool {

// "host:port" or "[v6]:port".
struct Endpoint {
  std::string host;
  uint16_t port = 0;
  std::string text() const;
};
// Errors: invalid_argument, saying what is missing ("pool.example:4400").
Result<Endpoint> parse_endpoint(std::string_view text);

struct SessionOptions {
  std::vector<Endpoint> pools;  // tried in order, round robin
  std::optional<Digest> pin;
  Role role = Role::miner;
  std::string account;
  std::string agent;
  uint64_t ping_ms = 30'000;  // silence after which we ask
};

// Why a session ends for good; the program exits with a code of its own for each.
enum class SessionEnd { refused_account, refused_version, banned, bad_identity };

class SessionObserver {
 public:
  // Authenticated, again after every reconnect: the pool's view of our open leases comes with it.
  virtual void on_ready(const AuthOk& state) = 0;
  // Any message the session itself does not use.
  virtual void on_message(MessageType type, ByteView payload) = 0;
  virtual void on_error(const ErrorMessage& error) = 0;
  // Lost; comes back by itself after retry_ms.
  virtual void on_down(const std::string& reason, uint64_t retry_ms) = 0;
  virtual void on_end(SessionEnd end, const std::string& reason) = 0;
  virtual void on_drained() {}

 protected:
  ~SessionObserver() = default;
};

class Session final : private ConnectionObserver {
 public:
  Session(Loop& loop, const TlsContext& tls, const verifier::Identity& identity,
          SessionOptions options, SessionObserver& observer);
  ~Session();

  void start();
  void stop(const std::string& reason);  // says BYE and stays down

  bool ready() const { return state_ == State::ready; }
  // False when not ready, or the queue is full (the connection then closes and comes back).
  bool send(MessageType type, ByteView payload);
  size_t queued_bytes() const;
  const Digest& pool_key() const { return pool_key_; }
  const Endpoint& endpoint() const { return options_.pools[at_]; }

 private:
  enum class State { down, connecting, hello, auth, ready, ended };

  void connect_now();
  void on_open(Connection& connection) override;
  void on_frame(Connection& connection, const Frame& frame) override;
  void on_close(Connection& connection, const std::string& reason) override;
  void on_drained(Connection& connection) override;
  void on_hello_ok(ByteView payload);
  void on_auth_ok(ByteView payload);
  void on_error_frame(ByteView payload);
  void on_tick();
  void drop(const std::string& reason);
  void end(SessionEnd end, const std::string& reason);

  Loop& loop_;
  const TlsContext& tls_;
  const verifier::Identity& identity_;
  const SessionOptions options_;
  SessionObserver& observer_;
  std::unique_ptr<Connection> connection_;
  State state_ = State::down;
  size_t at_ = 0;  // in options_.pools
  Digest client_random_;
  Digest pool_key_;
  std::optional<Digest> known_pool_key_;  // the first one seen; another one is refused
  Backoff backoff_;
  uint64_t ready_since_ms_ = 0;
  uint64_t retry_hint_ms_ = 0;
  Timer retry_;
  Timer tick_;
};

}  // namespace gemmine::pool
