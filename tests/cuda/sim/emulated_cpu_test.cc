// The CUDA engine on emulated kernels beside the CPU engine: every tensor of every step, by name.
#include "kernels/cuda/host/plugin_loader.h"
#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "tests/cuda/sim/emulated_test.h"
#include "tests/support/toy.h"

namespace gemmine::test {
namespace {

using kernels::Engine;
using kernels::Optimiser;
using kernels::Program;

class EmulatedCpu : public EmulatedTest {
 protected:
  EmulatedCpu() { kernels::set_cuda_api_for_test(&emulated_api()); }
  ~EmulatedCpu() override { kernels::set_cuda_api_for_test(nullptr); }
};

std::unique_ptr<Engine> engine_of(std::string_view name, const Program& program,
                                  const Bytes& records, const std::vector<float>& state) {
  auto made = kernels::make_engine(name, program, records, 1);
  if (!made.ok() || !made.value()->load_state(state, 0).ok()) return nullptr;
  return std::move(made.value());
}

void expect_same_state(Engine& cpu, Engine& cuda, const Program& program) {
  std::vector<float> want(program.state_floats());
  std::vector<float> got(program.state_floats());
  ASSERT_TRUE(cpu.read_state(want).ok());
  ASSERT_TRUE(cuda.read_state(got).ok());
  EXPECT_EQ(std::memcmp(want.data(), got.data(), want.size() * sizeof(float)), 0) << "state";
}

// A tensor is named by its kind and layer, so that a wrong kernel is found by what it made.
void expect_same_step(Engine& cpu, Engine& cuda, const Program& program, uint32_t step) {
  const Digest key = kernels::blake3({reinterpret_cast<const uint8_t*>(&step), sizeof step});
  const auto want = cpu.run_step({.round = 1, .slot = 0, .step = step}, &key);
  const auto got = cuda.run_step({.round = 1, .slot = 0, .step = step}, &key);
  ASSERT_TRUE(want.ok()) << want.error().detail;
  ASSERT_TRUE(got.ok()) << got.error().detail;
  EXPECT_EQ(std::memcmp(&want.value().loss, &got.value().loss, sizeof(float)), 0) << "loss";
  ASSERT_EQ(want.value().roots.size(), got.value().roots.size());
  for (uint32_t i = 0; i < program.tensors().size(); ++i) {
    const kernels::TensorInfo& tensor = program.tensors()[i];
    const auto name = testing::Message() << "tensor of kind " << static_cast<int>(tensor.kind)
                                         << ", layer " << tensor.layer << ", step " << step;
    const auto bytes = cpu.read_tensor(i);
    const auto emulated = cuda.read_tensor(i);
    ASSERT_TRUE(bytes.ok() && emulated.ok()) << name;
    EXPECT_EQ(bytes.value(), emulated.value()) << name;
    EXPECT_EQ(want.value().roots[i], got.value().roots[i]) << "root of " << name;
  }
}

TEST_F(EmulatedCpu, MakesTheCpuEnginesTensorsAtOddSizes) {
  for (const Optimiser optimiser : {Optimiser::sgd, Optimiser::adamw}) {
    for (const auto& widths : {std::vector<uint32_t>{37, 131, 65, 10}, {37, 1, 7}, {37, 255}}) {
      for (const uint32_t batch : {1U, 33U, 130U}) {
        kernels::Spec spec = toy_spec(optimiser);
        spec.widths = widths;
        spec.batch = batch;
        const auto program = Program::make(spec);
        ASSERT_TRUE(program.ok()) << program.error().detail;
        Bytes records = toy_train();
        for (size_t r = 0; r < spec.records; ++r)
          records[r * 38 + 37] = static_cast<uint8_t>(r % spec.widths.back());
        std::vector<float> state = program.value().initial_theta();
        state.resize(program.value().state_floats());
        emulated_device().schedule.order = cudasim::Order::greedy;
        const auto cpu = engine_of("cpu", program.value(), records, state);
        const auto cuda = engine_of("cuda:0", program.value(), records, state);
        ASSERT_TRUE(cpu != nullptr && cuda != nullptr);
        for (uint32_t step = 0; step < 2; ++step)
          expect_same_step(*cpu, *cuda, program.value(), step);
        expect_same_state(*cpu, *cuda, program.value());
      }
    }
  }
}

}  // namespace
}  // namespace gemmine::test
