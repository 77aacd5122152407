"""Sheets: how rows became records (PROTOCOL 6.7). Floats of Python are the f64 that it names."""
import math
import struct
from types import SimpleNamespace

from gn1 import F
from records import f32, u8, u16, u32


def name(text):
    data = text.encode()
    assert len(data) <= 256
    return u16(len(data)) + data


def encode(sheet):
    out = u32(sheet.features) + u8(sheet.missing) + u32(len(sheet.scalings))
    out += b"".join(struct.pack("<dd", offset, factor) for offset, factor in sheet.scalings)
    for names in (sheet.names, None, sheet.classes):
        if names is None:
            out += name(sheet.label)
        else:
            out += u32(len(names)) + b"".join(name(n) for n in names)
    return out


def to_byte(sheet, column, value):
    if value is None:
        assert sheet.missing
        return 128
    if not sheet.scalings:
        assert value == int(value) and 0 <= value <= 255
        return int(value)
    offset, factor = sheet.scalings[column if len(sheet.scalings) > 1 else 0]
    scaled = (value - offset) * factor
    return 0 if scaled <= 0 else 255 if scaled >= 255 else round(scaled)  # round: ties to even


def mean_and_deviation(values):
    total = 0.0
    for x in values:
        total += x
    mean = total / len(values)
    squares = 0.0
    for x in values:
        squares += (x - mean) * (x - mean)
    return mean, math.sqrt(squares / len(values))


def standardised(values):
    mean, deviation = mean_and_deviation([x for x in values if x is not None])
    deviation = deviation or 32.0
    return mean - 4 * deviation, 32 / deviation


def as_a_whole(values):
    """Scalings, and feature_scale and feature_shift of what they make of the training values."""
    scalings = []
    if any(x != int(x) or not 0 <= x <= 255 for x in values):
        low, high = min(values), max(values)
        scalings = [(low, 255 / (high - low) if high > low else 1.0)]
    sheet = SimpleNamespace(scalings=scalings, missing=0)
    data = [to_byte(sheet, 0, x) for x in values]
    mean = float(sum(data)) / len(data)
    deviation = math.sqrt(max(0.0, float(sum(b * b for b in data)) / len(data) - mean * mean))
    deviation = deviation or 1.0
    return scalings, F(1 / deviation), F(-mean / deviation)


def toy_values(count, seed):
    """Decimals of every size, by a formula; one in eleven is missing."""
    out = []
    for i in range(count):
        word = (i * 2654435761 + seed * 40503 + (i * i * 97)) % 2**32
        value = (word - 2**31) / 2**31 * 10.0 ** (seed % 5 - 2) + seed
        out.append(None if word % 11 == 0 else value)
    return out


def toy_sheet(features, classes):
    """What the toy jobs' authors would have written."""
    columns = [standardised(toy_values(50, c)) for c in range(features)]
    return SimpleNamespace(features=features, missing=1, scalings=columns,
                           names=[f"feature {c}" for c in range(features)], label="class",
                           classes=["großer Käfer"] + [f"kind {c}" for c in range(1, classes)])


def f64(value):
    return struct.pack("<d", value)


def put_column(golden, key, values):
    golden.put(f"{key} present", *(int(x is not None) for x in values))
    golden.put(f"{key} values", *(f64(x or 0.0) for x in values))


def put_all(golden):
    for seed in range(7):
        values = toy_values(60, seed)
        if seed == 5:
            values = [2.5] * 9
        scaling = standardised(values)
        sheet = SimpleNamespace(scalings=[scaling], missing=1)
        put_column(golden, f"standardised {seed}", values)
        golden.put(f"standardised {seed} scaling", *map(f64, scaling))
        golden.put(f"standardised {seed} bytes", *(to_byte(sheet, 0, x) for x in values))
    wholes = {"bytes": [float(i * i % 256) for i in range(99)], "one": [7.0] * 5,
              "unit": [i * i % 101 / 100 for i in range(80)], "equal": [0.5] * 5,
              "wide": [x for x in toy_values(60, 4) if x is not None]}
    for key, values in wholes.items():
        scalings, scale, shift = as_a_whole(values)
        sheet = SimpleNamespace(scalings=scalings, missing=0)
        golden.put(f"whole {key} values", *map(f64, values))
        golden.put(f"whole {key} scaling", *(f64(x) for pair in scalings for x in pair), b"")
        golden.put(f"whole {key} bytes", *(to_byte(sheet, 0, x) for x in values))
        golden.put(f"whole {key} features", f32(scale), f32(shift))
    ties = SimpleNamespace(scalings=[(0.0, 0.5)], missing=0)
    values = [1.0, 3.0, 5.0, -1.0, 509.0, 511.0, 1e300, -1e300, -0.0]
    golden.put("ties values", *map(f64, values))
    golden.put("ties bytes", *(to_byte(ties, 0, x) for x in values))
    bare = SimpleNamespace(features=4, missing=0, scalings=[], names=[], label="", classes=[])
    golden.put("sheet bare", encode(bare))
    golden.put("sheet toy", encode(toy_sheet(37, 10)))
