#include "pool/store/sqlite_store.h"

#include <csignal>
#include <sys/resource.h>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include "pool/core/book.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

using verifier::RecordKind;

class StoreFile : public testing::Test {
 protected:
  StoreFile() {
    Book book{verifier::LedgerState{}};
    Digest key;
    key.bytes.fill(5);
    EXPECT_TRUE(book.append(RecordKind::genesis, verifier::genesis_body(key, "pool"), 100));
    for (int i = 0; i < 6; ++i)
      EXPECT_TRUE(
          book.append(RecordKind::member,
                      verifier::member_body(key, std::string(5, static_cast<char>('a' + i))), 200));
    records_ = book.take_fresh();
    auto store = Store::open(path_, Store::Mode::create);
    EXPECT_TRUE(store);
    EXPECT_TRUE(store.value().append(std::span(records_).first(3)));
    EXPECT_TRUE(store.value().append(std::span(records_).subspan(3)));
  }
  std::string folded() {
    auto store = Store::open(path_, Store::Mode::read_only);
    if (!store) return store.error().detail;
    verifier::LedgerState state;
    const Status done = fold(store.value(), state);
    return done ? std::to_string(state.next_seq()) : done.error().detail;
  }
  void sql(const std::string& text) { SQLite::Database(path_, SQLite::OPEN_READWRITE).exec(text); }

  TempDirectory directory_;
  const std::string path_ = std::string(directory_.path()).append("/ledger.sqlite");
  std::vector<verifier::Record> records_;
};

TEST_F(StoreFile, GivesBackEveryRecord) {
  EXPECT_EQ(folded(), "7");
}

TEST_F(StoreFile, FoldsToEveryBoundaryItIsCutAt) {
  for (int cut = 6; cut >= 0; --cut) {
    sql(std::string("DELETE FROM records WHERE seq >= ").append(std::to_string(cut)));
    EXPECT_EQ(folded(), std::to_string(cut));
  }
}

TEST_F(StoreFile, NamesTheRecordThatWasEdited) {
  sql("UPDATE records SET time_ms = time_ms + 1 WHERE seq = 4");
  EXPECT_NE(folded().find("record 4: does not have the head"), std::string::npos);
}

TEST_F(StoreFile, NamesTheRecordThatIsMissing) {
  sql("DELETE FROM records WHERE seq = 2");
  EXPECT_NE(folded().find("record 2: is missing"), std::string::npos);
}

TEST_F(StoreFile, AppendsAllOfABatchOrNothing) {
  auto store = Store::open(path_, Store::Mode::create);
  ASSERT_TRUE(store);
  std::vector<verifier::Record> batch = {records_[1], records_[1]};
  batch[0].seq = batch[1].seq = 7;  // the second one cannot be inserted
  EXPECT_FALSE(store.value().append(batch));
  EXPECT_EQ(folded(), "7");
}

TEST_F(StoreFile, GoesOnAfterADiskThatWasFull) {
  auto store = Store::open(path_, Store::Mode::create);
  ASSERT_TRUE(store);
  verifier::Record large = records_[1];
  large.seq = 7;
  large.body.assign(1 << 19, 1);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit full{.rlim_cur = 1 << 18, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &full);
  const Status refused = store.value().append(std::span(&large, 1));
  setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::io);
  EXPECT_EQ(folded(), "7");
  EXPECT_TRUE(store.value().append(std::span(&large, 1)));
}

}  // namespace
}  // namespace gemmine::pool
