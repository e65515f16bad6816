"""Normalization that was adapted, beside Keras's: the same statistics, outputs, and copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from compare import random_array
from convkit import interop
from peer_keras import WITH_KERAS, keras, numbers

pytestmark = WITH_KERAS


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("axis", [-1, None, 2, (1, 3), (1, 2, 3)], ids=str)
def test_adapting(axis: Any, invert: bool) -> None:
    data = random_array("data", (40, 6, 5, 4)) * 3 + 2
    data[..., 0] = 0.5
    theirs, ours = (m.layers.Normalization(axis=axis, invert=invert) for m in (keras, convkit))
    for layer in (theirs, ours):
        layer.adapt(data)  # Keras takes batches where TensorFlow is installed
    for actual, wanted in zip(ours.get_weights(), theirs.get_weights()[:2], strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-6)
    model = convkit.Sequential([convkit.Input((6, 5, 4)), ours])
    ours.set_weights(theirs.get_weights()[:2])  # Keras's sums are float32
    expected = numbers(theirs(data))
    np.testing.assert_allclose(model.predict(data, verbose=0), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axis", [-1, None, (1, 2, 3)], ids=str)
def test_copies(axis: Any) -> None:
    data = random_array("data", (40, 6, 5, 4)) * 3 + 2
    layer = convkit.layers.Normalization(axis)
    layer.adapt(data)
    model = convkit.Sequential([convkit.Input((6, 5, 4)), layer, convkit.layers.Conv2D(3, 2)])
    network = interop.to_keras(model)
    expected = model.predict(data, verbose=0)
    np.testing.assert_allclose(numbers(network(data)), expected, rtol=1e-4, atol=1e-5)
    back = interop.from_keras(network)
    np.testing.assert_array_equal(back.predict(data, verbose=0), expected)
