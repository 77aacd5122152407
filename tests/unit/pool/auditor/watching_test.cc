// The golden ledger, folded record by record as an auditor hears it; its blobs are on disk, so no
// pool is needed.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "kernels/hash/blake3.h"
#include "pool/auditor/lease_watch.h"
#include "pool/auditor/merge_watch.h"
#include "tests/support/loop.h"
#include "tests/support/toy_lease.h"
#include "tests/unit/pool/client/notebook.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

using testing::HasSubstr;
using verifier::RecordKind;

class Watching : public testing::Test {
 protected:
  Watching()
      : toy_("job_sgd"),
        golden_("ledger_complete"),
        fetcher_(loop_, pool_, folder_.path(), [](const Digest&, Fetcher::Progress) {}),
        leases_(fetcher_, ledger_,
                {.replayed = [this](const ReplayDone& done) { findings_.push_back(done.finding); },
                 .unchecked = [this](const std::string&,
                                     const std::string& what) { unchecked_.push_back(what); },
                 .finished = [this](const Digest&) { ++finished_; }}),
        merges_(fetcher_, ledger_,
                {.redone = [this](uint32_t round, const Digest&) { redone_.push_back(round); },
                 .untrue = [this](const std::string& what,
                                  const Bytes& proof) { untrue_.emplace_back(what, proof); },
                 .unchecked = [this](const std::string&,
                                     const std::string& what) { unchecked_.push_back(what); },
                 .first_theta = [this](const Digest&) { ++first_thetas_; }}),
        replayer_(std::move(Replayer::start(loop_, "cpu", 1, [this](ReplayDone done) {
                              leases_.on_replayed(std::move(done));
                            }).value())) {
    leases_.use(*replayer_);
    store(toy_.train);
    for (uint32_t round = 0; round < toy_.job.spec.rounds; ++round) {
      thetas_.push_back(store(as_bytes(std::span<const float>(toy_.thetas.back()))));
      for (const auto& runs : toy_.run_round())
        deltas_.push_back(store(runs.back().delta));
    }
  }

  std::string store(ByteView bytes) const {
    const std::string path = folder_.path() + "/" + to_hex(kernels::blake3(bytes).view());
    EXPECT_TRUE(write_durable(path, bytes).ok());
    return path;
  }

  // Everything that the pool would send; then the replays are waited for.
  void hear_all() {
    for (size_t seq = 0; golden_.has("record " + std::to_string(seq)); ++seq) {
      verifier::SignedRecord record;
      static_cast<verifier::Record&>(record) =
          verifier::decode_record(golden_.bytes("record " + std::to_string(seq))).value();
      record.head_before = ledger_.head();
      const Bytes signature = golden_.bytes("signature " + std::to_string(seq));
      std::copy(signature.begin(), signature.end(), record.signature.begin());
      ASSERT_TRUE(ledger_.apply(record).ok());
      if (record.kind == RecordKind::lease) {
        ++leases_seen_;
        leases_.watch(
            verifier::decode_lease(Reader(record.body).get_blob(verifier::kLeaseBytes)).value());
      }
      if (record.kind == RecordKind::share) {
        ++shares_;
        leases_.on_logged(
            verifier::decode_share(Reader(record.body).get_blob(verifier::kShareBytes))
                .value()
                .lease_id);
      }
      if (record.kind == RecordKind::close) leases_.on_logged(Reader(record.body).get_digest());
      merges_.watch(record);
    }
    int turns = 0;
    Timer look(loop_, [&] {
      if (++turns == turns_max_ || leases_.replays_owed() + merges_.owed() == 0) loop_.stop();
    });
    look.start(0, 10);
    loop_.run();
  }

  test::Toy toy_;
  test::Golden golden_;
  TempDirectory folder_;
  Loop loop_ = test::make_loop();
  Notebook pool_;  // that answers nothing
  Fetcher fetcher_;
  verifier::LedgerState ledger_;
  std::vector<verifier::Finding> findings_;
  std::vector<std::string> unchecked_;
  std::vector<std::pair<std::string, Bytes>> untrue_;
  size_t finished_ = 0;
  size_t first_thetas_ = 0;
  size_t leases_seen_ = 0;
  std::vector<uint32_t> redone_;
  LeaseWatch leases_;
  MergeWatch merges_;
  std::unique_ptr<Replayer> replayer_;
  std::vector<std::string> thetas_;  // paths
  std::vector<std::string> deltas_;
  size_t shares_ = 0;
  int turns_max_ = 3'000;  // of 10 ms, until what is still owed is taken for lost
};

TEST_F(Watching, ReplaysEveryShareAndRedoesEveryMerge) {
  hear_all();
  EXPECT_GT(shares_, 0U);
  EXPECT_EQ(findings_.size(), shares_);
  for (const verifier::Finding& finding : findings_)
    EXPECT_EQ(finding.outcome, verifier::Outcome::valid) << finding.detail;
  EXPECT_EQ(redone_.size(), toy_.job.spec.rounds);
  EXPECT_THAT(unchecked_, testing::IsEmpty());
  EXPECT_THAT(untrue_, testing::IsEmpty());
  EXPECT_EQ(leases_.downloads() + merges_.owed(), 0U);
  EXPECT_EQ(finished_, leases_seen_);
  EXPECT_EQ(first_thetas_, 1U);
}

TEST_F(Watching, GivesUpWhatWillNotCome) {
  std::filesystem::remove(thetas_[1]);
  turns_max_ = 200;
  hear_all();
  const size_t before = finished_;
  EXPECT_LT(before, leases_seen_);
  leases_.give_up_all("the pool has left");
  merges_.give_up_all("the pool has left");
  EXPECT_EQ(leases_.replays_owed() + merges_.owed(), 0U);
  EXPECT_EQ(unchecked_.size(), leases_seen_ - before + toy_.job.spec.rounds - 1);
}

TEST_F(Watching, OwesWhatOnlyThePoolHas) {
  std::filesystem::remove(thetas_[1]);  // asked of a pool that does not answer
  turns_max_ = 200;
  hear_all();
  EXPECT_LT(findings_.size(), shares_);
  EXPECT_GT(findings_.size(), 0U);
  EXPECT_EQ(leases_.replays_owed(), shares_ - findings_.size());
  EXPECT_GT(leases_.downloads(), 0U);
  EXPECT_EQ(redone_.size(), 1U);
  EXPECT_EQ(merges_.owed(), toy_.job.spec.rounds - 1);
  EXPECT_THAT(untrue_, testing::IsEmpty());
}

TEST_F(Watching, CallsAnEngineThatCannotBeHadUndecided) {
  auto broken = Replayer::start(loop_, "cuda:99", 1,
                                [this](ReplayDone done) { leases_.on_replayed(std::move(done)); });
  leases_.use(*broken.value());
  hear_all();
  EXPECT_THAT(findings_, testing::IsEmpty());
  EXPECT_THAT(untrue_, testing::IsEmpty());
  ASSERT_THAT(unchecked_, testing::Not(testing::IsEmpty()));
  EXPECT_THAT(unchecked_[0], HasSubstr("cuda:99"));
}

}  // namespace
}  // namespace gemmine::pool
