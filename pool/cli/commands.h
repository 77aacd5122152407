// The subcommands of `gemmine-pool`: options in, exit code out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/exit_code.h"
#include "pool/core/share_size.h"

namespace gemmine::pool {

struct ServeCommand {
  std::string config;
  std::optional<uint32_t> share_seconds;
  std::string data;
  std::string listen;  // empty: the configuration's
  std::vector<std::string> jobs;
  uint64_t fund = 0;  // every unfinished job's escrow is filled up to it
  std::string status_file;
  bool exit_when_finished = false;
};
ExitCode serve(const ServeCommand& command);

// new_tls: only a new certificate for a pool that is there.
ExitCode init(const std::string& data, bool new_tls);
ExitCode report(const std::string& data, bool as_json);
ExitCode backup(const std::string& data, const std::string& to);

struct CheckCommand {
  std::string job;
  std::optional<uint32_t> miners;         // that share the job; none: one for each slot
  uint32_t auditors = 1;                  // replays at a time
  std::optional<uint32_t> lease_seconds;  // of a device; none: half of lease_ms
  uint32_t share_seconds = kShareSeconds;
};
// Errors: bad_input, also for a job that no pool should serve (pool/core/terms.h).
ExitCode check_job(const CheckCommand& command);

struct ExportCommand {
  std::string data;
  std::string ledger;   // file to write; empty: not wanted
  std::string model;    // safetensors file
  std::string job;      // id in hex of the model; empty: the only one
  std::string bundles;  // folder of share bundles
};
ExitCode export_data(const ExportCommand& command);

}  // namespace gemmine::pool
