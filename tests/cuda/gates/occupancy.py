"""How many blocks of a kernel one multiprocessor holds, from what ptxas says about it."""
import collections

KIB = 1024
Limits = collections.namedtuple(
    "Limits", "threads blocks shared_sm shared_block shared_reserved")
# CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
LIMITS = {
    75: Limits(1024, 16, 64 * KIB, 64 * KIB, 0),
    80: Limits(2048, 32, 164 * KIB, 163 * KIB, KIB),
    86: Limits(1536, 16, 100 * KIB, 99 * KIB, KIB),
    89: Limits(1536, 24, 100 * KIB, 99 * KIB, KIB),
    90: Limits(2048, 32, 228 * KIB, 227 * KIB, KIB),
    100: Limits(2048, 32, 228 * KIB, 227 * KIB, KIB),
    120: Limits(1536, 24, 100 * KIB, 99 * KIB, KIB),
}
SCHEDULERS, REGISTERS_PER_SCHEDULER, REGISTER_GRAIN = 4, 16384, 256


def blocks_per_sm(architecture, registers, threads, shared):
    """Blocks one multiprocessor can hold; 0: the kernel cannot be launched there."""
    limits = LIMITS[architecture]
    warps = (threads + 31) // 32
    if shared > limits.shared_block or threads > 1024:
        return 0
    per_warp = -(-registers * 32 // REGISTER_GRAIN) * REGISTER_GRAIN
    by_registers = SCHEDULERS * (REGISTERS_PER_SCHEDULER // per_warp) // warps
    by_shared = limits.shared_sm // max(shared + limits.shared_reserved, 1)
    return min(limits.blocks, by_registers, limits.threads // (32 * warps), by_shared)


def warps_share(architecture, blocks, threads):
    """Resident warps of those the multiprocessor could hold, in per cent."""
    return 100 * blocks * ((threads + 31) // 32) * 32 // LIMITS[architecture].threads
