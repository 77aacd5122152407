#include "pool/server/status.h"

#include <algorithm>

#include "kernels/base/json.h"

namespace gemmine::pool {
namespace {

std::string hex(const Digest& digest) {
  return to_hex(digest.bytes);
}

int64_t balance(const LedgerView& view, const std::string& account) {
  const auto found = view.accounts.find(account);
  return found == view.accounts.end() ? 0 : found->second;
}

// What a key, or a job, without a lease did: nothing.
template <class T>
T totals_of(const std::map<Digest, T>& map, const Digest& key) {
  const auto found = map.find(key);
  return found == map.end() ? T{} : found->second;
}

Json leases_json(const LeaseCounts& leases) {
  return {{"total", leases.all},
          {"complete", leases.complete},
          {"audited", leases.audited},
          {"wrong", leases.wrong},
          {"paid", leases.paid}};
}

Json miners_json(const LedgerView& view) {
  Json out = Json::array();
  for (const auto& [key, member] : view.members) {
    const MinerTotals miner = totals_of(view.totals.miners(), key);
    out.push_back({{"key", hex(key)},
                   {"account", member.account},
                   {"banned", member.banned},
                   {"banned_ms", member.banned_ms},
                   {"leases", leases_json(miner.leases)},
                   {"shares", miner.shares},
                   {"macs", miner.macs},
                   {"gross", miner.gross},
                   {"balance", balance(view, "account:" + member.account)}});
  }
  return out;
}

Json job_json(const LedgerView& view, const LedgerView::Job& job) {
  const JobTotals totals = totals_of(view.totals.jobs(), job.id);
  Json losses = Json::array();
  for (const auto loss : totals.losses)
    losses.push_back(loss);
  return {{"id", hex(job.id)},
          {"name", job.name},
          {"round", job.round},
          {"rounds", job.rounds},
          {"slots", job.slots},
          {"steps_per_lease", job.steps_per_lease},
          {"macs_per_step", job.macs_per_step},
          {"shares", totals.shares},
          {"steps", totals.steps},
          {"paid_gross", totals.gross},
          {"escrow", balance(view, "escrow:" + hex(job.id))},
          {"leases_left", job.reach.leases_left},
          {"leases_covered", job.reach.leases_covered},
          {"dry", job.reach.leases_left > 0 && job.reach.leases_covered == 0},
          {"theta_root", hex(job.theta_root)},
          {"losses", std::move(losses)},
          {"stopped", job.stopped},
          {"unsettled", job.unsettled_leases},
          {"finished", job.finished}};
}

Json accuracy_json(const LedgerView::Job& job) {
  Json out = Json::array();
  for (const auto& [round, result] : job.results) {
    const double correct = static_cast<double>(result.correct);
    out.push_back({{"round", round},
                   {"accuracy", correct / static_cast<double>(result.records)},
                   {"loss", result.loss}});
  }
  return out;
}

Json accounts_json(const LedgerView& view) {
  Json out = Json::object();
  for (const auto& [account, amount] : view.accounts)
    out.add(account, amount);
  return out;
}

Json ledger_json(const LedgerView& view) {
  return {{"records", view.records},
          {"head", hex(view.head)},
          {"last_time_ms", view.last_time_ms},
          {"pool_key", hex(view.pool_key)}};
}

// Names of jobs and accounts are checked text; should one be none, the rest must still be read.
std::string text_of(const Json& value) {
  return value.dump(1) + "\n";
}

}  // namespace

LedgerView view_of(const verifier::LedgerState& state, const Totals& totals) {
  LedgerView out{.records = state.next_seq(),
                 .head = state.head(),
                 .last_time_ms = state.last_time_ms(),
                 .pool_key = state.pool_key(),
                 .jobs = {},
                 .members = state.members(),
                 .accounts = state.accounts(),
                 .totals = totals};
  for (const auto& [id, job] : state.jobs())
    out.jobs.push_back({.id = id,
                        .name = job.work.job().name,
                        .round = job.round,
                        .rounds = job.work.job().spec.rounds,
                        .slots = job.work.job().spec.slots,
                        .steps_per_lease = job.work.job().spec.steps_per_lease,
                        .macs_per_step = job.work.program().macs_per_step(),
                        .open_leases = job.open_leases,
                        .unsettled_leases = job.unsettled_leases,
                        .reach = escrow_reach(state, id),
                        .theta_root = job.theta_roots.back(),
                        .stopped = job.stopped.has_value(),
                        .finished = job.finished,
                        .results = {}});
  return out;
}

PoolView view_of(Pool& pool, uint64_t now) {
  PoolView out{.ledger = view_of(pool.ledger(), pool.totals()),
               .time_ms = now,
               .audits_pending = pool.audits_pending(),
               .macs_per_second = pool.macs_per_second(now)};
  for (LedgerView::Job& job : out.ledger.jobs) {
    const auto room = pool.rooms().find(job.id);
    if (room != pool.rooms().end()) job.results = room->second.results;
  }
  return out;
}

std::string status_json(const PoolView& view) {
  const LedgerView& ledger = view.ledger;
  Json jobs = Json::array();
  uint64_t leases_open = 0;
  for (const LedgerView::Job& job : ledger.jobs) {
    Json each = job_json(ledger, job);
    each["accuracy"] = accuracy_json(job);
    jobs.push_back(std::move(each));
    leases_open += job.open_leases;
  }
  const bool finished =
      !ledger.jobs.empty() && std::ranges::all_of(ledger.jobs, &LedgerView::Job::finished);
  return text_of({{"time_ms", view.time_ms},
                  {"connections", view.connections},
                  {"tasks_waiting", view.tasks_waiting},
                  {"audits_pending", view.audits_pending},
                  {"stalled", view.stalled},
                  {"macs_per_second", view.macs_per_second},
                  {"leases_open", leases_open},
                  {"shares", ledger.totals.shares()},
                  {"leases", leases_json(ledger.totals.leases())},
                  {"jobs", jobs},
                  {"miners", miners_json(ledger)},
                  {"accounts", accounts_json(ledger)},
                  {"ledger", ledger_json(ledger)},
                  {"finished", finished}});
}

std::string report_json(const LedgerView& view) {
  Json jobs = Json::array();
  for (const LedgerView::Job& job : view.jobs)
    jobs.push_back(job_json(view, job));
  return text_of({{"shares", view.totals.shares()},
                  {"leases", leases_json(view.totals.leases())},
                  {"jobs", jobs},
                  {"miners", miners_json(view)},
                  {"accounts", accounts_json(view)},
                  {"ledger", ledger_json(view)}});
}

std::string report_text(const LedgerView& view) {
  std::string out =
      "ledger   " + std::to_string(view.records) + " records, head " + hex(view.head) + "\n";
  for (const LedgerView::Job& job : view.jobs) {
    out += "job      " + job.name + "  " + hex(job.id) + "\n";
    out += "  round  " + std::to_string(job.round) + " of " + std::to_string(job.rounds) +
           (job.stopped ? ", stopped: it diverges" : "") + (job.finished ? ", finished" : "") +
           "\n";
    if (job.reach.leases_covered < job.reach.leases_left)
      out += "  escrow covers " + std::to_string(job.reach.leases_covered) + " of " +
             std::to_string(job.reach.leases_left) +
             " leases that are left; serve --fund N fills it\n";
    out += "  theta  " + hex(job.theta_root) + "\n";
    out += "  paid   " + std::to_string(totals_of(view.totals.jobs(), job.id).gross) +
           " gross, escrow " + std::to_string(balance(view, "escrow:" + hex(job.id))) + "\n";
  }
  const LeaseCounts& leases = view.totals.leases();
  out += "leases   " + std::to_string(leases.all) + ": " + std::to_string(leases.complete) +
         " complete, " + std::to_string(leases.audited) + " audited, " +
         std::to_string(leases.wrong) + " wrong, " + std::to_string(leases.paid) + " paid\n";
  for (const auto& [key, member] : view.members) {
    const MinerTotals miner = totals_of(view.totals.miners(), key);
    out += "miner    " + short_hex(key) + "  " + member.account + "  shares " +
           std::to_string(miner.shares) + "  macs " + std::to_string(miner.macs) + "  gross " +
           std::to_string(miner.gross) + (member.banned ? "  banned" : "") + "\n";
  }
  int64_t sum = 0;
  for (const auto& [account, amount] : view.accounts) {
    sum += amount;
    out += "account  " + account + "  " + std::to_string(amount) + "\n";
  }
  return out + "sum      " + std::to_string(sum) + "\n";
}

}  // namespace gemmine::pool
