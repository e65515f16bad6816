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
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import layers
from ..core.parameters import Array
from ..layers.graph import one_or_all
from ..models import Model
from .calls import Calls

_NUDGE = 2.0**-20
_MARGIN = 8.0
_ROUNDING = 2.0**-17
# Beyond, sums may overflow in one order and not in another.
_LARGE_WEIGHT = 1e15
# Values in the largest array of one image, beyond which one image is enough: 64 MiB.
_LARGE_IMAGE = 1 << 24


def verify(
    model: Model,
    run: Callable[[Any], Any],
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
        run: what the other side makes of images as `model.predict` takes them, in the same layout;
            of several inputs it is given a list, and of several outputs it gives one.
        source: what it is, for the error.
        count: of images; by default two, or one where a layer makes more than 64 MiB of it.
    """
    calls = Calls(model)
    x = _images(calls, count)
    outcome = run(one_or_all(x))
    expected = outcome if isinstance(outcome, list) else [outcome]
    actual = _outputs(model, x)
    shapes = [y.shape for y in actual], [y.shape for y in expected]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"the model gives shape {_listed(shapes[0])} where {source} gives "
            f"{_listed(shapes[1])}; {_ADVICE}"
        )
    tame = all(np.abs(w.array).max(initial=0.0) < _LARGE_WEIGHT for w in model.weights)
    nudged: list[Array] = []
    for index, (mine, theirs) in enumerate(zip(actual, expected, strict=True)):
        distance = _distance(mine, theirs, strict=tame)
        scale = np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)
        allowed = _ROUNDING * float(scale)
        if not distance <= allowed:
            nudged = nudged or _nudged(calls, x)
            allowed += _MARGIN * _distance(nudged[index], mine, strict=False)
        if not distance <= allowed:
            raise ValueError(
                f"the model does not compute what {source} computes: on random images the outputs "
                f"lie {distance:.3g} apart, where the largest is {scale:.3g} and rounding explains "
                f"{allowed:.3g}; {_ADVICE}"
            )


_ADVICE = (
    "something in it is not what its class or name says, or convkit is wrong, which should be "
    "reported; verify=False converts without this comparison"
)


def _listed(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes))


def _images(calls: Calls, count: int | None) -> list[Array]:
    if count is None:
        count = 2 if calls.most_values() <= _LARGE_IMAGE else 1
    rng = np.random.default_rng(0)
    images = []
    for number in calls.inputs:
        x = rng.standard_normal((count, *calls.sizes[number]), dtype=np.float32)
        x[::2] = rng.random(x[::2].shape, dtype=np.float32)
        images.append(x)
    return images


def _outputs(model: Model, x: Sequence[Array]) -> list[Array]:
    outputs = model.predict_on_batch(one_or_all(x))
    if isinstance(outputs, dict):
        return list(outputs.values())
    return outputs if isinstance(outputs, list) else [outputs]


def _distance(a: Array, b: Array, *, strict: bool) -> float:
    """The largest difference where both are finite; if strict, infinite where only one is."""
    finite = np.isfinite(a) & np.isfinite(b)
    if strict and not (finite | (~np.isfinite(a) & ~np.isfinite(b))).all():
        return math.inf
    return float(np.abs(a[finite].astype(np.float64) - b[finite]).max(initial=0.0))


def _nudged(calls: Calls, x: Sequence[Array]) -> list[Array]:
    """The outputs of a twin whose inputs and weights are changed by 2**-20 of themselves."""
    rng = np.random.default_rng(1)

    def nudge(array: Array) -> Array:
        signs = rng.integers(0, 2, array.shape, np.int8)
        factors: Array = np.where(signs, np.float32(1 + _NUDGE), np.float32(1 - _NUDGE))
        return np.multiply(array, factors)

    copies: dict[layers.Layer, Any] = {}
    tensors = [layers.Input(calls.sizes[number]) for number in calls.inputs]
    for layer, inputs, _ in calls.calls:
        if layer not in copies:
            copies[layer] = _twin(layer, f"layer_{len(copies)}")
        given = [tensors[number] for number in inputs]
        tensors.append(copies[layer](given if layer.merges else given[0]))
    outputs = [tensors[number] for number in calls.outputs]
    twin = Model(one_or_all(tensors[: len(x)]), one_or_all(outputs))
    for layer, copy in copies.items():
        copy.weight_source = None
        for mine, theirs in zip(copy.weights, layer.weights, strict=True):
            mine.value = nudge(theirs.array)
    return _outputs(twin, [nudge(each) for each in x])


def _twin(layer: layers.Layer, name: str) -> layers.Layer:
    """A layer of the same arguments, whose weights are not drawn: they are overwritten."""
    without = ("_initializer", "_regularizer", "_constraint")
    config = {k: v for k, v in layer.get_config().items() if not k.endswith(without)}
    twin = type(layer).from_config({**config, "name": name})
    twin.weight_source = lambda path, shape: np.zeros(shape, np.float32)
    return twin
