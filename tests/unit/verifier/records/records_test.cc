// Refusals of what strangers send: every truncation and every bit flip of a record.
#include "verifier/records/records.h"

#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "tests/support/every_bit.h"
#include "tests/unit/verifier/ledger/ledger_world.h"

namespace gemmine::verifier {
namespace {

using test::filled;
using test::identity;
using test::small_job;
using test::World;

// What a verifier says about a record's bytes: the id it then has, or why not.
using Judge = std::function<Status(ByteView)>;

Status judge_lease(ByteView bytes) {
  const auto lease = decode_lease(bytes);
  if (!lease) return lease.error();
  if (!signed_by_pool(lease.value())) return Error{Errc::invalid, "signature"};
  return Ok{};
}
Status judge_share(ByteView bytes) {
  const auto share = decode_share(bytes);
  if (!share) return share.error();
  if (!signed_by(share.value(), identity(2).public_key())) return Error{Errc::invalid, "signature"};
  return Ok{};
}
Status judge_verdict(ByteView bytes) {
  const auto verdict = decode_verdict(bytes);
  if (!verdict) return verdict.error();
  if (!signed_by_auditor(verdict.value())) return Error{Errc::invalid, "signature"};
  return Ok{};
}

void refuses_every_change(const Bytes& good, const Judge& judge) {
  ASSERT_TRUE(judge(good).ok());
  for (size_t size = 0; size < good.size(); ++size) {
    const Status status = judge(ByteView(good).first(size));
    ASSERT_FALSE(status.ok()) << size;
    EXPECT_EQ(status.error().code, Errc::malformed) << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_EQ(judge(longer).error().code, Errc::malformed);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes flipped = good;
    flipped[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
    const Status status = judge(flipped);
    ASSERT_FALSE(status.ok()) << bit;
    EXPECT_TRUE(status.error().code == Errc::malformed || status.error().code == Errc::invalid);
  }
}

struct Signed {
  World world;
  Lease lease;
  Share share;
  Verdict verdict;

  Signed() {
    world.begin();
    lease = world.lease(0, world.miner);
    share = world.make_share(lease, 0, world.miner);
    world.share(lease, 0, world.miner);
    verdict = world.make_verdict(lease, AuditKind::replay, Outcome::invalid);
    verdict.digest = test::filled(6);
    verdict.detail = "state_after differs";
    sign(verdict, world.pool);
  }
};

TEST(LeaseCodec, RoundTripsInTheBytesOfTheProtocol) {
  const Signed s;
  const Bytes bytes = encode(s.lease);
  EXPECT_EQ(bytes.size(), kLeaseBytes);
  EXPECT_EQ(decode_lease(bytes).value(), s.lease);
}

TEST(LeaseCodec, RefusesSharesOutOfBounds) {
  Lease lease = Signed().lease;
  const auto accepts = [&](uint32_t steps, uint32_t steps_per_share) {
    lease.steps = steps;
    lease.steps_per_share = steps_per_share;
    return decode_lease(encode(lease)).ok();
  };
  EXPECT_TRUE(accepts(5, 5));
  EXPECT_TRUE(accepts(4096, 1));
  EXPECT_TRUE(accepts(4097, 2));
  EXPECT_FALSE(accepts(5, 0));
  EXPECT_FALSE(accepts(5, 6));
  EXPECT_FALSE(accepts(0, 0));
  EXPECT_FALSE(accepts(4097, 1));
}

TEST(LeaseCodec, RefusesEveryTruncationAndBitFlip) {
  refuses_every_change(encode(Signed().lease), judge_lease);
}

TEST(ShareCodec, RoundTripsInTheBytesOfTheProtocol) {
  const Signed s;
  const Bytes bytes = encode(s.share);
  EXPECT_EQ(bytes.size(), kShareBytes);
  EXPECT_EQ(encode(decode_share(bytes).value()), bytes);
}

TEST(ShareCodec, RefusesEveryTruncationAndBitFlip) {
  refuses_every_change(encode(Signed().share), judge_share);
}

TEST(VerdictCodec, RoundTripsInTheBytesOfTheProtocol) {
  Signed s;
  s.verdict.detail.assign(200, 'x');
  sign(s.verdict, s.world.pool);
  const Bytes bytes = encode(s.verdict);
  EXPECT_EQ(bytes.size(), kVerdictBytesMax);
  EXPECT_EQ(encode(decode_verdict(bytes).value()), bytes);
}

TEST(VerdictCodec, RefusesEveryTruncationAndBitFlip) {
  refuses_every_change(encode(Signed().verdict), judge_verdict);
}

TEST(VerdictCodec, RefusesKindsAndOutcomesThatAreNone) {
  Verdict verdict = Signed().verdict;
  verdict.kind = AuditKind::none;
  EXPECT_EQ(decode_verdict(encode(verdict)).error().code, Errc::malformed);
  verdict.kind = static_cast<AuditKind>(4);
  EXPECT_EQ(decode_verdict(encode(verdict)).error().code, Errc::malformed);
  verdict.kind = AuditKind::thread;
  verdict.outcome = static_cast<Outcome>(4);
  EXPECT_EQ(decode_verdict(encode(verdict)).error().code, Errc::malformed);
  verdict.outcome = Outcome::malformed;
  EXPECT_EQ(decode_verdict(encode(verdict)).error().code, Errc::malformed);
  verdict.outcome = Outcome::valid;
  verdict.detail = "tab\t";
  EXPECT_EQ(decode_verdict(encode(verdict)).error().code, Errc::malformed);
}

TEST(Identity, RefusesOtherKeysMessagesAndBytesThatAreNoKey) {
  const Identity key = identity(2);
  const Signature signature = key.sign(filled(9));
  EXPECT_TRUE(verify_signature(key.public_key(), filled(9), signature));
  EXPECT_FALSE(verify_signature(identity(3).public_key(), filled(9), signature));
  EXPECT_FALSE(verify_signature(key.public_key(), filled(8), signature));
  EXPECT_FALSE(verify_signature(filled(0xff), filled(9), signature));
  Identity moved = identity(4);
  const Digest name = moved.public_key();
  moved = identity(2);
  EXPECT_NE(moved.public_key(), name);
  const Identity target(std::move(moved));
  EXPECT_EQ(target.sign(filled(9)), signature);
}

TEST(Admission, NamesTheWireCodeOfEachRefusal) {
  const Signed s;
  const World& w = s.world;
  const auto number = [](const std::optional<Refusal>& refusal) {
    return refusal ? static_cast<int>(refusal->code) : 0;
  };
  const auto code = [&](auto change, uint32_t next = 0) {
    Share share = w.make_share(s.lease, next, w.miner);
    const Digest previous = share.state_before;
    change(share);
    sign(share, w.miner);
    return number(admit_share(s.lease, share, next, previous, test::kSmallMacs));
  };
  EXPECT_EQ(code([](Share&) {}), 0);
  EXPECT_EQ(code([](Share&) {}, 2), 0);
  EXPECT_EQ(code([](Share& x) { x.lease_id = filled(1); }), 21);
  EXPECT_EQ(code([](Share&) {}, 2), 0);
  EXPECT_EQ(code([](Share& x) { x.index = 1; }), 23);
  EXPECT_EQ(code([](Share& x) { x.first_step = 2; }), 23);
  EXPECT_EQ(code([](Share& x) { x.state_before = filled(0); }), 23);
  EXPECT_EQ(code([](Share& x) { x.steps = 1; }), 27);
  EXPECT_EQ(code([](Share& x) { x.macs = 0; }), 26);
  EXPECT_EQ(code([](Share& x) { x.loss = std::numeric_limits<float>::infinity(); }), 28);
  EXPECT_EQ(code([](Share& x) { x.delta_root = filled(1); }), 29);
  EXPECT_EQ(code([](Share& x) { x.delta_root = Digest{}; }, 2), 29);
  EXPECT_EQ(number(admit_share(s.lease, s.share, 3, filled(1), test::kSmallMacs)), 22);
  const Share foreign = w.make_share(s.lease, 0, w.other);
  EXPECT_EQ(number(admit_share(s.lease, foreign, 0, foreign.state_before, test::kSmallMacs)), 13);
  EXPECT_EQ(number(check_share(s.lease, foreign, 0, foreign.state_before, test::kSmallMacs)), 0);
}

TEST(JobCodec, RefusesEveryTruncationAndGivesEveryBitFlipAnotherName) {
  gemmine::test::expect_every_bit_counts(small_job());
  EXPECT_EQ(Work::decode(Bytes(kJobBytesMax + 1)).error().code, Errc::malformed);
}

TEST(Work, IsTheSameFromTermsAsFromBytes) {
  const Work made = Work::make(small_job()).value();
  EXPECT_EQ(made.bytes(), encode_job(small_job()));
  EXPECT_EQ(made.id(), job_id(made.bytes()));
  const Work decoded = Work::decode(made.bytes()).value();
  EXPECT_EQ(decoded.job(), made.job());
  EXPECT_EQ(decoded.bytes(), made.bytes());
  EXPECT_EQ(decoded.id(), made.id());
  EXPECT_EQ(decoded.program().spec(), made.program().spec());
  EXPECT_EQ(decoded.program().macs_per_step(), made.program().macs_per_step());
}

TEST(Work, IsNotMadeOfTermsThatDoNotDecode) {
  const auto refuses = [](std::string_view field, auto change) {
    Job job = small_job();
    change(job);
    const auto made = Work::make(job);
    ASSERT_FALSE(made.ok()) << field;
    EXPECT_EQ(made.error().code, Errc::invalid) << field;
    EXPECT_NE(made.error().detail.find("job: " + std::string(field)), std::string::npos)
        << made.error().detail;
  };
  refuses("name", [](Job& j) { j.name = "two\nlines"; });
  refuses("name", [](Job& j) { j.name = "Zürich"; });
  refuses("name", [](Job& j) { j.name = std::string(65, 'a'); });
  refuses("widths", [](Job& j) { j.spec.widths.clear(); });
  refuses("widths", [](Job& j) { j.spec.widths.assign(300, 8); });
  refuses("steps_per_share", [](Job& j) { j.steps_per_share = 0; });
  refuses("fee_ppm", [](Job& j) { j.fee_ppm = 1'000'001; });
}

TEST(Verdict, CarriesAnyTextAsPrintableAsciiOfBoundedLength) {
  EXPECT_EQ(detail_text("loss differs"), "loss differs");
  EXPECT_EQ(detail_text("a\x1b[2Jb\n\xc3\xa9"), "a?[2Jb???");
  EXPECT_EQ(detail_text(std::string(500, 'x')), std::string(kDetailBytesMax, 'x'));
  Verdict verdict;
  verdict.detail = detail_text(std::string(500, '\x7f'));
  EXPECT_EQ(decode_verdict(encode(verdict)).value().detail, std::string(kDetailBytesMax, '?'));
}

TEST(LeaseCodec, KeepsTheNameThatItsBytesHave) {
  Lease lease;
  lease.steps = 4;
  EXPECT_TRUE(lease.id.is_zero());
  const Identity pool = Identity::from_seed(filled(1));
  sign(lease, pool);
  EXPECT_EQ(lease.id, lease_id(lease));
  EXPECT_EQ(decode_lease(encode(lease)).value(), lease);
  EXPECT_TRUE(signed_by_pool(lease));
  lease.slot = 1;  // the name it carries is the old one, and so is the signature
  EXPECT_FALSE(signed_by_pool(lease));
}

TEST(JobCodec, NamesTheFieldThatIsOutOfBounds) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const auto refuses = [](std::string_view field, auto change) {
    Job job = small_job();
    change(job);
    const auto decoded = Work::decode(encode_job(job));
    ASSERT_FALSE(decoded.ok()) << field;
    EXPECT_EQ(decoded.error().code, Errc::invalid) << field;
    EXPECT_NE(decoded.error().detail.find(field), std::string::npos) << decoded.error().detail;
  };
  refuses("widths", [](Job& j) { j.spec.widths[1] = 16385; });
  refuses("widths", [](Job& j) { j.spec.widths[0] = 0; });
  for (const std::vector<uint32_t>& widths :
       {std::vector<uint32_t>{1, 7000, 256}, std::vector<uint32_t>{1, 64, 16384, 1}})
    refuses("thread_blocks", [&widths](Job& j) {
      j.spec.widths = widths;
      j.audit.thread_blocks = 1;
    });
  refuses("records", [](Job& j) { j.spec.records = 0; });
  refuses("records", [](Job& j) { j.spec.records = 0x80000000; });
  refuses("n_test", [](Job& j) { j.test_records = 0x80000000; });
  refuses("feature_scale", [](Job& j) { j.spec.feature_scale = kNan; });
  refuses("feature_shift", [](Job& j) { j.spec.feature_shift = kNan; });
  refuses("optimiser", [](Job& j) { j.spec.optimiser = static_cast<kernels::Optimiser>(3); });
  refuses("lr", [](Job& j) { j.spec.lr = kNan; });
  refuses("beta1", [](Job& j) { j.spec.beta1 = kNan; });
  refuses("beta2", [](Job& j) { j.spec.beta2 = 1; });
  refuses("eps", [](Job& j) { j.spec.eps = kNan; });
  refuses("wd", [](Job& j) { j.spec.wd = -1; });
  refuses("warmup", [](Job& j) { j.spec.warmup = 11; });
  refuses("batch", [](Job& j) { j.spec.batch = 65537; });
  refuses("steps_per_lease", [](Job& j) { j.spec.steps_per_lease = 0; });
  refuses("steps_per_lease", [](Job& j) { j.spec.steps_per_lease = 65537; });
  refuses("steps_per_share", [](Job& j) { j.steps_per_share = 0; });
  refuses("steps_per_share", [](Job& j) { j.steps_per_share = 6; });
  refuses("shares per lease", [](Job& j) {
    j.spec.steps_per_lease = 4097;
    j.steps_per_share = 1;
  });
  refuses("slots", [](Job& j) { j.spec.slots = 4097; });
  refuses("rounds", [](Job& j) { j.spec.rounds = 1 << 24; });
  refuses("batch_leases", [](Job& j) { j.audit.batch_leases = 0; });
  refuses("batch_leases", [](Job& j) { j.audit.batch_leases = 1025; });
  refuses("first_batch", [](Job& j) { j.audit.first_batch = 0; });
  refuses("first_batch", [](Job& j) { j.audit.first_batch = j.audit.batch_leases + 1; });
  refuses("threads", [](Job& j) { j.audit.threads = 65; });
  refuses("thread_blocks", [](Job& j) { j.audit.thread_blocks = 513; });
  refuses("replays_ppm", [](Job& j) { j.audit.replays_ppm = 64'000'001; });
  refuses("replays_ppm", [](Job& j) {
    j.audit.threads = 0;
    j.audit.replays_ppm = 999'999;
  });
  refuses("now_ppm", [](Job& j) { j.audit.now_ppm = 1'000'001; });
  refuses("fail_ppm", [](Job& j) { j.audit.fail_ppm = 1'000'001; });
  refuses("silent_free", [](Job& j) { j.audit.silent_free = 0; });
  refuses("lease_ms", [](Job& j) { j.audit.lease_ms = 0; });
  refuses("delta_max", [](Job& j) { j.audit.delta_max = 9; });
  refuses("delta_max", [](Job& j) { j.audit.delta_max = -33; });
  refuses("price_per_tmac", [](Job& j) { j.price_per_tmac = kPricePerTmacMax + 1; });
  refuses("fee_ppm", [](Job& j) { j.fee_ppm = 1'000'001; });
}

TEST(JobCodec, RefusesOtherNumericsArchitecturesAndLayerCounts) {
  const Bytes good = encode_job(small_job());
  const size_t at = 2 + small_job().name.size();
  for (const size_t offset : {at, at + 2, at + 4}) {
    Bytes other = good;
    other[offset] = 0;
    EXPECT_EQ(Work::decode(other).error().code, Errc::invalid) << offset;
    other[offset] = 17;
    EXPECT_EQ(Work::decode(other).error().code, Errc::invalid) << offset;
  }
}

}  // namespace
}  // namespace gemmine::verifier
