// On real GPUs: the plug-in's engine against the golden bits and, step by step, against the
// reference. Exit code 77, with the reason, where there is no GPU to ask.
#include <cstdio>
#include <vector>

#include "kernels/cuda/host/plugin_loader.h"
#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "kernels/self_test.h"
#include "tests/cuda/gpu/peer_products.h"
#include "tests/support/toy.h"
#include "tests/support/toy_gpt.h"

namespace gemmine::test {
namespace {

using kernels::Optimiser;
using kernels::Program;

Bytes records_of(const Program& program) {
  Bytes out;
  uint32_t x = 7;
  for (uint32_t r = 0; r < program.spec().records; ++r) {
    for (uint32_t c = 0; c < program.inputs(0); ++c) {
      x = x * 1664525 + 1013904223;
      out.push_back(static_cast<uint8_t>(x >> 24));
    }
    const uint32_t label = r * 37 % program.spec().widths.back();
    for (uint32_t byte = 0; byte < program.label_bytes(); ++byte)
      out.push_back(static_cast<uint8_t>(label >> 8 * byte));
  }
  return out;
}

Status check_steps(const std::string& device, const Program& program, const Bytes& records,
                   uint32_t steps) {
  const auto engine = kernels::make_engine("check:" + device, program, records, 1);
  if (!engine) return engine.error();
  std::vector<float> state = program.initial_theta();
  state.resize(program.state_floats(), 0.0F);
  if (Status loaded = engine.value()->load_state(state, 0); !loaded) return loaded;
  for (uint32_t h = 0; h < steps; ++h) {
    const Digest key = kernels::blake3({reinterpret_cast<const uint8_t*>(&h), sizeof h});
    const auto result = engine.value()->run_step({.step = h}, &key);
    if (!result) return result.error();
  }
  return Ok{};
}

Status check_mlp(const std::string& device, std::vector<uint32_t> widths, uint32_t batch,
                 Optimiser optimiser) {
  kernels::Spec spec = toy_spec(optimiser);
  spec.widths = std::move(widths);
  spec.batch = batch;
  const auto program = Program::make(spec);
  if (!program) return program.error();
  return check_steps(device, program.value(), records_of(program.value()), spec.steps_per_lease);
}

// The toys, and one whose sides are beyond what the emulation can go through.
Status check_gpts(const std::string& device) {
  kernels::Spec large = testing::toy_gpt();
  large.gpt = {.vocabulary = 5000,
               .width = 256,
               .heads = 2,
               .hidden = 1024,
               .blocks = 2,
               .context = 320,
               .token_bytes = 2};
  large.batch = 4;
  for (const kernels::Spec& spec : {testing::toy_gpt(), testing::toy_gpt_tied(), large}) {
    const auto program = Program::make(spec);
    if (!program) return program.error();
    if (Status status = check_steps(device, program.value(), testing::toy_tokens(spec), 3); !status)
      return status;
  }
  return Ok{};
}

// Our products against cuBLASLt's; what it says is for the log where there is no such library.
Status check_products(uint32_t number, const std::string& device) {
  const auto api = kernels::find_cuda_plugin();
  if (!api) return api.error();
  const kernels::cuda::PeerApi& peer = *api.value()->peer();
  if (peer.load(nullptr) != kernels::cuda::DeviceStatus::ok) {
    std::printf("%s: PRODUCTS NOT COMPARED: %s\n", device.c_str(), peer.reason());
    return Ok{};
  }
  for (const ProductShape& shape : kPeerShapes) {
    auto session = kernels::cuda::DeviceSession::open(*api.value(), number, device);
    if (!session) return session.error();
    const auto products = PeerProducts::make(*session.value(), peer, shape);
    if (!products) return products.error();
    if (Status same = products.value()->compare(); !same) return same;
  }
  std::printf("%s: products equal to those of cuBLASLt %u\n", device.c_str(), peer.version());
  return Ok{};
}

Status check_device(uint32_t number, const std::string& device) {
  if (Status golden = kernels::self_test(device); !golden) return golden;
  if (Status gpts = check_gpts(device); !gpts) return gpts;
  for (const Optimiser optimiser : {Optimiser::sgd, Optimiser::adamw}) {
    for (const auto& [widths, batch] :
         std::vector<std::pair<std::vector<uint32_t>, uint32_t>>{{{70, 2}, 33},
                                                                 {{1, 1, 2}, 1},
                                                                 {{65, 129, 31, 3}, 31},
                                                                 {{784, 512, 256}, 300},
                                                                 {{17, 40, 10}, 8200},
                                                                 {{17, 40, 1000}, 130}}) {
      if (Status status = check_mlp(device, widths, batch, optimiser); !status) return status;
    }
  }
  return check_products(number, device);
}

int run() {
  constexpr int kSkipped = 77;
  int checked = 0;
  int failed = 0;
  uint32_t number = 0;
  for (const kernels::DeviceReport& device : kernels::list_devices()) {
    if (device.name == "cpu") continue;
    const uint32_t at = number++;
    if (!device.refusal.empty()) {
      std::printf("%s: SKIPPED, NOT CHECKED: %s\n", device.name.c_str(), device.refusal.c_str());
      continue;
    }
    const Status status = check_device(at, device.name);
    std::printf("%s (%s): %s\n", device.name.c_str(), device.description.c_str(),
                status ? "every bit right" : status.error().detail.c_str());
    ++checked;
    failed += status ? 0 : 1;
  }
  if (checked == 0) return kSkipped;
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace gemmine::test

int main() {
  return gemmine::test::run();
}
