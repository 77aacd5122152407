// The two golden ledgers, record by record: tests/vectors/golden/ledger_*.txt.
#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "verifier/ledger/signed_record.h"

namespace gemmine::verifier {
namespace {

using test::Golden;

Record record_of(const Bytes& packed) {
  Reader reader(packed);
  Record record;
  record.seq = reader.get<uint64_t>();
  record.time_ms = reader.get<uint64_t>();
  record.kind = reader.get<RecordKind>();
  const ByteView body = reader.get_blob(kRecordBytesMax);
  record.body.assign(body.begin(), body.end());
  EXPECT_TRUE(reader.done());
  return record;
}

Signature signature_of(const Bytes& bytes) {
  Signature out{};
  EXPECT_EQ(bytes.size(), out.size());
  std::ranges::copy(bytes, out.begin());
  return out;
}

// Records that break one rule each, by the seq that they come before.
std::multimap<uint64_t, Record> refused_records(const Golden& golden) {
  std::multimap<uint64_t, Record> out;
  for (uint32_t i = 0; golden.has("refused " + std::to_string(i)); ++i) {
    const std::string key = "refused " + std::to_string(i);
    out.emplace(golden.natural(key), record_of(golden.bytes(key, 1)));
  }
  return out;
}

class GoldenLedger : public testing::TestWithParam<const char*> {};

TEST_P(GoldenLedger, FoldsToTheSameHeadsPostsAndBalances) {
  const Golden golden(GetParam());
  const std::multimap<uint64_t, Record> refused = refused_records(golden);
  LedgerState state;
  const auto refuse_before = [&](uint64_t seq) {
    const auto [first, last] = refused.equal_range(seq);
    for (auto it = first; it != last; ++it) {
      const Status status = state.apply(it->second);
      EXPECT_FALSE(status.ok()) << seq << ": accepted " << to_string(it->second.kind);
    }
  };
  uint64_t seq = 0;
  for (; golden.has("record " + std::to_string(seq)); ++seq) {
    const std::string name = std::to_string(seq);
    const Record record = record_of(golden.bytes("record " + name));
    refuse_before(seq);
    const std::optional<Bytes> post = state.expected_post();
    EXPECT_EQ(post.has_value(), record.kind == RecordKind::post) << name;
    EXPECT_EQ(to_hex(post.value_or(record.body)), to_hex(record.body)) << name;
    const Status status = state.apply(record);
    ASSERT_TRUE(status.ok()) << name << ": " << status.error().detail;
    EXPECT_EQ(state.head(), golden.digest("head " + name)) << name;
    Signature signature = signature_of(golden.bytes("signature " + name));
    EXPECT_TRUE(check_signature(state, signature)) << name;
    signature[seq % signature.size()] ^= 1;
    EXPECT_FALSE(check_signature(state, signature)) << name;
  }
  refuse_before(seq);
  EXPECT_GT(seq, 40U);
  EXPECT_EQ(state.next_seq(), seq);
  EXPECT_FALSE(state.expected_post().has_value());
  int64_t sum = 0;
  for (const auto& [account, amount] : state.accounts()) {
    sum += amount;
    const std::string key = "balance " + account;
    EXPECT_EQ(amount, golden.has(key) ? golden.integer(key) : 0) << account;
  }
  EXPECT_EQ(sum, 0);
  for (const auto& [key, tokens] : golden.lines()) {
    if (!key.starts_with("balance ") || golden.integer(key) == 0) continue;
    EXPECT_TRUE(state.accounts().contains(key.substr(8))) << key;
  }
}

TEST(GoldenRefusals, AreOfEveryKindOfRecord) {
  std::set<RecordKind> kinds;
  const auto refused = refused_records(Golden("ledger_settle"));
  for (const auto& [seq, record] : refused)
    kinds.insert(record.kind);
  EXPECT_GT(refused.size(), 140U);
  EXPECT_EQ(kinds.size(), 19U);  // all but posts, which are compared with what must follow
}

INSTANTIATE_TEST_SUITE_P(Ledgers, GoldenLedger, testing::Values("ledger_complete", "ledger_settle"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace gemmine::verifier
