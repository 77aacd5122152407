// What a miner is told of its batches: checked, logged, and kept with each lease of the batch.
#include "miner/batches.h"

#include "kernels/base/files.h"
#include "miner/cli/commands.h"
#include "tests/unit/miner/scene.h"

namespace gemmine::miner {
namespace {

using pool::Level;
using verifier::RecordKind;

class Batch : public Scene {
 protected:
  Batch() { join(); }

  verifier::Lease finished(uint32_t slot, const Digest& s1) {
    verifier::Lease out = lease(slot);
    out.batch_commit = verifier::coin_commit(s1);
    verifier::sign(out, pool_);
    grant(out);
    close_lease(out);
    return out;
  }
  // Its seq.
  template <class Body>
  uint64_t logged(RecordKind kind, const Body& body) {
    const Bytes bytes = encode(body);
    const verifier::Receipt signed_by_pool = receipt(kind, bytes);
    pool_says(pool::MessageType::record, pool::RecordMessage{signed_by_pool, kind, bytes});
    return signed_by_pool.seq;
  }
  std::vector<std::string> words_about(const verifier::Lease& lease) const {
    const std::string path = folder_.path() + "/receipts/" + to_hex(lease.id.view());
    std::vector<std::string> out;
    for (const auto& word :
         verifier::read_kept(read_file(path, verifier::kKeptFileBytesMax).value()).words)
      out.push_back(verifier::words_of(word).substr(0, verifier::words_of(word).find(',')));
    return out;
  }

  const Digest s1_ = kernels::blake3(as_bytes(std::string_view("the batch's")));
};

TEST_F(Batch, WhatItEarnedIsToldAndKeptWithEachOfItsLeases) {
  const verifier::Lease one = finished(0, s1_);
  const verifier::Lease two = finished(1, s1_);
  const verifier::Lease other = finished(0, secret_);  // of another batch
  logged(
      RecordKind::draw,
      verifier::DrawBody{.job_id = job_id_, .key = state_.key, .batch = 3, .leases = 2, .s1 = s1_});
  const uint64_t settled =
      logged(RecordKind::settle,
             verifier::SettleBody{.job_id = job_id_, .key = state_.key, .batch = 3, .paid = 2});
  logged(RecordKind::post,
         verifier::PostBody{settled, {{"account:me", 70}, {"escrow:x", -72}, {"fee:pool", 2}}});
  EXPECT_EQ(told("batch_drawn", Level::info), 1U);
  EXPECT_EQ(told("batch_settled", Level::info), 1U);
  EXPECT_EQ(told("paid", Level::info), 1U);
  const std::vector<std::string> words = {"lease: round 0", "close: complete",
                                          "draw of batch 3: full", "settle of batch 3: paid",
                                          "post: tokens 70"};
  EXPECT_EQ(words_about(one), words);
  EXPECT_EQ(words_about(two), words);
  EXPECT_EQ(words_about(other).size(), 2U);
}

TEST_F(Batch, AFineIsAWarning) {
  logged(RecordKind::settle,
         verifier::SettleBody{
             .job_id = job_id_, .key = state_.key, .outcome = verifier::SettleOutcome::fined});
  EXPECT_EQ(told("batch_settled", Level::warning), 1U);
}

TEST_F(Batch, OfAnotherKeyIsIgnored) {
  logged(RecordKind::settle, verifier::SettleBody{.job_id = job_id_, .key = job_id_});
  logged(RecordKind::finish, verifier::FinishBody{.job_id = job_id_, .theta_root = {}});
  EXPECT_EQ(told("batch_settled", Level::info), 0U);
  EXPECT_TRUE(all<Distrust>().empty());
}

TEST_F(Batch, ThatThePoolDidNotSignEndsTheWorkForIt) {
  const verifier::Lease one = finished(0, s1_);
  const Bytes body = encode(verifier::DrawBody{.job_id = job_id_, .key = state_.key, .s1 = s1_});
  verifier::Receipt wrong = receipt(RecordKind::draw, body);
  ++wrong.seq;
  pool_says(pool::MessageType::record, pool::RecordMessage{wrong, RecordKind::draw, body});
  EXPECT_EQ(all<Distrust>().size(), 1U);
  EXPECT_EQ(words_about(one).size(), 2U);
  EXPECT_EQ(told("batch_drawn", Level::info), 0U);
  pool_says(pool::MessageType::record, pool::RecordMessage{wrong, RecordKind::draw, Bytes(3)});
  EXPECT_EQ(told("pool_message_malformed", Level::error), 1U);
}

}  // namespace
}  // namespace gemmine::miner
