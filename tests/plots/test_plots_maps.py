"""Filters and activations: the right numbers, on one scale, and a model that is left as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from convkit import layers

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from convkit import plots
from figures import assert_nothing_is_cut_off, assert_nothing_overlaps, texts


@pytest.fixture
def model() -> Any:
    """A small model of colour images that has been trained for a step."""
    convkit.utils.set_random_seed(0)
    model = convkit.Sequential(
        [
            convkit.Input((12, 10, 3)),
            layers.Conv2D(20, 3, activation="relu", name="first"),
            layers.BatchNormalization(name="normal"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(6, (3, 2), name="second"),
            layers.Flatten(name="flat"),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax", name="last"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images(6), np.arange(6) % 3, verbose=0)
    return model


def images(count: int) -> np.ndarray:
    return np.random.default_rng(1).random((count, 12, 10, 3), dtype=np.float32)


def shown(figure: Figure) -> list[np.ndarray]:
    """The arrays of the small pictures; the colour bar is none."""
    return [np.asarray(ax.images[0].get_array()) for ax in figure.axes if ax.images]


def limits(figure: Figure) -> set[tuple[float, float]]:
    return {ax.images[0].get_clim() for ax in figure.axes if ax.images}


# ------------------------------------------------------------------------------ filters


def test_filters_of_a_colour_image(model: Any) -> None:
    figure = plots.filters(model.layers[0])
    kernel = model.layers[0].get_weights()[0]
    largest = np.abs(kernel).max()
    for picture, wanted in zip(shown(figure), np.moveaxis(kernel, -1, 0), strict=True):
        np.testing.assert_allclose((picture - 0.5) * 2 * largest, wanted, atol=1e-6)
        assert 0 <= picture.min() <= picture.max() <= 1
    assert figure.get_suptitle() == "first: 20 filters of 3 x 3"
    assert_nothing_is_cut_off(figure)
    assert_nothing_overlaps(texts(figure))


@pytest.mark.parametrize(("layer", "channel"), [(0, 2), (3, None), (3, 19)])
def test_filters_of_one_channel(model: Any, layer: int, channel: int | None) -> None:
    figure = plots.filters(model.layers[layer], channel=channel, count=5)
    kernel = model.layers[layer].get_weights()[0]
    for place, picture in enumerate(shown(figure)):
        np.testing.assert_array_equal(picture, kernel[:, :, channel or 0, place])
    assert len(shown(figure)) == 5
    ((lowest, highest),) = limits(figure)
    assert lowest == -highest == -np.abs(kernel[:, :, channel or 0]).max()
    assert f", input channel {channel or 0} of {kernel.shape[2]}" in figure.get_suptitle()
    assert f": the first 5 of {kernel.shape[3]} filters" in figure.get_suptitle()
    assert figure.axes[-1].get_ylabel() == "weight"
    assert_nothing_is_cut_off(figure)
    assert_nothing_overlaps(texts(figure))


def test_filters_of_a_grey_image() -> None:
    layer = layers.Conv2D(70, 5, input_shape=(28, 28, 1), name="grey")
    convkit.Sequential([layer])
    given = Figure()
    figure = plots.filters(layer, figure=given)
    assert figure is given
    assert len(shown(figure)) == 64
    assert figure.get_suptitle() == "grey: the first 64 of 70 filters of 5 x 5"


def test_filters_of_something_else(model: Any) -> None:
    with pytest.raises(ValueError, match='"pool" has no filters to draw: expected a convolution'):
        plots.filters(model.layers[2])
    with pytest.raises(ValueError, match='"last" has no filters'):
        plots.filters(model.layers[-1])
    with pytest.raises(ValueError, match=r"has no filters .*that is built"):
        plots.filters(layers.Conv2D(3, 3))
    for channel in (-1, 20):
        with pytest.raises(ValueError, match=rf"channel: expected one of 0 .. 19, got {channel}"):
            plots.filters(model.layers[3], channel=channel)
    with pytest.raises(ValueError, match="count: expected at least 1 filter, got 0"):
        plots.filters(model.layers[3], count=0)


# ------------------------------------------------------------------------------ activations


@pytest.mark.parametrize("name", ["first", "normal", "pool", "second"])
def test_activations_are_what_the_layer_gives(model: Any, name: str) -> None:
    image = images(1)[0]
    position = [layer.name for layer in model.layers].index(name)
    layer = model.layers[position]
    # The same weights in layers of their own.
    copies = [type(own).from_config(own.get_config()) for own in model.layers[: position + 1]]
    front = convkit.Sequential([convkit.Input((12, 10, 3)), *copies])
    front.set_weights([w.numpy() for own in model.layers[: position + 1] for w in own.weights])
    expected = np.moveaxis(front.predict(image[np.newaxis], verbose=0)[0], -1, 0)
    for which in (layer, name):
        figure = plots.activations(model, image, which)
        source, *maps = shown(figure)
        np.testing.assert_array_equal(source, image)
        np.testing.assert_array_equal(maps, expected)
    height, width = expected.shape[1:]
    assert figure.get_suptitle() == f"{name}: {len(expected)} channels of {height} x {width}"
    scales = {ax.images[0].get_clim() for ax in figure.axes[1:] if ax.images}
    largest = np.abs(expected).max()
    assert scales == {(-largest if expected.min() < 0 else 0.0, largest)}
    assert (expected.min() < 0) == (name in ("normal", "pool", "second"))
    assert figure.axes[-1].get_ylabel() == "activation"
    assert_nothing_is_cut_off(figure)
    assert_nothing_overlaps(texts(figure))


def test_activations_leave_the_model_as_it_was(model: Any) -> None:
    before, predicted = model.get_weights(), model.predict(images(4), verbose=0)
    stores = [weight.store for weight in model.weights]
    places = [(layer.name, layer.index) for layer in model.layers]
    plots.activations(model, images(1)[0], "second")
    assert [weight.store for weight in model.weights] == stores
    assert [(layer.name, layer.index) for layer in model.layers] == places
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(model.predict(images(4), verbose=0), predicted)
    model.fit(images(6), np.arange(6) % 3, verbose=0)
    assert not np.array_equal(model.get_weights()[0], before[0]), "it trains on"


def test_activations_of_a_grey_image() -> None:
    grey = convkit.Sequential(
        [convkit.Input((8, 8, 1)), layers.Conv2D(9, 3, activation="relu", name="conv")]
    )
    image = np.eye(8) * 16
    given = Figure()
    figure = plots.activations(grey, image, "conv", count=3, figure=given)
    assert figure is given
    assert figure.get_suptitle() == "conv: the first 3 of 9 channels of 6 x 6"
    source, *maps = shown(figure)
    np.testing.assert_array_equal(source, image)
    assert len(maps) == 3
    dead = plots.activations(grey, np.zeros((8, 8, 1)), grey.layers[0])
    assert_nothing_is_cut_off(dead)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"layer": "third"}, 'has no layer "third"; it has first, normal, pool, second, flat'),
        ({"layer": layers.Dense(3, name="stranger")}, 'has no layer "stranger"'),
        ({"layer": 3}, 'has no layer "3"'),
        ({"layer": "flat"}, r"\(None, 54\), which is no stack of maps .*before the Flatten"),
        ({"image": np.zeros((12, 10))}, r"expected one of shape \(12, 10, 3\), got \(12, 10\)"),
        ({"image": np.zeros((1, 12, 10, 3))}, r"expected one of shape .*got \(1, 12, 10, 3\)"),
        ({"count": 0}, "count: expected at least 1 channel, got 0"),
    ],
)
def test_activations_of_wrong_arguments(
    model: Any, changes: dict[str, Any], complaint: str
) -> None:
    arguments = {"image": images(1)[0], "layer": "first"}
    with pytest.raises(ValueError, match=complaint):
        plots.activations(model, **{**arguments, **changes})
