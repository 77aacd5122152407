"""What int8, the number of miners and the deltas' compression cost in validation loss.

Trains one small gpt on configs/jobs/austen-gpt.toml's data, in fp32 (lm_fp32.py) and with our own
engine (lm_quality), on the same number of tokens unless a row says otherwise. Prints JSON; a table
goes to stderr; JSON and plot go into results/, unless --quick. Exit code 77 where a Python package
is missing.
"""
import argparse
import concurrent.futures
import datetime
import importlib.util
import json
import pathlib
import runpy
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SHAPE = {"width": 64, "heads": 2, "hidden": 256, "blocks": 2, "context": 64}
BATCH, STEPS, WARMUP, EVALUATIONS = 16, 640, 64, 8
MINERS = 4  # where there is more than one
LEASES = (1, 20, 80)  # steps of a lease


class Row:
    """One way to spend STEPS batches: `miners` at once, `batch` records a step each."""

    def __init__(self, part, name, against=None, miners=1, batch=BATCH, lease=STEPS,
                 part_of_tokens=1, **flags):
        self.part, self.name, self.against = part, name, against
        self.miners, self.batch, self.lease, self.flags = miners, batch, lease, flags
        self.part_of_tokens = part_of_tokens

    def positions(self, steps):
        """Steps that each miner does."""
        return steps * BATCH // (self.miners * self.batch * self.part_of_tokens)

    def command(self, program, data, steps, seed):
        positions = self.positions(steps)
        shared = {**SHAPE, "batch": self.batch, "seed": seed, "threads": 1,
                  "warmup": positions * WARMUP // STEPS, "every": positions // EVALUATIONS}
        if self.name == "fp32":
            command = [sys.executable, HERE / "lm_fp32.py"]
            own = {"steps": positions}
        else:
            command = [program]
            lease = min(self.lease, positions)
            own = {"slots": self.miners, "steps": lease, "rounds": positions // lease,
                   **self.flags}
        command += [data / "train.bin", data / "validation.bin"]
        for key, value in {**shared, **own}.items():
            command += ["--" + key.replace("_", "-"), str(value).lower()]
        return [str(word) for word in command]


def one(lease):
    return f"1 miner, H = {lease}"


def shared_batch(lease):
    return f"{MINERS} miners, H = {lease}, batch {BATCH // MINERS} each"


def fewer_steps(lease):
    return f"{MINERS} miners, H = {lease}, 1/{MINERS} of the steps"


def rows():
    raw = {"compressed": False}
    out = [Row("int8", "fp32"), Row("int8", "int8", "fp32", **raw)]
    alone = {"against": "int8", "part_of_tokens": MINERS}
    out += [Row("alone", f"1 of {MINERS} miners, batch {BATCH // MINERS}, alone",
                batch=BATCH // MINERS, **alone),
            Row("alone", f"1 of {MINERS} miners, 1/{MINERS} of the steps, alone", **alone)]
    for h in LEASES:
        out += [Row("miners", one(h), "int8", lease=h),
                Row("miners", shared_batch(h), one(h), MINERS, BATCH // MINERS, h),
                Row("miners", fewer_steps(h), one(h), MINERS, BATCH, h)]
    nesterov = {"outer_lr": 0.7, "outer_momentum": 0.9}
    for h in LEASES[:2]:
        out.append(Row("outer", fewer_steps(h) + ", Nesterov", fewer_steps(h), MINERS, BATCH, h,
                       **nesterov))
    for h in LEASES[:2]:
        for name, miners, batch in ((one(h), 1, BATCH), (shared_batch(h), MINERS, BATCH // MINERS)):
            out.append(Row("compression", name + ", deltas raw", name, miners, batch, h, **raw))
    for h in LEASES[:2]:
        out.append(Row("moments", one(h) + ", moments kept", "int8", lease=h, moments_survive=True))
    return out


def measure(row, program, data, steps, seed):
    command = row.command(program, data, steps, seed)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"lm_quality: {row.name}, seed {seed}: {done.stderr.strip()}")
    curve = [json.loads(line) for line in done.stdout.splitlines()]
    tokens = row.miners * row.batch * SHAPE["context"]
    curve = [[point["position"] * tokens, point["validation_loss"]] for point in curve]
    print(f"lm_quality: {row.name}, seed {seed}: {curve[-1][1]}", file=sys.stderr, flush=True)
    return curve


def document(table, curves, seeds, data, steps):
    final = {row.name: [curves[row.name, seed][-1][1] for seed in seeds] for row in table}
    results = []
    for row in table:
        result = {"part": row.part, "run": row.name, "validation_loss": final[row.name],
                  "mean": round(statistics.mean(final[row.name]), 5)}
        if row.against:
            base = final[row.against]
            each = [100 * (a / b - 1) for a, b in zip(final[row.name], base)]
            result |= {"against": row.against, "difference_percent_by_seed":
                       [round(percent, 3) for percent in each],
                       "difference_percent": round(statistics.mean(each), 3)}
        result["curves"] = [curves[row.name, seed] for seed in seeds]
        results.append(result)
    return {
        "what": "validation loss, nats a byte; differences are means over seeds, + is worse",
        "date": datetime.date.today().isoformat(), "job": "configs/jobs/austen-gpt.toml",
        "shape": {"vocabulary": 256, **SHAPE}, "batch": BATCH, "steps": steps,
        "tokens": steps * BATCH * SHAPE["context"], "seeds": list(seeds),
        "train_bytes": (data / "train.bin").stat().st_size,
        "validation_bytes": (data / "validation.bin").stat().st_size, "results": results}


def markdown(found):
    seeds = " | ".join(f"seed {seed}" for seed in found["seeds"])
    lines = [f"| run | {seeds} | against | difference |",
             "|---|" + "---:|" * len(found["seeds"]) + "---|---:|"]
    for row in found["results"]:
        losses = " | ".join(f"{loss:.4f}" for loss in row["validation_loss"])
        gap = f"{row['difference_percent']:+.2f} %" if "against" in row else ""
        lines.append(f"| {row['run']} | {losses} | {row.get('against', '')} | {gap} |")
    return "\n".join(lines)


def text(found):
    """JSON with a line for each result."""
    head = json.dumps({**found, "results": []}, indent=1).removesuffix("[]\n}")
    return head + "[\n  " + ",\n  ".join(json.dumps(row) for row in found["results"]) + "\n ]\n}\n"


def plot(found, path):
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
    pyplot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "gemmine", "font.size": 9,
                            "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.8), width_ratios=(1, 1.1))
    by_name = {row["run"]: row for row in found["results"]}
    drawn = (("fp32", "black", "-"), ("int8", "tab:red", "--"), (one(20), "tab:blue", "-"),
             (shared_batch(20), "tab:green", "-"), (fewer_steps(20), "tab:orange", "-"))
    for name, colour, style in drawn:
        for number, curve in enumerate(by_name[name]["curves"]):
            left.plot([tokens / 1000 for tokens, _ in curve], [loss for _, loss in curve], style,
                      color=colour, linewidth=1.2, label=None if number else name)
    left.set(xlabel="thousand tokens, of all miners together",
             ylabel="validation loss, nats a byte", title="Same tokens, every seed a line")
    left.legend(frameon=False)

    compared = [row for row in found["results"] if "against" in row][::-1]
    for height, row in enumerate(compared):
        each = row["difference_percent_by_seed"]
        right.plot(each, [height] * len(each), "o", color="tab:blue", markersize=4)
    right.axvline(0, color="black", linewidth=0.8)
    right.axvline(0.5, color="tab:red", linewidth=0.8, linestyle=":")
    right.set_xscale("symlog", linthresh=1)
    right.set_xticks([-10, -1, -0.5, 0, 0.5, 1, 10, 100])
    right.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    right.minorticks_off()
    right.set_yticks(range(len(compared)),
                     [row["run"] for row in compared], fontsize=7.5)
    right.grid(axis="y", linewidth=0.3)
    right.set(xlabel="difference in final loss, % (right is worse; dots are seeds)",
              title="Against the run that the table names; dotted: 0.5 %")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    lines = path.read_text().splitlines()  # Matplotlib leaves blanks at their ends.
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--results", default=HERE / "results", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, one thread each")
    parser.add_argument("--quick", action="store_true", help="an eighth, one seed, files untouched")
    options = parser.parse_args()
    for module in ("torch", "matplotlib"):
        if importlib.util.find_spec(module) is None:
            print(f"lm_quality: skipped: apt-get install python3-{module}", file=sys.stderr)
            return 77
    steps, seeds = (STEPS // 8, (1,)) if options.quick else (STEPS, (1, 2, 3))
    build = options.build.resolve()
    table = rows()
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder)
        runpy.run_path(str(HERE.parents[1] / "configs/jobs/austen-gpt.py"))["make"]()
        subprocess.run([build / "gemmine", "data", HERE.parents[1] / "configs/jobs/austen-gpt.toml",
                        "--out", data], check=True, stdout=sys.stderr)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            running = {(row.name, seed): pool.submit(measure, row, build / "tests/bench/lm_quality",
                                                     data, steps, seed)
                       for row in table for seed in seeds}
            curves = {key: future.result() for key, future in running.items()}
        found = document(table, curves, seeds, data, steps)
    print(markdown(found), file=sys.stderr)
    if not options.quick:
        options.results.mkdir(exist_ok=True)
        (options.results / "lm_quality.json").write_text(text(found))
        plot(found, options.results / "lm_quality.svg")
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
