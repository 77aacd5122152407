#include "tests/sim/market.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "kernels/hash/blake3.h"
#include "pool/core/economics.h"
#include "pool/core/pool.h"
#include "pool/core/terms.h"
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

class Market {
 public:
  Market(const JobTerms& terms, const Strategy& strategy, uint64_t seed, Leak leak)
      : strategy_(strategy),
        leak_(leak),
        random_(seed),
        work_(work_of(terms)),
        pool_(begun(), identity_,
              pool::PoolOptions{
                  .random = [this] { return digest(); }, .rounds_kept = 0, .auditors = {}}) {
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
    self_ = std::make_unique<verifier::Identity>(verifier::Identity::from_seed(digest()));
    conn_ = ConnId{++conns_};
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
    pool_.on_frame(conn_, static_cast<uint8_t>(M::kType), 0, 1, encode(message), now_);
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
      }
      more = !actions.disk.empty() || !actions.tasks.empty();
      for (pool::DiskTask& task : actions.disk)
        store(task);
      for (const pool::Task& task : actions.tasks)
        run(task);
    }
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
    }
  }

  void run(const pool::Task& task) {
    if (const auto* const replay = std::get_if<pool::ReplayTask>(&task)) {
      const Digest& id = replay->lease.id;
      pool::AuditDone done{.lease_id = id, .found = {}};
      // A pool that is busy may delay; this one looks away.
      const bool looks = leak_ != Leak::busy_skips || random_.chance(500);
      const bool wrong = looks && stolen_.contains(id);
      done.found.finding.outcome = wrong ? Outcome::invalid : Outcome::valid;
      if (wrong) done.found.digest = digest();
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

  Seen look() {
    const verifier::AuditPolicy& policy = work_.job().audit;
    const auto* const key = pool_.ledger().key_state(work_.id(), self_->public_key());
    Seen out{.left = work_.job().spec.rounds - job().round,
             .done = key == nullptr ? 0 : key->complete,
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
      say(pool::Settle{work_.id()});
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
  std::unique_ptr<verifier::Identity> self_;
  ConnId conn_{};
  uint64_t conns_ = 0;
  std::optional<verifier::Lease> lease_;
  uint64_t wait_ms_ = 0;
  std::set<Digest> stolen_;
  double spent_ = 0;
};

}  // namespace

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

double best_expected(const JobTerms& terms, double saved, double convicted) {
  const pool::PayTerms pay = pool::terms_of(work_of(terms));
  const double p = pay.threads_replayed ? 1.0 : convicted;
  const double cost = 1 - saved;
  const uint32_t most = std::max(pay.batch, pay.first_batch);
  using Table = std::vector<std::vector<double>>;  // by leases of the open batch, stolen ones
  const auto settled = [&](uint32_t b, uint32_t k) { return batch_pay(pay, b, k, convicted); };
  Table first(most + 1, std::vector<double>(most + 1, 0.0));
  for (uint32_t b = 0; b <= most; ++b) {
    for (uint32_t k = 0; k <= b; ++k)
      first[b][k] = settled(b, k);
  }
  Table later = first;
  double fresh = 0;
  for (uint32_t left = 1; left <= terms.leases; ++left) {
    // The next lease in a batch that may have `size`: honest, or stolen and perhaps seen at once.
    const auto lease = [&](const Table& after, uint32_t b, uint32_t k, double rate) {
      const double caught = std::max(fresh, after[b][k]);
      const double seen = std::max((1 - p) * after[b + 1][k + 1] + p * caught, caught);
      return std::max(after[b + 1][k] - 1, (1 - rate) * after[b + 1][k + 1] + rate * seen - cost);
    };
    const double opening = lease(first, 0, 0, pay.first_audits > 0 ? 1.0 : pay.now);
    const double again = std::max(opening, lease(later, 0, 0, pay.now));
    const auto step = [&](const Table& table, uint32_t size) {
      Table out = table;
      for (uint32_t b = 0; b <= most; ++b) {
        for (uint32_t k = 0; k <= b; ++k) {
          out[b][k] = settled(b, k) + again;
          if (b < size) out[b][k] = std::max(out[b][k], lease(table, b, k, pay.now));
        }
      }
      return out;
    };
    Table next_first = step(first, pay.first_batch);
    Table next_later = step(later, pay.batch);
    first = std::move(next_first);
    later = std::move(next_later);
    fresh = opening;
  }
  return fresh;
}

}  // namespace gemmine::sim
