#include "pool/core/economics.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/base/check.h"

namespace gemmine::pool {
namespace {

constexpr double kNothing = 1e-9;  // gains below it are rounding
// Batches of every size are tried up to here; what changes with the size beyond it is only how the
// fine rounds, by less than 1 lease in so many.
constexpr uint32_t kEverySizeMax = 128;

// How many of `draws` tickets, without replacement, meet one of `stolen` among `leases`.
std::vector<double> hits(uint32_t leases, uint32_t stolen, uint32_t draws) {
  GEMMINE_CHECK(draws <= leases && stolen <= leases);
  std::vector<double> out(size_t{draws} + 1, 0.0);
  out[0] = 1;
  for (uint32_t drawn = 0; drawn < draws; ++drawn) {
    for (uint32_t hit = drawn + 1; hit-- > 0;) {
      const double next =
          hit >= stolen ? 0.0
                        : static_cast<double>(stolen - hit) / static_cast<double>(leases - drawn);
      const double moved = out[hit] * std::min(next, 1.0);
      out[hit] -= moved;
      out[hit + 1] += moved;
    }
  }
  return out;
}

// The batch's pay by its outcome.
struct Stakes {
  double all = 0;
  double fined = 0;
};

// What answering all thread tickets brings, of which `bad` are on stolen leases.
struct Answered {
  double right = 1;   // none fails
  double failed = 0;  // one does
};
Answered answered(uint32_t bad, double convicted) {
  if (bad == 0) return {};
  const double missed = std::pow(1 - convicted, bad - 1.0);
  return {missed * (1 - convicted), bad * convicted * missed};
}

// The best of a batch whose replays are all right. The thief answers, or keeps silent on `quiet` of
// the bad tickets and on all good ones: of what is silent one is replayed.
double best_answer(const PayTerms& terms, const Stakes& stakes, uint32_t bad, double convicted) {
  const Answered all = answered(bad, convicted);
  double best = stakes.all * all.right + stakes.fined * all.failed;
  if (terms.threads_replayed) return best;
  GEMMINE_CHECK(bad <= terms.threads);
  const uint32_t good = terms.threads - bad;
  for (uint32_t quiet = 1; quiet <= bad; ++quiet) {
    const double missed = 1 - static_cast<double>(quiet) / static_cast<double>(quiet + good);
    best = std::max(best, stakes.all * answered(bad - quiet, convicted).right * missed);
  }
  return best;
}

// A fine is for one failed ticket. Two that fail on one lease are two: else a batch of nothing but
// ghosts would be fined only, whenever its tickets fall together.
double pay_with(const PayTerms& terms, const Stakes& stakes, uint32_t leases, uint32_t stolen,
                double convicted, uint32_t replays) {
  const std::vector<double> replayed = hits(leases, stolen, std::min(replays, leases));
  const double none = replayed[0];
  const double one = replayed.size() > 1 ? replayed[1] : 0.0;
  // Thread tickets beyond a batch go round.
  const uint32_t sure = stolen * (terms.threads / leases);
  const std::vector<double> threads = hits(leases, stolen, terms.threads % leases);
  double pay = 0;
  for (uint32_t more = 0; more < threads.size(); ++more) {
    if (threads[more] <= 0) continue;
    const uint32_t bad = sure + more;
    const double fined = stakes.fined * answered(bad, convicted).right;
    pay += threads[more] * (none * best_answer(terms, stakes, bad, convicted) + one * fined);
  }
  return pay;
}

// Leases of a key that it delivers, one after another, and the batches that they make.
double batches_of(const PayTerms& terms, double leases) {
  const double rest = leases - terms.first_batch;
  return rest <= 0 ? 1 : 1 + std::ceil(rest / terms.batch - kNothing);
}

}  // namespace

double batch_pay(const PayTerms& terms, uint32_t leases, uint32_t stolen, double convicted) {
  GEMMINE_CHECK(stolen <= leases);
  GEMMINE_CHECK(terms.replays >= 0 && terms.fine >= 0 && terms.fine <= 1);
  if (leases == 0 || stolen == 0) return leases;
  const double p = terms.threads_replayed ? 1.0 : convicted;
  const double lost = std::max(1.0, std::ceil(terms.fine * leases - kNothing));
  const Stakes stakes{static_cast<double>(leases), leases - lost};
  const double whole = std::floor(terms.replays);
  const double part = terms.replays - whole;
  const auto sure = static_cast<uint32_t>(whole);
  double pay = (1 - part) * pay_with(terms, stakes, leases, stolen, p, sure);
  if (part > 0) pay += part * pay_with(terms, stakes, leases, stolen, p, sure + 1);
  return pay;
}

BatchTheft best_batch(const PayTerms& terms, const Theft& theft) {
  const uint32_t largest = std::max(terms.batch, terms.first_batch);
  BatchTheft best;
  const auto look = [&](uint32_t leases) {
    for (uint32_t stolen = 1; stolen <= leases; ++stolen) {
      const double work = leases - stolen * theft.saved;
      const double gain = batch_pay(terms, leases, stolen, theft.convicted) - work;
      if (best.leases == 0 || gain > best.gain) best = {gain, leases, stolen};
    }
  };
  for (uint32_t leases = 1; leases <= std::min(largest, kEverySizeMax); ++leases)
    look(leases);
  for (const uint32_t leases : {terms.first_batch, terms.batch}) {
    if (leases > kEverySizeMax) look(leases);
  }
  return best;
}

BestTheft best_theft(const PayTerms& terms, uint64_t leases) {
  BestTheft best;
  for (const Theft& theft : known_thefts()) {
    const BatchTheft batch = best_batch(terms, theft);
    const double times = std::max(1.0, std::floor(static_cast<double>(leases) / batch.leases));
    const double gain = batch.gain <= kNothing ? 0.0 : batch.gain * times;
    if (best.batch.leases == 0 || gain > best.gain ||
        (gain == best.gain && batch.gain > best.batch.gain))
      best = {theft, batch, gain};
  }
  return best;
}

std::optional<double> least_replays(PayTerms terms) {
  const auto pays = [&](uint32_t hundredths) {
    terms.replays = hundredths * 0.01;
    return best_theft(terms, 1).gain > 0;
  };
  uint32_t high = kReplaysMax * 100;
  if (pays(high)) return {};
  for (uint32_t low = 0; low < high;) {
    const uint32_t middle = low + (high - low) / 2;
    if (pays(middle)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return high * 0.01;
}

AuditCost audit_cost(const PayTerms& terms, const Crowd& crowd) {
  GEMMINE_CHECK(crowd.miners >= 1);
  const double leases = static_cast<double>(crowd.leases) / crowd.miners;
  const double first = std::min<double>(terms.first_audits, leases);
  const double batches = batches_of(terms, leases);
  const double at_once = first + (leases - first) * terms.now;
  const double threads = at_once + batches * terms.threads;
  AuditCost out;
  if (terms.threads_replayed) {
    out.pool = (batches * terms.replays + threads) / leases;
    return out;
  }
  // One replay answers for all silent tickets of a batch; a silent lease of the early coin has one.
  const double answered = std::pow(1 - crowd.silent_part, terms.threads);
  const double replays = batches * (terms.replays + 1 - answered) + crowd.silent_part * at_once;
  out.pool = (replays + threads * crowd.thread_cost) / leases;
  out.miner = threads * (1 - crowd.silent_part) / leases;
  return out;
}

PayTimes pay_times(const PayTerms& terms, const Crowd& crowd) {
  GEMMINE_CHECK(crowd.auditors >= 1);
  PayTimes out;
  const double leases = static_cast<double>(crowd.leases) / crowd.miners;
  const double batch = std::min<double>(terms.batch, std::max(leases, 1.0));
  const bool asked = terms.threads > 0 && !terms.threads_replayed;
  // Whoever falls silent has the whole time of an answer first, and then a replay.
  const double replays = terms.replays + (asked ? 1 : terms.threads);
  const double audits = (asked ? crowd.answer_s : 0) + replays * crowd.lease_s;
  out.mean = batch / 2 * crowd.lease_s;
  out.longest = batch * crowd.lease_s + audits;
  out.idle = crowd.idle_s + audits;
  const double sure = terms.replays + (terms.threads_replayed ? terms.threads : 0);
  out.last =
      std::max(asked ? crowd.answer_s : 0, crowd.miners * sure * crowd.lease_s / crowd.auditors);
  return out;
}

double sabotage_leases(const PayTerms& terms) {
  const double most = terms.first_batch - std::min(terms.first_audits, terms.first_batch);
  if (terms.now <= 0) return most;
  return std::min(most, (1 - std::pow(1 - terms.now, most)) / terms.now);
}

}  // namespace gemmine::pool
