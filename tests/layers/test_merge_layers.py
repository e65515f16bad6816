"""The layers of several inputs by themselves: arrays in, arrays out, against the reference."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import convkit
from compare import (
    Array,
    all_float64,
    assert_close,
    assert_same_bits,
    random_array,
    random_integers,
)
from convkit import layers, reference
from convkit.layers.base import Layer
from convkit.layers.merge import MergeLayer
from convkit.layers.step_context import INFERENCE, StepContext
from convkit.ops._calls import Calls
from convkit.storage import registry

ELEMENT_WISE: tuple[type[MergeLayer], ...] = (
    layers.Add,
    layers.Subtract,
    layers.Multiply,
    layers.Average,
    layers.Maximum,
    layers.Minimum,
)
FUNCTIONS = ("add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate")
# Shapes of samples.
BROADCASTS: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((5, 4, 6), (5, 4, 6)),
    ((5, 4, 6), (6,)),
    ((5, 4, 6), (1, 1, 6)),
    ((5, 4, 1), (5, 4, 6)),
    ((1,), (5, 4, 6)),
    ((7,), (7,)),
    ((5, 1, 3), (4, 1)),
    ((5, 4, 6),) * 3,
    ((3,), (5, 4, 3), (5, 4, 1)),
    ((5, 4, 6),),
)
SIDES: tuple[tuple[int, tuple[tuple[int, ...], ...]], ...] = (
    (-1, ((5, 4, 6), (5, 4, 2), (5, 4, 1))),
    (1, ((5, 4, 6), (2, 4, 6))),
    (2, ((5, 4, 6), (5, 3, 6))),
    (-2, ((5, 4, 6), (5, 3, 6))),
    (1, ((7,), (3,))),
    (-1, ((5, 4, 6),)),
)
CASES = [
    *((kind(), shapes) for kind in ELEMENT_WISE for shapes in BROADCASTS
      if kind is not layers.Subtract or len(shapes) == 2),
    *((layers.Concatenate(axis), shapes) for axis, shapes in SIDES),
]  # fmt: skip
every_case = pytest.mark.parametrize(
    ("layer", "shapes"), CASES, ids=lambda each: type(each).__name__ if each else ""
)

Results = tuple[Array, list[Array | None]]


def inputs(shapes: Sequence[tuple[int, ...]], batch: int = 3) -> tuple[Array, ...]:
    """Whole numbers, so that several are largest at many places."""
    return tuple(random_integers(f"x{k}", (batch, *shape)) for k, shape in enumerate(shapes))


def compute(
    layer: MergeLayer,
    x: tuple[Array, ...],
    dy: Array,
    wanted: Sequence[bool] | None = None,
    over: int | None = None,
) -> Results:
    """Forward and backward as a plan runs them; `over` the input of that number, and over dy."""
    twin: MergeLayer = type(layer).from_config(layer.get_config())
    twin.build([(None, *each.shape[1:]) for each in x])
    shape = (x[0].shape[0], *(size or 0 for size in (twin.output_shape or ())[1:]))
    assert twin.output_sizes([each.shape[1:] for each in x]) == shape[1:]
    saved = tuple(
        np.full(each.shape, 99, each.dtype) for each in twin.saved_arrays([a.shape for a in x])
    )
    kept = tuple(each if twin.keeps_input else np.full_like(each, np.nan) for each in x)
    y = np.full(shape, np.nan, np.float32)
    twin.forward(x, y, saved, StepContext(True))
    if over is not None:
        place = x[over].copy()
        given = (*x[:over], place, *x[over + 1 :])
        twin.forward(given, place.reshape(shape), saved, StepContext(True))
        assert_same_bits(place.reshape(shape), y)
    gradient = dy.copy()
    dx: list[Array | None] = [np.full(each.shape, np.nan, np.float32) for each in x]
    if over is not None:
        dx[over] = gradient.reshape(x[over].shape)
    for k, each in enumerate(wanted or ()):
        dx[k] = dx[k] if each else None
    behind = y if twin.keeps_output else np.full_like(y, np.nan)
    twin.backward(kept, behind, gradient, tuple(dx), saved, StepContext(True))
    return y, dx


def aligned(array: Array, rank: int) -> Array:
    return array.reshape(array.shape[0], *(1,) * (rank - array.ndim), *array.shape[1:])


def expected(layer: MergeLayer, x: tuple[Array, ...], dy: Array) -> Results:
    """By the reference, in float64."""
    exact, gradient = all_float64(*x), dy.astype(np.float64)
    if isinstance(layer, layers.Concatenate):
        y, begin, parts = reference.concatenate(exact, layer.axis), 0, []
        for each in exact:
            parts.append(reference.concatenate_backward(gradient, each.shape, begin, layer.axis))
            begin += each.shape[layer.axis]
        return y, [*parts]
    if len(x) == 1:
        return exact[0], [gradient]
    exact = tuple(aligned(each, dy.ndim) for each in exact)
    y, dx = getattr(reference, layer.operation)(*exact), []
    for k, each in enumerate(exact):
        if isinstance(layer, layers.Multiply):
            others = [other for j, other in enumerate(exact) if j != k]
            dx.append(reference.multiply_backward(gradient, each.shape, *others))
        elif isinstance(layer, layers.Maximum | layers.Minimum):
            dx.append(reference.maximum_backward(gradient, y[1], k, each.shape))
        else:
            divisor = len(x) if isinstance(layer, layers.Average) else 1
            sign = -1 if isinstance(layer, layers.Subtract) and k == 1 else 1
            dx.append(reference.add_backward(gradient, each.shape, divisor=float(sign * divisor)))
    shaped = [each.reshape(array.shape) for each, array in zip(dx, x, strict=True)]
    return y[0] if isinstance(y, tuple) else y, [*shaped]


def gradient_for(layer: MergeLayer, x: tuple[Array, ...]) -> Array:
    shape = layer.compute_output_shape([each.shape for each in x])
    return random_array("dy", [size or 0 for size in shape])


def assert_results(actual: Results, wanted: Results) -> None:
    assert_close(actual[0], wanted[0])
    for mine, theirs in zip(actual[1], wanted[1], strict=True):
        assert mine is not None
        assert theirs is not None
        assert_close(mine, theirs, terms=20, scale=4.0)


@every_case
@pytest.mark.usefixtures("isa")
def test_outputs_and_gradients(layer: MergeLayer, shapes: tuple[tuple[int, ...], ...]) -> None:
    x = inputs(shapes)
    dy = gradient_for(layer, x)
    assert_results(compute(layer, x, dy), expected(layer, x, dy))


@every_case
def test_in_place(layer: MergeLayer, shapes: tuple[tuple[int, ...], ...]) -> None:
    """y over any input of its shape, its gradient over dy: the same bits."""
    x = inputs(shapes)
    dy, twin = gradient_for(layer, x), type(layer).from_config(layer.get_config())
    twin.build([each.shape for each in x])
    same = [k for k, each in enumerate(x) if each.shape == dy.shape]
    assert twin.in_place == bool(same)
    for k in same:
        (y, dx), (z, dz) = compute(layer, x, dy), compute(layer, x, dy, over=k)
        assert_same_bits((y, *dx), (z, *dz))


@every_case
def test_gradients_that_nobody_wants(
    layer: MergeLayer, shapes: tuple[tuple[int, ...], ...]
) -> None:
    x = inputs(shapes)
    dy = gradient_for(layer, x)
    whole = compute(layer, x, dy)[1]
    for k in range(len(x)):
        some = compute(layer, x, dy, [j == k for j in range(len(x))])[1]
        assert [each is not None for each in some] == [j == k for j in range(len(x))]
        assert_same_bits(some[k], whole[k])


@pytest.mark.parametrize("kind", ELEMENT_WISE)
def test_the_same_input_twice(kind: type[MergeLayer]) -> None:
    (x,) = inputs(((5, 4, 6),))
    dy = random_array("dy", x.shape)
    for over in (False, True):
        layer = kind()
        layer.build([x.shape, x.shape])
        saved = tuple(np.empty(s.shape, s.dtype) for s in layer.saved_arrays([x.shape] * 2))
        a = x.copy()
        y = a if over and not layer.keeps_input else np.empty_like(x)
        layer.forward((a, a), y, saved, StepContext(True))
        gradient = dy.copy()
        dx = (gradient if over else np.empty_like(x), np.empty_like(x))
        layer.backward((a, a), y, gradient, dx, saved, StepContext(True))
        assert_results((y, [*dx]), expected(layer, (x, x), dy))


@every_case
def test_replayed_calls(layer: MergeLayer, shapes: tuple[tuple[int, ...], ...]) -> None:
    """What a plan captures reads its arrays again, also those that are broadcast."""
    x = tuple(random_array(f"y{k}", (3, *shape)) for k, shape in enumerate(shapes))
    dy = gradient_for(layer, x)
    layer = type(layer).from_config(layer.get_config())
    layer.build([each.shape for each in x])
    assert layer.capturable
    y, dx = np.empty_like(dy), tuple(np.empty_like(each) for each in x)
    saved = tuple(np.empty(s.shape, s.dtype) for s in layer.saved_arrays([a.shape for a in x]))

    there = Calls(), Calls()
    there[0].capture(layer.forward, False, x, y, saved, INFERENCE)
    there[1].capture(layer.backward, False, x, y, dy, dx, saved, INFERENCE)
    assert len(there[0]) == 1
    assert len(there[1]) == len(x)
    for array in x:
        array *= -1.5
    dy *= 0.5
    layer.forward(x, y, saved, INFERENCE)
    layer.backward(x, y, dy, dx, saved, INFERENCE)
    wanted = tuple(array.copy() for array in (y, *dx))
    for array in (y, *dx):
        array[...] = np.nan
    for calls in there:
        calls.replay()
    assert_same_bits((y, *dx), wanted)


# Shapes, names, configurations.


def test_the_list_of_merging_layers_is_whole() -> None:
    known = registry.known_classes().values()
    found = {kind for kind in known if issubclass(kind, Layer) and getattr(kind, "merges", False)}
    assert found == {*ELEMENT_WISE, layers.Concatenate}
    for kind in found:
        assert vars(kind)["capturable"], "plans may remember its calls"


@every_case
def test_config_and_shapes(layer: MergeLayer, shapes: tuple[tuple[int, ...], ...]) -> None:
    config = json.loads(json.dumps(layer.get_config()))
    twin = type(layer).from_config(config)
    assert twin.get_config() == layer.get_config() == registry_round_trip(layer).get_config()
    open_shapes, whole = [(None, *s) for s in shapes], [(4, *s) for s in shapes]
    shape = twin.compute_output_shape(open_shapes)
    assert twin.compute_output_shape(whole) == (4, *shape[1:])
    assert twin.compute_output_shape([open_shapes[0], *whole[1:]])[0] == (
        4 if len(shapes) > 1 else None
    )
    assert not twin.built
    twin.build(open_shapes)
    assert twin.built
    assert (twin.input_shape, twin.output_shape) == (tuple(open_shapes), shape)
    twin.build(whole)  # nothing happens
    assert twin.input_shape == tuple(open_shapes)
    assert (twin.count_params(), twin.weights) == (0, [])
    assert twin.stages() == (twin,)
    assert str(len(shapes)) in twin.describe([s for s in whole], True)


def registry_round_trip(layer: Layer) -> Layer:
    return registry.revive(json.loads(json.dumps(convkit.core.config.serialize(layer))), Layer)


def test_names_follow_keras() -> None:
    convkit.utils.clear_session()
    made = [kind() for kind in (*ELEMENT_WISE, layers.Concatenate, layers.Add)]
    assert [layer.name for layer in made] == [*FUNCTIONS, "add_1"]


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (layers.Add(name="sum"), [(None, 5, 4, 6), (None, 5, 4, 3)],
         r'"sum" \(Add\): inputs of shapes \(None, 5, 4, 6\) and \(None, 5, 4, 3\) do not fit: '
         r"axis -1 must have one size in all of them, or 1, received 3 and 6; make them alike"),
        (layers.Add(), [(None, 5, 4, 6), (None, 4)], "axis -1 must have one size"),
        (layers.Add(), [(2, 5), (3, 5)], "the same batch"),
        (layers.Add(), (None, 5), r"a list of inputs.*received \(None, 5\)"),
        (layers.Add(), [], "a list of 1 to 64 inputs, received 0"),
        (layers.Add(), [(None, 1)] * 65, "a list of 1 to 64 inputs, received 65.*and 61 more"),
        (layers.Add(), [(None, 5), ()], "need the batch in front"),
        (layers.Add(), [(None, 5), (None, None)], "must be a positive integer"),
        (layers.Add(), [(None, 5), (None, 0)], "must be a positive integer"),
        (layers.Add(), [(None, 5), (None, "5")], "the batch in front"),
        (layers.Subtract(), [(None, 5)], "exactly 2 inputs, received 1"),
        (layers.Subtract(), [(None, 5)] * 3, "exactly 2 inputs, received 3"),
        (layers.Concatenate(), [(None, 5, 4, 6), (None, 5, 3, 6)],
         "must have the same shape but for axis -1; make them alike"),
        (layers.Concatenate(), [(None, 5, 4), (None, 5)], "must have the same shape but"),
        (layers.Concatenate(2), [(None, 5), (None, 5)], r"no axis 2 .* in 1 .. 1"),
        (layers.Concatenate(-2), [(None, 5), (None, 5)], "no axis -2 besides the batch's"),
        (layers.Concatenate(), [], "a list of at least 1 inputs, received 0"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit(layer: MergeLayer, shapes: Any, message: str) -> None:
    for call in (layer.compute_output_shape, layer.build):
        with pytest.raises(ValueError, match=message):
            call(shapes)
    assert not layer.built


@pytest.mark.parametrize("axis", [0, 1.5, "x", None, True, [1]])
def test_wrong_axes(axis: Any) -> None:
    with pytest.raises(ValueError, match=r"\(Concatenate\): axis must be an integer other than 0"):
        layers.Concatenate(axis)


def test_any_number_is_put_side_by_side() -> None:
    shape = layers.Concatenate().compute_output_shape([(None, 4, 4, 2)] * 100)
    assert shape == (None, 4, 4, 200)


def test_it_is_built_once() -> None:
    layer = layers.Add()
    layer.build([(None, 5), (None, 5)])
    with pytest.raises(ValueError, match=r"built for inputs of shapes .* and cannot take"):
        layer.build([(None, 6), (None, 6)])
    with pytest.raises(ValueError, match="and cannot take"):
        layer.build([(None, 5)])


@pytest.mark.parametrize("kind", [*ELEMENT_WISE, layers.Concatenate])
def test_attributes_of_a_built_layer(kind: type[MergeLayer]) -> None:
    layer = kind()
    shapes = [(None, 5, 4, 6), (None, 5, 4, 6)]
    layer.build(shapes)
    layer.trainable = False
    assert layer.get_config()["trainable"] is False
    for name, value in (("name", "b"), ("input_shape", (5,)), ("axis", 2)):
        if name == "axis" and kind is not layers.Concatenate:
            continue
        before = layer.get_config()
        with pytest.raises(AttributeError, match=f"{name} cannot be set; .*new"):
            setattr(layer, name, value)
        assert layer.get_config() == before
    free = kind()
    free.name = "renamed"
    assert free.name == "renamed"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_call_the_layer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The layer that is called has the arguments of the function, and is given its inputs."""
    called: list[Any] = []
    monkeypatch.setattr(Layer, "__call__", lambda *given: called.append(given) or "y")
    options = {"axis": 2} if name == "concatenate" else {}
    assert getattr(layers, name)(["x", "z"], name="mine", **options) == "y"
    ((layer, given),) = called
    assert type(layer).__name__.lower() == name
    assert given == ["x", "z"]
    assert layer.get_config() == type(layer)(name="mine", **options).get_config()
