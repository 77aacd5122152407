"""BLAKE3 (plain, keyed, derive-key), its chunk tree and multiproofs (PROTOCOL 1.2, 1.3, 4.5)."""
import struct

import numpy as np

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB,
      0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
KEYED_HASH, DERIVE_KEY_CONTEXT, DERIVE_KEY_MATERIAL = 16, 32, 64
CHUNK = 1024
MASK = 0xFFFFFFFF
VECTOR_MIN = 8  # below this many inputs at once plain integers are quicker than arrays


def _schedule():
    rounds, order = [], tuple(range(16))
    for _ in range(7):
        rounds.append(order)
        order = tuple(order[i] for i in PERMUTATION)
    return rounds


SCHEDULE = _schedule()
COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def compress(cv, words, counter, length, flags):
    """The compression function; returns the first eight words of the output."""
    v = list(cv) + list(IV[:4]) + [counter & MASK, counter >> 32, length, flags]
    for order in SCHEDULE:
        i = 0
        for a, b, c, d in COLUMNS:
            va, vb, vc, vd = v[a], v[b], v[c], v[d]
            va = (va + vb + words[order[i]]) & MASK
            vd ^= va
            vd = (vd >> 16) | ((vd << 16) & MASK)
            vc = (vc + vd) & MASK
            vb ^= vc
            vb = (vb >> 12) | ((vb << 20) & MASK)
            va = (va + vb + words[order[i + 1]]) & MASK
            vd ^= va
            vd = (vd >> 8) | ((vd << 24) & MASK)
            vc = (vc + vd) & MASK
            vb ^= vc
            vb = (vb >> 7) | ((vb << 25) & MASK)
            v[a], v[b], v[c], v[d] = va, vb, vc, vd
            i += 2
    return tuple(v[i] ^ v[i + 8] for i in range(8))


def _rotate(x, n):
    return (x >> np.uint32(n)) | (x << np.uint32(32 - n))


def _mix(a, b, c, d, x, y):
    a = a + b + x
    d = _rotate(d ^ a, 16)
    c = c + d
    b = _rotate(b ^ c, 12)
    a = a + b + y
    d = _rotate(d ^ a, 8)
    c = c + d
    b = _rotate(b ^ c, 7)
    return a, b, c, d


def compress_many(cv, words, counters, length, flags):
    """compress() of n inputs at once: cv [8, n], words [16, n], counters [n]; all uint32/uint64."""
    n = words.shape[1]
    a, b = cv[:4], cv[4:]
    c = np.repeat(np.array(IV[:4], np.uint32)[:, None], n, axis=1)
    d = np.empty((4, n), np.uint32)
    d[0] = (counters & np.uint64(MASK)).astype(np.uint32)
    d[1] = (counters >> np.uint64(32)).astype(np.uint32)
    d[2], d[3] = length, flags
    for order in SCHEDULE:
        m = words[list(order)]
        a, b, c, d = _mix(a, b, c, d, m[0:8:2], m[1:8:2])
        b, c, d = b[[1, 2, 3, 0]], c[[2, 3, 0, 1]], d[[3, 0, 1, 2]]
        a, b, c, d = _mix(a, b, c, d, m[8:16:2], m[9:16:2])
        b, c, d = b[[3, 0, 1, 2]], c[[2, 3, 0, 1]], d[[1, 2, 3, 0]]
    return np.concatenate([a ^ c, b ^ d])


def _chunk_cv(key, flags, data, counter, root):
    cv, blocks = key, max(1, (len(data) + 63) // 64)
    for i in range(blocks):
        block = data[64 * i:64 * i + 64]
        f = flags | (CHUNK_START if i == 0 else 0)
        if i == blocks - 1:
            f |= CHUNK_END | (ROOT if root else 0)
        words = struct.unpack("<16I", block.ljust(64, b"\0"))
        cv = compress(cv, words, counter, len(block), f)
    return cv


def _full_chunk_cvs(key, flags, data, counters):
    n = len(counters)
    words = np.frombuffer(data, "<u4", n * 256).astype(np.uint32).reshape(n, 16, 16)
    cv = np.repeat(np.array(key, np.uint32)[:, None], n, axis=1)
    for i in range(16):
        f = flags | (CHUNK_START if i == 0 else 0) | (CHUNK_END if i == 15 else 0)
        cv = compress_many(cv, np.ascontiguousarray(words[:, i].T), counters, 64, f)
    return [tuple(int(w) for w in cv[:, i]) for i in range(n)]


def chunk_count(length):
    return max(1, (length + CHUNK - 1) // CHUNK)


def left_chunks(chunks):
    """Chunks of the left child: the largest power of two that is less than `chunks`."""
    return 1 << ((chunks - 1).bit_length() - 1)


def pack(cv):
    return struct.pack("<8I", *cv)


def unpack(digest):
    return struct.unpack("<8I", digest)


class Mode:
    """One keying of BLAKE3: a key (eight words) and the flags that every node carries."""

    def __init__(self, key, flags):
        self.key, self.flags = key, flags

    def chunk_cvs(self, data, first=0):
        """Chaining values (no ROOT flag) of the chunks of data, which starts at chunk `first`."""
        full, cvs = len(data) // CHUNK, []
        if full >= VECTOR_MIN:
            counters = np.arange(first, first + full, dtype=np.uint64)
            cvs = _full_chunk_cvs(self.key, self.flags, data, counters)
        return self._finish_cvs(cvs, data, first)

    def selected_cvs(self, data, indices):
        """Chaining values of the chunks with these indices, whose bytes follow each other."""
        full, cvs = len(data) // CHUNK, []
        if full >= VECTOR_MIN:
            cvs = _full_chunk_cvs(self.key, self.flags, data, np.array(indices[:full], np.uint64))
        for i in range(len(cvs), len(indices)):
            piece = data[CHUNK * i:CHUNK * i + CHUNK]
            cvs.append(_chunk_cv(self.key, self.flags, piece, indices[i], False))
        return cvs

    def _finish_cvs(self, cvs, data, first):
        for i in range(len(cvs), chunk_count(len(data))):
            piece = data[CHUNK * i:CHUNK * i + CHUNK]
            cvs.append(_chunk_cv(self.key, self.flags, piece, first + i, False))
        return cvs

    def parents(self, lefts, rights, root=False):
        f = self.flags | PARENT | (ROOT if root else 0)
        if len(lefts) < VECTOR_MIN:
            return [compress(self.key, l + r, 0, 64, f) for l, r in zip(lefts, rights)]
        n = len(lefts)
        words = np.concatenate([np.array(lefts, np.uint32).T, np.array(rights, np.uint32).T])
        cv = np.repeat(np.array(self.key, np.uint32)[:, None], n, axis=1)
        out = compress_many(cv, words, np.zeros(n, np.uint64), 64, f)
        return [tuple(int(w) for w in out[:, i]) for i in range(n)]

    def parent(self, left, right, root=False):
        return self.parents([left], [right], root)[0]

    def hash(self, data, leaves=None):
        """`leaves`: its chunk_cvs, where they are known already."""
        data = bytes(data)
        if len(data) <= CHUNK:
            return pack(_chunk_cv(self.key, self.flags, data, 0, True))
        level = leaves or self.chunk_cvs(data)
        while len(level) > 2:  # pairs from the left; an odd one rises: the same tree as 4.5's
            pairs = len(level) // 2
            up = self.parents(level[0:2 * pairs:2], level[1:2 * pairs:2])
            level = up + level[2 * pairs:]
        return pack(self.parent(level[0], level[1], root=True))

    def hash_all(self, strings):
        """hash() of each: their full chunks go through compress_many together."""
        full = [len(data) // CHUNK for data in strings]
        counters = np.concatenate([np.arange(n, dtype=np.uint64) for n in full])
        whole = b"".join(data[:CHUNK * n] for data, n in zip(strings, full))
        cvs, out = iter(_full_chunk_cvs(self.key, self.flags, whole, counters)), []
        for data, n in zip(strings, full):
            leaves = [next(cvs) for _ in range(n)]
            out.append(self.hash(data, self._finish_cvs(leaves, data, 0)))
        return out


PLAIN = Mode(IV, 0)


def keyed(key):
    return Mode(unpack(key), KEYED_HASH)


def b3(data):
    return PLAIN.hash(data)


def b3k(key, data):
    return keyed(key).hash(data)


_contexts = {}


def b3d(context, material):
    """derive_key; `context` is the whole string, without our prefix."""
    if context not in _contexts:
        _contexts[context] = Mode(IV, DERIVE_KEY_CONTEXT).hash(context.encode())
    return Mode(unpack(_contexts[context]), DERIVE_KEY_MATERIAL).hash(material)


def domain(word, material=b""):
    """b3d with the contexts of PROTOCOL 1.3."""
    return b3d("gemmine 2026-11-22 " + word, material)


# Multiproofs (PROTOCOL 4.5). `ranges` are sorted disjoint (first, last) of chunks, last exclusive.

def _touched(ranges, first, last):
    return any(a < last and first < b for a, b in ranges)


class Tree:
    """All nodes of one byte string under one mode, to take siblings from."""

    def __init__(self, mode, data):
        self.mode, self.data = mode, bytes(data)
        self.chunks = chunk_count(len(data))
        self.leaves = mode.chunk_cvs(self.data)
        self.nodes = {}

    def root(self):
        return self.mode.hash(self.data)

    def node(self, first, last):
        if last - first == 1:
            return self.leaves[first]
        if (first, last) not in self.nodes:
            middle = first + left_chunks(last - first)
            self.nodes[first, last] = self.mode.parent(self.node(first, middle),
                                                       self.node(middle, last))
        return self.nodes[first, last]

    def siblings(self, ranges):
        out = []

        def walk(first, last):
            if not _touched(ranges, first, last):
                out.append(pack(self.node(first, last)))
            elif last - first > 1:
                middle = first + left_chunks(last - first)
                walk(first, middle)
                walk(middle, last)
        walk(0, self.chunks)
        return out

    def selected(self, ranges):
        return b"".join(self.data[CHUNK * a:CHUNK * b] for a, b in ranges)


def sibling_count(total, ranges):
    def walk(first, last):
        if not _touched(ranges, first, last):
            return 1
        if last - first == 1:
            return 0
        middle = first + left_chunks(last - first)
        return walk(first, middle) + walk(middle, last)
    return walk(0, chunk_count(total))


def selected_bytes(total, ranges):
    return sum(min(total, CHUNK * b) - CHUNK * a for a, b in ranges)


def proof_root(mode, total, ranges, siblings, selected):
    """The root that the selected chunks and their siblings give; lengths must fit already."""
    assert len(siblings) == sibling_count(total, ranges)
    assert len(selected) == selected_bytes(total, ranges)
    chunks, queue = chunk_count(total), list(siblings)
    if chunks == 1:
        return mode.hash(selected)
    leaves = iter(mode.selected_cvs(selected, [c for a, b in ranges for c in range(a, b)]))

    def walk(first, last):
        if not _touched(ranges, first, last):
            return unpack(queue.pop(0))
        if last - first == 1:
            return next(leaves)
        middle = first + left_chunks(last - first)
        left = walk(first, middle)
        right = walk(middle, last)
        return mode.parent(left, right, root=(first, last) == (0, chunks))
    return pack(walk(0, chunks))
