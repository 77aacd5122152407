// Preloaded into a peer, so that it takes its AVX2 path on a CPU that has more: cpuid traps, and
// answers what it did before, less AVX-512. Linux on x86-64 with cpuid faulting; elsewhere it says
// so and ends the process, for a measurement of the wrong path would be worse than none.
#include <array>
#include <asm/prctl.h>
#include <cpuid.h>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

namespace {

using Leaf = std::array<unsigned, 4>;
constexpr unsigned kLeaves = 32;
constexpr unsigned kSubleaves = 4;
constexpr unsigned kExtendedLeaves = 16;
constexpr unsigned kExtended = 0x80000000;
// Leaf 7: AVX512F, DQ, IFMA, PF, ER, CD, BW, VL; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ.
constexpr unsigned kAvx512Ebx =
    1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31;
constexpr unsigned kAvx512Ecx = 1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14;

Leaf leaves[kLeaves][kSubleaves];
Leaf extended[kExtendedLeaves];

Leaf answer(unsigned leaf, unsigned subleaf) {
  if (leaf < kLeaves) return subleaf < kSubleaves ? leaves[leaf][subleaf] : Leaf{};
  const unsigned number = leaf - kExtended;
  return leaf >= kExtended && number < kExtendedLeaves ? extended[number] : Leaf{};
}

void on_trap(int signal, siginfo_t*, void* context) {
  greg_t* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto* code = reinterpret_cast<const uint8_t*>(registers[REG_RIP]);
  if (code[0] != 0x0f || code[1] != 0xa2) {  // not cpuid: a fault of the peer's own
    std::signal(signal, SIG_DFL);
    return;
  }
  const Leaf values =
      answer(static_cast<unsigned>(registers[REG_RAX]), static_cast<unsigned>(registers[REG_RCX]));
  registers[REG_RAX] = values[0];
  registers[REG_RBX] = values[1];
  registers[REG_RCX] = values[2];
  registers[REG_RDX] = values[3];
  registers[REG_RIP] += 2;
}

__attribute__((constructor)) void hide() {
  for (unsigned leaf = 0; leaf < kLeaves; ++leaf) {
    for (unsigned sub = 0; sub < kSubleaves; ++sub) {
      Leaf& to = leaves[leaf][sub];
      __cpuid_count(leaf, sub, to[0], to[1], to[2], to[3]);
    }
  }
  for (unsigned i = 0; i < kExtendedLeaves; ++i) {
    Leaf& to = extended[i];
    __cpuid(kExtended + i, to[0], to[1], to[2], to[3]);
  }
  leaves[7][0][1] &= ~kAvx512Ebx;
  leaves[7][0][2] &= ~kAvx512Ecx;
  struct sigaction action {};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
  if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) != 0) {
    std::perror("hide_avx512: this machine cannot make cpuid trap");
    std::_Exit(1);
  }
}

}  // namespace
