#include "pool/server/descriptors.h"

#include <algorithm>
#include <string>
#include <sys/resource.h>

#include "kernels/base/check.h"

namespace gemmine::pool {

Result<uint32_t> reserve_descriptors(uint32_t connections, uint32_t audit_threads) {
  GEMMINE_CHECK(connections >= 1 && audit_threads >= 1);
  rlimit limit{};
  GEMMINE_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const uint64_t own = uint64_t{kDescriptorsOwn} + audit_threads;
  const uint64_t wanted = own + connections;
  if (limit.rlim_cur < wanted) {
    const rlimit raised{.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max),
                        .rlim_max = limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  if (limit.rlim_cur >= wanted) return connections;
  if (limit.rlim_cur < own + kConnectionsMin)
    return Error{Errc::unsupported,
                 "the system lets this process open " + std::to_string(limit.rlim_cur) +
                     " files at once; a pool needs " + std::to_string(own + kConnectionsMin) +
                     " and one for each connection: raise the limit (ulimit -n, LimitNOFILE=)"};
  return static_cast<uint32_t>(limit.rlim_cur - own);
}

}  // namespace gemmine::pool
