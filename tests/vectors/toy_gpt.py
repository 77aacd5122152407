"""The toy language models of the golden files; toy.py runs them."""
import numpy as np

import b3
import gn1
import gpt
import gpt_shape
import records
import toy
from gn1 import F


def text(first, count, vocabulary, token_bytes):
    """Tokens first … first+count−1 of a stream that is a formula, and as learnable as one."""
    i = np.arange(first, first + count, dtype=np.int64)
    return ((i * i * 7 + (i >> 4) * 31) % vocabulary).astype(f"<u{token_bytes}").view(np.uint8)


def wide_job():
    """A row of f32 and a head take more than a tile of 64 columns and a chunk of 256 floats. The
    seed lets a chunk of the data end between the inputs and the target of a last row, and between
    the input and the targets of a first one.
    """
    train, test = text(0, 3000, 40, 1), text(3000, 700, 40, 1)
    return job(True, name="toy-gpt-wide", vocabulary=40, width=384, heads=3, hidden=16, context=32,
               batch=2, token_bytes=1, train=train, test=test, outer_momentum=F(0), clip=F(0),
               data_seed=1237470, train_address=b3.b3(train.tobytes()),
               test_address=b3.b3(test.tobytes()))


def job(tied, **changes):
    """What the one has, the other has not. In the first the clip works in two steps of three, and
    the stochastic bits of attention need two groups of columns; in the second no side fills its
    tiles.
    """
    if tied:
        shape = dict(name="toy-gpt-tied", vocabulary=300, width=80, heads=5, hidden=100, blocks=1,
                     context=32, batch=3, norm=gpt_shape.LAYERNORM, activation=gpt_shape.SILU,
                     token_bytes=2, clip=F(0.5), outer_lr=F(0.7), outer_momentum=F(0.9),
                     optimiser=gn1.SGD, lr=F(0.05), beta2=F(0), eps=F(0), wd=F(0.0005))
    else:
        shape = dict(name="toy-gpt", vocabulary=200, width=64, heads=2, hidden=112, blocks=2,
                     context=160, batch=2, norm=gpt_shape.RMSNORM, activation=gpt_shape.GELU,
                     token_bytes=1, clip=F(0.75), outer_lr=F(1), outer_momentum=F(0),
                     optimiser=gn1.ADAMW, lr=F(0.004), beta2=F(0.99), eps=F(1e-8), wd=F(0.1))
    train, test = (text(first, count, shape["vocabulary"], shape["token_bytes"])
                   for first, count in ((0, 3000), (3000, 700)))
    fields = vars(toy.job(gn1.SGD)) | shape | dict(
        tied=int(tied), train=train, test=test, n_train=3000, n_test=700, beta1=F(0.9),
        train_address=b3.b3(train.tobytes()), test_address=b3.b3(test.tobytes()),
        steps_per_lease=3, warmup=2, program=gpt)
    fields.update(changes)
    return records.GptJob(**fields)
