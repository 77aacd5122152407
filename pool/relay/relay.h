// A farm's relay: blobs of a pool, fetched once over its pinned TLS protocol, handed to every rig
// over HTTP (PROTOCOL 14). It holds no key and no promise: what it says is checked by who asked,
// and whoever finds it gone, slow or wrong asks the pool.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pool/client/fetcher.h"
#include "pool/client/session.h"
#include "pool/log/events.h"
#include "pool/net/loop.h"
#include "pool/relay/desk.h"
#include "pool/relay/http_server.h"
#include "pool/relay/shelf.h"

namespace gemmine::pool {

struct RelayOptions {
  std::string folder;                       // of its blobs; it is there
  uint64_t bytes_max = uint64_t{20} << 30;  // what the folder may take
  std::string listen_address;               // numeric
  uint16_t listen_port = 0;
};

class Relay final : private SessionObserver {
 public:
  // identity: any; a relay's is forgotten when it ends. It and events outlive the relay.
  // Errors: those of HttpServer::open.
  static Result<std::unique_ptr<Relay>> make(Loop& loop, const verifier::Identity& identity,
                                             SessionOptions session, RelayOptions options,
                                             Events& events);

  void start();
  void stop(const std::string& reason);  // then the loop ends
  uint16_t port() const { return server_->port(); }
  // Why it ended by itself: no pool of its list will have it.
  const std::optional<SessionEnd>& refusal() const { return refusal_; }

 private:
  Relay(Loop& loop, const verifier::Identity& identity, SessionOptions session,
        RelayOptions options, Events& events);

  void on_ready(const AuthOk& state) override;
  void on_message(MessageType type, ByteView payload) override;
  void on_error(const ErrorMessage& error) override;
  void on_down(const std::string& reason, uint64_t retry_ms) override;
  void on_end(SessionEnd end, const std::string& reason) override;
  void on_wanted(const Digest& address);
  void on_brought(const Digest& address, const Status& done);

  Loop& loop_;
  const RelayOptions options_;
  Events& events_;
  std::optional<SessionEnd> refusal_;
  Session session_;
  Fetcher fetcher_;
  Shelf shelf_;
  Mailbox<Digest> wanted_;
  Desk desk_;
  std::unique_ptr<HttpServer> server_;  // last: its thread posts to what is above
};

}  // namespace gemmine::pool
