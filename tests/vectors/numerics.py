"""Numerics GN-1 (PROTOCOL 1.5, 2).

Every float operation is one NumPy operation on float32 arrays: NumPy rounds each on its own, keeps
denormals and does not contract. No np.sum, np.dot or Python float touches a float tensor: their
order and precision are not ours.
"""
import numpy as np

F = np.float32
U32 = np.uint32
U64 = np.uint64


class InvalidStep(Exception):
    """A NaN or infinity where PROTOCOL 2.1 forbids it."""


def f32(value):
    """The float32 of a hexadecimal literal that is exactly one."""
    exact = float.fromhex(value)
    assert float(F(exact)) == exact, value
    return F(exact)


def bits(x):
    return np.ascontiguousarray(x, F).view(U32)


def from_bits(x):
    return np.ascontiguousarray(x, U32).view(F)


def require_finite(*arrays):
    for a in arrays:
        if not np.isfinite(a).all():
            raise InvalidStep()


# Philox4x32-7 (1.5)

def philox(seed, c0, c1, c2, c3):
    """Four uint32 arrays; the counters broadcast."""
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(c, U64) for c in (c0, c1, c2, c3)))
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    low, half = U64(0xFFFFFFFF), U64(32)
    for _ in range(7):
        p0, p1 = U64(0xD2511F53) * c0, U64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = ((p1 >> half) ^ c1 ^ U64(k0), p1 & low,
                          (p0 >> half) ^ c3 ^ U64(k1), p0 & low)
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return tuple(c.astype(U32) for c in (c0, c1, c2, c3))


# Numbers (2)

def rni(x):
    """Nearest integer, ties to even, for |x| < 2^22; int32."""
    return bits(x + f32("0x1.8p23")).view(np.int32) - np.int32(0x4B400000)


def scale_of_max(a):
    """(s, inv) of an array of group maxima."""
    small = a <= f32("0x1p-100")
    safe = np.where(small, F(63), a)
    s = safe / F(63)
    inv = F(1) / s
    return np.where(small, F(0), s), np.where(small, F(0), inv)


def group_max(v, axis):
    return from_bits((bits(v) & U32(0x7FFFFFFF)).max(axis=axis))


def round_nearest(v, inv):
    return np.clip(rni(v * inv), -63, 63).astype(np.int8)


def stochastic_round(v, inv, u):
    scaled = (v * inv) * F(65536)
    return np.clip((rni(scaled) + u.astype(np.int32)) >> 16, -63, 63).astype(np.int8)


def stochastic_bits(sr_seed, rows, cols, total_cols, tensor_id, step_id):
    """u (2.5) of the elements rows × cols of a tensor with total_cols columns."""
    r, c = np.asarray(rows, np.int64)[:, None], np.asarray(cols, np.int64)[None, :]
    group, half, word, lane = c // 128, c % 128 // 64, c % 64 // 16, c % 16
    counter = (r * ((total_cols + 127) // 128) + group) * 16 + lane
    w = np.choose(np.broadcast_to(word, counter.shape),
                  philox(sr_seed, counter, tensor_id, step_id, 0x5352))
    return np.where(half == 0, w & U32(0xFFFF), w >> U32(16))


def polynomial(p, x, coefficients):
    for c in coefficients:
        p = p * x + f32(c) if c[0] != "-" else p * x - f32(c[1:])
    return p


def exp(x):
    x = np.where(x > F(88), F(88), x)
    x = np.where(x < F(-87), F(-87), x)
    n = rni(x * f32("0x1.715476p+0"))
    f = n.astype(F)
    r = (x - f * f32("0x1.63p-1")) + f * f32("0x1.bd0106p-13")
    p = polynomial(f32("0x1.a0d2cep-13"), r,
                   ("0x1.6e879cp-10", "0x1.11121p-7", "0x1.555382p-5", "0x1.555554p-3", "0x1p-1"))
    y = (p * (r * r) + r) + F(1)
    return y * from_bits((n + np.int32(127)).astype(U32) << U32(23))


def log(x):
    e = (bits(x) >> U32(23)).astype(np.int32) - np.int32(126)
    m = from_bits((bits(x) & U32(0x807FFFFF)) | U32(126 << 23))
    small = m < f32("0x1.6a09e6p-1")
    e = np.where(small, e - np.int32(1), e)
    m = np.where(small, (m + m) - F(1), m - F(1))
    z = m * m
    p = polynomial(f32("0x1.204376p-4"), m,
                   ("-0x1.d7a37p-4", "0x1.de4a34p-4", "-0x1.fcba9ep-4", "0x1.23d37ep-3",
                    "-0x1.555cap-3", "0x1.999d58p-3", "-0x1.fffff8p-3", "0x1.555554p-2"))
    y = (p * m) * z
    y = y - e.astype(F) * f32("0x1.bd0106p-13")
    y = y - F(0.5) * z
    y = m + y
    return y + e.astype(F) * f32("0x1.63p-1")


def rowsum(x):
    """Along the last axis (2.8)."""
    lanes = np.zeros(x.shape[:-1] + (32,), F)
    for first in range(0, x.shape[-1], 32):
        part = x[..., first:first + 32]
        lanes[..., :part.shape[-1]] += part
    for s in (16, 8, 4, 2, 1):
        lanes[..., :s] += lanes[..., s:2 * s]
    return lanes[..., 0].copy()


def longsum(x):
    while len(x) > 4096:
        x = np.array([rowsum(x[i:i + 4096]) for i in range(0, len(x), 4096)], F)
    return rowsum(x)


def run_sums(x):
    """The p of colsum, by runs of 32 rows."""
    out = []
    for first in range(0, len(x), 32):
        p = np.zeros(x.shape[1:], F)
        for row in x[first:first + 32]:
            p = p + row
        out.append(p)
    return np.array(out, F)


def sum_of_runs(parts):
    acc = np.zeros(parts.shape[1:], F)
    for p in parts:
        acc = acc + p
    return acc


def colsum(x):
    return sum_of_runs(run_sums(x))


def product(a, b):
    """Σ_k a[i, k]·b[j, k] as float32 (2.9): exact in int64, and converted once."""
    return np.matmul(a.astype(np.int64), b.astype(np.int64).T).astype(np.int32).astype(F)
