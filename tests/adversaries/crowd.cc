#include "tests/adversaries/crowd.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/base/random.h"
#include "kernels/cli/output.h"
#include "kernels/hash/blake3.h"
#include "pool/net/loop.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/records/job.h"
#include "verifier/records/records.h"
#include "verifier/records/trace.h"

namespace gemmine::adversaries {
namespace {

using pool::MessageType;
using verifier::Outcome;

constexpr std::pair<std::string_view, Weapon> kWeapons[] = {{"hoard", Weapon::hoard},
                                                            {"garbage", Weapon::garbage},
                                                            {"accuse", Weapon::accuse},
                                                            {"mixed", Weapon::mixed}};
constexpr uint64_t kAskMs = 200;
constexpr uint32_t kAsksMax = 15;  // of a key that gets nothing; then the next one has its place

struct KnownShare {
  Digest lease_id;
  uint32_t index = 0;
  Digest share_id;
};

// What all of them know and did.
struct Common {
  std::map<Digest, verifier::Work> works;
  std::vector<KnownShare> shares;  // whose leases are somebody's
  std::map<std::string, uint64_t> counts;
  uint64_t next_share = 0;
};

// One key, from its greeting to the day on which it is of no use any more.
class Member final : private pool::SessionObserver {
 public:
  Member(pool::Loop& loop, Common& common, const CrowdPlan& plan, Weapon weapon, bool watches)
      : common_(common),
        weapon_(weapon),
        watches_(watches),
        identity_(verifier::Identity::from_seed(random_digest())),
        session_(
            loop, identity_,
            {.pools = {plan.pool},
             .role = weapon == Weapon::accuse || watches ? pool::Role::auditor : pool::Role::miner,
             .account = "crowd",
             .agent = "crowd"},
            *this) {
    session_.start();
  }
  bool over() const { return over_; }
  void leave() { session_.stop("enough"); }

  void on_tick() {
    if (!session_.ready() || watches_ || over_ || busy_) return;
    if (++asks_ > kAsksMax) return finish("gave_up");
    if (weapon_ == Weapon::accuse) return accuse();
    session_.send(pool::GetLease{});
  }

 private:
  void finish(const std::string& why) {
    ++common_.counts[why];
    over_ = true;
  }
  void on_ready(const pool::AuthOk& state) override {
    for (const pool::AuthOk::Job& job : state.jobs) {
      auto work = verifier::Work::decode(job.job);
      if (work) common_.works.try_emplace(work.value().id(), std::move(work.value()));
    }
    if (watches_) session_.send(pool::Watch{0});
  }
  void on_message(MessageType type, ByteView payload) override {
    const auto taken = pool::deliver(type, payload, [this](const auto& m) { take(m); });
    if (!taken) finish("not_understood");
  }
  void on_error(const pool::ErrorMessage& error) override {
    ++common_.counts["error_" + std::string(pool::to_string(error.code))];
    if (weapon_ == Weapon::accuse && !watches_) finish("unheard");
    if (error.code == pool::WireError::unknown_job) finish("no_job");
  }
  void on_down(const std::string& /*reason*/, uint64_t /*retry_ms*/) override { busy_ = false; }
  void on_end(pool::SessionEnd /*end*/, const std::string& /*reason*/) override { finish("ended"); }

  void take(const auto& /*message*/) {}
  void take(const pool::LeaseMessage& message) {
    ++common_.counts["leases"];
    busy_ = true;
    lease_ = verifier::decode_lease(message.lease).value();
    if (weapon_ != Weapon::hoard) session_.send(pool::GetBlob{lease_.theta_root, 0, 1});
  }
  void take(const pool::BlobPart& blob) {
    const auto work = common_.works.find(lease_.job_id);
    if (blob.address != lease_.theta_root || work == common_.works.end()) return;
    std::vector<float> published(blob.part.bytes.size() / sizeof(float));
    std::memcpy(published.data(), blob.part.bytes.data(), published.size() * sizeof(float));
    send_garbage(work->second, published);
  }
  void take(const pool::LeaseClosed& closed) {
    ++common_.counts["closed_" + std::string(verifier::to_string(closed.close.reason))];
    // Whoever was believed once goes on; the others are worth a new key.
    busy_ = false;
    if (closed.close.reason != verifier::CloseReason::complete) finish("spent");
  }
  void take(const pool::RecordMessage& record) {
    if (record.kind != verifier::RecordKind::share) return;
    const auto body = verifier::decode_wrapped(record.body, pool::kSignedBytesMax);
    if (!body) return;
    const auto share = verifier::decode_share(body.value());
    if (!share) return;
    common_.shares.push_back(
        {share.value().lease_id, share.value().index, verifier::share_id(share.value())});
  }
  void take(const pool::NoLease& /*none*/) { ++common_.counts["no_lease"]; }

  // Everything fits together, and nothing was computed.
  void send_garbage(const verifier::Work& work, const std::vector<float>& published) {
    const std::span<const float> theta = verifier::theta_of(work.program(), published);
    const Bytes delta = verifier::make_delta(theta, theta, work.job().audit.delta_max).value();
    Digest state = verifier::start_root(work.program(), theta);
    for (uint32_t index = 0; index < lease_.shares(); ++index) {
      const std::vector<Digest> steps(lease_.steps_of(index), random_digest());
      verifier::Share share;
      share.lease_id = lease_.id;
      share.index = index;
      share.first_step = lease_.first_step(index);
      share.steps = lease_.steps_of(index);
      share.state_before = state;
      share.state_after = state = random_digest();
      share.trace_root = verifier::trace_root(lease_.id, share.first_step, steps);
      share.loss = 1;
      share.macs = share.steps * work.program().macs_per_step();
      if (index + 1 == lease_.shares()) share.delta_root = kernels::blake3(delta);
      verifier::sign(share, identity_);
      session_.send(pool::ShareMessage{encode(share), steps});
    }
    session_.send(pool::Upload{lease_.id, pool::kDelta, {delta.size(), 0, 1, {}, delta}});
    ++common_.counts["garbage"];
  }

  void accuse() {
    if (common_.shares.empty()) return;
    const KnownShare& known = common_.shares[common_.next_share++ % common_.shares.size()];
    verifier::Verdict verdict;
    verdict.lease_id = known.lease_id;
    verdict.index = known.index;
    verdict.share_id = known.share_id;
    verdict.kind = verifier::AuditKind::replay;
    verdict.outcome = Outcome::invalid;
    verdict.digest = random_digest();
    verdict.auditor_key = identity_.public_key();
    verifier::sign(verdict, identity_);
    session_.send(pool::VerdictMessage{encode(verdict)});
    ++common_.counts["accusations"];
  }

  Common& common_;
  const Weapon weapon_;
  const bool watches_;  // for the others, who cannot all
  const verifier::Identity identity_;
  pool::Session session_;
  verifier::Lease lease_;
  bool busy_ = false;  // with a lease
  bool over_ = false;
  uint32_t asks_ = 0;
};

class Crowd {
 public:
  Crowd(pool::Loop& loop, const CrowdPlan& plan)
      : loop_(loop),
        plan_(plan),
        watcher_(loop, common_, plan, Weapon::accuse, true),
        timer_(loop, [this] { on_tick(); }),
        signals_(loop, kSignals, [this](int) { loop_.stop(); }) {
    timer_.start(1, kAskMs);
  }
  void report() const {
    std::string out = "{\"keys\": " + std::to_string(used_);
    for (const auto& [name, count] : common_.counts)
      out += ", \"" + name + "\": " + std::to_string(count);
    std::printf("%s}\n", out.c_str());
  }

 private:
  static constexpr std::array<int, 2> kSignals = {SIGINT, SIGTERM};

  Weapon weapon() const {
    if (plan_.weapon != Weapon::mixed) return plan_.weapon;
    return kWeapons[used_ % 3].second;
  }
  void on_tick() {
    std::erase_if(members_, [](const auto& member) { return member->over(); });
    while (members_.size() < plan_.at_once && used_ < plan_.keys) {
      members_.push_back(std::make_unique<Member>(loop_, common_, plan_, weapon(), false));
      ++used_;
    }
    for (const auto& member : members_)
      member->on_tick();
    if (members_.empty()) loop_.stop();
  }

  pool::Loop& loop_;
  const CrowdPlan& plan_;
  Common common_;
  Member watcher_;
  std::vector<std::unique_ptr<Member>> members_;
  uint32_t used_ = 0;
  pool::Timer timer_;
  pool::SignalWatch signals_;
};

}  // namespace

Result<Weapon> parse_weapon(std::string_view name) {
  std::string names;
  for (const auto& [known, weapon] : kWeapons) {
    if (known == name) return weapon;
    names.append(names.empty() ? "" : ", ").append(known);
  }
  return Error{Errc::invalid_argument, "--weapon: one of " + names};
}

ExitCode run_crowd(const CrowdPlan& plan) {
  auto loop = pool::Loop::make();
  if (!loop) return cli::fail(ExitCode::failed, loop.error().detail);
  Crowd crowd(loop.value(), plan);
  loop.value().run();
  crowd.report();
  return ExitCode::ok;
}

}  // namespace gemmine::adversaries
