// The pool's configuration file as a value (configs/pool.toml).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/config/toml.h"
#include "pool/core/share_size.h"

namespace gemmine::pool {

inline constexpr size_t kAuditThreadsMax = 64;
inline constexpr size_t kAuditorsMax = 256;
inline constexpr size_t kJobFilesMax = 64;

struct PoolConfig {
  std::string listen_host = "127.0.0.1";  // as it was written: a number, a name, or "*"
  uint16_t listen_port = 4400;
  std::string fee_account = "pool";
  uint32_t audit_threads = 1;
  uint64_t upload_bytes = uint64_t{16} << 30;  // of half deltas on disk, each counted whole
  uint32_t idle_ms = 120'000;                  // silence after which a session is closed
  uint32_t connections = 10'000;
  uint32_t connections_per_ip = 256;
  uint32_t leases_per_key = 2;             // ≤ kOpenLeasesMax
  uint32_t share_seconds = kShareSeconds;  // what a share should take its device; 0: the job's size
  bool always_threads = false;             // asks for threads where a replay costs less, too
  uint32_t rounds_kept = 16;               // merged rounds whose blobs stay on disk; 0: all
  std::vector<Digest> auditors;            // whose every word is logged
  std::vector<std::string> jobs;           // job files, relative to the file
};
// Errors: io, malformed, invalid_argument; the detail is what the operator reads.
Result<PoolConfig> parse_pool_config(Toml toml);

// "host:port" or "[v6]:port" of an address to listen on. Errors: invalid_argument.
Status parse_listen(std::string_view text, std::string& host, uint16_t& port);

}  // namespace gemmine::pool
