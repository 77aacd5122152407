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
warmup = 4
batch = {batch}
steps_per_lease = {steps_per_lease}
steps_per_share = {steps_per_share}
slots = {slots}
rounds = {rounds}

[audit]
replay_ppm = {replay_ppm}
spot_ppm = {spot_ppm}
spot_blocks = 4
probation_shares = {probation_shares}
vest_leases = {vest_leases}
lease_ms = {lease_ms}
answer_ms = {answer_ms}

[pay]
price_per_tmac = {price_per_tmac}
fee_ppm = {fee_ppm}
"""

DEFAULTS = {
    "width": 96, "batch": 32, "steps_per_lease": 12, "steps_per_share": 4, "slots": 3, "rounds": 4,
    "replay_ppm": 300_000, "spot_ppm": 600_000, "probation_shares": 3, "vest_leases": 3,
    "lease_ms": 60_000, "answer_ms": 20_000, "price_per_tmac": 10**9, "fee_ppm": 20_000,
}


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
