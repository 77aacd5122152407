// Which engines there are: the one place that knows the CPU, CUDA and the reference by name.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/engine.h"
#include "kernels/model/step_products.h"

namespace gemmine::kernels {

// name: "cpu", "cuda:0", "reference", or "check:" and another (runs the reference too, compares).
// threads: of the CPU. train_records: Spec::records × record_bytes, and must outlive the engine.
// Errors: invalid_argument (threads, the number of records, a label or token out of its range),
// unsupported, out_of_memory; a GPU's also closed (lost) and invalid (it computes other bits).
Result<std::unique_ptr<Engine>> make_engine(std::string_view name, const Program& program,
                                            ByteView train_records, int threads);

// How many records θ labels right, on the CPU (PROTOCOL 3.6, 10.12). theta: parameters() floats.
// Errors: invalid_argument, out_of_memory, invalid (NaN or infinity).
Result<Evaluation> evaluate(const Program& program, std::span<const float> theta,
                            ByteView test_records, int threads);

// What an MLP gives for each record: records × classes outputs of its last layer, before any
// softmax; the labels in the records do not matter. program is an MLP. Errors: as of evaluate.
Result<std::vector<float>> predict(const Program& program, std::span<const float> theta,
                                   ByteView records, int threads);

// device: "cpu" or "cuda:<number>"; threads: of the CPU.
// Errors: unsupported (another engine, no such device), out_of_memory, closed, invalid.
Result<std::unique_ptr<DeviceProduct>> make_device_product(std::string_view device,
                                                           const StepProduct& product, int threads);

}  // namespace gemmine::kernels
