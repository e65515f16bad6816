"""Keras beside convkit: the same layers, the same weights, the same batches.

Keras runs on its PyTorch backend. Where it is not installed, the tests that import this module are
skipped and say so. They ignore warnings: NumPy, PyTorch and Keras warn about one another.

Most cases are one line that is run twice, with Keras's module and with convkit's, so they also show
that names, argument order and defaults are Keras's. Layer by layer Keras computes in float64: a
judge more exact than the judged, and the bounds are those of float32 alone (see `compare`).
Trainings run as in a script, both sides in float32.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array

if os.environ.setdefault("KERAS_BACKEND", "torch") != "torch":
    pytest.skip(f"KERAS_BACKEND is {os.environ['KERAS_BACKEND']}", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch: Any = pytest.importorskip("torch", reason="Keras computes with PyTorch here")
    keras: Any = pytest.importorskip("keras", reason="Keras is compared with; pip install keras")

# Both compute in float32, with sums in different orders. A few steps of a small network multiply
# the first roundings (6e-8 of each number) some tens of times.
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


# Keras hands PyTorch's tensors to NumPy in a way that NumPy 2 deprecates.
WITH_KERAS = [
    pytest.mark.filterwarnings("ignore:__array:DeprecationWarning"),
    pytest.mark.usefixtures("keras", "one_torch_thread"),
]

Make = Callable[[Any], Any]  # from a module, keras or convkit, to an object of it


def numbers(tensor: Any) -> Array:
    """What a tensor of Keras holds."""
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def twin(model: convkit.Sequential) -> Any:
    """The model in Keras, with the same weights and names; not compiled."""
    copy = keras.Sequential([keras.Input(model.input_shape[1:]), *map(_layer, model.layers)])
    for ours, theirs in zip(model.layers, copy.layers, strict=True):
        theirs.set_weights(ours.get_weights())
        theirs.trainable = ours.trainable
    return copy


def _layer(layer: convkit.layers.Layer) -> Any:
    ours = ("algorithm", "trainable")
    config = {key: value for key, value in layer.get_config().items() if key not in ours}
    for key in list(config):
        if key.endswith("_initializer"):
            del config[key]  # the weights are copied
        elif key.endswith(("_regularizer", "_constraint")) and config[key] is not None:
            module = getattr(keras, f"{key.rpartition('_')[2]}s")
            kind = getattr(module, config[key]["class_name"])
            config[key] = kind(**config[key]["config"])
    return getattr(keras.layers, type(layer).__name__)(**config)


def assert_same_history(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Assert the same names in any order, and the same numbers to float32's accuracy."""
    assert set(ours) == set(theirs)
    for key in ours:
        np.testing.assert_allclose(ours[key], theirs[key], **CLOSE, err_msg=key)


def assert_same_weights(ours: convkit.Sequential, theirs: Any) -> None:
    """Assert the same weights to float32's accuracy."""
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
