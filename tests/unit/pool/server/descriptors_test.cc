#include "pool/server/descriptors.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

// In a process of its own, since a hard limit cannot be raised again: -1 for a refusal.
int connections_under(rlim_t soft, rlim_t hard, uint32_t wanted, bool* raised = nullptr) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit limit{.rlim_cur = soft, .rlim_max = hard};
    setrlimit(RLIMIT_NOFILE, &limit);
    const auto possible = reserve_descriptors(wanted, 1);
    rlimit now{};
    getrlimit(RLIMIT_NOFILE, &now);
    const int answer[] = {possible ? static_cast<int>(possible.value()) : -1,
                          now.rlim_cur > soft ? 1 : 0};
    ::_exit(::write(ends[1], answer, sizeof answer) == sizeof answer ? 0 : 1);
  }
  int answer[2] = {-2, 0};
  EXPECT_EQ(::read(ends[0], answer, sizeof answer), static_cast<ssize_t>(sizeof answer));
  ::waitpid(child, nullptr, 0);
  ::close(ends[0]);
  ::close(ends[1]);
  if (raised != nullptr) *raised = answer[1] == 1;
  return answer[0];
}

TEST(Descriptors, RaiseTheSoftLimitAsFarAsTheyNeed) {
  bool raised = false;
  EXPECT_EQ(connections_under(100, 400, 200, &raised), 200);
  EXPECT_TRUE(raised);
  EXPECT_EQ(connections_under(400, 400, 200, &raised), 200);
  EXPECT_FALSE(raised);
}

TEST(Descriptors, LeaveThePoolWhatItNeedsItself) {
  const int own = static_cast<int>(kDescriptorsOwn) + 1;
  EXPECT_EQ(connections_under(100, 100, 10'000), 100 - own);
  EXPECT_EQ(connections_under(40, 40, 10'000), 40 - own);
}

TEST(Descriptors, RefuseALimitThatIsNoUse) {
  EXPECT_EQ(connections_under(kDescriptorsOwn, kDescriptorsOwn, 10), -1);
}

}  // namespace
}  // namespace gemmine::pool
