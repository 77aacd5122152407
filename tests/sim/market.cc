#include "tests/sim/market.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "kernels/hash/blake3.h"
#include "pool/core/pool.h"
#include "tests/unit/pool/core/fake_pool.h"
#include "verifier/records/coin.h"
#include "verifier/records/trace.h"

namespace gemmine::sim {
namespace {

using pool::ConnId;
using pool::MessageType;
using verifier::Outcome;

constexpr int kTriesMax = 64;  // of a share, by who knows the draw
constexpr uint64_t kLeaseMs = 60'000;
constexpr size_t kAnswerBytes = 8;

class Market {
 public:
  Market(const JobTerms& terms, const Strategy& strategy, uint64_t seed, Leak leak)
      : strategy_(strategy),
        leak_(leak),
        random_(seed),
        work_(work_of(terms)),
        pool_(begun(), identity_,
              pool::PoolOptions{.random = [this] { return digest(); },
                                .idle_ms = UINT32_MAX,
                                .always_threads = terms.asked,
                                .rounds_kept = 0,
                                .auditors = {}}) {
    const Digest theta = digest();
    GEMMINE_CHECK(pool_.add_job(work_, theta, {{theta, digest()}}, uint64_t{1} << 50, now_).ok());
    pool_.resume(now_);
    settle();
    fresh_key();
  }

  double play() {
    // Who is caught every time comes to no end; somebody honest does the rest.
    const uint32_t turns_max = 4 * job().work.job().spec.rounds;
    for (uint32_t turns = 0; !job().ended() && turns < turns_max; ++turns)
      turn(strategy_.next);
    if (!job().ended()) fresh_key();
    while (!job().ended())
      turn([](const Seen&) { return Act::work; });
    for (int i = 0; i < 100 && !job().finished; ++i)
      tick(kLeaseMs);
    GEMMINE_CHECK(job().finished);
    return static_cast<double>(pool_.totals().leases().paid) - spent_;
  }

 private:
  const verifier::JobState& job() const { return pool_.ledger().jobs().at(work_.id()); }
  Digest digest() { return kernels::blake3(Writer().put(random_.next()).bytes()); }

  pool::Book begun() {
    pool::Book book({}, {}, identity_);
    const Bytes genesis = verifier::encode(verifier::GenesisBody{identity_.public_key(), "pool"});
    GEMMINE_CHECK(book.append(verifier::RecordKind::genesis, genesis, now_).ok());
    return book;
  }

  void fresh_key() {
    conn_ = ConnId{++conns_};
    auto made = std::make_unique<verifier::Identity>(verifier::Identity::from_seed(digest()));
    self_ = made.get();
    keys_[conn_] = std::move(made);
    pool_.on_open(conn_, {digest(), digest()}, now_);
    const pool::Peer& peer = *pool_.sessions().find(conn_);
    pool::Hello hello;
    hello.public_key = self_->public_key();
    hello.account = "owner";
    const pool::AuthMaterial material{.server_random = peer.server_random,
                                      .client_random = {},
                                      .channel_binding = peer.channel_binding,
                                      .pool_key = identity_.public_key(),
                                      .public_key = self_->public_key(),
                                      .role = pool::Role::miner,
                                      .account = "owner"};
    say(hello);
    say(pool::make_auth(material, *self_, 1));
  }

  template <pool::Message M>
  void say(const M& message) {
    say(conn_, message);
  }
  template <pool::Message M>
  void say(ConnId from, const M& message) {
    pool_.on_frame(from, static_cast<uint8_t>(M::kType), 0, 1, encode(message), now_);
    settle();
  }
  void tick(uint64_t ms) {
    now_ += ms;
    pool_.on_frame(conn_, static_cast<uint8_t>(MessageType::ping), 0, 1, encode(pool::Ping{1}),
                   now_);
    pool_.on_tick(now_);
    settle();
  }

  void settle() {
    for (bool more = true; more;) {
      pool_.take_records();
      pool_.take_kept();
      pool::Actions actions = pool_.take_actions();
      for (pool::Outgoing& send : actions.sends) {
        if (send.to == conn_ && send.type == MessageType::lease)
          lease_ = verifier::decode_lease(decode<pool::LeaseMessage>(send.payload).value().lease)
                       .value();
        if (send.to == conn_ && send.type == MessageType::no_lease)
          wait_ms_ = decode<pool::NoLease>(send.payload).value().retry_after_ms;
        if (send.type == MessageType::challenge)
          asked_.emplace_back(send.to, decode<pool::ChallengeMessage>(send.payload).value());
      }
      more = !actions.disk.empty() || !actions.tasks.empty();
      for (pool::DiskTask& task : actions.disk)
        store(task);
      for (const pool::Task& task : actions.tasks)
        run(task);
    }
    while (!asked_.empty()) {
      const auto [to, challenge] = asked_.front();
      asked_.pop_front();
      if (!strategy_.silent || !has_stolen_thread(challenge.challenge.lease_id))
        answer(to, challenge);
    }
  }

  const verifier::BatchState& batch_of(const Digest& lease_id) const {
    const verifier::LeaseState& state = pool_.ledger().leases().at(lease_id);
    return *pool_.ledger().batch({state.lease.job_id, state.lease.miner_key, state.batch});
  }
  bool has_stolen_thread(const Digest& lease_id) const {
    const verifier::BatchState& batch = batch_of(lease_id);
    if (!batch.draw) return stolen_.contains(lease_id);  // asked for by the early coin
    return std::ranges::any_of(batch.draw->tickets, [&](const verifier::TicketState& each) {
      return each.ticket.kind == verifier::AuditKind::thread &&
             stolen_.contains(batch.leases.at(each.ticket.lease));
    });
  }
  // The bytes are nothing: what they would show is asked of whoever knows what was stolen.
  void answer(ConnId from, const pool::ChallengeMessage& asked) {
    pool::AnswerMessage message;
    message.answer.lease_id = asked.challenge.lease_id;
    message.answer.challenge = asked.receipt.seq;
    message.answer.address = digest();
    message.answer.bytes = kAnswerBytes;
    message.answer.signature = keys_.at(from)->sign(verifier::answer_message(message.answer));
    say(from, message);
    say(from, pool::Upload{asked.challenge.lease_id,
                           asked.receipt.seq,
                           {kAnswerBytes, 0, 1, {}, Bytes(kAnswerBytes, 0)}});
  }

  void store(const pool::DiskTask& task) {
    if (const auto* const part = std::get_if<pool::StorePart>(&task)) {
      pool_.on_disk_done(pool::PartStored{.from = part->from,
                                          .lease_id = part->lease_id,
                                          .bytes = part->part.bytes.size(),
                                          .had = 1,
                                          .stored = pool::Stored::yes,
                                          .why = {}},
                         now_);
    } else if (const auto* const whole = std::get_if<pool::FinishDelta>(&task)) {
      pool_.on_disk_done(pool::DeltaFinished{whole->lease_id, pool::Stored::yes, ""}, now_);
    } else if (const auto* const said = std::get_if<pool::FinishAnswer>(&task)) {
      pool_.on_disk_done(pool::DeltaFinished{said->upload_id, pool::Stored::yes, ""}, now_);
    }
  }

  // Whether a replay that the redraw of a silent batch demands shows a theft.
  bool shows_theft(const Digest& id) {
    const verifier::BatchState& batch = batch_of(id);
    const bool redrawn =
        batch.redraw &&
        batch.leases.at(batch.draw->tickets.at(batch.redraw->ticket).ticket.lease) == id;
    if (leak_ != Leak::any_lease || !redrawn) return stolen_.contains(id);
    return stolen_.contains(batch.leases[random_.below(batch.leases.size())]);
  }

  void run(const pool::Task& task) {
    if (const auto* const replay = std::get_if<pool::ReplayTask>(&task)) {
      const Digest& id = replay->lease.id;
      pool::AuditDone done{.lease_id = id, .found = {}};
      // A pool that is busy may delay; this one looks away.
      const bool looks = leak_ != Leak::busy_skips || random_.chance(500);
      const bool wrong = looks && shows_theft(id);
      done.found.finding.outcome = wrong ? Outcome::invalid : Outcome::valid;
      if (wrong) done.found.digest = digest();
      pool_.on_task_done(done, now_);
    } else if (const auto* const thread = std::get_if<pool::ThreadTask>(&task)) {
      const bool seen = stolen_.contains(thread->lease.id) &&
                        random_.chance(static_cast<uint64_t>(1000 * strategy_.convicted));
      pool::ThreadDone done{
          .lease_id = thread->lease.id, .challenge = thread->challenge, .found = {}};
      done.found.outcome = seen ? verifier::ThreadOutcome::wrong : verifier::ThreadOutcome::valid;
      pool_.on_task_done(done, now_);
    } else if (const auto* const merge = std::get_if<pool::MergeTask>(&task)) {
      pool_.on_task_done(pool::MergeDone{.job_id = merge->job_id,
                                         .round = merge->round,
                                         .lease_ids = merge->lease_ids,
                                         .subtracted = merge->subtracted,
                                         .theta_root = digest(),
                                         .start_root = digest(),
                                         .failed = {}},
                         now_);
    } else if (const auto* const evaluate = std::get_if<pool::EvaluateTask>(&task)) {
      pool_.on_task_done(pool::EvaluateDone{.job_id = evaluate->job_id,
                                            .theta_root = evaluate->theta_root,
                                            .round = evaluate->round,
                                            .records = 1},
                         now_);
    }
  }

  const verifier::BatchState* open_batch() const {
    const auto* const key = pool_.ledger().key_state(work_.id(), self_->public_key());
    if (key == nullptr) return nullptr;
    const verifier::BatchState& last = key->batches.back();
    return last.draw || last.settled ? nullptr : &last;
  }

  // Leases of all batches: the ledger keeps those that are settled.
  static uint32_t complete(const verifier::KeyState& key) {
    size_t out = 0;
    for (const verifier::BatchState& batch : key.batches)
      out += batch.leases.size();
    return static_cast<uint32_t>(out);
  }

  Seen look() {
    const verifier::AuditPolicy& policy = work_.job().audit;
    const auto* const key = pool_.ledger().key_state(work_.id(), self_->public_key());
    Seen out{.left = work_.job().spec.rounds - job().round,
             .done = key == nullptr ? 0 : complete(*key),
             .batch = {},
             .size = key == nullptr || key->batches.size() < 2 ? policy.first_batch
                                                               : policy.batch_leases,
             .policy = &policy,
             .random = &random_};
    if (key != nullptr && open_batch() == nullptr) out.size = policy.batch_leases;
    if (const auto* const batch = open_batch()) {
      for (const Digest& id : batch->leases)
        out.batch.push_back(stolen_.contains(id));
    }
    return out;
  }

  void turn(const std::function<Act(const Seen&)>& next) {
    Act act = next(look());
    if (act == Act::settle) {
      if (const verifier::BatchState* const batch = open_batch())
        say(pool::Settle{batch->commit, self_->sign(verifier::settle_message(batch->commit))});
      act = next(look());
    }
    if (act == Act::fresh_key || act == Act::settle) {
      fresh_key();
      act = next(look());
    }
    if (!get_lease()) return;
    deliver(act == Act::steal);
  }

  bool get_lease() {
    lease_.reset();
    wait_ms_ = 0;
    say(pool::GetLease{});
    if (lease_) return true;
    // Whoever has to wait for long takes another key: they are free.
    if (wait_ms_ > 2 * kLeaseMs || wait_ms_ == 0) {
      fresh_key();
    } else {
      tick(wait_ms_);
    }
    return false;
  }

  verifier::Share share_of(const verifier::Lease& lease, const Digest& step) {
    verifier::Share share;
    share.lease_id = lease.id;
    share.steps = 1;
    share.state_before = pool_.rooms().at(work_.id()).start_roots.at(lease.theta_root);
    share.state_after = digest();
    share.trace_root = verifier::trace_root(lease.id, 0, std::span(&step, 1));
    share.loss = 1;
    share.macs = work_.program().macs_per_step();
    share.delta_root = digest();
    return share;
  }

  // Whether a batch that ended with this share would be drawn so that no stolen lease is seen.
  bool drawn_well(const verifier::Share& share, bool stolen) {
    const verifier::BatchState* const batch = open_batch();
    std::vector<Digest> ids;
    std::vector<bool> bad;
    for (const Digest& id : batch->leases) {
      for (const verifier::ShareState& each : pool_.ledger().leases().at(id).shares)
        ids.push_back(each.id);
      bad.push_back(stolen_.contains(id));
    }
    ids.push_back(verifier::share_id(share));
    bad.push_back(stolen);
    const Digest s1 = verifier::coin_commit(pool_.state().secret(batch->commit));
    const auto tickets = verifier::draw_tickets(
        work_.job().audit, static_cast<uint32_t>(bad.size()), verifier::batch_seed(s1, ids));
    return std::ranges::none_of(tickets, [&](const auto& ticket) { return bad[ticket.lease]; });
  }

  void deliver(bool stolen) {
    const verifier::Lease lease = *lease_;
    const Digest step = digest();
    verifier::Share share = share_of(lease, step);
    const verifier::BatchState* const batch = open_batch();
    const bool last = batch != nullptr && batch->leases.size() + 1 == batch->size;
    for (int i = 0; leak_ == Leak::early_draw && last && i < kTriesMax; ++i) {
      if (drawn_well(share, stolen)) break;
      share = share_of(lease, step);
    }
    if (stolen) stolen_.insert(lease.id);
    spent_ += stolen ? 1 - strategy_.saved : 1;
    verifier::sign(share, *self_);
    say(pool::ShareMessage{encode(share), {step}});
    const uint64_t bytes = verifier::delta_bytes(work_.program().parameters());
    say(pool::Upload{lease.id, pool::kDelta, {bytes, 0, 1, {}, Bytes(bytes, 0)}});
    tick(1'000);
    // Found at once: this key has nothing but pauses to expect.
    if (pool_.ledger().leases().at(lease.id).wrong) fresh_key();
  }

  const Strategy& strategy_;
  const Leak leak_;
  Random random_;
  uint64_t now_ = 1'000'000;
  const verifier::Identity identity_ = verifier::Identity::from_seed(pool::filled(7));
  const verifier::Work work_;
  pool::Pool pool_;
  std::map<ConnId, std::unique_ptr<verifier::Identity>> keys_;  // all that it ever had
  const verifier::Identity* self_ = nullptr;
  ConnId conn_{};
  std::deque<std::pair<ConnId, pool::ChallengeMessage>> asked_;
  uint64_t conns_ = 0;
  std::optional<verifier::Lease> lease_;
  uint64_t wait_ms_ = 0;
  std::set<Digest> stolen_;
  double spent_ = 0;
};

}  // namespace

verifier::Work work_of(const JobTerms& terms) {
  verifier::Job job = pool::toy_job(Bytes(100, 1));
  job.spec.slots = 1;
  job.spec.rounds = terms.leases;
  job.spec.steps_per_lease = 1;
  job.steps_per_share = 1;
  job.audit = terms.audit;
  job.audit.lease_ms = kLeaseMs;
  job.audit.answer_ms = 1'000;
  job.fee_ppm = 0;
  return verifier::Work::make(job).value();
}

double play(const JobTerms& terms, const Strategy& strategy, uint64_t seed, Leak leak) {
  return Market(terms, strategy, seed, leak).play();
}

Sample play_often(const JobTerms& terms, const Strategy& strategy, int jobs, Leak leak) {
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < jobs; ++i) {
    const double profit = play(terms, strategy, 1'000 + static_cast<uint64_t>(i), leak);
    sum += profit;
    squares += profit * profit;
  }
  const double mean = sum / jobs;
  return {mean, std::sqrt(std::max(squares / jobs - mean * mean, 0.0) / jobs)};
}

}  // namespace gemmine::sim
