"""A job small enough for tests: coloured noise in IDX files and a job file beside them."""
import gzip
import pathlib
import random
import struct

SIDE = 8  # images are SIDE x SIDE, so K_0 = 64

JOB = """name = "toy"

[data]
kind = "idx"
directory = "."
train_images = "train-images.gz"
train_labels = "train-labels.gz"
test_images = "test-images.gz"
test_labels = "test-labels.gz"
feature_scale = 0.0125
feature_shift = -1.6

[model]
widths = [64, {width}, 10]

[train]
optimiser = "sgd"
lr = 0.05
beta1 = 0.9
wd = 0.0005
warmup = {warmup}
batch = {batch}
steps_per_lease = {steps_per_lease}
steps_per_share = {steps_per_share}
slots = {slots}
rounds = {rounds}

[audit]
batch_leases = {batch_leases}
first_batch = {first_batch}
threads = {threads}
thread_blocks = {thread_blocks}
replays_ppm = {replays_ppm}
first_audits = {first_audits}
now_ppm = {now_ppm}
fail_ppm = {fail_ppm}
lease_ms = {lease_ms}
answer_ms = {answer_ms}

[pay]
price_per_tmac = {price_per_tmac}
fee_ppm = {fee_ppm}
"""

DEFAULTS = {
    "width": 96, "warmup": 4,
    "batch": 32, "steps_per_lease": 12, "steps_per_share": 4, "slots": 3, "rounds": 4,
    "batch_leases": 3, "first_batch": 1, "threads": 0, "replays_ppm": 1_000_000,
    "first_audits": 1, "now_ppm": 100_000, "fail_ppm": 1_000_000, "lease_ms": 90_000,
    "answer_ms": 20_000, "thread_blocks": 4, "price_per_tmac": 10**9, "fee_ppm": 20_000,
}


LM_JOB = """name = "toy-lm"

[data]
kind = "{kind}"
train = "{train}"
validation_fraction = 0.2

[model]
architecture = "gpt"
vocabulary = {vocabulary}
width = 64
heads = 2
hidden = {hidden}
blocks = {blocks}
context = 32
norm = "{norm}"
activation = "{activation}"
tied = {tied}

[train]
optimiser = "adamw"
lr = 0.004
beta1 = 0.9
beta2 = 0.99
eps = 1e-8
wd = 0.1
warmup = 4
clip = 1.0
outer_lr = {outer_lr}
outer_momentum = {outer_momentum}
batch = 4
steps_per_lease = {steps_per_lease}
steps_per_share = 4
slots = {slots}
rounds = {rounds}

[audit]
batch_leases = {batch_leases}
first_batch = {first_batch}
threads = {threads}
thread_blocks = 4
replays_ppm = {replays_ppm}
first_audits = {first_audits}
now_ppm = 0
fail_ppm = 1000000
lease_ms = 60000
answer_ms = 20000

[pay]
price_per_tmac = 1000000000
fee_ppm = 20000
"""

LM_DEFAULTS = {
    "kind": "text", "train": "text.txt", "vocabulary": 256, "hidden": 128, "blocks": 2,
    "norm": "rms", "activation": "gelu", "tied": "false", "outer_lr": 1.0, "outer_momentum": 0.0,
    "steps_per_lease": 8, "slots": 2, "rounds": 3, "batch_leases": 3, "first_batch": 1,
    "threads": 0, "replays_ppm": 1_000_000, "first_audits": 1,
}


def toy_text(words, seed=1):
    """Sentences with something to learn: every word is one of few, and fits the one before."""
    rng = random.Random(seed)
    chain = {"the": ["miner", "pool", "step"], "miner": ["digs", "waits"], "pool": ["pays"],
             "step": ["ends"], "digs": ["the"], "waits": ["and"], "and": ["the"],
             "pays": ["the", "and"], "ends": [".\n"], ".\n": ["the"]}
    word, out = "the", []
    for _ in range(words):
        out.append(word)
        word = rng.choice(chain[word])
    return " ".join(out)


def write_lm(folder, words=3000, **changes):
    """Writes text.txt and job.toml of a small language model; returns the job file's path."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    unknown = set(changes) - set(LM_DEFAULTS)
    assert not unknown, f"no such setting: {unknown}"
    (folder / "text.txt").write_text(toy_text(words))
    job = folder / "job.toml"
    job.write_text(LM_JOB.format(**{**LM_DEFAULTS, **changes}))
    return job


def write_idx(path, dimensions, payload):
    header = struct.pack(">BBBB", 0, 0, 8, len(dimensions))
    header += b"".join(struct.pack(">I", d) for d in dimensions)
    with gzip.GzipFile(path, "wb", mtime=0) as out:
        out.write(header + payload)


def write_set(folder, name, count, prototypes, rng):
    images, labels = bytearray(), bytearray()
    for _ in range(count):
        label = rng.randrange(10)
        noise = rng.randbytes(SIDE * SIDE)
        images += bytes((3 * p + n) // 4 for p, n in zip(prototypes[label], noise))
        labels.append(label)
    write_idx(folder / f"{name}-images.gz", [count, SIDE, SIDE], bytes(images))
    write_idx(folder / f"{name}-labels.gz", [count], bytes(labels))


def write(folder, seed=1, train=1000, test=200, **changes):
    """Writes the data and job.toml into folder; returns the job file's path."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    prototypes = [rng.randbytes(SIDE * SIDE) for _ in range(10)]
    write_set(folder, "train", train, prototypes, rng)
    write_set(folder, "test", test, prototypes, rng)
    unknown = set(changes) - set(DEFAULTS)
    assert not unknown, f"no such setting: {unknown}"
    job = folder / "job.toml"
    job.write_text(JOB.format(**{**DEFAULTS, **changes}))
    return job
