#include "tests/sim/actors.h"

#include <algorithm>

#include "kernels/hash/blake3.h"
#include "verifier/records/trace.h"

namespace gemmine::sim {

using pool::Role;
using pool::WireError;

Client::Client(World& world, uint8_t key, Role role, std::string account)
    : world_(world),
      identity_(verifier::Identity::from_seed(pool::filled(key))),
      role_(role),
      account_(std::move(account)) {}

void Client::begin(uint64_t after_ms) {
  world_.after(after_ms, [this] {
    open();
    beat();
  });
}

void Client::open() {
  opening_ = false;
  if (banned_ || gone_) return;
  const ConnId link = world_.connect(*this);
  open_.insert(link);
  pool::Hello hello;
  hello.role = role_;
  hello.public_key = key();
  hello.account = account_;
  world_.send(link, MessageType::hello, encode(hello));
}

void Client::beat() {
  if (gone_) return;
  if (ready()) act();
  // Two connections of one key are allowed, and a way to say everything twice.
  const bool second = ready() && open_.size() == 1 && world_.random().chance(20);
  if ((open_.empty() || second) && !opening_) {
    opening_ = true;
    world_.after(world_.random().between(1, 2'000), [this] { open(); });
  }
  world_.after(world_.random().between(200, 700), [this] { beat(); });
}

void Client::on_lost(ConnId link) {
  open_.erase(link);
  ready_.erase(link);
}

void Client::lose_all() {
  for (const ConnId link : open_)
    world_.drop(link);
  open_.clear();
  ready_.clear();
}

void Client::leave() {
  gone_ = true;
  lose_all();
}

void Client::say(MessageType type, const Bytes& payload) {
  for (const ConnId link : std::set(ready_))
    world_.send(link, type, payload);
}

void Client::on_message(ConnId link, MessageType type, const Bytes& payload) {
  if (!open_.contains(link)) return;  // of an earlier life
  if (type == MessageType::hello_ok) {
    const auto hello = decode<pool::HelloOk>(payload).value();
    const pool::AuthMaterial material{.server_random = hello.server_random,
                                      .client_random = {},
                                      .channel_binding = world_.channel_binding(link),
                                      .pool_key = hello.pool_key,
                                      .public_key = key(),
                                      .role = role_,
                                      .account = account_};
    return world_.send(link, MessageType::auth,
                       encode(pool::make_auth(material, identity_, world_.now())));
  }
  if (type == MessageType::auth_ok) {
    ready_.insert(link);
    return on_ready(link, decode<pool::AuthOk>(payload).value());
  }
  if (type == MessageType::error) {
    const auto error = decode<pool::ErrorMessage>(payload).value();
    if (error.code == WireError::banned) banned_ = true;
    constexpr WireError kNeverMine[] = {
        WireError::malformed, WireError::bad_type,  WireError::bad_signature, WireError::conflict,
        WireError::bad_price, WireError::bad_steps, WireError::bad_value,     WireError::bad_delta};
    if (std::ranges::find(kNeverMine, error.code) != std::end(kNeverMine))
      world_.fail(account_ + " was told " + std::string(pool::to_string(error.code)) + ": " +
                  error.text);
    return;
  }
  on_other(link, type, payload);
}

Miner::Miner(World& world, uint8_t key, Cheat cheat, Habits habits)
    : Client(world, key, Role::miner, "miner-" + std::to_string(key)),
      cheat_(cheat),
      habits_(habits),
      failures_(habits.failures) {
  if (cheat != Cheat::none) honest_leases_ = static_cast<uint32_t>(world.random().below(2));
}

uint64_t Miner::share_ms(const Held& held) {
  if (habits_.step_ms > 0) {
    const auto next = std::min<size_t>(held.accepted, held.shares.size() - 1);
    const uint64_t usual = uint64_t{held.shares[next].steps} * habits_.step_ms;
    return world_.random().between(usual * 4 / 5, usual * 6 / 5);
  }
  const bool last = held.lease.round + 1 == world_.training().job().spec.rounds;
  return world_.random().between(100, 1'500) * (last ? 10 : 1);
}

Miner::Held& Miner::take(const verifier::Lease& lease) {
  const Digest id = lease.id;
  const auto [at, fresh] = held_.try_emplace(id);
  Held& held = at->second;
  if (!fresh) return held;
  held.lease = lease;
  const Leased& work = world_.training().run(lease, world_.blob(lease.theta_root));
  for (const verifier::ShareRun& run : work.runs) {
    held.shares.push_back(run.share);
    held.steps.push_back(run.step_digests);
    verifier::sign(held.shares.back(), identity_);
  }
  held.delta = work.delta;
  held.ready_ms = world_.now() + share_ms(held);
  const bool early = lease.round + 1 < world_.training().job().spec.rounds;
  const bool wanted = cheat_ != Cheat::none && early && known_.size() >= honest_leases_;
  if (known_.contains(id) ? spoiled_.contains(id) : wanted) spoil(held);
  known_.insert(id);
  return held;
}

// The same lie about the same lease in every life, or the pool would see a conflict.
void Miner::spoil(Held& held) {
  spoiled_.insert(held.lease.id);
  verifier::Share& last = held.shares.back();
  if (cheat_ == Cheat::trace) {
    held.steps.back().back().bytes[3] ^= 1;
    last.trace_root = verifier::trace_root(last.lease_id, last.first_step, held.steps.back());
  }
  if (cheat_ == Cheat::loss) last.loss += 1;
  if (cheat_ == Cheat::state) {
    held.shares[0].state_after.bytes[3] ^= 1;
    if (held.shares.size() > 1) held.shares[1].state_before = held.shares[0].state_after;
  }
  if (cheat_ == Cheat::delta) {
    held.delta.back() ^= 1;
    last.delta_root = kernels::blake3(held.delta);
  }
  for (verifier::Share& share : held.shares)
    verifier::sign(share, identity_);
}

void Miner::on_ready(ConnId, const pool::AuthOk& hello) {
  std::set<Digest> open;
  for (const auto& each : hello.leases) {
    const auto lease = verifier::decode_lease(each.lease).value();
    open.insert(lease.id);
    Held& held = take(lease);
    held.accepted = std::max(held.accepted, each.shares_accepted);
    held.stored |= each.delta_stored;
  }
  std::erase_if(held_, [&](const auto& entry) { return !open.contains(entry.first); });
}

void Miner::on_other(ConnId, MessageType type, const Bytes& payload) {
  if (type == MessageType::lease) {
    take(verifier::decode_lease(decode<pool::LeaseMessage>(payload).value().lease).value());
  } else if (type == MessageType::share_ok) {
    const auto ok = decode<pool::ShareOk>(payload).value();
    const auto found = held_.find(ok.lease_id);
    if (found == held_.end()) return;
    Held& held = found->second;
    acknowledged_.push_back({ok.receipt.seq, verifier::share_id(held.shares[ok.index])});
    if (ok.receipt.seq >= world_.disk().size())
      world_.fail("a share was acknowledged before it was in the ledger");
    if (ok.index != held.accepted) return;
    ++held.accepted;
    held.ready_ms = world_.now() + share_ms(held);
    if (failures_ > 0 && world_.random().chance(300)) {
      --failures_;
      give_back(ok.lease_id);
    }
  } else if (type == MessageType::delta_ok) {
    const auto found = held_.find(decode<pool::DeltaOk>(payload).value().lease_id);
    if (found != held_.end()) found->second.stored = true;
  } else if (type == MessageType::lease_closed) {
    held_.erase(decode<pool::LeaseClosed>(payload).value().close.lease_id);
  }
}

void Miner::give_back(const Digest& lease_id) {
  say(MessageType::abandon,
      encode(pool::Abandon{lease_id, verifier::kNoStep,
                           identity_.sign(verifier::abandon_message(lease_id))}));
  held_.erase(lease_id);
}

bool Miner::cheated() const {
  if (world_.pool() == nullptr) return false;
  const auto& leases = world_.pool()->ledger().leases();
  return std::ranges::any_of(spoiled_, [&](const Digest& id) {
    const auto found = leases.find(id);
    return found != leases.end() && found->second.delta_root.has_value();
  });
}

bool Miner::caught() const {
  if (world_.pool() == nullptr) return false;
  const auto& leases = world_.pool()->ledger().leases();
  return std::ranges::all_of(spoiled_, [&](const Digest& id) {
    const auto found = leases.find(id);
    return found == leases.end() || !found->second.delta_root || found->second.wrong;
  });
}

bool Miner::is_logged(const Acknowledged& share) const {
  const auto& disk = world_.disk();
  if (share.seq >= disk.size() || disk[share.seq].kind != verifier::RecordKind::share) return false;
  const auto logged =
      verifier::decode_share(Reader(disk[share.seq].body).get_blob(verifier::kRecordBytesMax));
  return logged && verifier::share_id(logged.value()) == share.share_id;
}

void Miner::act() {
  if (!acknowledged_.empty() && !is_logged(acknowledged_.back()))
    world_.fail("the pool forgot a share that it had acknowledged");
  if (known_.size() >= habits_.leases_max && (habits_.vanishes || held_.empty())) return leave();
  if (world_.random().chance(10)) {  // a process dies and comes back with nothing
    lose_all();
    held_.clear();
    return;
  }
  say(MessageType::ping, encode(pool::Ping{world_.now()}));
  for (const auto& [id, held] : held_) {
    if (world_.now() < held.ready_ms) continue;
    if (held.accepted < held.shares.size()) {
      say(MessageType::share, encode(pool::ShareMessage{encode(held.shares[held.accepted]),
                                                        held.steps[held.accepted]}));
    } else if (!held.stored) {
      const bool last = held.lease.round + 1 == world_.training().job().spec.rounds;
      if (last && !may_finish()) continue;
      say(MessageType::upload,
          encode(pool::Upload{id, pool::kDelta, {held.delta.size(), 0, 1, {}, held.delta}}));
    }
  }
  if (held_.empty() || world_.random().chance(100))
    say(MessageType::get_lease, encode(pool::GetLease{}));
}

Watcher::Watcher(World& world, uint8_t key, bool lies)
    : Client(world, key, Role::auditor, lies ? "slanderer" : "auditor"), lies_(lies) {}

bool Watcher::quiet() const {
  return ledger_.next_seq() == world_.disk().size() && judging_ == 0 && unheard_.empty();
}

void Watcher::on_ready(ConnId link, const pool::AuthOk&) {
  world_.send(link, MessageType::watch, encode(pool::Watch{ledger_.next_seq()}));
}

void Watcher::on_other(ConnId, MessageType type, const Bytes& payload) {
  if (type != MessageType::record) return;
  const auto record = decode<pool::RecordMessage>(payload).value().record();
  if (record.seq != ledger_.next_seq()) return;  // of another connection
  on_record(record);
  if (const Status vouched = verifier::check_signature(ledger_, record.signature); !vouched)
    world_.fail("the auditor sees another ledger: " + vouched.error().detail);
}

void Watcher::on_record(const verifier::Record& record) {
  if (const Status applied = ledger_.apply(record); !applied)
    return world_.fail("the auditor sees no ledger: " + applied.error().detail);
  const auto wrapped = [&] { return Reader(record.body).get_blob(verifier::kRecordBytesMax); };
  if (record.kind == verifier::RecordKind::share) {
    const auto share = verifier::decode_share(wrapped()).value();
    ++judging_;
    world_.after(world_.random().between(50, 1'500), [this, share] { judge(share); });
  }
}

void Watcher::judge(const verifier::Share& share) {
  --judging_;
  const verifier::Lease& lease = ledger_.leases().at(share.lease_id).lease;
  const Leased& work = world_.training().run(lease, world_.blob(lease.theta_root));
  const verifier::ShareRun& own = work.runs[share.index];
  verifier::Finding finding = verifier::compare_share(share, own);
  const bool right = finding.outcome == verifier::Outcome::valid;
  if (right != lies_) return;  // nobody asks for praise
  verifier::Verdict verdict;
  verdict.lease_id = share.lease_id;
  verdict.index = share.index;
  verdict.share_id = verifier::share_id(share);
  verdict.outcome = verifier::Outcome::invalid;
  verdict.step = lies_ ? verifier::kNoStep : finding.step;
  verdict.digest = lies_ ? pool::filled(9) : verifier::digest_of(finding, share, own);
  verdict.time_ms = world_.now();
  verifier::sign(verdict, identity_);
  unheard_.emplace(share.lease_id, encode(pool::VerdictMessage{encode(verdict)}));
}

void Watcher::act() {
  if (ledger_.next_seq() > world_.disk().size())
    world_.fail("the pool forgot records that it had published");
  say(MessageType::ping, encode(pool::Ping{world_.now()}));
  std::erase_if(unheard_, [&](const auto& entry) {
    const verifier::LeaseState& lease = ledger_.leases().at(entry.first);
    return lease.wrong || lease.replayed ||
           (lease.closed && lease.closed != verifier::CloseReason::complete);
  });
  for (const auto& [lease, verdict] : unheard_)
    say(MessageType::verdict, verdict);
}

}  // namespace gemmine::sim
