#include "pool/core/sessions.h"

#include <algorithm>

#include "verifier/ledger/ledger.h"
#include "verifier/records/identity.h"

namespace gemmine::pool {

void Sessions::open(ConnId id, const Opening& opening, uint64_t now) {
  GEMMINE_CHECK(!peers_.contains(id));
  Peer& peer = peers_[id];
  peer.id = id;
  peer.channel_binding = opening.channel_binding;
  peer.server_random = opening.server_random;
  peer.neighbourhood = opening.neighbourhood;
  peer.opened_ms = peer.heard_ms = now;
}

void Sessions::close(ConnId id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  forget_ready(found->second);
  peers_.erase(found);
}

void Sessions::forget_ready(const Peer& peer) {
  const auto found = ready_.find(peer.key);
  if (found == ready_.end()) return;
  std::erase(found->second, peer.id);
  if (found->second.empty()) ready_.erase(found);
}

void Sessions::begin_again(Peer& peer) {
  GEMMINE_CHECK(peer.stage == Peer::Stage::ready);
  forget_ready(peer);
  peer.stage = Peer::Stage::hello;
}

Peer* Sessions::find(ConnId id) {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : &found->second;
}

std::vector<ConnId> Sessions::of_miner(const Digest& key) const {
  const auto found = ready_.find(key);
  if (found == ready_.end()) return {};
  std::vector<ConnId> out = found->second;
  std::erase_if(out, [&](ConnId id) { return peers_.at(id).role != Role::miner; });
  return out;
}

std::optional<GreetingError> Sessions::hello(Peer& peer, ByteView payload) {
  GEMMINE_CHECK(peer.stage == Peer::Stage::hello);
  const auto decoded = decode<Hello>(payload);
  if (!decoded) return GreetingError{WireError::malformed, decoded.error().detail};
  const Hello& hello = decoded.value();
  if (hello.version_min > kWireVersion || hello.version_max < kWireVersion)
    return GreetingError{WireError::bad_version,
                         "this pool speaks version " + std::to_string(kWireVersion) + " only"};
  if (!verifier::account_ok(hello.account))
    return GreetingError{WireError::bad_account,
                         "the account is empty or has characters outside A-Z a-z 0-9 . _ -"};
  if (const auto fault = verifier::fault_of_key(hello.public_key);
      fault != verifier::KeyFault::none)
    return GreetingError{WireError::bad_key,
                         fault == verifier::KeyFault::low_order
                             ? "this public key is a low-order point, which signs anything: make "
                               "a new one with --data and a new folder"
                             : "this public key is not canonical: make a new one with --data and "
                               "a new folder"};
  peer.role = hello.role;
  peer.key = hello.public_key;
  peer.client_random = hello.client_random;
  peer.member = {.key = hello.public_key, .account = hello.account};
  peer.agent = hello.agent;
  peer.stage = Peer::Stage::auth;
  return {};
}

std::optional<GreetingError> Sessions::auth(Peer& peer, ByteView payload) {
  GEMMINE_CHECK(peer.stage == Peer::Stage::auth);
  const auto decoded = decode<Auth>(payload);
  if (!decoded) return GreetingError{WireError::malformed, decoded.error().detail};
  const Digest message = auth_message({.server_random = peer.server_random,
                                       .client_random = peer.client_random,
                                       .channel_binding = peer.channel_binding,
                                       .pool_key = pool_key_,
                                       .public_key = peer.key,
                                       .role = peer.role,
                                       .account = peer.member.account});
  if (!verifier::verify_signature(peer.key, message, decoded.value().signature))
    return GreetingError{WireError::bad_signature, "AUTH does not sign this connection"};
  peer.member.counter = decoded.value().counter;
  peer.member.signature = decoded.value().member;
  if (!verifier::verify_signature(peer.key, verifier::member_message(pool_key_, peer.member),
                                  peer.member.signature))
    return GreetingError{WireError::bad_signature, "AUTH does not sign who is paid"};
  const auto same = ready_.find(peer.key);
  if (same != ready_.end() && same->second.size() >= kSessionsPerKeyMax)
    return GreetingError{WireError::too_many, "this key has too many sessions"};
  peer.stage = Peer::Stage::ready;
  ready_[peer.key].push_back(peer.id);
  return {};
}

HelloOk Sessions::hello_ok(const Peer& peer, uint64_t now) const {
  return {.version = kWireVersion,
          .server_random = peer.server_random,
          .pool_key = pool_key_,
          .idle_ms = idle_ms_,
          .pool_time_ms = now};
}

std::vector<Hangup> Sessions::overdue(uint64_t now) const {
  std::vector<Hangup> out;
  for (const auto& [id, peer] : peers_) {
    if (peer.stage != Peer::Stage::ready && now > peer.opened_ms + kGreetingMs)
      out.push_back({id, "the greeting took too long"});
    else if (now > peer.heard_ms + idle_ms_)
      out.push_back({id, "silent for too long"});
  }
  return out;
}

}  // namespace gemmine::pool
