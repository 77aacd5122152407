// gemmine-verify as a person runs it: files in, exit status out.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include "kernels/hash/blake3.h"
#include "tests/support/paths.h"
#include "tests/support/toy_bundle.h"
#include "tests/support/toy_job.h"
#include "verifier/audit/bundle.h"
#include "verifier/ledger/signed_record.h"

namespace gemmine::verifier {
namespace {

using gemmine::test::Golden;
using gemmine::test::Toy;

struct Ran {
  int code = -1;
  std::string out;
};

class Cli : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "gemmine_cli_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, ByteView bytes) const {
    std::ofstream file(folder_ + "/" + name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return folder_ + "/" + name;
  }
  std::string write_blob(ByteView bytes) const {
    return write(to_hex(kernels::blake3(bytes).view()), bytes);
  }
  // What it remembers of pools, it remembers in the test's folder.
  Ran run(const std::string& arguments) const {
    const std::string command = "XDG_STATE_HOME=" + folder_ + "/state " + test::binary_dir() +
                                "/gemmine-verify " + arguments + " 2>&1";
    std::FILE* const pipe = popen(command.c_str(), "r");
    Ran ran;
    char buffer[4096];
    for (size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
      ran.out.append(buffer, n);
    ran.code = WEXITSTATUS(pclose(pipe));
    return ran;
  }

  std::string folder_;
};

Bytes golden_ledger(const std::string& name) {
  const Golden golden(name);
  Writer out;
  for (size_t seq = 0; golden.has("record " + std::to_string(seq)); ++seq)
    out.put_blob(golden.bytes("record " + std::to_string(seq)))
        .put_raw(golden.bytes("signature " + std::to_string(seq)));
  return out.take();
}

TEST_F(Cli, DigestsAFileAsB3sumDoes) {
  const std::string file = write("empty", {});
  const Ran ran = run("digest " + file);
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out,
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262  " + file + "\n");
  EXPECT_EQ(run("digest " + folder_ + "/none").code, 12);
}

TEST_F(Cli, RefusesAWrongCommandLine) {
  EXPECT_EQ(run("").code, 2);
  EXPECT_EQ(run("ledger").code, 2);
  EXPECT_EQ(run("share a b").code, 2);
  EXPECT_EQ(run("--help").code, 0);
}

TEST_F(Cli, DecidesProofs) {
  const Golden golden("proofs");
  const std::string file = write("heads", golden.bytes("proof heads", 1));
  const std::string key = to_hex(test::toy_identity(1).public_key().view());
  const Ran proven = run("proof " + file + " --pool-key " + key);
  EXPECT_EQ(proven.code, 10) << proven.out;
  EXPECT_NE(proven.out.find("PROVEN     the pool signed two heads after record 7"),
            std::string::npos)
      << proven.out;
  EXPECT_NE(proven.out.find("against    pool " + key), std::string::npos) << proven.out;
  const Ran json = run("proof --json " + file);
  EXPECT_EQ(json.code, 10) << json.out;
  EXPECT_NE(json.out.find("\"proven\": true"), std::string::npos) << json.out;
  const std::string other = to_hex(test::toy_identity(9).public_key().view());
  const Ran foreign = run("proof " + file + " --pool-key " + other);
  EXPECT_EQ(foreign.code, 0) << foreign.out;
  EXPECT_NE(foreign.out.find("another pool"), std::string::npos) << foreign.out;
  const Ran honest = run("proof " + write("one", golden.bytes("proof heads_one", 1)));
  EXPECT_EQ(honest.code, 0) << honest.out;
  const Ran cut = run("proof " + write("cut", ByteView(golden.bytes("proof block", 1)).first(99)));
  EXPECT_EQ(cut.code, 11) << cut.out;
  EXPECT_NE(cut.out.find("job"), std::string::npos) << cut.out;
  EXPECT_EQ(run("proof " + folder_ + "/none").code, 1);
  EXPECT_EQ(run("proof " + file + " --pool-key 12").code, 2);
}

TEST_F(Cli, JudgesLedgers) {
  Bytes bytes = golden_ledger("ledger_settle");
  const Ran good = run("ledger " + write("good", bytes));
  EXPECT_EQ(good.code, 0) << good.out;
  EXPECT_NE(good.out.find("fee:house 1146"), std::string::npos) << good.out;
  EXPECT_EQ(run("ledger " + write("cut", ByteView(bytes).first(bytes.size() - 1))).code, 11);
  EXPECT_EQ(run("ledger " + write("empty", {})).code, 11);
  EXPECT_EQ(run("ledger " + folder_ + "/none").code, 12);
  bytes[bytes.size() / 2] ^= 1;
  const Ran bad = run("ledger --json " + write("bad", bytes));
  EXPECT_EQ(bad.code, 10) << bad.out;
  EXPECT_NE(bad.out.find("\"outcome\": \"invalid\""), std::string::npos) << bad.out;
}

// Every rule is kept and every head follows, as whoever has the file can arrange: only the pool's
// signature shows that it never said so.
TEST_F(Cli, RefusesALedgerThatWasRewritten) {
  const Golden golden("ledger_complete");
  LedgerState state;
  for (size_t seq = 0; seq < 4; ++seq)
    ASSERT_TRUE(state.apply(decode_record(golden.bytes("record " + std::to_string(seq))).value()));
  const auto rewritten = [&](const Identity& by) {
    Writer out;
    for (size_t seq = 0; seq < 4; ++seq)
      out.put_blob(golden.bytes("record " + std::to_string(seq)))
          .put_raw(golden.bytes("signature " + std::to_string(seq)));
    const Record more{state.next_seq(), state.last_time_ms(), RecordKind::fund,
                      encode(FundBody{state.jobs().begin()->first, 1})};
    const SignedRecord record = sign_next(more, state, by);
    out.put_blob(encode(more)).put_raw(record.signature);
    return out.take();
  };
  const Ran bad = run("ledger " + write("rewritten", rewritten(Identity::from_seed(Digest{}))));
  EXPECT_EQ(bad.code, 10) << bad.out;
  EXPECT_NE(bad.out.find("record 4: the pool has not signed"), std::string::npos) << bad.out;
}

TEST_F(Cli, RedoesMergesFromBlobs) {
  Toy toy("job_sgd");
  std::string last_delta;
  for (uint32_t round = 0; round < toy.job.spec.rounds; ++round) {
    write_blob(as_bytes(std::span<const float>(toy.thetas.back())));
    for (const auto& runs : toy.run_round())
      last_delta = write_blob(runs.back().delta);
  }
  const std::string command =
      "ledger " + write("ledger", golden_ledger("ledger_complete")) + " --blobs " + folder_;
  const Ran good = run(command);
  EXPECT_EQ(good.code, 0) << good.out;
  EXPECT_NE(good.out.find("round 1 redone"), std::string::npos) << good.out;
  std::ofstream(last_delta, std::ios::app) << 'x';
  EXPECT_EQ(run(command).code, 11);
  std::filesystem::remove(last_delta);
  const Ran dropped = run(command);
  EXPECT_EQ(dropped.code, 12);
  EXPECT_NE(dropped.out.find("cannot be checked"), std::string::npos) << dropped.out;
  EXPECT_NE(dropped.out.find("limits.rounds_kept"), std::string::npos) << dropped.out;
  EXPECT_EQ(dropped.out.find("cannot open"), std::string::npos) << dropped.out;
}

// A ban that names a file is worth what the file proves.
TEST_F(Cli, DecidesTheProofsThatALedgerNames) {
  const Golden golden("ledger_complete");
  const Golden proofs("proofs");
  const Lease accused = Toy("job_sgd").lease(0, 0);
  const auto with_proof = [&](const Bytes& file, ProofKind kind) {
    std::filesystem::remove_all(folder_ + "/state");  // else the second ledger is a fork
    LedgerState state;
    Writer out;
    const auto add = [&](const Record& record, const Signature& signature) {
      ASSERT_TRUE(state.apply(record)) << record.seq;
      out.put_blob(encode(record)).put_raw(signature);
    };
    for (size_t seq = 0; !state.leases().contains(accused.id); ++seq) {
      Signature signature{};
      std::ranges::copy(golden.bytes("signature " + std::to_string(seq)), signature.begin());
      add(decode_record(golden.bytes("record " + std::to_string(seq))).value(), signature);
    }
    const ProofBody body{kind, accused.id, kernels::blake3(file),
                         static_cast<uint32_t>(file.size())};
    const Record said{state.next_seq(), state.last_time_ms(), RecordKind::proof, encode(body)};
    const Identity pool = test::toy_identity(1);
    add(said, sign_next(said, state, pool).signature);
    return "ledger " + write("ledger", out.take()) + " --blobs " + folder_;
  };
  const Bytes right = proofs.bytes("proof block", 1);
  const Ran missing = run(with_proof(right, ProofKind::block));
  EXPECT_EQ(missing.code, 12) << missing.out;
  EXPECT_NE(missing.out.find("1 of 1 cannot be checked"), std::string::npos) << missing.out;
  write_blob(right);
  const Ran good = run(with_proof(right, ProofKind::block));
  EXPECT_EQ(good.code, 0) << good.out;
  const Ran other = run(with_proof(right, ProofKind::update));
  EXPECT_EQ(other.code, 10) << other.out;
  EXPECT_NE(other.out.find("about something else"), std::string::npos) << other.out;
  const Bytes honest = proofs.bytes("proof block_honest", 1);
  write_blob(honest);
  const Ran bad = run(with_proof(honest, ProofKind::block));
  EXPECT_EQ(bad.code, 10) << bad.out;
  EXPECT_EQ(bad.out.find("fork"), std::string::npos) << bad.out;
}

TEST_F(Cli, JudgesAndReplaysShares) {
  const Toy toy("job_sgd");
  const std::string data = " --data " + write("train", toy.train);
  for (const uint32_t index : {0U, 2U}) {
    const std::string file = write("share", encode_bundle(test::golden_bundle(toy, index)));
    EXPECT_EQ(run("share " + file).code, 0);
    const Ran ran = run("replay " + file + data);
    EXPECT_EQ(ran.code, 0) << ran.out;
  }
  Bundle bundle = test::golden_bundle(toy, 0);
  const std::string file = write("share", encode_bundle(bundle));
  EXPECT_EQ(run("replay " + file + " --data " + folder_ + "/none").code, 12);
  EXPECT_EQ(run("replay " + file + " --data " + write("other", Bytes(toy.train.size()))).code, 11);
  bundle.theta.clear();
  EXPECT_EQ(run("replay " + write("bare", encode_bundle(bundle)) + data).code, 12);
  bundle.lease.signature[1] ^= 1;
  EXPECT_EQ(run("share " + write("forged", encode_bundle(bundle))).code, 10);
  EXPECT_EQ(run("share " + write("train", toy.train)).code, 11);
}

// A cheat with a good signature: only running the share shows it.
TEST_F(Cli, FindsAShareThatWasNotRun) {
  const Toy toy("job_sgd");
  const Identity miner = Identity::from_seed([] {
    Digest seed;
    seed.bytes.fill(2);
    return seed;
  }());
  Bundle bundle = test::golden_bundle(toy, 0);
  ASSERT_EQ(bundle.lease.miner_key, miner.public_key());
  bundle.share.state_after.bytes[0] ^= 1;
  sign(bundle.share, miner);
  const std::string file = write("share", encode_bundle(bundle));
  EXPECT_EQ(run("share " + file).code, 0);
  const Ran ran = run("replay " + file + " --data " + write("train", toy.train));
  EXPECT_EQ(ran.code, 10);
  EXPECT_NE(ran.out.find("invalid   replay: state_after differs"), std::string::npos) << ran.out;
}

}  // namespace
}  // namespace gemmine::verifier
