// What is SQLite's own: disks that are full or read-only, other users, copies, files left behind.
#include "pool/store/sqlite_store.h"

#include <csignal>
#include <filesystem>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include "pool/core/book.h"
#include "tests/unit/pool/store/members.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

namespace fs = std::filesystem;
using verifier::RecordKind;

class SqliteFile : public testing::Test {
 protected:
  SqliteFile() {
    const Digest key = pool_.public_key();
    EXPECT_TRUE(book_.append(RecordKind::genesis,
                             verifier::encode(verifier::GenesisBody{key, "pool"}), 100));
    for (int i = 0; i < 6; ++i)
      EXPECT_TRUE(book_.append(
          RecordKind::member,
          member_record(key, pool_, std::string(5, static_cast<char>('a' + i)), 1 + i), 200));
    records_ = book_.take_fresh();
    auto store = SqliteStore::make(path_);
    EXPECT_TRUE(store);
    EXPECT_TRUE(store.value()->append(records_));
  }
  static std::string folded(const std::string& path) {
    auto store = SqliteStore::open_to_read(path);
    if (!store) return store.error().detail;
    verifier::LedgerState state;
    const Status done = fold(*store.value(), state);
    return done ? std::to_string(state.next_seq()) : done.error().detail;
  }
  std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto& each : fs::directory_iterator(directory_.path()))
      out.push_back(each.path().filename());
    std::ranges::sort(out);
    return out;
  }
  // Runs `check` as a user who may read the folder and not write to it; true when it holds.
  // Without root there is no other user to be, and permissions alone must do.
  bool as_reader(const std::function<bool()>& check) const {
    const auto modes = [&](mode_t folder, mode_t file) {
      for (fs::path up = directory_.path(); up != "/" && up != "/tmp"; up = up.parent_path())
        ::chmod(up.c_str(), folder);
      for (const auto& each : fs::directory_iterator(directory_.path()))
        ::chmod(each.path().c_str(), file);
    };
    modes(0555, 0444);
    const pid_t child = ::fork();
    if (child == 0) {
      constexpr uid_t kNobody = 65534;
      if (::getuid() == 0 && ::setuid(kNobody) != 0) ::_exit(2);
      ::_exit(check() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    modes(0755, 0644);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  // The next record.
  std::vector<verifier::SignedRecord> more() {
    const Bytes body = member_record(pool_.public_key(), pool_, "more", ++counter_);
    EXPECT_TRUE(book_.append(RecordKind::member, body, 300));
    return book_.take_fresh();
  }
  void next() {
    const auto member =
        verifier::sign_member(pool_.public_key(), pool_, "alice", book_.state().next_seq());
    EXPECT_TRUE(book_.append(RecordKind::member, encode(member), 200));
  }
  // A pool that was killed: its log is not folded into the file.
  void leave_a_wal() {
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = SqliteStore::open(path_);
      if (!store || !store.value()->append(more())) ::_exit(1);
      ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    ASSERT_TRUE(fs::exists(path_ + "-wal"));
  }

  TempDirectory directory_;
  const std::string path_ = std::string(directory_.path()).append("/ledger.sqlite");
  const verifier::Identity pool_ = verifier::Identity::from_seed(Digest{});
  Book book_{{}, {}, pool_};
  uint64_t counter_ = 100;  // of the last member word of more()
  std::vector<verifier::SignedRecord> records_;
};

TEST_F(SqliteFile, MakesNoSecondLedgerOverTheFirst) {
  EXPECT_EQ(SqliteStore::make(path_).error().code, Errc::io);
  EXPECT_EQ(folded(path_), "7");
  const std::string none = directory_.path() + "/none.sqlite";
  EXPECT_FALSE(SqliteStore::open(none));
  EXPECT_FALSE(SqliteStore::open_to_read(none));
  EXPECT_FALSE(fs::exists(none)) << "opening makes nothing";
}

TEST_F(SqliteFile, LeavesNothingBesideItself) {
  EXPECT_EQ(files(), std::vector<std::string>{"ledger.sqlite"}) << "after it was written";
  EXPECT_EQ(folded(path_), "7");
  EXPECT_EQ(files(), std::vector<std::string>{"ledger.sqlite"}) << "after it was read";
}

TEST_F(SqliteFile, IsReadWithoutTheRightToWrite) {
  EXPECT_TRUE(as_reader([&] { return folded(path_) == "7"; }));
  EXPECT_EQ(files(), std::vector<std::string>{"ledger.sqlite"});
}

TEST_F(SqliteFile, IsReadBesideThePoolThatWritesItByAnotherUser) {
  auto pool = SqliteStore::open(path_);
  ASSERT_TRUE(pool);
  ASSERT_TRUE(pool.value()->append(more()));
  EXPECT_TRUE(as_reader([&] { return folded(path_) == "8"; }));
  EXPECT_EQ(folded(path_), "8");
}

TEST_F(SqliteFile, IsReadWithTheLogOfAKilledPoolThatNobodyMayFoldIn) {
  leave_a_wal();
  fs::remove(path_ + "-shm");  // as a backup or a snapshot has it
  EXPECT_TRUE(as_reader([&] { return folded(path_) == "8"; }));
  EXPECT_EQ(folded(path_), "8");
}

TEST_F(SqliteFile, IsCopiedWhileItIsWritten) {
  auto pool = SqliteStore::open(path_);
  ASSERT_TRUE(pool);
  ASSERT_TRUE(pool.value()->append(more()));
  const std::string copy = directory_.path() + "/copy.sqlite";
  ASSERT_TRUE(SqliteStore::copy(path_, copy));
  EXPECT_TRUE(pool.value()->append(more()));
  EXPECT_EQ(folded(copy), "8");
  EXPECT_EQ(folded(path_), "9");
}

TEST_F(SqliteFile, AppendsAllOfABatchOrNothing) {
  SQLite::Database(path_, SQLite::OPEN_READWRITE)
      .exec(
          "CREATE TRIGGER full BEFORE INSERT ON records WHEN new.seq = 8 "
          "BEGIN SELECT RAISE(ABORT, 'no more'); END");
  auto store = SqliteStore::open(path_);
  ASSERT_TRUE(store);
  std::vector<verifier::SignedRecord> batch = more();
  batch.push_back(more()[0]);
  EXPECT_FALSE(store.value()->append(batch));
  EXPECT_EQ(store.value()->size().value(), 7u);
  SQLite::Database(path_, SQLite::OPEN_READWRITE).exec("DROP TRIGGER full");
  EXPECT_TRUE(store.value()->append(batch)) << "the same again, later";
  EXPECT_EQ(store.value()->size().value(), 9u);
}

TEST_F(SqliteFile, GoesOnAfterADiskThatWasFull) {
  auto store = SqliteStore::open(path_);
  ASSERT_TRUE(store);
  const verifier::SignedRecord large =
      verifier::sign_next({7, 300, RecordKind::member, Bytes(1 << 19, 1)}, book_.state(), pool_);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit full{.rlim_cur = 1 << 18, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &full);
  const Status refused = store.value()->append(std::span(&large, 1));
  setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::io);
  EXPECT_EQ(folded(path_), "7");
  EXPECT_TRUE(store.value()->append(std::span(&large, 1)));
}

}  // namespace
}  // namespace gemmine::pool
