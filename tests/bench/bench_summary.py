"""What bench.py measured as tables for people; every number is one of its JSON."""


def table(title, head, rows):
    """Text left, numbers right; a row may be shorter than its head."""
    if not rows:
        return ""
    cells = [head] + [[*map(str, row), *[""] * (len(head) - len(row))] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                       for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
             for row in cells]
    return "\n".join([f"\n{title}", *(f"  {line}" for line in lines), ""])


def machine(m):
    peers = ", ".join(f"{name} {version or 'missing'}" for name, version in m["peers"].items())
    changed = ", with changed files" if m["changed_files"] else ""
    return (f"{m['cpu']}, {m['cores']} cores, {' '.join(m['cpu_flags'])}, "
            f"load {m['load_average']:.1f}\n"
            f"commit {(m['commit'] or 'unknown')[:10]}{changed}; {m['build_type']} by "
            f"{m['compiler']}\npeers: {peers}\n")


def milliseconds(us):
    return f"{us / 1000:.4g} ms" if us >= 1000 else f"{us:.4g} us"


def name_of(benchmark):
    """bm_bytes/2/1024 and the like, without what only the program needs."""
    return benchmark.removeprefix("bm_").removesuffix("/real_time").replace("/", " ")


def google_rows(part, counter):
    return [[name_of(name), milliseconds(row["real_us"]),
             *([f"{row[counter]:.3f}"] if counter in row else [])]
            for name, row in part.items() if "real_us" in row and not row.get("error_occurred")]


def audit(part):
    out = table("Audits of one share (x share: beside computing it)",
                ["what", "takes", "x share"], google_rows(part, "x_share"))
    rows = [[name.removeprefix("thread "), str(row["steps"]), f"{row['lease_s']:.2f} s",
             f"{row['rerun_s']:.2f} s", f"{row['prove_s']:.2f} s", f"{1e3 * row['check_s']:.0f} ms",
             f"1/{row['lease_over_check']:.0f}", f"1/{row['work_over']:.0f}",
             f"{row['answer_bytes'] / 1e6:.1f} MB", "yes" if row["pays"] else "no"]
            for name, row in part.items() if name.startswith("thread ") and "failed" not in row]
    out += miner(part.get("miner", {}))
    return out + "\n" + table(
        "A thread of a lease (x work: its multiply-accumulates beside the lease's)",
        ["lease", "steps", "run", "run again", "answer", "check", "x time", "x work", "answer has",
         "pays"], rows)


def miner(part):
    if "failed" in part or not part:
        return ""
    rows = [[name, row["leases"], row["threads"], f"{row['device_s']:.1f} s",
             f"{row['answers_s']:.1f} s", f"{row['lease_s']:.2f} s",
             f"{row['answer_bytes'] / 1e6:.1f} MB", f"{row['memory_bytes'] / 1e6:.0f} MB",
             f"{row['disk_bytes'] / 1e6:.1f} MB"]
            for name, row in part.items() if isinstance(row, dict)]
    title = (f"A miner with and without audits: {100 * part['overhead']:.1f} % more of its"
             f" device's time, {100 * part['overhead_wall']:+.1f} % of the time of a lease")
    columns = ["audits", "leases", "threads", "shares take", "answers take", "a lease takes",
               "answer has", "memory", "disk"]
    return "\n" + table(title, columns, rows)


def step(part):
    rows = [row for row in google_rows(part, "x_alone") if "commits:1" in row[0]]
    rows = [[row[0].removeprefix("step ").removesuffix(" commits:1"), *row[1:]] for row in rows]
    return table("The demo's step with its proof (x alone: beside the step without)",
                 ["which", "takes", "x alone"], rows)


def model(row):
    """gpt:256,768,12,3072,1,1024 and 784,512,512,10 in words."""
    if not row["model"].startswith("gpt:"):
        return f"{row['model'].replace(',', '-')}, batch {row['batch']}"
    _, width, heads, hidden, blocks, context = row["model"].removeprefix("gpt:").split(",")
    return f"gpt {blocks} x {width}/{hidden}, {heads} heads, {row['batch']} x {context} tokens"


def profile(part):
    rows = []
    for row in part:
        ops = {op: ms for op, ms in row["ops_ms"].items() if op != "tiles_within"}
        most = sorted(ops, key=ops.get, reverse=True)[:3]
        rows.append([model(row), row["threads"], f"{row['median_ms']:.2f}",
                     f"{row['alone_median_ms']:.2f}", f"{row['proof_ratio_median']:.3f}",
                     f"{row['gmac_s']:.0f}",
                     ", ".join(f"{op} {100 * ops[op] / sum(ops.values()):.0f} %" for op in most)])
    return table("A step, and where its time goes (all of it in the JSON's ops_ms)",
                 ["model", "threads", "ms", "without proof", "ratio", "GMAC/s",
                  "most of it"], rows)


def memory(part):
    rows = [[model(row), f"{row['memory_mib']['engine']:.1f}", f"{row['memory_mib']['step']:.1f}",
             f"{row['memory_mib']['committed_int8']:.1f}",
             f"{row['memory_mib']['committed_f32']:.1f}", f"{row['memory_mib']['other']:.1f}",
             *(cell for name in ("as_written", "fused") if name in row["torch_mib"]
               for cell in (f"{row['torch_mib'][name]:.1f}", f"{row['ratio'][name]:.2f}"))]
            for row in part]
    return table("Memory of a step in MiB: our engine, what of it is not state or gradients (and "
                 "of that\ncommitted int8, committed f32, other), beside the activations that "
                 "PyTorch keeps with its\nnorms and GELU written out, and with its own fused ones",
                 ["model", "engine", "a step's", "int8", "f32", "other", "PyTorch", "ratio",
                  "fused", "ratio"], rows)


def pytorch(part):
    rows = [[model(row), f"{row['ours_median_ms']:.2f}", f"{row['torch_median_ms']:.2f}",
             f"{row['ratio_median']:.2f} x", f"{row['proof_ratio_median']:.3f}"] for row in part]
    return table("A step with its proof beside fp32 PyTorch, one thread, CPU ms",
                 ["model", "ours", "PyTorch", "faster", "with / without proof"], rows)


def blake3(part):
    rows = []
    for name, row in part.items():
        if "gb_s" not in row:
            continue
        what, path, size = name_of(name).split(" ")[:3]
        what = f"{size} bytes" if what == "bytes" else f"4096 x 4096 in tiles, rows of {size}"
        rows.append([what, ("portable", "AVX2", "AVX-512")[int(path)], f"{row['gb_s']:.2f}",
                     *([f"{row['x_b3sum']:.2f} x"] if "x_b3sum" in row else [])])
    return table("BLAKE3, one thread", ["what", "code", "GB/s", "of b3sum"], rows)


def products(part):
    out = ""
    for threads, all_rows in part.items():
        rows = [[row["shape"], f"{row['m']} x {row['n']} x {row['k']}", row["product"],
                 row["kernels"], f"{row['gmacs']:.0f}",
                 *([f"{row['onednn_gmacs']:.0f}", f"{row['ratio']:.2f} x"]
                   if "ratio" in row else [])]
                for row in all_rows if "gmacs" in row]
        out += table(f"int8 products beside oneDNN, {threads.replace('_', ' ')}, GMAC/s",
                     ["shape", "m x n x k", "product", "kernels", "ours", "oneDNN", "ratio"], rows)
    return out


def gpu(part):
    rows = [[row.get("device"), row.get("product") or row.get("step")
             or row.get("products") or "BLAKE3",
             row.get("step_ms", ""), row.get("tops", ""), row.get("ratio", row.get("gb_s", ""))]
            for row in part]
    return table("GPUs: ms of a step, TOPS, ratio to cuBLASLt (BLAKE3: GB/s)",
                 ["device", "what", "ms", "TOPS", "ratio"], rows)


def hashing(row):
    """CPU time inside hashing beside the rest of the steps, with one thread."""
    inside = row["ops_ms"]["tiles_within"] + row["ops_ms"]["roots"]
    rest = sum(ms for op, ms in row["ops_ms"].items() if op != "tiles_within") - inside
    return f"{100 * inside / rest:.1f} %"


def width(part):
    rows = [[model(row), f"{row['macs'] * 1e-9:.1f}", f"{row['hashed_bytes'] / 1e6:.0f}",
             f"{row['alone_median_ms']:.0f}", f"{row['proof_ratio_median']:.3f}", hashing(row)]
            for row in part]
    return table("What a proof costs by the width of a model, one thread, CPU time",
                 ["model", "GMAC", "hashed MB", "ms without", "with / without",
                  "hashing / the rest"], rows)


def market(part):
    out = ""
    for name, job in part.items():
        rows = [[row["name"], f"{row['profit']:+.3f}", f"{row['error']:.3f}"]
                for row in job["strategies"]]
        out += table(f"What theft earns in {name}, beyond its work, in leases' pay "
                     f"(jobs of {job['leases']} leases)", ["strategy", "profit", "+-"], rows)
    return out


def large(part):
    answers = ", ".join(f"{size / 1e6:.0f} MB" for size in part["answer_bytes"]) or "none"
    audits = ", ".join(f"{kind} {seconds:.1f} s" for kind, seconds in
                       zip(part["audits"], part["audited_s"]))
    return table("A lease of the large job, one thread each (times after its delta was in)",
                 ["what", "measured"],
                 [["steps", part["steps"]],
                  ["multiply-accumulates", f"{part['macs'] / 1e12:.2f} T"],
                  ["lease", f"{part['lease_s']:.1f} s"],
                  ["delta sent in", f"{part['delta_s']:.2f} s"],
                  ["found right by", audits], ["answers", answers],
                  ["paid after", f"{part['settled_s']:.1f} s"],
                  ["loss, first and last share", f"{part['losses'][0]}, {part['losses'][-1]}"]])


PARTS = {"audit": audit, "step": step, "profile": profile, "memory": memory, "pytorch": pytorch,
         "blake3": blake3, "products": products, "gpu": gpu, "width": width, "market": market,
         "large": large}


def summary(document):
    out = machine(document["machine"])
    for name, part in document.items():
        if name not in PARTS:
            continue
        lost = part.get("skipped") or part.get("failed") if isinstance(part, dict) else None
        out += f"\n{name}: {lost}\n" if lost else PARTS[name](part)
    return out
