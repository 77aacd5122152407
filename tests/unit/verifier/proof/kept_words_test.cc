// A miner's receipts as a stranger reads them.
#include "verifier/proof/kept_words.h"

#include <gtest/gtest.h>

#include "tests/unit/verifier/ledger/ledger_world.h"
#include "verifier/ledger/signed_record.h"

namespace gemmine::verifier {
namespace {

using test::World;

// What the miner of a whole lease has been told, by a pool that signs.
class Kept : public testing::Test {
 protected:
  Kept() {
    world_.begin();
    lease_ = world_.lease(0, world_.miner);
    words_.push_back({RecordKind::lease, signed_body(encode(lease_)), {}});
    const Share share = world_.make_share(lease_, 0, world_.miner);
    log(RecordKind::share, signed_body(encode(share)));
    const Verdict verdict = world_.make_verdict(lease_, AuditKind::replay, Outcome::valid);
    words_.push_back({RecordKind::verdict, signed_body(encode(verdict)), {}});
    log(RecordKind::close, world_.close(lease_, CloseReason::expired));
  }
  void log(RecordKind kind, const Bytes& body) {
    const Record record{world_.state.next_seq(), ++world_.time_ms, kind, body};
    const SignedRecord logged = sign_next(record, world_.state, world_.pool);
    if (kind == RecordKind::share) {
      ASSERT_TRUE(world_.state.apply(record).ok());
    }
    words_.push_back({kind, body, logged.receipt()});
  }
  Bytes file() const {
    Bytes out;
    for (const Statement& word : words_) {
      const Bytes bytes = kept_bytes(word);
      out.insert(out.end(), bytes.begin(), bytes.end());
    }
    return out;
  }

  World world_;
  Lease lease_;
  std::vector<Statement> words_;
};

TEST_F(Kept, WordsAreAllSigned) {
  const KeptWords read = read_kept(file());
  EXPECT_FALSE(read.cut);
  ASSERT_EQ(read.words.size(), 4U);
  for (const Statement& word : read.words)
    EXPECT_EQ(fault_of(word, world_.pool.public_key()), "") << words_of(word);
  EXPECT_TRUE(words_of(read.words[1]).starts_with("share 0, record ")) << words_of(read.words[1]);
  EXPECT_TRUE(words_of(read.words[3]).starts_with("close: expired"));
}

TEST_F(Kept, WordsOfAnotherPoolOrWithAnotherBitAreNot) {
  for (const Statement& word : words_) {
    if (word.kind != RecordKind::verdict) {
      EXPECT_NE(fault_of(word, world_.miner.public_key()), "") << words_of(word);
    }
    for (size_t i = 0; i < word.body.size(); i += 7) {
      Statement changed = word;
      changed.body[i] ^= 1;
      EXPECT_NE(fault_of(changed, world_.pool.public_key()), "") << words_of(word) << " " << i;
    }
  }
  Statement no_receipt = words_[1];
  no_receipt.receipt = {};
  EXPECT_NE(fault_of(no_receipt, world_.pool.public_key()), "");
}

TEST_F(Kept, WordsAreReadAsFarAsTheyAreWhole) {
  const Bytes whole = file();
  const size_t last = kept_bytes(words_.back()).size();
  for (size_t bytes = whole.size() - last + 1; bytes < whole.size(); ++bytes) {
    const KeptWords read = read_kept(ByteView(whole).first(bytes));
    EXPECT_TRUE(read.cut) << bytes;
    EXPECT_EQ(read.words.size(), 3U) << bytes;
  }
  EXPECT_FALSE(read_kept(ByteView(whole).first(whole.size() - last)).cut);
  EXPECT_TRUE(read_kept({}).words.empty());
}

}  // namespace
}  // namespace gemmine::verifier
