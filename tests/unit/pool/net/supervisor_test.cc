#include "pool/net/supervisor.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/loop.h"

namespace gemmine::pool {
namespace {

// The manager's end: a socket by a path, or by an abstract name behind `@`.
class Manager {
 public:
  explicit Manager(const std::string& name) : fd_(::socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), bytes), 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~Manager() {
    for (const char* const each : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
      ::unsetenv(each);
  }

  std::vector<std::string> heard() const {
    std::vector<std::string> out;
    std::array<char, 4096> text;
    for (;;) {
      const ssize_t size = ::recv(fd_.get(), text.data(), text.size(), MSG_DONTWAIT);
      if (size < 0) return out;
      out.emplace_back(text.data(), static_cast<size_t>(size));
    }
  }

 private:
  Fd fd_;
};

std::string unused_path() {
  return (std::filesystem::temp_directory_path() / ("gemmine-notify-" + std::to_string(::getpid())))
      .string();
}

const std::vector<std::string> kWholeLife = {"READY=1\nSTATUS=listening",
                                             "STOPPING=1\nSTATUS=stopping"};

TEST(Supervisor, IsToldOfTheBeginningAndTheEnd) {
  for (const std::string& name : {unused_path(), "@" + unused_path()}) {
    const Manager manager(name);
    Loop loop = test::make_loop();
    Supervisor supervisor(loop);
    EXPECT_TRUE(manager.heard().empty());
    supervisor.ready("listening");
    supervisor.stopping();
    EXPECT_EQ(manager.heard(), kWholeLife) << name;
    ::unlink(name.c_str());
  }
}

// What was heard of 60 ms of a loop whose manager asked for a word every 20.
size_t words_of_life(const std::string& pid, const std::string& microseconds) {
  const Manager manager("@" + unused_path());
  ::setenv("WATCHDOG_USEC", microseconds.c_str(), 1);
  if (!pid.empty()) ::setenv("WATCHDOG_PID", pid.c_str(), 1);
  Loop loop = test::make_loop();
  Supervisor supervisor(loop);
  Timer end(loop, [&] { loop.stop(); });
  end.start(60);
  supervisor.ready("listening");
  loop.run();
  const std::vector<std::string> heard = manager.heard();
  return static_cast<size_t>(std::ranges::count(heard, "WATCHDOG=1"));
}

TEST(Supervisor, HearsThatTheLoopTurnsAsOftenAsItAsked) {
  EXPECT_GE(words_of_life("", "20000"), 3u);
  EXPECT_GE(words_of_life(std::to_string(::getpid()), "20000"), 3u);
  EXPECT_EQ(words_of_life(std::to_string(::getpid() + 1), "20000"), 0u);
  for (const char* const none : {"", "0", "-20000", "20ms", "99999999999999999999"})
    EXPECT_EQ(words_of_life("", none), 0u) << none;
}

TEST(Supervisor, IsNoConditionOfWork) {
  const std::string too_long = "/" + std::string(sizeof(sockaddr_un::sun_path) - 1, 'x');
  for (const std::string& name : {std::string(), std::string("@"), std::string("relative"),
                                  std::string("/nobody/listens"), too_long}) {
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    Loop loop = test::make_loop();
    Supervisor supervisor(loop);
    supervisor.ready("listening");
    supervisor.stopping();
  }
  ::unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace gemmine::pool
