#include "kernels/base/cores.h"

#include <filesystem>
#include <fstream>
#include <sched.h>
#include <thread>

#include <gtest/gtest.h>

namespace gemmine {
namespace {

// A /proc/self and a cgroup tree of the test's own.
class Tree {
 public:
  explicit Tree(const std::string& name)
      : root_(std::filesystem::path(testing::TempDir()) / ("cores_test_" + name)) {
    std::filesystem::remove_all(root_);
  }
  Tree& put(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
    return *this;
  }
  Tree& unified(const std::string& group, const std::string& top = "/") {
    put("proc/self/cgroup", "0::" + group + "\n");
    return put("proc/self/mountinfo",
               "22 1 0:20 / /proc rw - proc proc rw\n"
               "30 25 0:26 " +
                   top + " /cg rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  }
  int cores() const { return cgroup_cores(root_.string()); }

 private:
  std::filesystem::path root_;
};

TEST(CgroupCores, WithoutCgroupsThereIsNoQuota) {
  EXPECT_EQ(Tree("nothing").cores(), 0);
  EXPECT_EQ(Tree("no_mount").put("proc/self/cgroup", "0::/a\n").cores(), 0);
  EXPECT_EQ(Tree("max").unified("/a").put("cg/a/cpu.max", "max 100000\n").cores(), 0);
}

TEST(CgroupCores, RoundsTheQuotaUp) {
  const auto cores = [](const std::string& text) {
    return Tree("round").unified("/a/b").put("cg/a/b/cpu.max", text).cores();
  };
  EXPECT_EQ(cores("1 100000\n"), 1);
  EXPECT_EQ(cores("50000 100000\n"), 1);
  EXPECT_EQ(cores("100000 100000\n"), 1);
  EXPECT_EQ(cores("150000 100000\n"), 2);
  EXPECT_EQ(cores("400000 100000\n"), 4);
  EXPECT_EQ(cores("30000 10000\n"), 3);
  EXPECT_EQ(cores("200000\n"), 2);
}

TEST(CgroupCores, TextThatIsNoQuotaIsNone) {
  for (const char* text : {"", "\n", "0 100000\n", "-1 100000\n", "1 0\n", "1 x\n", "a b\n"}) {
    EXPECT_EQ(Tree("bad").unified("/a").put("cg/a/cpu.max", text).cores(), 0) << text;
  }
}

TEST(CgroupCores, TheLeastQuotaOnTheWayUpCounts) {
  Tree tree("up");
  tree.unified("/machine.slice/job one/leaf");
  tree.put("cg/machine.slice/cpu.max", "300000 100000\n");
  EXPECT_EQ(tree.cores(), 3);
  tree.put("cg/machine.slice/job one/leaf/cpu.max", "800000 100000\n");
  EXPECT_EQ(tree.cores(), 3);
  tree.put("cg/machine.slice/job one/cpu.max", "200000 100000\n");
  EXPECT_EQ(tree.cores(), 2);
  tree.put("cg/cpu.max", "100000 100000\n");
  EXPECT_EQ(tree.cores(), 1);
}

TEST(CgroupCores, AContainerSeesItsOwnGroupAsTheMount) {
  const std::string quota = "200000 100000\n";
  EXPECT_EQ(Tree("namespace").unified("/").put("cg/cpu.max", quota).cores(), 2);
  EXPECT_EQ(Tree("bound").unified("/docker/1f", "/docker/1f").put("cg/cpu.max", quota).cores(), 2);
  EXPECT_EQ(Tree("below").unified("/docker/1f/x", "/docker/1f").put("cg/x/cpu.max", quota).cores(),
            2);
  EXPECT_EQ(Tree("beside").unified("/docker/1f2", "/docker/1f").put("cg/cpu.max", quota).cores(),
            2);
  EXPECT_EQ(Tree("above").unified("/../../x").put("cg/cpu.max", quota).cores(), 2);
}

TEST(CgroupCores, VersionOneWithCpuAndOthersInOneHierarchy) {
  Tree tree("v1");
  tree.put("proc/self/cgroup", "12:memory:/m\n4:cpu,cpuacct:/docker/1f\n0::/else\n");
  tree.put("proc/self/mountinfo",
           "1 0 0:1 / /mem rw - cgroup cgroup rw,memory\n"
           "2 0 0:2 / /my\\040cpu rw shared:2 master:3 - cgroup cgroup rw,cpu,cpuacct\n");
  EXPECT_EQ(tree.cores(), 0);
  tree.put("my cpu/docker/1f/cpu.cfs_quota_us", "-1\n");
  tree.put("my cpu/docker/1f/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(tree.cores(), 0);
  tree.put("my cpu/docker/cpu.cfs_quota_us", "250000\n");
  tree.put("my cpu/docker/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(tree.cores(), 3);
}

TEST(UsableCores, FollowTheAffinityOfTheThread) {
  EXPECT_GE(usable_cores(), 1);
  int seen = 0;
  std::thread([&seen] {
    cpu_set_t all;
    ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
      if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
    }
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    seen = usable_cores();
  }).join();
  EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace gemmine
