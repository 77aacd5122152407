// What `gemmine bench` found, as text for people and as JSON with every number of the text.
#pragma once

#include <string>
#include <vector>

#include "miner/bench/bench.h"

namespace gemmine::miner {

struct DeviceResult {
  std::string device;       // "cpu"
  std::string description;  // for people; may be empty
  std::string refusal;      // why it was not measured, for people; else the rest holds
  DeviceSpeed speed;
  Earnings earnings;
};
struct BenchReport {
  std::string model;  // for people
  verifier::Job job;
  uint64_t macs_per_step = 0;
  uint32_t share_seconds = 0;
  std::vector<DeviceResult> devices;
};

std::string bench_json(const BenchReport& report);  // one line
std::string bench_text(const BenchReport& report);

// The model and its batch in a few words.
std::string describe_model(const kernels::Spec& spec);

}  // namespace gemmine::miner
