// The comparison with cuBLASLt where there is no GPU: against a plain loop in its place, and how
// the plug-in says that the library is missing.
#include "kernels/cuda/host/plugin_loader.h"
#include "tests/cuda/gpu/peer_products.h"
#include "tests/cuda/sim/emulated_test.h"

namespace gemmine::test {
namespace {

namespace cuda = kernels::cuda;
using cuda::DeviceStatus;

struct LoopPlan {
  uint32_t m, n, ld;
};
bool loop_errs = false;
bool loop_refuses = false;

DeviceStatus plan(void*, uint32_t m, uint32_t n, uint32_t ld, void** out) {
  if (loop_refuses) return DeviceStatus::unsupported;
  *out = std::make_unique<LoopPlan>(LoopPlan{m, n, ld}).release();
  return DeviceStatus::ok;
}
DeviceStatus run(void* plan, const int8_t* a, const int8_t* b, int32_t* c) {
  const auto& p = *static_cast<const LoopPlan*>(plan);
  for (uint32_t i = 0; i < p.m; ++i) {
    for (uint32_t j = 0; j < p.n; ++j) {
      int32_t sum = 0;
      for (uint32_t k = 0; k < p.ld; ++k)
        sum += a[size_t{i} * p.ld + k] * b[size_t{j} * p.ld + k];
      c[size_t{i} * p.n + j] = sum;
    }
  }
  if (loop_errs) ++c[size_t{p.m - 1} * p.n + 2];
  return DeviceStatus::ok;
}
constexpr cuda::PeerApi kLoop = {
    .load = [](const char*) { return DeviceStatus::ok; },
    .version = [] { return 1U; },
    .plan = plan,
    .run = run,
    .release = [](void* plan) { std::unique_ptr<LoopPlan>(static_cast<LoopPlan*>(plan)).reset(); },
    .reason = [] { return "the loop takes no such shape"; }};

class EmulatedPeer : public EmulatedTest {
 protected:
  EmulatedPeer() {
    session_ = std::move(cuda::DeviceSession::open(emulated_api(), 0, "cuda:0").value());
    loop_errs = loop_refuses = false;
  }
  Result<std::unique_ptr<PeerProducts>> make(ProductShape shape) {
    return PeerProducts::make(*session_, kLoop, shape);
  }
  std::unique_ptr<cuda::DeviceSession> session_;
};

TEST_F(EmulatedPeer, AgreesWithOurProductAtOddSizes) {
  for (const ProductShape shape : {ProductShape{1, 4, 1}, {130, 132, 70}, {33, 8, 257}}) {
    const auto products = make(shape);
    ASSERT_TRUE(products.ok());
    const Status same = products.value()->compare();
    EXPECT_TRUE(same.ok()) << same.error().detail;
  }
}

TEST_F(EmulatedPeer, OneWrongSumIsNamedWithBothValues) {
  loop_errs = true;
  const auto products = make({33, 8, 70});
  ASSERT_TRUE(products.ok());
  const Status same = products.value()->compare();
  ASSERT_FALSE(same.ok());
  EXPECT_EQ(same.error().code, Errc::invalid);
  EXPECT_NE(same.error().detail.find("element (32, 2)"), std::string::npos) << same.error().detail;
}

TEST_F(EmulatedPeer, AShapeItCannotMultiplyIsAnError) {
  loop_refuses = true;
  const auto products = make({33, 8, 70});
  ASSERT_FALSE(products.ok());
  EXPECT_EQ(products.error().code, Errc::unsupported);
  EXPECT_EQ(products.error().detail, "the loop takes no such shape");
}

#if defined(PLUGIN)
const cuda::PeerApi& real_peer() {
  return *kernels::load_cuda_plugin(PLUGIN).value()->peer();
}

TEST(CublasPeer, ALibraryThatIsMissingIsRefusedWithItsName) {
  EXPECT_EQ(real_peer().load("/nonexistent/libcublasLt.so"), DeviceStatus::unsupported);
  const std::string why = real_peer().reason();
  EXPECT_NE(why.find("cuBLASLt"), std::string::npos) << why;
  EXPECT_TRUE(why.find("/nonexistent/libcublasLt.so") != std::string::npos ||
              why.find("without cublasLt.h") != std::string::npos)
      << why;
}

TEST(CublasPeer, AnotherLibraryIsRefused) {
  EXPECT_EQ(real_peer().load(PLUGIN_STRANGER), DeviceStatus::unsupported);
  EXPECT_NE(std::string(real_peer().reason()), "");
}

TEST(CublasPeer, LoadsWithAVersionOrSaysWhyNot) {
  const DeviceStatus status = real_peer().load(nullptr);
  if (status == DeviceStatus::ok) {
    EXPECT_GE(real_peer().version(), 120000U);
  } else {
    EXPECT_EQ(status, DeviceStatus::unsupported);
    EXPECT_STRNE(real_peer().reason(), "");
  }
}
#endif

}  // namespace
}  // namespace gemmine::test
