"""A training step with its proof beside the same step in fp32 PyTorch; prints one JSON object.

Same model, batch, threads and optimiser (SGD with momentum for an MLP, AdamW and a clip for a gpt),
both on synthetic data that is already in memory. The two take turns, so a busy machine slows both.
Times are milliseconds: CPU time with one thread, else wall time. Debian's python3-torch, asked for
OpenBLAS's AVX-512 kernels where the CPU has them; exit code 77 where it is missing.
"""
import argparse
import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

# No numpy here, nor what imports it: it would load OpenBLAS before main() has said which kernels.
GPT = "gpt:"


class Mlp:
    def __init__(self, torch, widths, batch):
        layers = []
        for i, (k, n) in enumerate(zip(widths, widths[1:])):
            layers += [torch.nn.Linear(k, n)] + ([torch.nn.ReLU()] if i + 2 < len(widths) else [])
        self.model = torch.nn.Sequential(*layers)
        self.loss_of = torch.nn.CrossEntropyLoss()
        self.optimiser = torch.optim.SGD(self.model.parameters(), lr=0.001, momentum=0.9)
        self.data = [(torch.rand(batch, widths[0]), torch.randint(widths[-1], (batch,)))
                     for _ in range(4)]

    def loss(self, x, y):
        return self.loss_of(self.model(x), y)

    def update(self):
        self.optimiser.step()


class Gpt:
    def __init__(self, torch, numbers, batch):
        import lm_fp32
        names = ("vocabulary", "width", "heads", "hidden", "blocks", "context")
        shape = dict(zip(names, numbers))
        self.clip = torch.nn.utils.clip_grad_norm_
        self.model = lm_fp32.Model(torch, shape, 1)
        parameters = self.model.p.values()
        self.optimiser = torch.optim.AdamW(parameters, lr=0.001, betas=(0.9, 0.99), eps=1e-8,
                                           weight_decay=0.1)
        size = (batch, shape["context"])
        self.data = [tuple(torch.randint(shape["vocabulary"], size) for _ in range(2))
                     for _ in range(4)]

    def loss(self, x, y):
        return self.model.loss(x, y)

    def update(self):
        self.clip(self.model.p.values(), 1.0)
        self.optimiser.step()


def make(torch, model, batch):
    numbers = [int(number) for number in model.removeprefix(GPT).split(",")]
    return (Gpt if model.startswith(GPT) else Mlp)(torch, numbers, batch)


def torch_steps(trainer, threads, steps):
    """Milliseconds of each of `steps` steps."""
    clock = time.thread_time_ns if threads == 1 else time.perf_counter_ns
    out = []
    for step in range(steps):
        x, y = trainer.data[step % 4]
        began = clock()
        trainer.optimiser.zero_grad()
        loss = trainer.loss(x, y)
        loss.backward()
        trainer.update()
        loss.item()
        out.append((clock() - began) * 1e-6)
    return out


def openblas_core():
    """The kernels that OpenBLAS really uses."""
    try:
        library = ctypes.CDLL("libopenblas.so.0")
    except OSError:
        return "none"
    library.openblas_get_corename.restype = ctypes.c_char_p
    return library.openblas_get_corename().decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, help="the step_profile program")
    parser.add_argument("--model", default="784,512,512,10", help="as step_profile has it")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=100, help="per turn")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    # Before torch is loaded: its pools read them once.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(options.threads)
    os.environ["OPENBLAS_NUM_THREADS"] = str(options.threads)
    # OpenBLAS 0.3.21 takes an Intel CPU younger than itself for one with SSE: a third of the speed.
    if " avx512f " in pathlib.Path("/proc/cpuinfo").read_text():
        os.environ.setdefault("OPENBLAS_CORETYPE", "SKYLAKEX")
    try:
        import torch
    except ImportError as error:
        print(f"torch_peer: skipped: {error} (apt-get install python3-torch)", file=sys.stderr)
        return 77
    torch.set_num_threads(options.threads)
    core = openblas_core()
    wanted = os.environ.get("OPENBLAS_CORETYPE", core)
    if core != "none" and core.lower() != wanted.lower():
        print(f"torch_peer: OpenBLAS runs its {core} kernels, not {wanted}", file=sys.stderr)
        return 1
    shape = (options.batch, options.threads, options.steps)
    trainer = make(torch, options.model, options.batch)
    torch_steps(trainer, options.threads, 2)
    ours, theirs = [], []
    for _ in range(options.turns):
        theirs += torch_steps(trainer, options.threads, options.steps)
        done = subprocess.run([options.ours, options.model, *map(str, shape)], check=True,
                              stdout=subprocess.PIPE, text=True)
        ours.append(json.loads(done.stdout))
    print(json.dumps({
        "model": options.model, "batch": options.batch, "threads": options.threads,
        "torch": torch.__version__, "openblas_core": core,
        "ours_ms": round(min(row["ms"] for row in ours), 4),
        "ours_median_ms": round(statistics.median(row["median_ms"] for row in ours), 4),
        "torch_ms": round(min(theirs), 4),
        "torch_median_ms": round(statistics.median(theirs), 4),
        "ratio": round(min(theirs) / min(row["ms"] for row in ours), 3),
        "ratio_median": round(statistics.median(theirs)
                              / statistics.median(row["median_ms"] for row in ours), 3),
        "proof_ratio_median": round(
            statistics.median(row["proof_ratio_median"] for row in ours), 4),
        "load_average": os.getloadavg()[0]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
