#include "pool/net/loop.h"

#include <csignal>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/loop.h"

namespace gemmine::pool {
namespace {

// A process of its own for every number of descriptors that is too small, since libuv keeps some
// for good: a message each time, and none of libuv's own aborts.
TEST(LoopDeathTest, IsRefusedWithAMessageWhereDescriptorsRunOut) {
  const auto with = [](int spare) {
    const int next = dup(STDIN_FILENO);
    close(next);
    const rlimit tight{static_cast<rlim_t>(next + spare), static_cast<rlim_t>(next + spare)};
    if (setrlimit(RLIMIT_NOFILE, &tight) != 0) std::_Exit(3);
    auto made = Loop::make();
    if (!made) std::fputs(made.error().detail.c_str(), stderr);
    if (!made) std::_Exit(made.error().code == Errc::io ? 1 : 3);
    const int numbers[] = {SIGUSR1};
    const SignalWatch watch(made.value(), numbers, [](int) {});
    const Wakeup wakeup(made.value(), [] {});
    std::_Exit(0);
  };
  for (int spare = 0; spare < 12; ++spare)
    EXPECT_EXIT(with(spare), testing::ExitedWithCode(1), "open files.*ulimit -n") << spare;
  EXPECT_EXIT(with(40), testing::ExitedWithCode(0), "");
}

TEST(Timer, FiresAfterItsDelayAndThenRepeats) {
  Loop loop = test::make_loop();
  const uint64_t begun = loop.now_ms();
  int fired = 0;
  Timer timer(loop, [&] {
    if (++fired == 3) loop.stop();
  });
  timer.start(20, 10);
  loop.run();
  EXPECT_EQ(fired, 3);
  EXPECT_GE(loop.now_ms() - begun, 39u);
}

TEST(Timer, MayBeDestroyedInItsOwnCallback) {
  Loop loop = test::make_loop();
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(loop, [&] { timer.reset(); });
  timer->start(1, 1);
  loop.run();
  EXPECT_EQ(timer, nullptr);
}

TEST(SignalWatch, CallsBackForItsSignals) {
  Loop loop = test::make_loop();
  std::vector<int> seen;
  const int signals[] = {SIGINT, SIGTERM, SIGHUP};
  SignalWatch watch(loop, signals, [&](int number) {
    seen.push_back(number);
    if (seen.size() == 3) return loop.stop();
    ::raise(seen.size() == 1 ? SIGTERM : SIGINT);
  });
  ::raise(SIGHUP);
  loop.run();
  EXPECT_THAT(seen, testing::ElementsAre(SIGHUP, SIGTERM, SIGINT));
}

TEST(Mailbox, DeliversEveryLetterOfFourThreadsInOrder) {
  constexpr int kThreads = 4;
  constexpr int kEach = 10'000;
  Loop loop = test::make_loop();
  int arrived = 0;
  std::vector<int> next(kThreads, 0);
  Mailbox<std::pair<int, int>> mailbox(loop, kThreads * kEach, [&](std::pair<int, int> letter) {
    EXPECT_EQ(letter.second, next[static_cast<size_t>(letter.first)]++);
    if (++arrived == kThreads * kEach) loop.stop();
  });
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&mailbox, thread] {
        for (int i = 0; i < kEach; ++i)
          EXPECT_TRUE(mailbox.post({thread, i}));
      });
    }
    loop.run();
  }
  EXPECT_EQ(arrived, kThreads * kEach);
}

TEST(Mailbox, RefusesLettersOverItsBound) {
  Loop loop = test::make_loop();
  int arrived = 0;
  Mailbox<std::unique_ptr<int>> mailbox(loop, 2, [&](std::unique_ptr<int>) {
    if (++arrived == 2) loop.stop();
  });
  EXPECT_TRUE(mailbox.post(std::make_unique<int>(1)));
  EXPECT_TRUE(mailbox.post(std::make_unique<int>(2)));
  EXPECT_FALSE(mailbox.post(std::make_unique<int>(3)));
  loop.run();
  EXPECT_EQ(arrived, 2);
  EXPECT_TRUE(mailbox.post(std::make_unique<int>(4)));
}

TEST(TcpListener, SaysWhatToDoWhenThePortIsInUse) {
  Loop loop = test::make_loop();
  const auto ignore = [](std::unique_ptr<TcpStream>) {};
  const auto first = TcpListener::open(loop, "127.0.0.1", 0, ignore);
  ASSERT_TRUE(first);
  const uint16_t port = first.value()->port();
  const auto second = TcpListener::open(loop, "127.0.0.1", port, ignore);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::io);
  EXPECT_THAT(
      second.error().detail,
      testing::AllOf(testing::HasSubstr("127.0.0.1:" + std::to_string(port)),
                     testing::HasSubstr("in use"), testing::HasSubstr("choose another port")));
}

TEST(TcpListener, RefusesAnAddressThatIsNotNumeric) {
  Loop loop = test::make_loop();
  const auto listener = TcpListener::open(loop, "localhost", 0, nullptr);
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code, Errc::invalid_argument);
}

// Plain clients: connected, or said why not.
struct Clients {
  explicit Clients(Loop& loop_in) : loop(loop_in) {}
  void add(const std::string& host, uint16_t port, uint64_t timeout_ms = 5'000) {
    connectors.push_back(std::make_unique<TcpConnector>(
        loop, host, port, timeout_ms, [this](Result<std::unique_ptr<TcpStream>> stream) {
          if (stream) {
            streams.push_back(std::move(stream.value()));
          } else {
            errors.push_back(stream.error().detail);
          }
          if (--left == 0) loop.stop();
        }));
  }
  Loop& loop;
  int left = 1;
  std::vector<std::unique_ptr<TcpConnector>> connectors;
  std::vector<std::unique_ptr<TcpStream>> streams;
  std::vector<std::string> errors;
};

TEST(TcpConnector, FindsAHostByNameAndByNumber) {
  Loop loop = test::make_loop();
  std::vector<std::unique_ptr<TcpStream>> accepted;
  const auto listener = TcpListener::open(
      loop, "127.0.0.1", 0,
      [&](std::unique_ptr<TcpStream> stream) { accepted.push_back(std::move(stream)); });
  ASSERT_TRUE(listener);
  Clients clients(loop);
  clients.left = 2;
  clients.add("localhost", listener.value()->port());
  clients.add("127.0.0.1", listener.value()->port());
  loop.run();
  EXPECT_EQ(clients.streams.size(), 2u);
  EXPECT_THAT(clients.errors, testing::IsEmpty());
}

TEST(TcpConnector, NamesHostPortAndReasonWhenRefused) {
  Loop loop = test::make_loop();
  uint16_t port = 0;
  {
    const auto listener = TcpListener::open(loop, "127.0.0.1", 0, nullptr);
    ASSERT_TRUE(listener);
    port = listener.value()->port();
  }
  Clients clients(loop);
  clients.add("127.0.0.1", port);
  loop.run();
  ASSERT_EQ(clients.errors.size(), 1u);
  EXPECT_THAT(clients.errors[0],
              testing::AllOf(testing::HasSubstr("127.0.0.1 port " + std::to_string(port)),
                             testing::HasSubstr("connection refused")));
}

TEST(TcpConnector, SaysThatANameIsUnknown) {
  Loop loop = test::make_loop();
  Clients clients(loop);
  clients.add("no-such-host.invalid", 1);
  loop.run();
  ASSERT_EQ(clients.errors.size(), 1u);
  EXPECT_THAT(clients.errors[0], testing::HasSubstr("no-such-host.invalid"));
}

TEST(TcpConnector, MayBeDestroyedWhileItResolvesOrConnects) {
  Loop loop = test::make_loop();
  for (const char* host : {"no-such-host.invalid", "127.0.0.1"}) {
    bool called = false;
    const TcpConnector connector(loop, host, 9, 5'000, [&](auto) { called = true; });
    EXPECT_FALSE(called);
  }
}

TEST(TcpListener, PausesInsteadOfSpinningWithoutFileDescriptors) {
  Loop loop = test::make_loop();
  std::vector<std::unique_ptr<TcpStream>> accepted;
  const auto listener = TcpListener::open(
      loop, "127.0.0.1", 0,
      [&](std::unique_ptr<TcpStream> stream) { accepted.push_back(std::move(stream)); });
  ASSERT_TRUE(listener);
  Clients clients(loop);
  clients.left = 2;
  clients.add("127.0.0.1", listener.value()->port());
  clients.add("127.0.0.1", listener.value()->port());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // Room for the two clients, and for the descriptor that libuv keeps in reserve.
  const int free_fds[] = {::dup(0), ::dup(0), ::dup(0)};
  rlimit two = before;
  two.rlim_cur = static_cast<rlim_t>(free_fds[2]) + 1;
  for (const int fd : free_fds)
    ::close(fd);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &two), 0);
  Timer stop(loop, [&] { loop.stop(); });
  stop.start(600);
  loop.run();
  loop.run();
  // First, because UBSan needs descriptors to look at what the expectations touch.
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(clients.errors, testing::IsEmpty());
  EXPECT_EQ(clients.streams.size(), 2u);
  EXPECT_TRUE(accepted.empty());
  EXPECT_GE(listener.value()->pauses(), 1u);
  EXPECT_LE(listener.value()->pauses(), 5u);
  stop.start(600);
  loop.run();
  EXPECT_EQ(accepted.size(), 2u);
}

}  // namespace
}  // namespace gemmine::pool
