// A client's standing connection to one pool: hello, auth, pings, reconnects. PROTOCOL 5.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pool/client/message_sink.h"
#include "pool/client/upstreams.h"
#include "pool/net/connection.h"
#include "pool/net/loop.h"
#include "pool/net/tls.h"
#include "pool/wire/messages.h"
#include "verifier/records/identity.h"

namespace gemmine::pool {

// Where a pool is, and the one TLS key that it may have there. Without a pin its certificate must
// be one that the system trusts.
struct Endpoint {
  std::string host;
  uint16_t port = 0;
  std::optional<Digest> pin = {};
  std::string text() const;  // "host:port" or "[v6]:port"
};
// Errors: invalid_argument, saying what is missing or too much ("pool.example:4400").
Result<Endpoint> parse_endpoint(std::string_view text);

// What --pool and --pin say: no pin at all, or one for each pool in the same order, where the word
// `system` stands for none. Errors: invalid_argument, naming the option.
Result<std::vector<Endpoint>> parse_pools(std::span<const std::string> pools,
                                          std::span<const std::string> pins);

struct SessionOptions {
  std::vector<Endpoint> pools;  // 1 or more; the order is that of Upstreams
  bool one_pool = false;        // all addresses are one pool's: another key there is another pool
  Role role = Role::miner;
  std::string account;
  std::string agent;
  uint64_t ping_ms = 30'000;  // silence after which we ask
};

// Why a session ends for good: no pool of the list is left. The last one's reason; the program
// exits with a code of its own for each.
enum class SessionEnd { refused_account, refused_version, banned, bad_identity, untrue };

class SessionObserver {
 public:
  // Authenticated, again after every reconnect: the pool's view of our open leases comes with it.
  virtual void on_ready(const AuthOk& state) = 0;
  // Any message the session itself does not use.
  virtual void on_message(MessageType type, ByteView payload) = 0;
  virtual void on_error(const ErrorMessage& error) = 0;
  // Lost, or not reached; the next try, perhaps of another pool, comes by itself after retry_ms. A
  // pool that stays another than the pinned one is told once.
  virtual void on_down(const std::string& reason, uint64_t retry_ms) = 0;
  virtual void on_end(SessionEnd end, const std::string& reason) = 0;
  virtual void on_drained() {}

 protected:
  ~SessionObserver() = default;
};

class Session final : public MessageSink, private ConnectionObserver {
 public:
  Session(Loop& loop, const verifier::Identity& identity, SessionOptions options,
          SessionObserver& observer);
  ~Session();

  void start();
  void stop(const std::string& reason);  // says BYE and stays down

  // The pool of this connection is not tried again, because it said what it does not stand by or
  // what cannot be true (untrue), or is another one (bad_identity). Ends the session when no other
  // is left.
  void leave_pool(SessionEnd why, const std::string& reason) { end(why, reason); }

  bool ready() const override { return state_ == State::ready; }
  size_t queued_bytes() const override;
  const Digest& pool_key() const { return pool_key_; }
  const Endpoint& endpoint() const { return options_.pools[at_]; }

 private:
  enum class State { down, connecting, hello, auth, ready, ended };

  // 0 when not ready, or when the queue is full: the connection then closes and comes back.
  uint32_t send_frame(MessageType type, ByteView payload) override;
  template <Message M>
  uint32_t say(const M& message) {
    return connection_->send(static_cast<uint8_t>(M::kType), 0, encode(message));
  }
  void connect_now();
  void on_open(Connection& connection) override;
  void on_frame(Connection& connection, const Frame& frame) override;
  void on_close(Connection& connection, const std::string& reason) override;
  void on_drained(Connection& connection) override;
  void on_hello_ok(ByteView payload);
  void on_auth_ok(ByteView payload);
  void on_error_frame(ByteView payload);
  void on_tick();
  // The connection is gone, or none could be made: schedules the next try.
  void drop(const std::string& reason);
  void retry(const std::string& reason, bool tell);
  void end(SessionEnd end, const std::string& reason);

  Loop& loop_;
  const verifier::Identity& identity_;
  const SessionOptions options_;
  SessionObserver& observer_;
  std::optional<TlsContext> tls_;  // of the pool that is tried
  std::unique_ptr<Connection> connection_;
  State state_ = State::down;
  size_t at_ = 0;  // in options_.pools
  Digest client_random_;
  Digest pool_key_;
  Upstreams upstreams_;
  // What is wrong with the pool of this connection, beyond the connection.
  enum class Fault : uint8_t { none, other_key, given_up } fault_ = Fault::none;
  uint64_t ready_since_ms_ = 0;
  uint64_t retry_hint_ms_ = 0;
  Timer retry_;
  Timer tick_;
};

}  // namespace gemmine::pool
