// What every place for the ledger must do. A backend adds itself to backends() and passes all this.
#include "pool/store/ledger_store.h"

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include "pool/core/book.h"
#include "pool/store/sqlite_store.h"
#include "tests/unit/pool/store/members.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

using verifier::RecordKind;
using verifier::SignedRecord;

// How a store is made, opened and damaged behind its back. `place` is an empty folder of its own.
struct Backend {
  const char* name;
  std::unique_ptr<LedgerStore> (*open)(const std::string& place);  // makes it when it is not there
  void (*edit_time)(const std::string& place, uint64_t seq);
  void (*edit_head)(const std::string& place, uint64_t seq);
  void (*edit_signature)(const std::string& place, uint64_t seq);
  void (*remove)(const std::string& place, uint64_t first, uint64_t last);
};

std::string file_in(const std::string& place) {
  return place + "/ledger.sqlite";
}

void sql(const std::string& place, const std::string& text) {
  SQLite::Database(file_in(place), SQLite::OPEN_READWRITE).exec(text);
}

std::unique_ptr<LedgerStore> open_sqlite(const std::string& place) {
  const std::string path = file_in(place);
  auto opened =
      ::access(path.c_str(), F_OK) == 0 ? SqliteStore::open(path) : SqliteStore::make(path);
  GEMMINE_CHECK(opened.ok());
  return std::move(opened.value());
}

const Backend kBackends[] = {
    {.name = "sqlite",
     .open = open_sqlite,
     .edit_time =
         [](const std::string& place, uint64_t seq) {
           sql(place,
               "UPDATE records SET time_ms = time_ms + 1 WHERE seq = " + std::to_string(seq));
         },
     .edit_head =
         [](const std::string& place, uint64_t seq) {
           sql(place, "UPDATE records SET head = zeroblob(32) WHERE seq = " + std::to_string(seq));
         },
     .edit_signature =
         [](const std::string& place, uint64_t seq) {
           sql(place,
               "UPDATE records SET signature = zeroblob(64) WHERE seq = " + std::to_string(seq));
         },
     .remove =
         [](const std::string& place, uint64_t first, uint64_t last) {
           sql(place, "DELETE FROM records WHERE seq BETWEEN " + std::to_string(first) + " AND " +
                          std::to_string(last));
         }},
};

std::vector<SignedRecord> some_records(size_t count) {
  const auto pool = verifier::Identity::from_seed(Digest{});
  const Digest key = pool.public_key();
  Book book({}, {}, pool);
  EXPECT_TRUE(
      book.append(RecordKind::genesis, verifier::encode(verifier::GenesisBody{key, "pool"}), 100));
  for (size_t i = 1; i < count; ++i) {
    const std::string account(5, static_cast<char>('a' + i % 26));
    EXPECT_TRUE(book.append(RecordKind::member, member_record(key, pool, account, i), 100 + i));
  }
  return book.take_fresh();
}

class AnyLedgerStore : public testing::TestWithParam<Backend> {
 protected:
  std::unique_ptr<LedgerStore> open() { return GetParam().open(folder_.path()); }
  void filled(size_t count) {
    records_ = some_records(count);
    ASSERT_TRUE(open()->append(records_));
  }
  std::string folded() {
    verifier::LedgerState state;
    const Status done = fold(*open(), state);
    return done ? std::to_string(state.next_seq()) : done.error().detail;
  }

  TempDirectory folder_;
  std::vector<SignedRecord> records_;
};

INSTANTIATE_TEST_SUITE_P(Backends, AnyLedgerStore, testing::ValuesIn(kBackends),
                         [](const auto& backend) { return std::string(backend.param.name); });

TEST_P(AnyLedgerStore, IsEmptyAtFirst) {
  EXPECT_EQ(open()->size().value(), 0u);
  EXPECT_TRUE(open()->read(0, 10, 1000).value().empty());
  EXPECT_EQ(folded(), "0");
  EXPECT_TRUE(open()->append({}));
  EXPECT_EQ(open()->size().value(), 0u);
}

TEST_P(AnyLedgerStore, GivesBackWhatWasAppendedInPieces) {
  records_ = some_records(7);
  {
    const auto store = open();
    EXPECT_TRUE(store->append(std::span(records_).first(3)));
    EXPECT_TRUE(store->append(std::span(records_).subspan(3, 1)));
  }
  EXPECT_TRUE(open()->append(std::span(records_).subspan(4))) << "the head goes on after a restart";
  EXPECT_EQ(open()->size().value(), 7u);
  EXPECT_EQ(folded(), "7");
  const auto back = open()->read(0, 100, 1 << 20);
  ASSERT_TRUE(back);
  ASSERT_EQ(back.value().size(), 7u);
  for (size_t i = 0; i < 7; ++i)
    EXPECT_EQ(encode(static_cast<const verifier::Record&>(back.value()[i])),
              encode(static_cast<const verifier::Record&>(records_[i])));
  for (size_t i = 0; i < 7; ++i)
    EXPECT_EQ(back.value()[i].receipt(), records_[i].receipt());
  EXPECT_EQ(open()->read(4, 1, 1 << 20).value().at(0).receipt(), records_[4].receipt())
      << "the head before it is that of a record that was not read";
}

TEST_P(AnyLedgerStore, ReadsWithinItsBounds) {
  filled(20);
  const auto store = open();
  const auto some = store->read(5, 3, 1 << 20);
  ASSERT_EQ(some.value().size(), 3u);
  EXPECT_EQ(some.value().front().seq, 5u);
  EXPECT_EQ(store->read(5, 10, 1).value().size(), 1u) << "one at least, whatever its size";
  EXPECT_EQ(store->read(18, 10, 1 << 20).value().size(), 2u);
  EXPECT_TRUE(store->read(20, 10, 1 << 20).value().empty());
}

TEST_P(AnyLedgerStore, StopsReplayingWhereItIsTold) {
  filled(6);
  uint64_t seen = 0;
  const Status stopped = open()->replay([&](const SignedRecord& record) {
    ++seen;
    return record.seq == 3 ? Status(Error{Errc::invalid, "enough"}) : Status(Ok{});
  });
  EXPECT_EQ(stopped.error().detail, "enough");
  EXPECT_EQ(seen, 4u);
}

TEST_P(AnyLedgerStore, FoldsToEveryBoundaryItIsCutAt) {
  filled(7);
  for (uint64_t cut = 7; cut-- > 0;) {
    GetParam().remove(folder_.path(), cut, 7);
    EXPECT_EQ(folded(), std::to_string(cut));
  }
}

TEST_P(AnyLedgerStore, NamesTheRecordThatWasEdited) {
  filled(7);
  GetParam().edit_time(folder_.path(), 4);
  EXPECT_NE(folded().find("record 4: does not have the head"), std::string::npos);
}

TEST_P(AnyLedgerStore, NamesTheHeadThatIsDamaged) {
  filled(7);
  GetParam().edit_head(folder_.path(), 6);
  EXPECT_NE(folded().find("record 6: does not have the head"), std::string::npos);
}

TEST_P(AnyLedgerStore, NeedsThePoolsSignatureUnderItsLastHead) {
  filled(7);
  GetParam().edit_signature(folder_.path(), 5);
  EXPECT_EQ(folded(), "7") << "those before are under the last one, too";
  GetParam().edit_signature(folder_.path(), 6);
  EXPECT_NE(folded().find("record 6: the pool has not signed"), std::string::npos) << folded();
}

TEST_P(AnyLedgerStore, NamesTheRecordThatIsMissing) {
  filled(7);
  GetParam().remove(folder_.path(), 2, 2);
  EXPECT_NE(folded().find("record 2: is missing"), std::string::npos);
}

// kill -9 at any moment: what append() said Ok to is there, whole batches only.
TEST_P(AnyLedgerStore, KeepsWhatItSaidOkToThroughAKill) {
  constexpr size_t kBatch = 5;
  records_ = some_records(40 * kBatch);
  for (const int wait_us : {0, 3'000, 9'000, 20'000}) {
    const TempDirectory folder;
    GetParam().open(folder.path());
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const auto store = GetParam().open(folder.path());
      for (size_t at = 0; at < records_.size(); at += kBatch) {
        const char said = 1;
        if (!store->append(std::span(records_).subspan(at, kBatch)) ||
            ::write(pipe_ends[1], &said, 1) != 1)
          ::_exit(1);
      }
      ::pause();
    }
    char first = 0;
    ASSERT_EQ(::read(pipe_ends[0], &first, 1), 1);
    ::usleep(static_cast<useconds_t>(wait_us));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(pipe_ends[1]);
    size_t said = 1;
    for (char each = 0; ::read(pipe_ends[0], &each, 1) == 1;)
      ++said;
    ::close(pipe_ends[0]);
    verifier::LedgerState state;
    ASSERT_TRUE(fold(*GetParam().open(folder.path()), state));
    EXPECT_GE(state.next_seq(), said * kBatch);
    EXPECT_LE(state.next_seq(), (said + 1) * kBatch);
    EXPECT_EQ(state.next_seq() % kBatch, 0u);
  }
}

}  // namespace
}  // namespace gemmine::pool
