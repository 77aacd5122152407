#include "miner/batches.h"

#include <algorithm>
#include <functional>

#include "miner/answers.h"
#include "miner/messages.h"
#include "miner/words.h"
#include "verifier/records/coin.h"

namespace gemmine::miner {

using verifier::coin_commit;
using verifier::KeptWords;
using verifier::RecordKind;

namespace {

std::string job_name(const State& state, const Digest& job_id) {
  const auto job = state.jobs.find(job_id);
  const bool known = job != state.jobs.end() && job->second.work;
  return known ? job->second.work->job().name : short_hex(job_id);
}

// Receipts' leases whose batch committed to this: the secrets that a draw or redraw reveals tell
// which leases it is about.
std::vector<Digest> committed_to(const State& state, const Digest& commitment) {
  return state.receipts.find([&](const verifier::Lease& lease, const KeptWords& /*words*/) {
    return lease.pool_key == state.pool_key && lease.batch_commit == commitment;
  });
}

// Those with a word that fits.
std::vector<Digest> with_word(const State& state,
                              const std::function<bool(const verifier::Statement&)>& fits) {
  return state.receipts.find([&](const verifier::Lease& lease, const KeptWords& kept) {
    return lease.pool_key == state.pool_key && std::ranges::any_of(kept.words, fits);
  });
}

bool is_draw_of(const verifier::Statement& word, const verifier::SettleBody& settle) {
  if (word.kind != RecordKind::draw) return false;
  const auto draw = decode<verifier::DrawBody>(word.body);
  return draw && draw.value().job_id == settle.job_id && draw.value().key == settle.key &&
         draw.value().batch == settle.batch;
}

void on(State& state, const pool::RecordMessage& said, const verifier::DrawBody& draw) {
  const auto leases = committed_to(state, coin_commit(draw.s1));
  if (!vouched(state, "a draw", leases, said.receipt, said.kind, said.body)) return;
  state.note(Level::info, "batch_drawn",
             {{"job", job_name(state, draw.job_id)},
              {"batch", std::to_string(draw.batch)},
              {"leases", std::to_string(draw.leases)},
              {"reason", std::string(verifier::to_string(draw.reason))}});
}

void on(State& state, const pool::RecordMessage& said, const verifier::RedrawBody& redraw) {
  const auto leases = committed_to(state, coin_commit(coin_commit(redraw.s0)));
  if (!vouched(state, "a redraw", leases, said.receipt, said.kind, said.body)) return;
  state.note(
      Level::warning, "batch_redrawn",
      {{"job", job_name(state, redraw.job_id)},
       {"batch", std::to_string(redraw.batch)},
       {"reason", "something of it was asked and not answered; the pool runs a lease again"}});
}

void on(State& state, const pool::RecordMessage& said, const verifier::SettleBody& settle) {
  const auto leases =
      with_word(state, [&](const verifier::Statement& word) { return is_draw_of(word, settle); });
  if (!vouched(state, "a settlement", leases, said.receipt, said.kind, said.body)) return;
  settled(state, leases);
  const bool paid = settle.outcome == verifier::SettleOutcome::paid;
  state.note(paid ? Level::info : Level::warning, "batch_settled",
             {{"job", job_name(state, settle.job_id)},
              {"batch", std::to_string(settle.batch)},
              {"outcome", std::string(verifier::to_string(settle.outcome))},
              {"leases_paid", std::to_string(settle.paid)}});
}

void on(State& state, const pool::RecordMessage& said, const verifier::PostBody& post) {
  const auto leases = with_word(state, [&](const verifier::Statement& word) {
    return word.kind == RecordKind::settle && word.receipt.seq == post.cause;
  });
  if (!vouched(state, "a payment", leases, said.receipt, said.kind, said.body)) return;
  state.note(Level::info, "paid",
             {{"tokens", std::to_string(verifier::paid_to_accounts(post))},
              {"ledger_seq", std::to_string(said.receipt.seq)}});
}

template <class Body>
void take(State& state, const pool::RecordMessage& said) {
  const auto body = decode<Body>(said.body);
  if (!body) return broken_message(state, "RECORD", body.error());
  if constexpr (requires { body.value().key; }) {
    if (body.value().key != state.key) return;
  }
  on(state, said, body.value());
}

}  // namespace

void on_batch_record(State& state, const pool::RecordMessage& said) {
  switch (said.kind) {
    case RecordKind::draw:
      return take<verifier::DrawBody>(state, said);
    case RecordKind::redraw:
      return take<verifier::RedrawBody>(state, said);
    case RecordKind::settle:
      return take<verifier::SettleBody>(state, said);
    case RecordKind::post:
      return take<verifier::PostBody>(state, said);
    default:
      return;
  }
}

}  // namespace gemmine::miner
