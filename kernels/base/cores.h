// How many threads are worth starting on this machine, for this process.
#pragma once

#include <string>

namespace gemmine {

// The cores this process may run on (sched_getaffinity), at most what its cgroups let it use at
// once (v2 cpu.max, v1 cpu.cfs_quota_us, of its group and of all above), rounded up; 1 to
// kPoolThreadsMax. Every default for a number of threads is this.
int usable_cores();

// The quota alone in cores, rounded up, or 0 when there is none. `root` is a prefix of
// /proc/self and of the mount points named there, empty for the real ones; tests give their own.
int cgroup_cores(const std::string& root);

}  // namespace gemmine
