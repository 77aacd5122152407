// How fast a device works on a job, and what that earns.
#pragma once

#include <string>
#include <vector>

#include "kernels/engine.h"
#include "kernels/model/step_products.h"
#include "verifier/records/job.h"

namespace gemmine::miner {

struct ProductSpeed {
  kernels::StepProduct product;
  double gmac_s = 0;
  double ms = 0;  // of a step: all its `times`
};

struct DeviceSpeed {
  std::vector<ProductSpeed> products;
  std::string products_refusal;  // why there are none, for people
  size_t steps = 0;              // measured
  double step_ms = 0;            // with its proof
  double alone_ms = 0;           // without
  double proof_ratio = 0;        // median of pairs that ran one after the other
  // Of the roots and losses of the first steps: the same on every right device, for the same job.
  Digest digest;
};
inline constexpr uint32_t kDigestSteps = 4;  // or the lease's, if it has fewer

struct BenchTimes {
  uint32_t steps_ms = 5000;
  uint32_t product_ms = 100;  // of each shape
};
// device: a name for make_engine. threads: of the CPU. Products are timed by the wall clock, the
// best of some runs; steps are medians. Errors: those of make_engine, Engine and DeviceProduct.
Result<DeviceSpeed> measure_device(const std::string& device, const kernels::Program& program,
                                   ByteView train_records, int threads, BenchTimes times);

// What decides the size of a device's shares.
enum class ShareRule : uint8_t {
  target,   // the pool's share_seconds
  largest,  // no share is longer
  fewest,   // a lease may not be cut into more
  job,      // its steps_per_share: the pool does not look at the device
};
struct Earnings {
  ShareRule rule = ShareRule::target;
  uint32_t share_steps = 0;
  double share_seconds = 0;
  double shares_per_day = 0;
  double tmacs_per_day = 0;
  double units_per_day = 0;  // as the job pays them
  double paid_per_day = 0;   // after the pool's fee
};
// Of a device that computes all day and whose shares are all valid. share_seconds: the pool's, as
// its share_size.h takes it; 0 where the pool sizes no shares.
Earnings earnings_of(const verifier::Job& job, uint64_t macs_per_step, double step_ms,
                     uint32_t share_seconds);

}  // namespace gemmine::miner
