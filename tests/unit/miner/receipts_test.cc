// A miner keeps what pools have signed, bounded, and can show it.
#include "miner/receipts.h"

#include <filesystem>

#include "kernels/base/files.h"
#include "tests/unit/miner/scene.h"

namespace gemmine::miner {
namespace {

std::vector<std::string> words_about(const Receipts& receipts, const verifier::Lease& lease) {
  std::vector<std::string> out;
  for (const Receipts::Kept& kept : receipts.list()) {
    if (kept.lease_id != lease.id) continue;
    const Bytes bytes = read_file(kept.path, verifier::kKeptFileBytesMax).value();
    for (const verifier::Statement& word : verifier::read_kept(bytes).words) {
      EXPECT_EQ(verifier::fault_of(word, lease.pool_key), "");
      out.emplace_back(verifier::to_string(word.kind));
    }
  }
  return out;
}

TEST_F(Scene, WhatThePoolSignedIsKeptAfterTheLeaseHasEnded) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  device(computed(one, 0));
  accept(one, 0);
  verifier::Verdict verdict;
  verdict.lease_id = one.id;
  verdict.outcome = verifier::Outcome::valid;
  verifier::sign(verdict, pool_);
  pool_says(pool::MessageType::verdict, pool::VerdictMessage{verifier::encode(verdict)});
  close_lease(one);
  EXPECT_EQ(state_.find(one.id), nullptr);
  EXPECT_EQ(words_about(state_.receipts, one),
            (std::vector<std::string>{"lease", "share", "verdict", "close"}));
}

TEST_F(Scene, WhatThePoolDidNotSignIsNotKept) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  device(computed(one, 0));
  verifier::Receipt wrong = receipt(verifier::RecordKind::share, Bytes(3));
  pool_says(pool::MessageType::share_ok, pool::ShareOk{one.id, 0, wrong});
  EXPECT_EQ(words_about(state_.receipts, one), std::vector<std::string>{"lease"});
}

TEST(Receipts, KeepTheNewestLeases) {
  const pool::TempDirectory folder;
  const Receipts receipts(folder.path() + "/receipts");
  EXPECT_TRUE(receipts.list().empty());
  verifier::Lease lease;
  std::filesystem::create_directories(folder.path() + "/receipts");
  // Full to the last one: made by hand, since each real one is synced.
  for (size_t i = 0; i < kReceiptLeasesMax; ++i) {
    Digest id;
    id.bytes[0] = static_cast<uint8_t>(i);
    id.bytes[1] = static_cast<uint8_t>(i >> 8);
    id.bytes[2] = 1;
    const std::string path = folder.path() + "/receipts/" + to_hex(id.view());
    std::fclose(std::fopen(path.c_str(), "w"));
    if (i == 5)
      std::filesystem::last_write_time(
          path, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  }
  lease.id.bytes[0] = 7;
  EXPECT_TRUE(receipts.begin(lease).ok());
  const auto all = receipts.list();
  EXPECT_EQ(all.size(), kReceiptLeasesMax);
  for (const Receipts::Kept& kept : all)
    EXPECT_FALSE(kept.lease_id.bytes[0] == 5 && kept.lease_id.bytes[1] == 0) << "the oldest goes";
  EXPECT_EQ(receipts.add(Digest{}, {}).error().code, Errc::io) << "of a lease that is not begun";
}

}  // namespace
}  // namespace gemmine::miner
