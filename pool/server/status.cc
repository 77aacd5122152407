#include "pool/server/status.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <nlohmann/json.hpp>

#include "pool/core/jobs.h"

namespace gemmine::pool {
namespace {

using nlohmann::json;
using verifier::JobState;
using verifier::LedgerState;

constexpr size_t kLossesShown = 50;

std::string hex(const Digest& digest) {
  return to_hex(digest.bytes);
}

int64_t balance(const LedgerState& state, const std::string& account) {
  const auto found = state.accounts().find(account);
  return found == state.accounts().end() ? 0 : found->second;
}

struct MinerSums {
  uint64_t shares = 0;
  uint64_t valid = 0;
  uint64_t invalid = 0;
  uint64_t macs = 0;
  uint64_t leases = 0;
  uint64_t gross = 0;
};

struct Sums {
  std::map<Digest, MinerSums> miners;
  std::map<Digest, uint64_t> shares_by_job;
  std::map<Digest, uint64_t> steps_by_job;
  std::map<Digest, uint64_t> gross_by_job;
  std::map<Digest, std::vector<std::pair<uint64_t, float>>> losses;  // seq, loss
  uint64_t shares = 0;
  uint64_t valid = 0;
  uint64_t invalid = 0;
  uint64_t leases_open = 0;
};

Sums sum_up(const LedgerState& state) {
  Sums out;
  for (const auto& [id, lease] : state.leases()) {
    MinerSums& miner = out.miners[lease.lease.miner_key];
    const Digest& job = lease.lease.job_id;
    ++miner.leases;
    out.leases_open += !lease.closed && !lease.voided ? 1 : 0;
    miner.gross += lease.gross;
    out.gross_by_job[job] += lease.gross;
    for (const verifier::ShareState& share : lease.shares) {
      ++miner.shares;
      ++out.shares;
      ++out.shares_by_job[job];
      out.steps_by_job[job] += share.share.steps;
      miner.macs += share.share.macs;
      out.losses[job].emplace_back(share.seq, share.share.loss);
      if (!share.pool_verdict || share.pool_verdict == verifier::Outcome::undecided) continue;
      const bool valid = !share.found_wrong();
      (valid ? miner.valid : miner.invalid) += 1;
      (valid ? out.valid : out.invalid) += 1;
    }
  }
  for (auto& [job, losses] : out.losses)
    std::ranges::sort(losses);
  return out;
}

json shares_json(const Sums& sums) {
  return {{"total", sums.shares},
          {"valid", sums.valid},
          {"invalid", sums.invalid},
          {"unaudited", sums.shares - sums.valid - sums.invalid}};
}

json miners_json(const LedgerState& state, const Sums& sums) {
  json out = json::array();
  for (const auto& [key, member] : state.members()) {
    const auto found = sums.miners.find(key);
    const MinerSums miner = found == sums.miners.end() ? MinerSums{} : found->second;
    out.push_back({{"key", hex(key)},
                   {"account", member.account},
                   {"banned", member.banned},
                   {"banned_ms", member.banned_ms},
                   {"leases", miner.leases},
                   {"shares", miner.shares},
                   {"valid", miner.valid},
                   {"invalid", miner.invalid},
                   {"macs", miner.macs},
                   {"gross", miner.gross},
                   {"vesting", balance(state, "vesting:" + hex(key))},
                   {"balance", balance(state, "account:" + member.account)}});
  }
  return out;
}

json job_json(const LedgerState& state, const JobState& job, const Sums& sums) {
  json losses = json::array();
  if (const auto found = sums.losses.find(job.work.id()); found != sums.losses.end()) {
    const auto& all = found->second;
    for (size_t i = all.size() - std::min(all.size(), kLossesShown); i < all.size(); ++i)
      losses.push_back(all[i].second);
  }
  const auto of = [&](const std::map<Digest, uint64_t>& map) {
    const auto found = map.find(job.work.id());
    return found == map.end() ? uint64_t{0} : found->second;
  };
  const EscrowReach reach = escrow_reach(state, job.work.id());
  return {{"id", hex(job.work.id())},
          {"name", job.work.job().name},
          {"round", job.round},
          {"rounds", job.work.job().spec.rounds},
          {"slots", job.work.job().spec.slots},
          {"steps_per_lease", job.work.job().spec.steps_per_lease},
          {"macs_per_step", job.work.program().macs_per_step()},
          {"shares", of(sums.shares_by_job)},
          {"steps", of(sums.steps_by_job)},
          {"paid_gross", of(sums.gross_by_job)},
          {"escrow", balance(state, "escrow:" + hex(job.work.id()))},
          {"leases_left", reach.leases_left},
          {"leases_covered", reach.leases_covered},
          {"dry", reach.leases_left > 0 && reach.leases_covered == 0},
          {"theta_root", hex(job.theta_roots.back())},
          {"losses", losses},
          {"finished", job.finished}};
}

json accounts_json(const LedgerState& state) {
  json out = json::object();
  for (const auto& [account, amount] : state.accounts())
    out[account] = amount;
  return out;
}

json ledger_json(const LedgerState& state) {
  return {{"records", state.next_seq()},
          {"head", hex(state.head())},
          {"last_time_ms", state.last_time_ms()},
          {"pool_key", hex(state.pool_key())}};
}

}  // namespace

std::string status_json(Pool& pool, const StatusExtras& extras) {
  const LedgerState& state = pool.ledger();
  const Sums sums = sum_up(state);
  json jobs = json::array();
  bool finished = !state.jobs().empty();
  for (const auto& [id, job] : state.jobs()) {
    json each = job_json(state, job, sums);
    json accuracy = json::array();
    if (const auto room = pool.rooms().find(id); room != pool.rooms().end()) {
      for (const auto& [round, result] : room->second.results)
        accuracy.push_back({{"round", round},
                            {"accuracy", static_cast<double>(result.correct) /
                                             static_cast<double>(result.records)},
                            {"loss", result.loss}});
    }
    each["accuracy"] = std::move(accuracy);
    finished = finished && job.finished;
    jobs.push_back(std::move(each));
  }
  const json out = {{"time_ms", extras.time_ms},
                    {"connections", extras.connections},
                    {"tasks_waiting", extras.tasks_waiting},
                    {"audits_pending", pool.audits_pending()},
                    {"stalled", extras.stalled},
                    {"macs_per_second", pool.macs_per_second(extras.time_ms)},
                    {"leases_open", sums.leases_open},
                    {"shares", shares_json(sums)},
                    {"jobs", jobs},
                    {"miners", miners_json(state, sums)},
                    {"accounts", accounts_json(state)},
                    {"ledger", ledger_json(state)},
                    {"finished", finished}};
  return out.dump(1) + "\n";
}

std::string report_json(const LedgerState& state) {
  const Sums sums = sum_up(state);
  json jobs = json::array();
  for (const auto& [id, job] : state.jobs())
    jobs.push_back(job_json(state, job, sums));
  const json out = {{"shares", shares_json(sums)},
                    {"jobs", jobs},
                    {"miners", miners_json(state, sums)},
                    {"accounts", accounts_json(state)},
                    {"ledger", ledger_json(state)}};
  return out.dump(1) + "\n";
}

std::string report_text(const LedgerState& state) {
  const Sums sums = sum_up(state);
  std::string out =
      "ledger   " + std::to_string(state.next_seq()) + " records, head " + hex(state.head()) + "\n";
  for (const auto& [id, job] : state.jobs()) {
    const int64_t escrow = balance(state, "escrow:" + hex(id));
    const auto gross = sums.gross_by_job.find(id);
    out += "job      " + job.work.job().name + "  " + hex(id) + "\n";
    out += "  round  " + std::to_string(job.round) + " of " +
           std::to_string(job.work.job().spec.rounds) + (job.finished ? ", finished" : "") + "\n";
    const EscrowReach reach = escrow_reach(state, id);
    if (reach.leases_covered < reach.leases_left)
      out += "  escrow covers " + std::to_string(reach.leases_covered) + " of " +
             std::to_string(reach.leases_left) + " leases that are left; serve --fund N fills it\n";
    out += "  theta  " + hex(job.theta_roots.back()) + "\n";
    out += "  paid   " + std::to_string(gross == sums.gross_by_job.end() ? 0 : gross->second) +
           " gross, escrow " + std::to_string(escrow) + "\n";
  }
  out += "shares   " + std::to_string(sums.shares) + ": " + std::to_string(sums.valid) +
         " valid, " + std::to_string(sums.invalid) + " invalid, " +
         std::to_string(sums.shares - sums.valid - sums.invalid) + " not audited\n";
  for (const auto& [key, member] : state.members()) {
    const auto found = sums.miners.find(key);
    const MinerSums miner = found == sums.miners.end() ? MinerSums{} : found->second;
    out += "miner    " + short_hex(key) + "  " + member.account + "  shares " +
           std::to_string(miner.shares) + "  macs " + std::to_string(miner.macs) + "  gross " +
           std::to_string(miner.gross) + (member.banned ? "  banned" : "") + "\n";
  }
  int64_t sum = 0;
  for (const auto& [account, amount] : state.accounts()) {
    sum += amount;
    out += "account  " + account + "  " + std::to_string(amount) + "\n";
  }
  return out + "sum      " + std::to_string(sum) + "\n";
}

Status replace_file(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".tmp";
  const auto failed = [&](const char* doing) {
    return Error{Errc::io, std::string(doing) + " " + temporary + ": " + std::strerror(errno)};
  };
  std::FILE* const file = std::fopen(temporary.c_str(), "w");
  if (file == nullptr) return failed("cannot write");
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) != 0 || !written) return failed("cannot write");
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return failed("cannot rename");
  return Ok{};
}

}  // namespace gemmine::pool
