// The loop around the pool: over real sockets, with a ledger that fails or hangs when it is told
// to.
#include "pool/server/server.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "kernels/base/random.h"
#include "tests/unit/pool/core/fake_pool.h"
#include "tests/unit/pool/store/fake_store.h"
#include "verifier/records/identity.h"

namespace gemmine::pool {
namespace {

using verifier::Identity;
using verifier::RecordKind;

constexpr size_t kBegun = 4;  // records of a pool with a job: genesis, job, fund, post

// A stranger on the wire: greets as it is told, and remembers what it hears.
class Stranger final : public ConnectionObserver {
 public:
  Stranger(Loop& loop, const TlsContext& tls, uint16_t port, const Identity& self, Role role)
      : self_(self), role_(role), connection_(connect(loop, tls, "127.0.0.1", port, this)) {
    GEMMINE_CHECK(connection_.ok());
    connection_.value()->set_payload_max(kFramePayloadMax);
  }
  void on_open(Connection& /*connection*/) override {
    opened = true;
    if (silent) return;
    Hello hello;
    hello.role = role_;
    hello.public_key = self_.public_key();
    hello.account = "alice";
    say(hello);
  }
  void on_frame(Connection& /*connection*/, const Frame& frame) override {
    const auto type = static_cast<MessageType>(frame.type);
    heard.push_back(type);
    if (type == MessageType::hello_ok) authenticate(decode<HelloOk>(frame.payload).value());
    if (type == MessageType::error)
      errors.push_back(decode<ErrorMessage>(frame.payload).value().code);
    if (type == MessageType::record)
      records.push_back(decode<RecordMessage>(frame.payload).value().receipt.seq);
  }
  void on_close(Connection& /*connection*/, const std::string& /*reason*/) override {
    closed = true;
  }
  template <Message M>
  void say(const M& message) {
    connection_.value()->send(static_cast<uint8_t>(M::kType), 0, encode(message));
  }
  bool has(MessageType type) const { return std::ranges::count(heard, type) > 0; }

  static inline uint64_t counter = 0;
  bool silent = false;
  bool opened = false;
  bool closed = false;
  std::vector<MessageType> heard;
  std::vector<WireError> errors;
  std::vector<uint64_t> records;

 private:
  void authenticate(const HelloOk& ok) {
    const Digest binding = connection_.value()->exporter(kAuthExporterLabel).value();
    const AuthMaterial material{.server_random = ok.server_random,
                                .client_random = {},
                                .channel_binding = binding,
                                .pool_key = ok.pool_key,
                                .public_key = self_.public_key(),
                                .role = role_,
                                .account = "alice"};
    say(make_auth(material, self_, ++counter));
  }
  const Identity& self_;
  const Role role_;
  Result<std::unique_ptr<Connection>> connection_;
};

class PoolServer : public testing::Test {
 protected:
  PoolServer()
      : tls_(load_or_make_identity(folder_.path())),
        client_tls_(TlsContext::client(tls_.value().spki_pin())),
        poll_(loop_, [this] { look(); }) {}

  void start(uint32_t connections = 100) {
    verifier::LedgerState state;
    for (const verifier::Record& record : disk_.kept)
      ASSERT_TRUE(state.apply(record));
    Book book(std::move(state), {}, pool_key_);
    if (disk_.kept.empty()) {
      const Bytes genesis = verifier::encode(verifier::GenesisBody{pool_key_.public_key(), "pool"});
      ASSERT_TRUE(book.append(RecordKind::genesis, genesis, 1));
    }
    Pool pool(std::move(book), pool_key_, PoolOptions{.random = random_digest, .auditors = {}});
    for (const Digest& commitment : secrets_needed(pool.ledger()))
      pool.recall_secret(commitment, digests_of(disk_.beside.at(commitment)).at(0));
    const Bytes records(100, 1);
    const verifier::Work work = verifier::Work::make(toy_job(records)).value();
    ASSERT_TRUE(pool.add_job(work, filled(5), {{filled(5), filled(6)}}, 1'000'000'000, 1));
    ServerOptions options;
    options.config.listen_port = 0;
    options.config.connections = connections;
    auto started =
        Server::start(loop_,
                      {.store = std::make_unique<FakeStore>(disk_),
                       .blobs = std::move(Blobs::open(folder_.path() + "/blobs").value()),
                       .tls = std::move(TlsContext::server(tls_.value()).value()),
                       .jobs = {},
                       .evaluations = {},
                       .open_store = open_kept(disk_.beside)},
                      std::move(pool), options, 1'000'000,
                      [this](const Event& event) { events_.push_back(event.name); });
    ASSERT_TRUE(started) << started.error().detail;
    server_ = std::move(started.value());
  }
  Stranger& join(const Identity& self, Role role = Role::miner) {
    strangers_.push_back(
        std::make_unique<Stranger>(loop_, client_tls_.value(), server_->port(), self, role));
    return *strangers_.back();
  }
  // Runs the loop until it is true; false after some seconds.
  bool until(std::function<bool()> wanted, uint64_t patience_ms = 20'000) {
    wanted_ = std::move(wanted);
    end_ms_ = loop_.now_ms() + patience_ms;
    poll_.start(0, 2);
    loop_.run();
    poll_.stop();
    return wanted_();
  }
  bool stays_false(std::function<bool()> wanted) { return !until(std::move(wanted), 300); }
  void look() {
    if (wanted_() || loop_.now_ms() > end_ms_) loop_.stop();
  }
  bool noted(const std::string& name) const { return std::ranges::count(events_, name) > 0; }

  TempDirectory folder_;
  Result<TlsIdentity> tls_;
  Result<TlsContext> client_tls_;
  const Identity pool_key_ = Identity::from_seed(filled(1));
  const Identity alice_ = Identity::from_seed(filled(2));
  const Identity bert_ = Identity::from_seed(filled(3));
  FakeDisk disk_;
  Loop loop_ = std::move(Loop::make().value());
  Timer poll_;
  std::function<bool()> wanted_;
  uint64_t end_ms_ = 0;
  std::vector<std::string> events_;
  std::unique_ptr<Server> server_;
  std::vector<std::unique_ptr<Stranger>> strangers_;
};

TEST_F(PoolServer, SaysNothingThatIsNotDurable) {
  start();
  Stranger& alice = join(alice_);
  ASSERT_TRUE(until([&] { return alice.has(MessageType::auth_ok) && disk_.size() == kBegun; }));
  disk_.hangs = true;
  alice.say(GetLease{});
  EXPECT_TRUE(stays_false([&] { return alice.has(MessageType::lease); }));
  EXPECT_EQ(disk_.size(), kBegun);
  disk_.hangs = false;
  EXPECT_TRUE(until([&] { return alice.has(MessageType::lease); }));
  EXPECT_GT(disk_.size(), kBegun);
}

TEST_F(PoolServer, DecidesNothingWhileTheLedgerCannotBeWritten) {
  start();
  Stranger& alice = join(alice_);
  Stranger& bert = join(bert_);
  ASSERT_TRUE(until([&] {
    return alice.has(MessageType::auth_ok) && bert.has(MessageType::auth_ok) &&
           disk_.size() == kBegun;
  }));
  disk_.fails = true;
  bert.say(GetLease{});
  ASSERT_TRUE(until([&] { return noted("ledger_not_writable"); }));
  EXPECT_FALSE(bert.has(MessageType::lease));
  alice.say(GetLease{});
  ASSERT_TRUE(until([&] { return alice.closed; }));
  EXPECT_EQ(alice.errors, std::vector{WireError::busy});
  disk_.fails = false;
  EXPECT_TRUE(until([&] { return bert.has(MessageType::lease); })) << "by itself";
  EXPECT_TRUE(noted("ledger_writable"));
  EXPECT_EQ(std::ranges::count(events_, "ledger_not_writable"), 1);
}

TEST_F(PoolServer, MakesRoomForWhoSpeaks) {
  start(3);
  for (int i = 0; i < 6; ++i)
    join(alice_).silent = true;
  ASSERT_TRUE(until([&] {
    return std::ranges::count_if(strangers_, [](const auto& each) { return each->closed; }) == 3;
  }));
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(strangers_[static_cast<size_t>(i)]->closed) << "the oldest go";
  Stranger& bert = join(bert_);
  ASSERT_TRUE(until([&] { return bert.has(MessageType::auth_ok); }));
  for (int i = 0; i < 6; ++i)
    join(alice_).silent = true;
  ASSERT_TRUE(until([&] { return strangers_.back()->opened; }));
  EXPECT_FALSE(bert.closed) << "who has said who it is stays";
}

// users.md A5, and what an auditor may miss when a pool stops (F37).
TEST_F(PoolServer, TellsFollowersEverythingAlsoAfterARestartAndBeforeItStops) {
  start();
  ASSERT_TRUE(until([&] { return disk_.size() == kBegun; }));
  server_->stop("restart");
  loop_.run();
  server_.reset();
  start();
  Stranger& auditor = join(bert_, Role::auditor);
  ASSERT_TRUE(until([&] { return auditor.has(MessageType::auth_ok); }));
  auditor.say(Watch{0});
  ASSERT_TRUE(until([&] { return auditor.records.size() == kBegun; }));
  Stranger& alice = join(alice_);
  ASSERT_TRUE(until([&] { return alice.has(MessageType::auth_ok); }));
  disk_.hangs = true;
  alice.say(GetLease{});
  EXPECT_TRUE(stays_false([&] { return alice.has(MessageType::lease); }));
  server_->stop("over");
  disk_.hangs = false;
  ASSERT_TRUE(until([&] { return auditor.closed && alice.closed; }));
  EXPECT_TRUE(alice.has(MessageType::lease));
  EXPECT_GT(disk_.size(), kBegun);
  EXPECT_EQ(auditor.records.size(), disk_.size());
  EXPECT_TRUE(auditor.has(MessageType::bye));
}

TEST_F(PoolServer, StopsInTimeWhenItsDiskFails) {
  start();
  Stranger& alice = join(alice_);
  ASSERT_TRUE(until([&] { return alice.has(MessageType::auth_ok) && disk_.size() == kBegun; }));
  disk_.fails = true;
  alice.say(GetLease{});
  ASSERT_TRUE(until([&] { return noted("ledger_not_writable"); }));
  server_->stop("enough");
  ASSERT_TRUE(until([&] { return alice.closed; }));
  server_.reset();
  EXPECT_EQ(disk_.size(), kBegun);
}

}  // namespace
}  // namespace gemmine::pool
