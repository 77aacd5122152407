// Who is connected: HELLO to AUTH_OK, roles, silence (PROTOCOL 5.3, 5.4). Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "pool/core/actions.h"
#include "pool/wire/messages.h"

namespace gemmine::pool {

inline constexpr uint64_t kGreetingMs = 15'000;  // from the open connection to AUTH
inline constexpr size_t kSessionsPerKeyMax = 16;

// What is known of a connection when it is opened.
struct Opening {
  Digest channel_binding;  // its TLS exporter
  Digest server_random;    // fresh
  // Addresses that one owner is likely to have, such as an IPv4 /24; empty: nobody's, or our own.
  std::string neighbourhood = {};
};

struct Peer {
  ConnId id{};
  enum class Stage { hello, auth, ready } stage = Stage::hello;
  Role role = Role::miner;
  Digest key;
  Digest client_random;
  Digest server_random;
  Digest channel_binding;
  std::string neighbourhood;
  verifier::MemberBody member;  // who is paid, signed once the peer is ready
  std::string agent;
  uint64_t opened_ms = 0;
  uint64_t heard_ms = 0;
};

// A refusal of a greeting: the ERROR to send; the connection closes after it.
struct GreetingError {
  WireError code;
  std::string text;
};

class Sessions {
 public:
  Sessions(const Digest& pool_key, uint32_t idle_ms) : pool_key_(pool_key), idle_ms_(idle_ms) {}

  void open(ConnId id, const Opening& opening, uint64_t now);
  void close(ConnId id);
  Peer* find(ConnId id);
  const std::map<ConnId, Peer>& peers() const { return peers_; }
  std::map<ConnId, Peer>& peers() { return peers_; }
  // Ready miners' connections of a key, in O(log n) of the peers.
  std::vector<ConnId> of_miner(const Digest& key) const;
  // A peer that had just become ready is not welcome: it would have to greet anew.
  void begin_again(Peer& peer);

  // The two steps of a greeting; each moves the peer on when it returns nothing.
  std::optional<GreetingError> hello(Peer& peer, ByteView payload);
  std::optional<GreetingError> auth(Peer& peer, ByteView payload);
  HelloOk hello_ok(const Peer& peer, uint64_t now) const;

  // Peers that were silent for too long, or never finished their greeting.
  std::vector<Hangup> overdue(uint64_t now) const;

 private:
  const Digest pool_key_;
  const uint32_t idle_ms_;
  void forget_ready(const Peer& peer);

  std::map<ConnId, Peer> peers_;  // bounded by the listener's connections_max
  // Connections of ready peers by key: a pool greets a thousand strangers a second.
  std::map<Digest, std::vector<ConnId>> ready_;
};

}  // namespace gemmine::pool
