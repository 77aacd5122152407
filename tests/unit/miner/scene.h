// A miner's state between a pool and a device that a test plays: no socket, no thread, no process.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "miner/leases.h"
#include "miner/messages.h"
#include "miner/reports.h"
#include "tests/support/toy_lease.h"
#include "tests/unit/pool/temp_directory.h"
#include "verifier/records/coin.h"

namespace gemmine::miner {

class Scene : public ::testing::Test {
 protected:
  Scene()
      : toy_("job_sgd"),
        job_bytes_(toy_.golden.bytes("job")),
        job_id_(verifier::job_id(job_bytes_)),
        state_(miner_.public_key(), {.data = folder_.path()},
               Checkpoint::open(folder_.path() + "/leases").value()) {}

  // Connected, with the data here: the miner asks for its first lease.
  // unsettled: batch_commit of the key's batches that are not settled.
  void join(std::vector<pool::AuthOk::OpenLease> held = {}, std::vector<Digest> unsettled = {}) {
    pool::AuthOk said;
    said.jobs.push_back({job_bytes_, 0, theta_address(), false});
    said.leases = std::move(held);
    said.batches = std::move(unsettled);
    on_ready(state_, pool_.public_key(), said, now_);
    go_on();
  }

  verifier::Lease lease(uint32_t slot = 0) {
    verifier::Lease out;
    out.job_id = job_id_;
    out.pool_key = pool_.public_key();
    out.miner_key = miner_.public_key();
    out.slot = slot;
    out.serial = ++serial_;
    out.theta_root = theta_address();
    out.steps = toy_.job.spec.steps_per_lease;
    out.steps_per_share = toy_.job.steps_per_share;
    out.deadline_ms = 1'000'000;
    out.coin_commit = verifier::coin_commit(secret_);
    out.batch_commit = batch_;
    verifier::sign(out, pool_);
    return out;
  }
  Digest theta_address() const {
    return kernels::blake3(as_bytes(std::span<const float>(toy_.thetas[0])));
  }

  // The device's word about a share of the lease; the state after it lies on disk.
  ShareDone computed(const verifier::Lease& lease, uint32_t index) {
    verifier::Share share;
    share.lease_id = lease.id;
    share.index = index;
    share.first_step = lease.first_step(index);
    share.steps = lease.steps_of(index);
    verifier::sign(share, miner_);
    const std::vector<float> after(toy_.program.state_floats());
    EXPECT_TRUE(state_.checkpoint.save_state(share.lease_id, index + 1, after).ok());
    const std::vector<Digest> steps(share.steps, share.lease_id);
    EXPECT_TRUE(state_.checkpoint.save_share(share, steps).ok());
    return {share, steps, 1000, 0.5};
  }
  void device(Report report) {
    on_report(state_, std::move(report), now_);
    go_on();
  }
  void device_fails(const verifier::Lease& lease, uint32_t index, Trouble trouble,
                    const std::string& why = "planted", uint32_t step = verifier::kNoStep) {
    device(TaskFailed{lease.id, index, step, trouble, {Errc::io, why}});
  }
  template <class Message>
  void pool_says(pool::MessageType type, const Message& message) {
    on_message(state_, type, encode(message), now_);
    go_on();
  }
  void grant(const verifier::Lease& lease) {
    pool_says(pool::MessageType::lease, pool::LeaseMessage{verifier::encode(lease)});
  }
  void accept(const verifier::Lease& lease, uint32_t index) {
    const auto share = state_.checkpoint.load_share(lease.id, index);
    const Bytes body = share ? verifier::signed_body(encode(share.value())) : Bytes{};
    pool_says(pool::MessageType::share_ok,
              pool::ShareOk{lease.id, index, receipt(verifier::RecordKind::share, body)});
  }
  void close_lease(const verifier::Lease& lease) { close_lease(lease, secret_); }
  void close_lease(const verifier::Lease& lease, const Digest& secret,
                   verifier::CloseReason reason = verifier::CloseReason::complete) {
    const verifier::CloseBody close{lease.id, reason, secret, {}, {}};
    pool_says(pool::MessageType::lease_closed,
              pool::LeaseClosed{close, receipt(verifier::RecordKind::close, encode(close))});
  }
  // The pool's, for a record of its ledger.
  verifier::Receipt receipt(verifier::RecordKind kind, ByteView body) {
    verifier::Receipt out{.seq = ++records_, .time_ms = now_, .head_before = {}};
    verifier::SignedHead head = verifier::head_of(out, static_cast<uint8_t>(kind), body);
    verifier::sign(head, pool_);
    out.signature = head.signature;
    return out;
  }
  void wait(uint64_t ms) {
    now_ += ms;
    go_on();
  }
  // Carries out as Miner does: downloads arrive at once, unless a test says why not.
  void go_on() {
    advance(state_, now_);
    while (!state_.out.empty()) {
      Action action = std::move(state_.out.front());
      state_.out.pop_front();
      if (const auto* fetch = std::get_if<Fetch>(&action)) {
        on_fetched(state_, *fetch, download(*fetch), now_);
      } else {
        done_.push_back(std::move(action));
      }
      if (state_.out.empty()) advance(state_, now_);
    }
  }
  Result<Bytes> download(const Fetch& fetch) {
    if (fetch.what == Fetch::What::data && no_data_) return *no_data_;
    if (fetch.what == Fetch::What::data) return toy_.train;
    if (no_weights_) return *no_weights_;
    const ByteView bytes = as_bytes(std::span<const float>(toy_.thetas[0]));
    return Bytes(bytes.begin(), bytes.end());
  }

  // What was carried out since the last call of forget().
  template <class Kind>
  std::vector<Kind> all() const {
    std::vector<Kind> out;
    for (const Action& action : done_)
      if (const auto* one = std::get_if<Kind>(&action)) out.push_back(*one);
    return out;
  }
  template <class Message>
  size_t sent() const {
    size_t count = 0;
    for (const Send& send : all<Send>())
      count += std::holds_alternative<Message>(send.message) ? 1 : 0;
    return count;
  }
  size_t given_back() const { return all<GiveBack>().size(); }
  template <class Kind>
  size_t posted() const {
    size_t count = 0;
    for (const Task& task : all<Task>())
      count += std::holds_alternative<Kind>(task) ? 1 : 0;
    return count;
  }
  size_t told(const std::string& name, pool::Level level) const {
    size_t count = 0;
    for (const pool::Event& event : all<pool::Event>())
      count += event.name == name && event.level == level ? 1 : 0;
    return count;
  }
  void forget() { done_.clear(); }

  pool::TempDirectory folder_;
  test::Toy toy_;
  const Bytes job_bytes_;
  const Digest job_id_;
  const Digest secret_{};
  Digest batch_ = verifier::coin_commit(kernels::blake3({}));  // of leases that are granted
  const verifier::Identity miner_ = verifier::Identity::from_seed(Digest{});
  const verifier::Identity pool_ =
      verifier::Identity::from_seed(kernels::blake3(as_bytes(std::string_view("pool"))));
  State state_;
  uint64_t now_ = 1'000'000;
  uint64_t serial_ = 0;
  uint64_t records_ = 0;
  std::optional<Error> no_data_;
  std::optional<Error> no_weights_;
  std::vector<Action> done_;
};

}  // namespace gemmine::miner
