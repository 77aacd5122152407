"""The validation loss of an exported language model, from the file alone, in NumPy and fp32.

lm_loss.py MODEL.safetensors VALIDATION.bin [--expect LOSS] [--within 1e-3] [--int8]

VALIDATION.bin is what `gemmine data JOB --out FOLDER` writes. It reads the file with a reader of
its own and shares no code with the programs: what they exported is the model that they trained.
Training evaluates in int8 (PROTOCOL 10.4); --int8 rounds the operands of every product the same
way, in floating point, and shows how much of a difference that is. Exit code 1 when the loss is
further than --within, relatively, from --expect.
"""
import argparse
import json
import pathlib
import struct
import sys

import numpy as np


def read_safetensors(path):
    raw = pathlib.Path(path).read_bytes()
    size, = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + size])
    facts = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32", name
        begin, end = entry["data_offsets"]
        part = raw[8 + size + begin:8 + size + end]
        tensors[name] = np.frombuffer(part, "<f4").reshape(entry["shape"])
    return facts, tensors


class Model:
    def __init__(self, path, int8=False):
        self.facts, self.tensors = read_safetensors(path)
        assert self.facts["architecture"] == "gpt", "not a language model"
        self.int8 = int8
        self.context, self.heads = int(self.facts["context"]), int(self.facts["heads"])
        self.blocks, self.vocabulary = int(self.facts["blocks"]), int(self.facts["vocabulary"])

    def q(self, x, axis):
        """The values that int8 operands with one scale along `axis` stand for."""
        if not self.int8:
            return x
        scale = np.abs(x).max(axis, keepdims=True) / np.float32(63)
        safe = np.where(scale == 0, np.float32(1), scale)
        return np.rint(x / safe) * scale

    def norm(self, x, name):
        if self.facts["norm"] == "layer":
            x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-5))
        x = x * self.tensors[name + ".weight"]
        return x + self.tensors[name + ".bias"] if self.facts["norm"] == "layer" else x

    def linear(self, x, name):
        weight = self.tensors[name + ".weight"]
        y = self.q(x, -1) @ self.q(weight, -1).T
        return y + self.tensors[name + ".bias"] if name + ".bias" in self.tensors else y

    def activation(self, x):
        z = x
        if self.facts["activation"] == "gelu":
            z = (x + np.float32(0.044715) * x * x * x) * np.float32(2 * np.sqrt(2 / np.pi))
        return x / (1 + np.exp(-z))

    def attend(self, qkv):
        batch, length, width = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
        parts = qkv.reshape(batch, length, 3, self.heads, width // self.heads)
        queries, keys, values = (parts[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
        scale = np.float32(1 / np.sqrt(width // self.heads))
        scores = self.q(queries, -1) @ self.q(keys, -1).transpose(0, 1, 3, 2)
        scores = np.where(np.tri(length, dtype=bool), scores, np.float32(-np.inf))
        weights = np.exp((scores - scores.max(-1, keepdims=True)) * scale)
        if self.int8:
            weights = np.rint(weights * 63)
        mixed = (weights @ self.q(values, -2)) / weights.sum(-1, keepdims=True)
        return mixed.transpose(0, 2, 1, 3).reshape(batch, length, width)

    def losses(self, rows):
        """Of every next token of rows [n, context + 1]."""
        inputs, targets = rows[:, :-1], rows[:, 1:]
        x = self.tensors["wte.weight"][inputs] + self.tensors["wpe.weight"]
        for i in range(self.blocks):
            block = f"h.{i}."
            qkv = self.linear(self.norm(x, block + "ln_1"), block + "attn.qkv")
            x = x + self.linear(self.attend(qkv), block + "attn.o")
            up = self.linear(self.norm(x, block + "ln_2"), block + "mlp.up")
            x = x + self.linear(self.activation(up), block + "mlp.down")
        tied = self.facts["tied"] == "true"
        logits = self.linear(self.norm(x, "ln_f"), "wte" if tied else "lm_head")
        logits = logits - logits.max(-1, keepdims=True)
        picked = np.take_along_axis(logits, targets[..., None], -1)[..., 0]
        return np.log(np.exp(logits).sum(-1)) - picked

    def loss(self, tokens):
        """PROTOCOL 10.9: sequences start at 0, C, 2C, … while C+1 tokens remain."""
        count = (len(tokens) - 1) // self.context
        total = 0.0
        for first in range(0, count, 32):
            starts = np.arange(first, min(first + 32, count)) * self.context
            rows = tokens[starts[:, None] + np.arange(self.context + 1)].astype(np.int64)
            total += float(self.losses(rows).astype(np.float64).sum())
        return total / (count * self.context)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("validation", type=pathlib.Path)
    parser.add_argument("--expect", type=float)
    parser.add_argument("--within", type=float, default=1e-3)
    parser.add_argument("--int8", action="store_true")
    options = parser.parse_args()
    model = Model(options.model, options.int8)
    width = np.uint8 if model.vocabulary <= 256 else np.dtype("<u2")
    loss = model.loss(np.frombuffer(options.validation.read_bytes(), width))
    print(f"validation loss {loss:.6f} ({'int8 operands' if options.int8 else 'fp32'})")
    if options.expect is None:
        return 0
    off = abs(loss - options.expect) / options.expect
    print(f"expected        {options.expect:.6f}, {off:.2e} away relatively")
    return 0 if off <= options.within else 1


if __name__ == "__main__":
    sys.exit(main())
