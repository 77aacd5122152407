#include "kernels/engines.h"

#include <new>

#include "kernels/base/thread_pool.h"
#include "kernels/cpu/gpt_engine.h"
#include "kernels/cpu/mlp_engine.h"
#include "kernels/cpu/product_cpu.h"
#include "kernels/cuda/host/plugin_loader.h"
#include "kernels/engine_check.h"
#include "kernels/reference/gpt.h"
#include "kernels/reference/mlp.h"

namespace gemmine::kernels {
namespace {

constexpr std::string_view kCheckPrefix = "check:";

Status check_tokens(const Program& program, ByteView data) {
  const GptShape& gpt = program.spec().gpt;
  for (uint64_t i = 0; i < data.size() / gpt.token_bytes; ++i) {
    const uint32_t token = gpt.token_of(data, i);
    if (token >= gpt.vocabulary)
      return Error{Errc::invalid_argument, "tokens: number " + std::to_string(i) + " is " +
                                               std::to_string(token) + ", the vocabulary has " +
                                               std::to_string(gpt.vocabulary)};
  }
  return Ok{};
}

// Once per engine, so that no step has to look at a label again.
Status check_labels(const Program& program, ByteView records) {
  if (program.is_gpt()) return check_tokens(program, records);
  const size_t record_bytes = program.record_bytes();
  const uint32_t classes = program.spec().widths.back();
  for (size_t i = 0; i * record_bytes < records.size(); ++i) {
    const uint32_t label = program.label_of(records.subspan(i * record_bytes, record_bytes));
    if (label >= classes)
      return Error{Errc::invalid_argument, "records: record " + std::to_string(i) + " has label " +
                                               std::to_string(label) + ", there are " +
                                               std::to_string(classes) + " classes"};
  }
  return Ok{};
}

Result<std::unique_ptr<Engine>> build(std::string_view name, const Program& program,
                                      ByteView records, int threads) {
  const bool gpt = program.is_gpt();
  if (gpt && name == "reference") return {std::make_unique<GptReferenceEngine>(program, records)};
  if (gpt && name == "cpu") return {std::make_unique<GptCpuEngine>(program, records, threads)};
  if (name == "cpu") return {std::make_unique<CpuEngine>(program, records, threads)};
  if (name == "reference") return {std::make_unique<ReferenceEngine>(program, records)};
  if (const auto device = cuda_number(name)) return make_cuda_engine(*device, program, records);
  if (name.starts_with(kCheckPrefix)) {
    auto checked = build(name.substr(kCheckPrefix.size()), program, records, threads);
    if (!checked) return checked.error();
    auto reference = build("reference", program, records, threads);
    if (!reference) return reference.error();
    return {std::make_unique<CheckEngine>(program, std::move(reference.value()),
                                          std::move(checked.value()))};
  }
  return Error{Errc::unsupported,
               "engine: \"" + std::string(name) +
                   "\" is not one of cpu, cuda:<number>, reference, check:<engine>"};
}

// boundary: the standard library throws when memory or threads run out.
template <class F>
auto without_exceptions(F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return Error{Errc::out_of_memory, "engine: the model and batch do not fit into memory"};
  } catch (const std::exception& error) {
    return Error{Errc::unsupported, std::string("engine: ") + error.what()};
  }
}

}  // namespace

Result<std::unique_ptr<Engine>> make_engine(std::string_view name, const Program& program,
                                            ByteView train_records, int threads) {
  if (threads < 1 || threads > kPoolThreadsMax)
    return Error{Errc::invalid_argument, "threads must be in 1 … 1024"};
  if (train_records.size() != program.data_bytes(program.spec().records))
    return Error{Errc::invalid_argument,
                 "records: " + std::to_string(train_records.size()) + " bytes are not " +
                     std::to_string(program.spec().records) + " records of " +
                     std::to_string(program.data_bytes(1))};
  if (Status status = check_labels(program, train_records); !status) return status.error();
  return without_exceptions([&] { return build(name, program, train_records, threads); });
}

namespace {

Status check_records(const Program& program, ByteView records, int threads) {
  if (threads < 1 || threads > kPoolThreadsMax)
    return Error{Errc::invalid_argument, "threads must be in 1 … 1024"};
  if (records.size() % program.data_bytes(1) != 0)
    return Error{Errc::invalid_argument, "records: not a whole number of them"};
  return check_labels(program, records);
}

}  // namespace

Result<Evaluation> evaluate(const Program& program, std::span<const float> theta,
                            ByteView test_records, int threads) {
  if (Status good = check_records(program, test_records, threads); !good) return good.error();
  return without_exceptions([&]() -> Result<Evaluation> {
    if (program.is_gpt())
      return GptCpuEngine(program, test_records, threads).evaluate(theta, test_records);
    CpuEngine engine(program, test_records, threads);
    return engine.evaluate(theta, test_records);
  });
}

Result<std::vector<float>> predict(const Program& program, std::span<const float> theta,
                                   ByteView records, int threads) {
  GEMMINE_CHECK(!program.is_gpt());
  if (Status good = check_records(program, records, threads); !good) return good.error();
  return without_exceptions([&] {
    CpuEngine engine(program, records, threads);
    return engine.predict(theta, records);
  });
}

Result<std::unique_ptr<DeviceProduct>> make_device_product(std::string_view device,
                                                           const StepProduct& product,
                                                           int threads) {
  try {
    if (device == "cpu") return make_cpu_product(product, threads);
    if (const auto number = cuda_number(device)) return make_cuda_product(*number, product);
  } catch (const std::bad_alloc&) {
    return Error{Errc::out_of_memory, "product: its operands do not fit into memory"};
  }
  return Error{Errc::unsupported, "products are timed on cpu and cuda:<number>, not on \"" +
                                      std::string(device) + "\""};
}

}  // namespace gemmine::kernels
