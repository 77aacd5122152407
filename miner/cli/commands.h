// The subcommands of `gemmine`: options in, exit code out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/base/exit_code.h"
#include "kernels/engine.h"
#include "pool/core/share_size.h"

namespace CLI {
class App;
}

namespace gemmine::miner {

struct DeviceOptions {
  std::string engine = "cpu";
  int threads = 0;  // 0: one per core
};

struct MineOptions {
  std::vector<std::string> pools;
  std::vector<std::string> pins;       // none, or one for each pool
  std::vector<std::string> pool_keys;  // none: any
  std::vector<std::string> heads;      // that pools have signed
  std::string account;
  std::string data;
  std::string relay;  // http://host:port; empty: none
  DeviceOptions device;
  int throttle = 100;        // percent of the device's time
  uint64_t keep_mib = 4096;  // of disk, for leases that are not settled
  bool exit_when_finished = false;
  bool dry_run = false;
  bool verbose = false;
};

// A cache of the pool's blobs for a farm.
struct RelayOptions {
  std::vector<std::string> pools;
  std::vector<std::string> pins;  // none, or one for each pool
  std::string listen = "127.0.0.1:4481";
  std::string data;
  uint64_t disk_mb = 20'480;
  bool verbose = false;
};
inline constexpr uint64_t kRelayDiskMbMax = uint64_t{1} << 24;  // 16 TiB
ExitCode relay(const RelayOptions& options);
void add_relay_options(CLI::App& command, RelayOptions& options);

struct ReceiptsOptions {
  std::string data;
  bool json = false;
};
// What pools have signed about this miner's leases. invalid: a word is not signed.
ExitCode receipts(const ReceiptsOptions& options);
void add_receipts_options(CLI::App& command, ReceiptsOptions& options);

// What tests' adversaries change: the engines, and whether a share is checked before it is sent.
struct MineHooks {
  std::function<std::unique_ptr<kernels::Engine>(std::unique_ptr<kernels::Engine>,
                                                 const kernels::Program&)>
      wrap;
  bool check_own = true;
};
ExitCode mine(const MineOptions& options, const MineHooks& hooks = {});
// The options that `mine` and the adversaries share.
void add_mine_options(CLI::App& command, MineOptions& options);
void add_device_options(CLI::App& command, DeviceOptions& options);

struct TrainOptions {
  std::string job;
  uint32_t rounds = 0;
  DeviceOptions device;
  std::string from;                 // safetensors file to start from
  std::string model;                // safetensors file to write
  std::string checkpoint;           // empty: beside the model
  std::vector<std::string> curves;  // files to write: .csv, .svg
  bool resume = false;
  bool json = false;
};
ExitCode train(const TrainOptions& options);

struct SampleOptions {
  std::string model;
  std::string prompt;
  uint32_t tokens = 400;
  float temperature = 0.8F;
  uint32_t top_k = 0;
  uint64_t seed = 1;
};
ExitCode sample(const SampleOptions& options);
void add_sample_options(CLI::App& command, SampleOptions& options);
void add_train_options(CLI::App& command, TrainOptions& options);

// Rows for a model; see pool/data/model_rows.h.
struct RowOptions {
  std::string rows;
  std::string model;
  std::string kind;
  std::string label_column;
  std::string labels;
  std::string features;
  int threads = 0;  // 0: one per core
};
struct PredictOptions {
  RowOptions rows;
  std::string out;  // empty: standard output
  bool probabilities = false;
  bool json = false;
};
ExitCode predict(const PredictOptions& options);
void add_predict_options(CLI::App& command, PredictOptions& options);

struct EvaluateOptions {
  RowOptions rows;
  bool json = false;
};
ExitCode evaluate(const EvaluateOptions& options);
void add_evaluate_options(CLI::App& command, EvaluateOptions& options);

struct DataOptions {
  std::string job;
  std::string out;  // folder; empty: only say what is there
};
ExitCode data(const DataOptions& options);
void add_data_options(CLI::App& command, DataOptions& options);

struct DevicesOptions {
  bool json = false;
};
ExitCode devices(const DevicesOptions& options);

struct BenchOptions {
  std::string job;                     // empty: an MLP of the demo's size on synthetic records
  DeviceOptions device{.engine = {}};  // no engine: every device
  uint32_t seconds = 5;                // of steps
  uint32_t product_ms = 100;           // of each product
  uint32_t share_seconds = pool::kShareSeconds;
  bool json = false;
};
ExitCode bench(const BenchOptions& options);
void add_bench_options(CLI::App& command, BenchOptions& options);

}  // namespace gemmine::miner
