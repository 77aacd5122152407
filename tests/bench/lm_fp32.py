"""The gpt of PROTOCOL 10 in plain fp32 PyTorch: same first weights, batches, schedule and optimiser
as lm_quality; prints the same JSON lines. Debian's python3-torch; exit code 77 where it is missing.
"""
import argparse
import json
import math
import os
import pathlib
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "vectors"))
from gn1 import philox  # noqa: E402


def first_weights(shape, seed):
    """PROTOCOL 10.1 for untied RMSNorm, by parameter name in order."""
    v, d, f, layers, c = (shape[k] for k in ("vocabulary", "width", "hidden", "blocks", "context"))
    small = 0.02 * math.sqrt(3)
    out = [("tokens", (v, d), small), ("positions", (c, d), small)]
    for i in range(layers):
        into = math.sqrt(2 * layers)
        out += [(f"gain{2 * i}", (d,), None),
                (f"w{4 * i}", (3 * d, d), math.sqrt(3 / d)), (f"b{4 * i}", (3 * d,), 0),
                (f"w{4 * i + 1}", (d, d), math.sqrt(3 / d) / into), (f"b{4 * i + 1}", (d,), 0),
                (f"gain{2 * i + 1}", (d,), None),
                (f"w{4 * i + 2}", (f, d), math.sqrt(3 / d)), (f"b{4 * i + 2}", (f,), 0),
                (f"w{4 * i + 3}", (d, f), math.sqrt(3 / f) / into), (f"b{4 * i + 3}", (d,), 0)]
    out += [(f"gain{2 * layers}", (d,), None), ("head", (v, d), small)]
    weights = {}
    for number, (name, size, bound) in enumerate(out):
        if bound is None:
            weights[name] = np.ones(size, np.float32)
        elif bound == 0:
            weights[name] = np.zeros(size, np.float32)
        else:
            count = size[0] * size[1]
            words = philox(seed, np.arange((count + 3) // 4), number, 0, 0x494E)
            u = np.stack(words, 1).reshape(-1)[:count] >> np.uint32(8)
            unit = u.astype(np.float64) * 2.0 ** -23 - 1
            weights[name] = (unit * bound).astype(np.float32).reshape(size)
    return weights


class Model:
    def __init__(self, torch, shape, seed):
        self.torch, self.shape = torch, shape
        self.p = {name: torch.tensor(w, requires_grad=True)
                  for name, w in first_weights(shape, seed).items()}
        c = shape["context"]
        self.mask = torch.full((c, c), float("-inf")).triu(1)

    def norm(self, x, index):
        rate = self.torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5)
        return x * rate * self.p[f"gain{index}"]

    def linear(self, x, index):
        return self.torch.nn.functional.linear(x, self.p[f"w{index}"], self.p[f"b{index}"])

    def activation(self, x):
        z = (x + 0.044715 * x * x * x) * (2 * math.sqrt(2 / math.pi))
        return x * self.torch.sigmoid(z)

    def loss(self, tokens, targets):
        """Mean over [B, C] tokens."""
        b, c = tokens.shape
        d, heads = self.shape["width"], self.shape["heads"]
        x = self.p["tokens"][tokens] + self.p["positions"]
        for i in range(self.shape["blocks"]):
            qkv = self.linear(self.norm(x, 2 * i), 4 * i).view(b, c, 3, heads, d // heads)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            scores = q @ k.transpose(-1, -2) / math.sqrt(d // heads) + self.mask
            mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, c, d)
            x = x + self.linear(mixed, 4 * i + 1)
            up = self.activation(self.linear(self.norm(x, 2 * i + 1), 4 * i + 2))
            x = x + self.linear(up, 4 * i + 3)
        logits = self.norm(x, 2 * self.shape["blocks"]) @ self.p["head"].T
        loss = self.torch.nn.functional.cross_entropy
        return loss(logits.reshape(b * c, -1), targets.reshape(-1))


def batch(torch, data, shape, size, data_seed, step):
    c = shape["context"]
    word = philox(data_seed, np.arange(size), step, 0, 0x4241)[0].astype(np.uint64)
    starts = (word * np.uint64(len(data) - c)) >> np.uint64(32)
    rows = np.stack([data[int(s):int(s) + c + 1] for s in starts]).astype(np.int64)
    return torch.tensor(rows[:, :-1]), torch.tensor(rows[:, 1:])


def validation_loss(torch, model, data, shape):
    c = shape["context"]
    windows = (len(data) - 1) // c
    rows = np.stack([data[w * c:w * c + c + 1] for w in range(windows)]).astype(np.int64)
    total = 0.0
    with torch.no_grad():
        for first in range(0, windows, 32):
            part = torch.tensor(rows[first:first + 32])
            total += float(model.loss(part[:, :-1], part[:, 1:])) * len(part)
    return total / windows


def rate(options, step):
    if step < options.warmup:
        return options.lr * (step + 1) / options.warmup
    return options.lr * (options.steps - step) / (options.steps - options.warmup)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=pathlib.Path)
    parser.add_argument("validation", type=pathlib.Path)
    for name, default in (("vocabulary", 256), ("width", 128), ("heads", 4), ("hidden", 512),
                          ("blocks", 4), ("context", 128), ("batch", 16), ("steps", 600),
                          ("warmup", 60), ("threads", 1), ("seed", 1), ("every", 0)):
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--beta2", type=float, default=0.99)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(options.threads)
    try:
        import torch
    except ImportError as error:
        print(f"lm_fp32: skipped: {error} (apt-get install python3-torch)", file=sys.stderr)
        return 77
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(False)
    shape = vars(options)
    train = np.frombuffer(options.train.read_bytes(), np.uint8)
    held_out = np.frombuffer(options.validation.read_bytes(), np.uint8)
    model = Model(torch, shape, options.seed)
    matrices = [p for p in model.p.values() if p.dim() > 1]
    vectors = [p for p in model.p.values() if p.dim() == 1]
    adam = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1},
                              {"params": vectors, "weight_decay": 0.0}],
                             lr=options.lr, betas=(0.9, options.beta2), eps=1e-8)
    total, began = 0.0, time.monotonic()
    for step in range(options.steps):
        for group in adam.param_groups:
            group["lr"] = rate(options, step)
        adam.zero_grad()
        loss = model.loss(*batch(torch, train, shape, options.batch, 2, step))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.p.values(), 1.0)
        adam.step()
        total += float(loss)
        done = step + 1
        if done == options.steps or (options.every and done % options.every == 0):
            print(json.dumps({"position": done, "train_loss": round(total / done, 5),
                              "validation_loss": round(
                                  validation_loss(torch, model, held_out, shape), 5),
                              "seconds": round(time.monotonic() - began, 1)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
