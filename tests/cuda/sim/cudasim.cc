// The fiber engine. Never compiled with -fsanitize=thread: its own state is not GPU memory.
#include "tests/cuda/sim/cudasim.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <sys/mman.h>

#if defined(CUDASIM_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif

extern "C" {
// Boost.Context, by its C interface.
struct FiberTransfer {
  void* context;
  void* data;
};
FiberTransfer jump_fcontext(void* to, void* data);
void* make_fcontext(void* stack_top, size_t stack_bytes, void (*entry)(FiberTransfer));
#if defined(CUDASIM_TSAN)
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* at);
void __tsan_release(void* at);
#endif
}

namespace cudasim {
namespace {

constexpr size_t kStackBytes = size_t{128} << 10;
constexpr int kGroupsPerWarp = 4;

void acquire([[maybe_unused]] void* at) {
#if defined(CUDASIM_TSAN)
  __tsan_acquire(at);
#endif
}
void release([[maybe_unused]] void* at) {
#if defined(CUDASIM_TSAN)
  __tsan_release(at);
#endif
}

struct Group {
  uint32_t mask = 0;
  uint32_t arrived = 0;
  const void* in[32];
  void* out[32];
  Location where;
  Collective operation = nullptr;
};

struct Fiber : Thread {
  void* context = nullptr;
  char* stack = nullptr;
  bool done = false;
  Location where;
  void* asan = nullptr;
  void* tsan = nullptr;
};

struct Machine {
  std::vector<std::unique_ptr<Fiber>> fibers;
  Fiber main;
  std::vector<Group> groups;  // kGroupsPerWarp for each warp
  std::vector<uint64_t> runnable;
  unsigned threads = 0;
  unsigned live = 0;
  unsigned ready = 0;
  unsigned at_barrier = 0;
  unsigned generation = 0;
  Location barrier;
  char ordering[2] = {};  // two addresses for TSan, taken in turn by barriers
  const std::function<void()>* kernel = nullptr;
  Schedule schedule;
  std::mt19937_64 random;
  std::vector<unsigned> priority;  // of warps, when greedy
  bool from_top = false;

  void set(unsigned i) {
    runnable[i / 64] |= uint64_t{1} << (i % 64);
    ++ready;
  }
  void clear(unsigned i) {
    runnable[i / 64] &= ~(uint64_t{1} << (i % 64));
    --ready;
  }
  bool is_runnable(unsigned i) const { return (runnable[i / 64] >> (i % 64) & 1) != 0; }
  void shuffle() {
    std::shuffle(priority.begin(), priority.end(), random);
    from_top = (random() & 1) != 0;
  }
};
Machine* machine = nullptr;

void switch_to(Fiber* to, [[maybe_unused]] bool dying = false) {
  auto* const from = static_cast<Fiber*>(current);
  if (to == from) return;
  current = to;
  ++counts.switches;
#if defined(CUDASIM_ASAN)
  __sanitizer_start_switch_fiber(dying ? nullptr : &from->asan, to->stack,
                                 to == &machine->main ? 0 : kStackBytes);
#endif
#if defined(CUDASIM_TSAN)
  __tsan_switch_to_fiber(to->tsan, 1);  // 1: the switch itself orders nothing
#endif
  const FiberTransfer back = jump_fcontext(to->context, from);
  static_cast<Fiber*>(back.data)->context = back.context;
#if defined(CUDASIM_ASAN)
  __sanitizer_finish_switch_fiber(from->asan, nullptr, nullptr);
#endif
}

[[noreturn]] void deadlock() {
  std::fprintf(stderr, "cudasim: deadlock in block (%u,%u): %u live threads, none can run\n",
               block_index.x, block_index.y, machine->live);
  int shown = 0;
  for (const auto& fiber : machine->fibers) {
    if (fiber->done || shown++ >= 4) continue;
    std::fprintf(stderr, "  thread %u waits at %s:%u\n", fiber->linear, fiber->where.file_name(),
                 fiber->where.line());
  }
  std::fflush(stderr);
  std::_Exit(kDeadlockExit);
}

Fiber* any_runnable(Machine& m) {
  unsigned k = static_cast<unsigned>(m.random() % m.ready);
  for (size_t w = 0;; ++w) {
    const auto here = static_cast<unsigned>(std::popcount(m.runnable[w]));
    if (k >= here) {
      k -= here;
      continue;
    }
    uint64_t bits = m.runnable[w];
    for (; k > 0; --k)
      bits &= bits - 1;
    return m.fibers[w * 64 + static_cast<size_t>(std::countr_zero(bits))].get();
  }
}

Fiber* of_first_warp(Machine& m) {
  if ((m.random() & 63) == 0) m.shuffle();
  for (const unsigned warp : m.priority) {
    const auto bits = static_cast<uint32_t>(m.runnable[warp / 2] >> (warp % 2 * 32));
    if (bits == 0) continue;
    const int lane = m.from_top ? 31 - std::countl_zero(bits) : std::countr_zero(bits);
    return m.fibers[warp * 32 + static_cast<unsigned>(lane)].get();
  }
  deadlock();
}

Fiber* next() {
  Machine& m = *machine;
  if (m.ready == 0) {
    if (m.live == 0) return &m.main;
    deadlock();
  }
  if (m.schedule.order == Order::random) return any_runnable(m);
  if (m.schedule.order == Order::greedy) return of_first_warp(m);
  const unsigned first = current == &m.main ? 0 : (current->linear + 1) % m.threads;
  const size_t words = m.runnable.size();
  size_t w = first / 64;
  uint64_t bits = m.runnable[w] & (~uint64_t{0} << (first % 64));
  while (bits == 0) {
    w = (w + 1) % words;
    bits = m.runnable[w];
  }
  return m.fibers[w * 64 + static_cast<size_t>(std::countr_zero(bits))].get();
}

void release_barrier() {
  Machine& m = *machine;
  m.at_barrier = 0;
  ++m.generation;
  ++counts.barriers;
  for (unsigned i = 0; i < m.threads; ++i) {
    if (!m.fibers[i]->done && !m.is_runnable(i)) m.set(i);
  }
}

void run_fiber(FiberTransfer from) {
  static_cast<Fiber*>(from.data)->context = from.context;
  auto* const me = static_cast<Fiber*>(current);
#if defined(CUDASIM_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  Machine& m = *machine;
  acquire(&m.main);
  (*m.kernel)();
  release(&m.threads);
  if (!me->copies.empty()) fail("cp.async still in flight when the thread exits", me->where);
  me->done = true;
  --m.live;
  m.clear(me->linear);
  // Threads that have exited no longer count for a barrier.
  if (m.live > 0 && m.at_barrier == m.live) release_barrier();
  switch_to(next(), true);
  __builtin_unreachable();
}

// Stacks of earlier launches; mapping them anew would cost more than most kernels.
std::vector<char*> spare_stacks;

char* new_stack() {
  if (!spare_stacks.empty()) {
    char* const stack = spare_stacks.back();
    spare_stacks.pop_back();
    return stack;
  }
  void* const at = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) std::abort();
  return static_cast<char*>(at);
}

void run_block(Machine& m) {
  m.live = m.ready = m.at_barrier = 0;
  std::fill(m.runnable.begin(), m.runnable.end(), 0);
  for (unsigned i = 0; i < m.threads; ++i) {
    Fiber& fiber = *m.fibers[i];
    fiber.linear = i;
    fiber.lane = i % 32;
    fiber.warp = i / 32;
    fiber.done = false;
    fiber.copies.clear();
    fiber.groups.clear();
    fiber.index = {i % block_size.x, i / block_size.x % block_size.y,
                   i / (block_size.x * block_size.y)};
    fiber.context = make_fcontext(fiber.stack + kStackBytes, kStackBytes, run_fiber);
#if defined(CUDASIM_TSAN)
    if (fiber.tsan == nullptr) fiber.tsan = __tsan_create_fiber(0);
#endif
    release(&m.main);  // a launch happens before its threads
    ++m.live;
    m.set(i);
  }
  m.shuffle();
  switch_to(next());
}

Group& join(Machine& m, const Fiber& me, uint32_t mask, Collective operation,
            const Location& where) {
  Group* const groups = &m.groups[size_t{me.warp} * kGroupsPerWarp];
  for (int s = 0; s < kGroupsPerWarp; ++s) {
    if (groups[s].arrived != 0 && groups[s].mask == mask) return groups[s];
  }
  for (int s = 0; s < kGroupsPerWarp; ++s) {
    Group& group = groups[s];
    if (group.arrived == 0) {
      group.mask = mask;
      group.where = where;
      group.operation = operation;
      return group;
    }
    if ((group.mask & mask) != 0) fail("warp operation: overlapping masks that differ", where);
  }
  fail("warp operation: too many masks at once", where);
}

}  // namespace

void fail(const char* what, const Location& where) {
  std::fprintf(stderr, "cudasim: block (%u,%u) thread %u at %s:%u: %s\n", block_index.x,
               block_index.y, current != nullptr ? current->linear : 0, where.file_name(),
               where.line(), what);
  std::fflush(stderr);
  std::_Exit(kFailedExit);
}

void warp_collective(uint32_t mask, const void* in, void* out, Collective operation,
                     const Location& where) {
  Machine& m = *machine;
  auto* const me = static_cast<Fiber*>(current);
  me->where = where;
  if ((mask >> me->lane & 1) == 0)
    fail("warp operation: the calling lane is not in its own mask", where);
  Group& group = join(m, *me, mask, operation, where);
  if (group.operation != operation || group.where.line() != where.line())
    fail("warp operation: lanes of one warp are at different instructions", where);
  group.in[me->lane] = in;
  group.out[me->lane] = out;
  group.arrived |= 1U << me->lane;
  if (operation == nullptr) release(&group);  // only __syncwarp orders memory
  if (group.arrived != mask) {
    m.clear(me->linear);
    switch_to(next());
  } else {
    if (operation != nullptr) operation(mask, group.in, group.out);
    group.arrived = 0;
    for (unsigned l = 0; l < 32; ++l) {
      if ((mask >> l & 1) != 0 && l != me->lane) m.set(me->warp * 32 + l);
    }
    if (m.schedule.order == Order::random) switch_to(next());
  }
  if (operation == nullptr) acquire(&group);
}

void block_barrier(const Location& where) {
  Machine& m = *machine;
  auto* const me = static_cast<Fiber*>(current);
  me->where = where;
  if (m.at_barrier > 0 && m.barrier.line() != where.line())
    fail("__syncthreads: threads of one block are at different barriers", where);
  m.barrier = where;
  char* const ordering = &m.ordering[m.generation & 1];
  release(ordering);
  m.clear(me->linear);
  if (++m.at_barrier == m.live) release_barrier();
  if (!m.is_runnable(me->linear) || m.schedule.order != Order::in_order) switch_to(next());
  acquire(ordering);
}

void launch(Dim grid, Dim block, size_t shared_bytes, const std::function<void()>& kernel,
            const Schedule& schedule) {
  block_size = block;
  grid_size = grid;
  Machine m;
  machine = &m;
  current = &m.main;
  m.kernel = &kernel;
  m.schedule = schedule;
  m.threads = block.x * block.y * block.z;
  m.runnable.resize((m.threads + 63) / 64);
  m.groups.resize(size_t{(m.threads + 31) / 32} * kGroupsPerWarp);
  m.priority.resize((m.threads + 31) / 32);
  std::iota(m.priority.begin(), m.priority.end(), 0U);
  m.random.seed(schedule.seed);
#if defined(CUDASIM_TSAN)
  m.main.tsan = __tsan_get_current_fiber();
#endif
  std::vector<std::unique_ptr<Fiber>> retired;
  const auto renew = [&] {
    for (auto& fiber : m.fibers)
      retired.push_back(std::move(fiber));
    m.fibers.clear();
    for (unsigned i = 0; i < m.threads; ++i) {
      m.fibers.push_back(std::make_unique<Fiber>());
      m.fibers.back()->stack = new_stack();
    }
  };
  renew();
  std::vector<unsigned> blocks(size_t{grid.x} * grid.y * grid.z);
  std::iota(blocks.begin(), blocks.end(), 0U);
  if (schedule.order != Order::in_order) std::shuffle(blocks.begin(), blocks.end(), m.random);
  std::vector<void*> kept;
  for (const unsigned b : blocks) {
    block_index = {b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y)};
    // A fresh piece for each block, so that AddressSanitizer sees its end; it starts as garbage.
    void* memory = nullptr;
    if (posix_memalign(&memory, 128, std::max<size_t>(shared_bytes, 1)) != 0) std::abort();
    std::memset(memory, 0xb7, shared_bytes);
    dynamic_shared = static_cast<unsigned char*>(memory);
    kept.push_back(memory);
    run_block(m);
    if (schedule.blocks_unordered) {
      renew();  // nothing of one block may be reused by the next
    } else {
      acquire(&m.threads);
      std::free(memory);
      kept.pop_back();
    }
  }
  acquire(&m.threads);
  for (void* memory : kept)
    std::free(memory);
#if defined(CUDASIM_TSAN)
  for (const auto* fibers : {&m.fibers, &retired}) {
    for (const auto& fiber : *fibers) {
      if (fiber->tsan != nullptr) __tsan_destroy_fiber(fiber->tsan);
    }
  }
#endif
  for (const auto& fiber : m.fibers)
    spare_stacks.push_back(fiber->stack);
  for (const auto& fiber : retired)
    munmap(fiber->stack, kStackBytes);
  machine = nullptr;
  current = nullptr;
}

}  // namespace cudasim
