"""Whether a converted model computes what its source computes, tried on a random batch.

A converter says what a network computes from what it is made of. This asks the network itself, so
that what a converter overlooks is an error and not a wrong number.

**How far results may lie apart.** Both sides round, each in its own order. The float32 result of a
layer is the exact result for weights that are a little different (backward error analysis: Higham,
Accuracy and Stability of Numerical Algorithms, 2002, chapter 3): relatively, by some tens of 2**-24
for sums in blocks and for Winograd's transforms. So the effect of rounding on the outputs is that
of such changes of the weights, whatever cancels on the way, and it is measured: a twin of the
model, whose inputs and weights are changed at random by 2**-20 of themselves, is run on the same
batch. Eight times the distance between both, and 2**-17 of the largest output, is what is allowed.
The twin is only made where the results lie further apart than the second of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..core import random
from ..core.parameters import Array, Shape
from ..layers import Input
from ..models import Sequential
from .chain import chain_of

_NUDGE = 2.0**-20
_MARGIN = 8.0
_ROUNDING = 2.0**-17
# Beyond, sums may overflow in one order and not in another.
_LARGE_WEIGHT = 1e15
# Values in the largest array of one image, beyond which one image is enough: 64 MiB.
_LARGE_IMAGE = 1 << 24


def verify(
    model: Sequential,
    run: Callable[[Array], Array],
    source: str,
    *,
    count: int | None = None,
) -> None:
    """Raise ValueError unless a model and its source, or its copy, give the same for random images.

    Nothing random of the process is used or changed, in no library: the images are the same each
    time, one uniform in 0 .. 1 and one normal. NaN and infinity must stand in the same places,
    unless a weight is as large, or NaN itself; then only what is finite in both is compared.

    Args:
        model: built, with weights.
        run: what the other side makes of images as `model.predict` takes them, in the same layout.
        source: what it is, for the error.
        count: of images; by default two, or one where a layer makes more than 64 MiB of it.
    """
    x = _images(model, count)
    expected, actual = run(x), model.predict_on_batch(x)
    if expected.shape != actual.shape:
        raise ValueError(
            f"the model gives shape {actual.shape} where {source} gives {expected.shape}; {_ADVICE}"
        )
    tame = all(np.abs(w.value).max(initial=0.0) < _LARGE_WEIGHT for w in model.weights)
    distance = _distance(actual, expected, strict=tame)
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    allowed = _ROUNDING * float(scale)
    if not distance <= allowed:
        nudged = _nudged(model, x)
        allowed += _MARGIN * _distance(nudged, actual, strict=False)
    if not distance <= allowed:
        raise ValueError(
            f"the model does not compute what {source} computes: on random images the outputs lie "
            f"{distance:.3g} apart, where the largest is {scale:.3g} and rounding explains "
            f"{allowed:.3g}; {_ADVICE}"
        )


_ADVICE = (
    "something in it is not what its class or name says, or convkit is wrong, which should be "
    "reported; verify=False converts without this comparison"
)


def values_of_an_image(model: Sequential) -> int:
    """How many values the largest array holds that a model makes of one image."""
    shapes: list[Shape] = [
        model.input_shape,
        *(layer.output_shape or () for layer in chain_of(model)),
    ]
    return max(math.prod(size or 1 for size in shape) for shape in shapes)


def products_of_an_image(model: Sequential) -> int:
    """How many multiplications a model makes for one image, but for those without weights."""
    return sum(
        math.prod(size or 1 for size in (layer.output_shape or ())[1:-1])
        * max((weight.size for weight in layer.weights), default=0)
        for layer in chain_of(model)
    )


def _images(model: Sequential, count: int | None) -> Array:
    if count is None:
        count = 2 if values_of_an_image(model) <= _LARGE_IMAGE else 1
    rng = np.random.default_rng(0)
    shape = (count, *(size or 1 for size in model.input_shape[1:]))
    x = rng.standard_normal(shape, dtype=np.float32)
    x[::2] = rng.random(x[::2].shape, dtype=np.float32)
    return x


def _distance(a: Array, b: Array, *, strict: bool) -> float:
    """The largest difference where both are finite; if strict, infinite where only one is."""
    finite = np.isfinite(a) & np.isfinite(b)
    if strict and not (finite | (~np.isfinite(a) & ~np.isfinite(b))).all():
        return math.inf
    return float(np.abs(a[finite].astype(np.float64) - b[finite]).max(initial=0.0))


def _nudged(model: Sequential, x: Array) -> Array:
    """The outputs of a twin whose inputs and weights are changed by 2**-20 of themselves."""
    rng = np.random.default_rng(1)

    def nudge(array: Array) -> Array:
        signs = rng.integers(0, 2, array.shape, np.int8)
        factors: Array = np.where(signs, np.float32(1 + _NUDGE), np.float32(1 - _NUDGE))
        return np.multiply(array, factors)

    copies = []
    for layer in chain_of(model):
        config = layer.get_config()
        without = ("_initializer", "_regularizer", "_constraint")
        plain = {k: v for k, v in config.items() if not k.endswith(without)}
        copies.append(type(layer).from_config(plain))
    with random.seeded(0):  # the initializers of what is overwritten
        twin = Sequential([Input(x.shape[1:]), *copies])
    for mine, theirs in zip(twin.weights, model.weights, strict=True):
        mine.value[...] = nudge(theirs.value)
    outputs: Array = twin.predict_on_batch(nudge(x))
    return outputs
