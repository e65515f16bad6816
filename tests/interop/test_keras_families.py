"""The networks of keras.applications: converted, predicting, trained a step, saved, exported.

The small ones run each time, all of them with `--slow`.

**How far a step may lie from Keras's.** Both libraries compute the same gradients in float32, with
sums in different orders. By backward error analysis (Higham, Accuracy and Stability of Numerical
Algorithms, 2002, chapter 3) each computed value is the exact one for weights that are a little
different: a sum of n products by about sqrt(n) * 2**-24 of each, as its roundings are independent
(Higham and Mary, A new approach to probabilistic rounding error analysis, 2019), and n is 4608 at
most in the convolutions here, which gives 2**-18. So rounding moves an update as far as such
changes of all weights do, through however many layers, with whatever cancels on the way: in the
statistics of few numbers, in the gradient of a bias before a batch normalisation, which is zero but
for rounding, and in the ReLUs and max-pools whose inputs are so near to a kink that they fall on
its other side. That is measured, as `convkit.interop.verify` does it for predictions: twins of the
model, with weights changed by 2**-18 of themselves, each up or down at random, make the same step.
Of each tensor, the root of the sum of squares of the difference between both libraries' updates is
at most

- `MARGIN` times the largest of that of the differences between the twins' updates and the model's;
  or, as a kink may be met by one tensor of many, `MARGIN` times what these differences are of all
  updates together, of the tensor's own update; and
- 2**-17 of that of the update, for the roundings of the tensor's own gradient, and
- 2**-23 of that of the weights, which are rounded when the update is added, in both libraries.

As a bound that does not depend on the twin, all updates together are at most `ALL` of their size
apart.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit import interop
from families import FAMILIES, SMALL, Family, leaves, made
from peer_keras import WITH_KERAS, keras, numbers, torch

pytestmark = WITH_KERAS

NUDGE = 2.0**-18
MARGIN = 8.0
ALL = 2e-2
TWINS = 2
RATE = 0.1


@pytest.mark.parametrize("name", SMALL)
def test_a_small_network(name: str, tmp_path: Path) -> None:
    check_family(SMALL[name], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family(name: str, tmp_path: Path) -> None:
    check_family(FAMILIES[name], tmp_path)
    gc.collect()


def check_family(family: Family, folder: Path) -> None:
    """Convert a network, compare what both predict and learn, and save and load the copy."""
    network, x, y = made(family)
    model = interop.from_keras(network)
    names = [each.name for each in network.operations]
    assert [each.name for each in model.layers if each.name in names] == names
    with torch.no_grad():
        expected = numbers(network(x, training=False))
    predictions = model.predict_on_batch(x)
    largest = np.abs(expected).max()
    assert np.ptp(expected, axis=0).max() > 5e-4 * largest  # they depend on the images
    assert np.abs(predictions - expected).max() <= 1e-4 * largest
    survives_saving(model, x, predictions, folder)
    agrees_with_onnxruntime(model, x, predictions, folder)
    assert_same_step(network, model, x, y)


def test_a_wrong_epsilon_is_found() -> None:
    """What is a little different in one layer is more than rounding explains."""
    network, x, y = made(SMALL["EfficientNet"])
    model = interop.from_keras(network)
    norm = model.get_layer("block2a_bn")
    norm.epsilon = norm.epsilon * 1.05
    with pytest.raises(AssertionError, match="allowed"):
        assert_same_step(network, model, x, y)


def agrees_with_onnxruntime(
    model: convkit.Model, x: Array, predictions: Array, folder: Path
) -> None:
    """Export a model, and let onnxruntime predict the same."""
    pytest.importorskip("onnx", reason="needs the package onnx")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is compared with")
    path = folder / "model.onnx"
    convkit.onnx.export(model, path)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {session.get_inputs()[0].name: x})
    assert np.abs(predictions - theirs).max() <= 1e-4 * np.abs(theirs).max()


def survives_saving(model: convkit.Model, x: Array, predictions: Array, folder: Path) -> None:
    """Save a model, load it, and predict the same bits."""
    path = folder / "model.safetensors"
    model.save(path)
    loaded = convkit.models.load_model(path)
    np.testing.assert_array_equal(loaded.predict_on_batch(x), predictions)
    assert [each.name for each in loaded.layers] == [each.name for each in model.layers]
    path.unlink()


def assert_same_step(network: Any, model: convkit.Model, x: Array, y: Array) -> None:
    """Let both, and the twins, make one step of SGD; see the module's docstring."""
    before = _weights(model)
    twins = [_twin_step(model, x, y, seed) for seed in range(TWINS)]
    for each, library in ((model, convkit), (network, keras)):
        each.compile(library.optimizers.SGD(RATE), "categorical_crossentropy")
        each.train_on_batch(x, y)
    ours = _difference(_weights(model), before)
    theirs = _difference(_of_keras(network, model), before)
    assert list(ours) == list(theirs)
    total = _norm(*theirs.values())
    moved = [_difference(twin, ours) for twin in twins]
    share = max(_norm(*each.values()) for each in moved) / total
    far = []
    for path, update in theirs.items():
        allowed = max(share * _norm(update), *(_norm(each[path]) for each in moved)) * MARGIN
        allowed += 2.0**-17 * _norm(update) + 2.0**-23 * _norm(before[path])
        if not (distance := _norm(ours[path] - update)) <= allowed:
            far.append(f"{path}: {distance:.3g}, allowed {allowed:.3g} of {_norm(update):.3g}")
    assert not far, "\n".join(far)
    assert _norm(*_difference(ours, theirs).values()) <= ALL * total


def _twin_step(model: convkit.Model, x: Array, y: Array, seed: int) -> dict[str, Array]:
    """The update of a model whose weights are a little different."""
    rng = np.random.default_rng(seed)
    twin = convkit.models.clone_model(model)
    twin.set_weights([_nudged(weights, rng) for weights in model.get_weights()])
    before = _weights(twin)
    twin.compile(convkit.optimizers.SGD(RATE), "categorical_crossentropy")
    twin.train_on_batch(x, y)
    return _difference(_weights(twin), before)


def _difference(some: dict[str, Array], others: dict[str, Array]) -> dict[str, Array]:
    return {path: array - others[path] for path, array in some.items()}


def _nudged(weights: Array, rng: np.random.Generator) -> Array:
    signs = rng.choice(np.array([-1.0, 1.0], np.float32), weights.shape)
    return weights * (1 + np.float32(NUDGE) * signs)


def _norm(*arrays: Array) -> float:
    return float(np.sqrt(sum(np.square(each, dtype=np.float64).sum() for each in arrays)))


def _weights(model: convkit.Model) -> dict[str, Array]:
    return {each.path: each.numpy() for each in model.weights}


def _of_keras(network: Any, model: convkit.Model) -> dict[str, Array]:
    """The weights of Keras's layers under the paths, and in the shapes, of ours."""
    layers = {layer.name: layer.get_weights() for layer in leaves(network)}
    found: dict[str, Array] = {}
    for layer in model.graph.all_layers():
        for own, theirs in zip(layer.weights, layers.get(layer.name, ()), strict=False):
            found[own.path] = theirs.reshape(own.shape)
    return {each.path: found[each.path] for each in model.weights}
