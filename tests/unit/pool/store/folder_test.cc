// A pool's folder: init makes it, everything else refuses what is missing or belongs elsewhere.
#include "pool/store/folder.h"

#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "pool/core/book.h"
#include "pool/store/evaluations.h"
#include "pool/store/sqlite_store.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using verifier::RecordKind;

class PoolFolder : public testing::Test {
 protected:
  PoolFolder() { EXPECT_TRUE(init_folder(data_)); }
  void begin_ledger() {
    const Keys keys = std::move(load_keys(data_).value());
    Book book({}, {}, keys.identity);
    EXPECT_TRUE(book.append(
        RecordKind::genesis,
        verifier::encode(verifier::GenesisBody{keys.identity.public_key(), "pool"}), 100));
    EXPECT_TRUE(SqliteStore::open(ledger_path(data_)).value()->append(book.take_fresh()));
  }
  std::string refusal(const std::string& data) {
    const auto keys = load_keys(data);
    return keys ? "" : keys.error().detail;
  }

  TempDirectory directory_;
  const std::string data_ = directory_.path() + "/pool";
};

EvaluateDone evaluated_after(uint32_t rounds) {
  EvaluateDone out;
  out.round = rounds;
  out.records = 1;
  return out;
}

constexpr const char* kPartNames[] = {"ledger.sqlite", "pool.key", "tls.pem", "blobs"};

TEST_F(PoolFolder, IsTheSameWhenItIsInitialisedAgain) {
  const auto first = load_keys(data_);
  ASSERT_TRUE(first);
  const auto again = init_folder(data_);
  ASSERT_TRUE(again);
  EXPECT_EQ(again.value().identity.public_key(), first.value().identity.public_key());
  EXPECT_EQ(again.value().tls.spki_pin(), first.value().tls.spki_pin());
}

TEST_F(PoolFolder, RefusesByNameWhateverPartIsMissing) {
  begin_ledger();
  for (const char* const name : kPartNames) {
    const std::string part = data_ + "/" + name;
    fs::rename(part, part + ".away");
    EXPECT_THAT(refusal(data_), HasSubstr(std::string("lacks ") + name));
    const auto again = init_folder(data_);
    ASSERT_FALSE(again) << name;
    EXPECT_THAT(again.error().detail, HasSubstr(std::string("lacks ") + name));
    EXPECT_FALSE(fs::exists(part)) << "nothing is made in its place";
    fs::rename(part + ".away", part);
    EXPECT_EQ(refusal(data_), "");
  }
}

TEST_F(PoolFolder, SaysWhatToDoWhereThereIsNoPool) {
  const std::string none = directory_.path() + "/none";
  EXPECT_THAT(refusal(none), testing::AllOf(HasSubstr("no such folder"), HasSubstr("init --data"),
                                            HasSubstr("mounted")));
  EXPECT_FALSE(fs::exists(none));
  fs::create_directory(none);
  EXPECT_THAT(refusal(none), HasSubstr("nothing of a pool is in this folder"));
  EXPECT_TRUE(fs::is_empty(none));
}

TEST_F(PoolFolder, CompletesAnInitThatWasCutShort) {
  for (const char* const name : {"pool.key", "tls.pem", "blobs"}) {
    fs::remove(data_ + "/" + name);
    EXPECT_TRUE(init_folder(data_)) << name;
    EXPECT_EQ(refusal(data_), "");
  }
}

TEST_F(PoolFolder, KnowsALedgerThatLostItsLog) {
  EXPECT_TRUE(check_nothing_began(data_, {}));
  const Digest blob = Blobs::open(blobs_path(data_)).value().put(Bytes(10, 1)).value();
  EXPECT_TRUE(check_nothing_began(data_, std::span(&blob, 1))) << "a first start was cut short";
  const Status blobs_left = check_nothing_began(data_, {});
  ASSERT_FALSE(blobs_left);
  EXPECT_THAT(blobs_left.error().detail,
              testing::AllOf(HasSubstr("a part is missing"), HasSubstr(to_hex(blob.bytes)),
                             HasSubstr("gemmine-pool backup")));
  fs::remove(data_ + "/tls.pem");
  EXPECT_FALSE(init_folder(data_)) << "no new pool is made of it";
  EXPECT_FALSE(fs::exists(data_ + "/tls.pem"));
}

TEST_F(PoolFolder, KnowsALedgerOlderThanItsEvaluations) {
  ASSERT_TRUE(append_evaluation(evaluations_path(data_), evaluated_after(0)));
  EXPECT_TRUE(check_nothing_began(data_, {})) << "round 0 is evaluated at the first start";
  ASSERT_TRUE(append_evaluation(evaluations_path(data_), evaluated_after(3)));
  const Status evaluated = check_nothing_began(data_, {});
  ASSERT_FALSE(evaluated);
  EXPECT_THAT(evaluated.error().detail, HasSubstr("round 3"));
}

TEST_F(PoolFolder, KnowsKeysOfAnotherPool) {
  begin_ledger();
  const std::string other = directory_.path() + "/other";
  const auto others = init_folder(other);
  ASSERT_TRUE(others);
  const auto state = read_ledger(data_);
  ASSERT_TRUE(state);
  EXPECT_TRUE(check_keys(load_keys(data_).value(), state.value()));
  const Status wrong = check_keys(others.value(), state.value());
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().detail, HasSubstr("another pool key"));
}

TEST_F(PoolFolder, RenewsTheCertificateOnlyWhenItIsTold) {
  begin_ledger();
  const auto before = load_keys(data_);
  fs::remove(data_ + "/tls.pem");
  EXPECT_THAT(refusal(data_), HasSubstr("--new-tls"));
  const auto after = renew_certificate(data_);
  ASSERT_TRUE(after);
  EXPECT_NE(after.value().tls.spki_pin(), before.value().tls.spki_pin());
}

TEST_F(PoolFolder, RenewsNoCertificateInUse) {
  const auto before = load_keys(data_);
  {
    const auto serving = lock_folder(data_);
    ASSERT_TRUE(serving);
    const auto refused = renew_certificate(data_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::busy);
    EXPECT_THAT(refused.error().detail, HasSubstr(std::to_string(::getpid())));
    EXPECT_EQ(load_keys(data_).value().tls.spki_pin(), before.value().tls.spki_pin());
  }
  EXPECT_TRUE(renew_certificate(data_));
  EXPECT_FALSE(renew_certificate(directory_.path() + "/none"));
}

TEST_F(PoolFolder, IsAlone) {
  const auto first = lock_folder(data_);
  ASSERT_TRUE(first);
  EXPECT_EQ(init_folder(data_).error().code, Errc::busy);
}

TEST_F(PoolFolder, IsAloneInBlobsThatALinkLeadsTo) {
  const auto first = lock_blobs(data_);
  ASSERT_TRUE(first);
  const std::string other = directory_.path() + "/other";
  ASSERT_TRUE(init_folder(other));
  fs::remove_all(blobs_path(other));
  fs::create_directory_symlink(blobs_path(data_), blobs_path(other));
  ASSERT_TRUE(lock_folder(other));
  const auto second = lock_blobs(other);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::busy);
  EXPECT_THAT(second.error().detail, HasSubstr("process " + std::to_string(::getpid())));
}

TEST_F(PoolFolder, LosesBlobsThatNothingNeedsAndNothingElse) {
  const std::string blobs = blobs_path(data_);
  const Digest needed = put_blob(blobs, Bytes(100'000, 1)).value();
  const Digest orphan = put_blob(blobs, Bytes(100'000, 2)).value();
  const std::string lone_tree = blobs + "/" + std::string(64, 'a') + ".tree";
  const std::string stranger = blobs + "/notes.txt";
  const std::string upper = blobs + "/" + std::string(64, 'A');
  for (const std::string& path : {lone_tree, stranger, upper})
    ASSERT_TRUE(write_durable(path, Bytes(3, 1)));
  const auto swept = sweep_blobs(blobs, {needed});
  ASSERT_TRUE(swept);
  EXPECT_EQ(swept.value(), 2U);
  EXPECT_TRUE(read_blob(blobs, needed, 1 << 20));
  EXPECT_TRUE(fs::exists(blobs + "/" + to_hex(needed.bytes) + ".tree"));
  EXPECT_FALSE(fs::exists(blobs + "/" + to_hex(orphan.bytes)));
  EXPECT_FALSE(fs::exists(blobs + "/" + to_hex(orphan.bytes) + ".tree"));
  EXPECT_FALSE(fs::exists(lone_tree));
  EXPECT_TRUE(fs::exists(stranger));
  EXPECT_TRUE(fs::exists(upper));
}

TEST_F(PoolFolder, IsBackedUpWholeWhileItIsWritten) {
  begin_ledger();
  const auto lock = lock_folder(data_);
  const auto pool = SqliteStore::open(ledger_path(data_));
  const Bytes blob(100'000, 7);
  const Digest address = Blobs::open(blobs_path(data_)).value().put(blob).value();
  ASSERT_TRUE(write_durable(blobs_path(data_) + "/half.tmp", blob));
  const std::string copy = directory_.path() + "/copy";
  const Status done = back_up(data_, copy);
  ASSERT_TRUE(done) << done.error().detail;
  const auto keys = load_keys(copy);
  ASSERT_TRUE(keys);
  const auto state = read_ledger(copy);
  ASSERT_TRUE(state);
  EXPECT_TRUE(check_keys(keys.value(), state.value()));
  EXPECT_EQ(state.value().head(), read_ledger(data_).value().head());
  EXPECT_EQ(read_blob(blobs_path(copy), address, 1 << 20).value(), blob);
  EXPECT_FALSE(fs::exists(blobs_path(copy) + "/half.tmp"));
  for (const char* const name : {"pool.key", "tls.pem"}) {
    struct stat info {};
    ASSERT_EQ(::stat((copy + "/" + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
  EXPECT_FALSE(fs::exists(copy + ".part"));
  EXPECT_FALSE(back_up(data_, copy)) << "it is there already";
}

TEST_F(PoolFolder, BacksUpNothingThatIsNotWhole) {
  begin_ledger();
  const std::string copy = directory_.path() + "/copy";
  fs::remove(data_ + "/pool.key");
  EXPECT_FALSE(back_up(data_, copy));
  EXPECT_FALSE(fs::exists(copy));
  EXPECT_FALSE(back_up(directory_.path() + "/none", copy));
}

}  // namespace
}  // namespace gemmine::pool
