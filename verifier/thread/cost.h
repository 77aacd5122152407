// What a thread costs, by closed forms of the job's shape (PROTOCOL 11.11).
#pragma once

#include <cstdint>

#include "kernels/model/program.h"

namespace gemmine::verifier {

// Bytes of an answer that asks for `blocks` blocks, as they are on average; and what no honest
// answer exceeds, whatever is drawn.
uint64_t thread_bytes(const kernels::Program& program, uint32_t steps, uint16_t blocks);
uint64_t thread_bytes_max(const kernels::Program& program, uint32_t steps, uint16_t blocks);

// Multiply-accumulates of an auditor's check. What it hashes goes with thread_bytes().
uint64_t thread_work(const kernels::Program& program, uint32_t steps, uint16_t blocks);

// Multiply-accumulates that a pool's core does while a byte of an answer comes in at 100 Mbit/s.
inline constexpr uint64_t kMacsPerByte = 16384;
// Whether a lease of `steps` steps is cheaper to check by a thread than to run again: a ticket for
// a thread is a replay where it is not.
bool thread_pays(const kernels::Program& program, uint32_t steps);

}  // namespace gemmine::verifier
