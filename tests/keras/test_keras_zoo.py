"""The zoo beside Keras's own networks."""

from __future__ import annotations

from typing import Any

import pytest

from convkit import zoo
from peer_keras import WITH_KERAS

pytestmark = WITH_KERAS


@pytest.mark.parametrize("alpha", [0.35, 0.5, 1.0, 1.3])
def test_mobilenet_v2_has_the_weights_of_keras_s(keras: Any, alpha: float) -> None:
    """All shapes, in order: strides are no weights."""
    theirs = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=alpha, weights=None, classes=10, include_top=True
    )
    ours = zoo.mobilenet_v2_cifar(alpha)
    assert [w.shape for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
