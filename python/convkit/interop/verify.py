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
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..core.parameters import Array
from ..layers import Input, Layer
from ..layers.graph import Graph, Tensor
from ..models import Model

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
    unless a weight is as large, or NaN itself; then only what is finite in both is compared. Of
    several outputs each is compared by itself.

    Args:
        model: built, with weights.
        run: what the other side makes of images as `model.predict` takes them, in the same layout:
            of an array, or of a list of several inputs' arrays; and likewise what it gives.
        source: what it is, for the error.
        count: of images; by default two, or one where a layer makes more than 64 MiB of it.
    """
    x = _images(model, count)
    made, ours = run(x if len(x) > 1 else x[0]), _predict(model, x)
    theirs = made if isinstance(made, list) else [made]
    if len(theirs) != len(ours):
        raise ValueError(
            f"the model gives {len(ours)} outputs where {source} gives {len(theirs)}; {_ADVICE}"
        )
    tame = all(np.abs(w.value).max(initial=0.0) < _LARGE_WEIGHT for w in model.weights)
    nudged: list[Array] = []
    for index, (actual, expected) in enumerate(zip(ours, theirs, strict=True)):
        if expected.shape != actual.shape:
            raise ValueError(
                f"the model gives shape {actual.shape} where {source} gives {expected.shape}; "
                f"{_ADVICE}"
            )
        distance = _distance(actual, expected, strict=tame)
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
        allowed = _ROUNDING * float(scale)
        if not distance <= allowed:
            nudged = nudged or _nudged(model, x)
            allowed += _MARGIN * _distance(nudged[index], actual, strict=False)
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


def values_of_an_image(model: Model) -> int:
    """How many values the largest array holds that a model makes of one image."""
    made = [model.graph, *_inner_graphs(model.graph)]
    shapes = [
        *(tensor.shape for graph in made for tensor in graph.inputs),
        *(tensor.shape for graph in made for node in graph.nodes for tensor in node.outputs),
    ]
    return max(math.prod(size or 1 for size in shape) for shape in shapes)


def products_of_an_image(model: Model) -> int:
    """How many multiplications a model makes for one image, but for those without weights."""
    return sum(
        math.prod(size or 1 for size in node.outputs[0].shape[1:-1])
        * max((weight.size for weight in node.layer.weights), default=0)
        for graph in (model.graph, *_inner_graphs(model.graph))
        for node in graph.nodes
        if node.layer._inner is None
    )


def _inner_graphs(graph: Graph) -> Iterator[Graph]:
    """The graphs of the models in a graph, once for each call."""
    for node in graph.nodes:
        if node.layer._inner is not None:
            yield node.layer._inner
            yield from _inner_graphs(node.layer._inner)


def _images(model: Model, count: int | None) -> list[Array]:
    """A batch for each input."""
    if count is None:
        count = 2 if values_of_an_image(model) <= _LARGE_IMAGE else 1
    rng = np.random.default_rng(0)
    batches = []
    for tensor in model.graph.inputs:
        x = rng.standard_normal((count, *tensor.sizes), dtype=np.float32)
        x[::2] = rng.random(x[::2].shape, dtype=np.float32)
        batches.append(x)
    return batches


def _predict(model: Model, x: list[Array]) -> list[Array]:
    """What a model makes of arrays, one for each input."""
    made = model.predict_on_batch(x if len(x) > 1 else x[0])
    return model._structure(1).flatten(made, "outputs", leaf=np.ndarray)


def _distance(a: Array, b: Array, *, strict: bool) -> float:
    """The largest difference where both are finite; if strict, infinite where only one is."""
    finite = np.isfinite(a) & np.isfinite(b)
    if strict and not (finite | (~np.isfinite(a) & ~np.isfinite(b))).all():
        return math.inf
    return float(np.abs(a[finite].astype(np.float64) - b[finite]).max(initial=0.0))


def _nudged(model: Model, x: list[Array]) -> list[Array]:
    """The outputs of a twin whose inputs and weights are changed by 2**-20 of themselves."""
    rng = np.random.default_rng(1)

    def nudge(array: Array) -> Array:
        signs = rng.integers(0, 2, array.shape, np.int8)
        factors: Array = np.where(signs, np.float32(1 + _NUDGE), np.float32(1 - _NUDGE))
        return np.multiply(array, factors)

    twins: dict[Layer, Layer] = {}
    inputs = [Input(tensor.sizes) for tensor in model.graph.inputs]
    twin = Model(inputs, _again(model.graph, inputs, twins))
    for layer, copy in twins.items():
        copy.weight_source = None
        for mine, theirs in zip(copy.weights, layer.weights, strict=True):
            mine.value[...] = nudge(theirs.value)
    return _predict(twin, [nudge(each) for each in x])


def _again(graph: Graph, given: Sequence[Tensor], twins: dict[Layer, Layer]) -> list[Tensor]:
    """The outputs of a graph whose layers are made anew, for other inputs."""
    tensors = dict(zip(graph.inputs, given, strict=True))
    for node in graph.nodes:
        inputs = [tensors[tensor] for tensor in node.inputs]
        if node.layer._inner is not None:
            made = _again(node.layer._inner, inputs, twins)
        else:
            twin = twins.get(node.layer)
            if twin is None:
                twin = twins[node.layer] = _twin(node.layer, f"layer_{len(twins)}")
            made = [twin(inputs if twin.merges else inputs[0])]
        tensors.update(zip(node.outputs, made, strict=True))
    return [tensors[tensor] for tensor in graph.outputs]


def _twin(layer: Layer, name: str) -> Layer:
    """A layer of the same arguments, without weights yet."""
    without = ("_initializer", "_regularizer", "_constraint")
    config = {k: v for k, v in layer.get_config().items() if not k.endswith(without)}
    twin = type(layer).from_config({**config, "name": name})
    twin.weight_source = lambda path, shape: np.zeros(shape, np.float32)
    return twin
