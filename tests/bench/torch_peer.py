"""A training step with its proof beside the same step in fp32 PyTorch; prints one JSON object.

Same model, batch, threads and optimiser (SGD with momentum), both on synthetic data that is already
in memory. The two take turns, so a busy machine slows both. Times are milliseconds: CPU time with
one thread, else wall time. Debian's python3-torch; exit code 77 where it is missing.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time


def torch_steps(torch, widths, batch, threads, steps, state):
    """Milliseconds of each of `steps` steps; the model is kept in `state` between calls."""
    if not state:
        layers = []
        for i, (k, n) in enumerate(zip(widths, widths[1:])):
            layers += [torch.nn.Linear(k, n)] + ([torch.nn.ReLU()] if i + 2 < len(widths) else [])
        state["model"] = torch.nn.Sequential(*layers)
        state["sgd"] = torch.optim.SGD(state["model"].parameters(), lr=0.001, momentum=0.9)
        state["data"] = [(torch.rand(batch, widths[0]), torch.randint(widths[-1], (batch,)))
                         for _ in range(4)]
    clock = time.thread_time_ns if threads == 1 else time.perf_counter_ns
    loss_of = torch.nn.CrossEntropyLoss()
    out = []
    for step in range(steps):
        x, y = state["data"][step % 4]
        began = clock()
        state["sgd"].zero_grad()
        loss = loss_of(state["model"](x), y)
        loss.backward()
        state["sgd"].step()
        loss.item()
        out.append((clock() - began) * 1e-6)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, help="the step_profile program")
    parser.add_argument("--widths", default="784,512,512,10")
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
    widths = [int(width) for width in options.widths.split(",")]
    shape = (options.batch, options.threads, options.steps)
    state = {}
    torch_steps(torch, widths, options.batch, options.threads, 2, state)
    ours, theirs = [], []
    for _ in range(options.turns):
        theirs += torch_steps(torch, widths, *shape, state)
        done = subprocess.run([options.ours, options.widths, *map(str, shape)], check=True,
                              stdout=subprocess.PIPE, text=True)
        ours.append(json.loads(done.stdout))
    print(json.dumps({
        "widths": options.widths, "batch": options.batch, "threads": options.threads,
        "torch": torch.__version__, "openblas_core": os.environ.get("OPENBLAS_CORETYPE", "its own"),
        "ours_ms": round(min(row["ms"] for row in ours), 4),
        "ours_median_ms": round(statistics.median(row["median_ms"] for row in ours), 4),
        "torch_ms": round(min(theirs), 4),
        "torch_median_ms": round(statistics.median(theirs), 4),
        "ratio": round(min(theirs) / min(row["ms"] for row in ours), 3),
        "ratio_median": round(statistics.median(theirs)
                              / statistics.median(row["median_ms"] for row in ours), 3),
        "load_average": os.getloadavg()[0]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
