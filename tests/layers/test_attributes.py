"""Attributes that are set later count as if the constructor had been given them.

What a model does then is what its file holds: the same bits. What cannot be changed any more says
so, and stays as it was.
"""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import constraints, initializers, layers, losses, metrics, optimizers, regularizers
from convkit.core.config import Configurable, argument_names
from convkit.layers.base import Layer
from convkit.layers.image_layer import ImageLayer
from convkit.optimizers import schedules
from convkit.storage import registry

Model = convkit.Sequential
RNG = np.random.default_rng(0)
X, Y = RNG.random((12, 6, 6, 4), np.float32), np.arange(12) % 3

# What a layer is made with, where it needs something.
ARGUMENTS: dict[type[Layer], dict[str, Any]] = {
    layers.Activation: {"activation": "relu"},
    layers.Conv2D: {"filters": 4, "kernel_size": 3},
    layers.Conv2DTranspose: {"filters": 4, "kernel_size": 3},
    layers.Dense: {"units": 4},
    layers.SeparableConv2D: {"filters": 4, "kernel_size": 3},
    layers.DepthwiseConv2D: {"kernel_size": 3},
    layers.Dropout: {"rate": 0.5},
    layers.GroupNormalization: {"groups": 4},
    layers.Normalization: {"mean": 0.5, "variance": 2.0},
    layers.GaussianDropout: {"rate": 0.5},
    layers.GaussianNoise: {"stddev": 0.5},
    layers.CenterCrop: {"height": 4, "width": 3},
    layers.Permute: {"dims": (2, 1, 3)},
    layers.RandomBrightness: {"factor": 0.25, "value_range": (0, 1)},
    layers.RandomContrast: {"factor": 0.25, "value_range": (0, 1)},
    layers.RandomColorJitter: {"hue_factor": 0.25, "value_range": (0, 1)},
    layers.RandomCrop: {"height": 4, "width": 3},
    layers.RandomHue: {"factor": 0.25, "value_range": (0, 1)},
    layers.RandomRotation: {"factor": 0.5, "fill_mode": "constant"},
    layers.RandomSaturation: {"factor": (0.25, 0.5), "value_range": (0, 1)},
    layers.RandomShear: {"x_factor": 0.5, "fill_mode": "constant"},
    layers.RandomTranslation: {
        **{"height_factor": 0.5, "width_factor": 0.25, "fill_mode": "constant"},
    },
    layers.RandomZoom: {"height_factor": 0.5, "fill_mode": "constant"},
    layers.Rescaling: {"scale": 2.0},
    layers.Reshape: {"target_shape": (36, 4)},
    layers.Resizing: {"height": 5, "width": 3, "pad_to_aspect_ratio": True},
    layers.SpatialDropout2D: {"rate": 0.5},
}
# What its arguments become: each must either take effect at once, or be refused.
TAKE_EFFECT: dict[str, list[Any]] = {
    "activation": ["tanh", "relu", None, "softmax", "leaky_relu", "silu", "log_softmax"],
    "algorithm": ["direct"],
    "alpha": [0.5],
    "antialias": [True],
    "beta_constraint": ["non_neg"],
    "alpha_regularizer": ["l2"],
    "beta_regularizer": ["l2"],
    "bias_constraint": [constraints.MaxNorm(1e-3)],
    "bias_regularizer": [regularizers.L1(0.1)],
    "pointwise_constraint": ["non_neg"],
    "depthwise_constraint": [constraints.UnitNorm([0, 1])],
    "depthwise_regularizer": ["l2"],
    "brightness_factor": [0.125],
    "contrast_factor": [(0.25, 0.5), None],
    "crop_to_aspect_ratio": [False],
    "epsilon": [0.5],
    "factor": [0.125, (0.25, 0.375)],
    "fill_mode": ["wrap"],
    "fill_value": [0.5],
    "height_factor": [0.125],
    "hue_factor": [0.5, None],
    "gamma_constraint": [constraints.MinMaxNorm(0.0, 0.5)],
    "gamma_regularizer": ["l1"],
    "invert": [True],
    "interpolation": ["bilinear", "nearest"],
    "kernel_constraint": ["non_neg"],
    "kernel_regularizer": ["l2"],
    "max_value": [1.0],
    "mean": [1.5],
    "mode": ["vertical"],
    "momentum": [0.25],
    "negative_slope": [0.5],
    "noise_shape": [(None, 1, 1, 1), (1, None, 6, 4)],
    "offset": [1.0, (1.0, 2.0, 3.0, 4.0)],
    "pad_to_aspect_ratio": [False],
    "pointwise_regularizer": ["l1"],
    "rate": [0.25, 0.0],
    "saturation_factor": [(0.25, 0.375)],
    "seed": [5],
    "stddev": [0.25, 0.0],
    "threshold": [0.5],
    "trainable": [False],
    "value_range": [(0.25, 0.75)],
    "variance": [0.5],
    "width_factor": [0.125],
    "x_factor": [0.125],
    "y_factor": [0.125],
}
REFUSED: dict[str, Any] = {
    "alpha_initializer": "ones",
    "axis": 3,
    "beta_initializer": "ones",
    "bias_initializer": "ones",
    "center": False,
    "cropping": 1,
    "data_format": "channels_last",  # what it is: nothing happens
    "depth_multiplier": 2,
    "depthwise_initializer": "zeros",
    "dilation_rate": 2,
    "dims": (1, 2, 3),
    "filters": 8,
    "gamma_initializer": "zeros",
    "groups": 2,
    "height": 2,
    "input_shape": (6, 6, 4),
    "keepdims": True,
    "kernel_initializer": "zeros",
    "kernel_size": 1,
    "moving_mean_initializer": "ones",
    "moving_variance_initializer": "zeros",
    "name": "another",
    "output_padding": 0,
    "padding": "same",
    "pointwise_initializer": "zeros",
    "pool_size": 3,
    "size": 3,
    "shared_axes": [1, 2],
    "strides": 3,
    "target_shape": (4, 36),
    "units": 5,
    "use_bias": False,
    "width": 2,
}
LAYERS = sorted(
    (kind for kind in registry.known_classes().values() if issubclass(kind, Layer)),
    key=lambda kind: kind.__name__,
)
LAYERS.remove(layers.InputLayer)
for mixing in (layers.CutMix, layers.MixUp):  # of batches, and no part of a model
    LAYERS.remove(mixing)
# These have no place in a chain; what is set on them is tested in test_merge_layers.
MERGING = [
    layers.Add,
    layers.Average,
    layers.Concatenate,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Subtract,
]
for merging in MERGING:
    LAYERS.remove(merging)

# These take images of red, green and blue.
COLORED = (
    layers.RandomColorJitter,
    layers.RandomGrayscale,
    layers.RandomHue,
    layers.RandomSaturation,
)


def values(kind: type[Layer], name: str) -> list[Any]:
    if (kind, name) == (layers.Rescaling, "scale"):
        return [0.5, [1.0, 2.0, 3.0, 4.0]]
    if (kind, name) == (layers.RandomGrayscale, "factor"):
        return [0.125]
    if (kind, name) == (layers.RandomErasing, "scale"):
        return [(0.5, 0.75)]
    if (kind, name) == (layers.Resizing, "fill_mode"):
        return ["constant"]  # what it is: there is no other
    if name == "activation" and kind is layers.Activation:
        return [value for value in TAKE_EFFECT[name] if value is not None]
    return TAKE_EFFECT.get(name, [])


def is_refused(kind: type[Layer], name: str) -> bool:
    scaled = (layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization)
    return name in REFUSED or (kind in scaled and name == "scale")


CHANGES = [
    pytest.param(kind, name, value, id=f"{kind.__name__}-{name}-{i}")
    for kind in LAYERS
    for name in argument_names(kind)
    for i, value in enumerate(values(kind, name))
]
REFUSALS = [
    pytest.param(kind, name, id=f"{kind.__name__}-{name}")
    for kind in LAYERS
    for name in argument_names(kind)
    if is_refused(kind, name) and (kind, name) != (layers.Softmax, "axis")  # only one is possible
]


def model(layer: Layer, fused: bool = False) -> Model:
    """A model with that layer in the middle; perhaps with what it can be fused with behind it."""
    channels = 3 if isinstance(layer, COLORED) else X.shape[-1]
    made = [convkit.Input((*X.shape[1:3], channels)), layers.Conv2D(4, 1, name="first")]
    if isinstance(layer, layers.Dense):
        made.append(layers.Flatten())
    if isinstance(layer, layers.Activation):
        made[-1] = layers.Conv2D(4, 2, name="first", padding="same")
    made.append(layer)
    if isinstance(layer, ImageLayer):  # through which no gradient goes
        made[1:] = made[:0:-1]
    if fused:
        made += [layers.BatchNormalization(name="norm"), layers.ReLU(), layers.MaxPooling2D()]
    made += [layers.Flatten(name="flat"), layers.Dense(3, activation="softmax", name="last")]
    built = Model(made)
    built.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return built


def use(each: Model, samples: int = 12) -> list[Any]:
    """Let all of its plans run; return all that they computed."""
    x, y = X[:samples, ..., : each.input_shape[-1]], Y[:samples]
    each.fit(x, y, 5, 2, 0)
    found = [each.predict(x, verbose=0), each.predict_on_batch(x[:1])]
    found += [each.evaluate(x, y, verbose=0), each.test_on_batch(x, y)]
    return [*found, each.train_on_batch(x, y), *each.get_weights()]


def assert_like_its_file(each: Model, path: Path) -> None:
    """A model goes on as the one does that its file makes, which is built that way."""
    each.save(path / "model")
    again = convkit.models.load_model(path / "model")
    assert again.get_config() == each.get_config()
    for one, other in zip(use(each), use(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_argument_of_every_layer_is_here() -> None:
    for kind in [*LAYERS, *MERGING]:
        for name in argument_names(kind):
            if (kind, name) == (layers.RandomFlip, "alternating"):
                continue  # of a fit, not of single steps: see test_image_layers.py
            assert bool(values(kind, name)) != is_refused(kind, name), (kind, name)


@pytest.mark.parametrize("fused", [False, True], ids=["alone", "fused"])
@pytest.mark.parametrize(("kind", "name", "value"), CHANGES)
def test_it_takes_effect_at_once(
    kind: type[Layer], name: str, value: Any, fused: bool, tmp_path: Path
) -> None:
    layer = kind(**ARGUMENTS.get(kind, {}))
    try:
        each = model(layer, fused)
    except ValueError:
        assert fused, "what comes behind takes images only"
        return
    before, config = use(each), layer.get_config()
    twin = pickle.loads(pickle.dumps(each))
    setattr(layer, name, value)
    wanted = kind(**{**ARGUMENTS.get(kind, {}), name: value, "name": layer.name})
    assert layer.get_config() == wanted.get_config()
    assert_like_its_file(each, tmp_path)
    is_other = config.get(name) != wanted.get_config().get(name)
    if value is not None and is_other and name not in ("momentum", "trainable"):
        assert any(not np.array_equal(a, b) for a, b in zip(use(twin), use(each), strict=True))
    assert before


@pytest.mark.parametrize(("kind", "name"), REFUSALS)
def test_what_shapes_or_parameters_depend_on_is_refused(
    kind: type[Layer], name: str, tmp_path: Path
) -> None:
    layer = kind(**ARGUMENTS.get(kind, {}))
    each = model(layer)
    use(each)
    before, value = layer.get_config(), REFUSED.get(name, False)
    if isinstance(layer, layers.ZeroPadding2D) and name == "padding":
        value = ((1, 0), (0, 2))
    if name == "data_format":
        setattr(layer, name, value)
        with pytest.raises(ValueError, match="channels_last"):
            setattr(layer, name, "channels_first")
    else:
        refused = rf'layer "{layer.name}" \({kind.__name__}\): {name} cannot be set; .* new'
        with pytest.raises(AttributeError, match=refused):
            setattr(layer, name, value)
    assert layer.get_config() == before
    assert_like_its_file(each, tmp_path)


@pytest.mark.parametrize(
    ("layer", "name", "value", "message"),
    [
        (layers.Activation("relu"), "activation", "nonsense", "unknown activation 'nonsense'"),
        (layers.Conv2D(4, 3), "activation", 3, "unknown activation 3"),
        (layers.Conv2D(4, 3), "strides", (1, 0), "strides must be a positive integer, received 0"),
        (layers.Conv2D(4, 3), "kernel_regularizer", "l3", "unknown regularizer 'l3'"),
        (layers.Dropout(0.5), "rate", 2, "rate must be at least 0 and below 1, received 2"),
        (layers.Dropout(0.5), "seed", -1, "a seed must lie in"),
        (layers.BatchNormalization(), "momentum", 1.5, "momentum must lie in 0 .. 1"),
        (layers.BatchNormalization(), "epsilon", 0, "epsilon must be positive"),
        (layers.LeakyReLU(), "negative_slope", -1, "negative_slope must be a finite number"),
        (layers.ELU(), "alpha", "x", "alpha must be a finite number"),
        (layers.Rescaling(1.0), "scale", float("nan"), "scale must be a finite number"),
        (layers.Rescaling(1.0), "offset", [1.0, 2.0], "offset has 2 values, one for each channel"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_constructor_refuses_is_refused(
    layer: Layer, name: str, value: Any, message: str, tmp_path: Path
) -> None:
    before = layer.get_config()
    for build in (False, True):
        if build:
            each = model(layer)
            use(each)
        elif name == "offset":
            continue  # how many channels there are is not known yet
        with pytest.raises(ValueError, match=message):
            setattr(layer, name, value)
        assert layer.get_config() == before
    assert_like_its_file(each, tmp_path)


def test_arguments_of_layers_that_are_not_built_are_free() -> None:
    """And checked together, as the constructor checks them."""
    conv = layers.Conv2D(4, 3, name="conv")
    conv.kernel_size, conv.strides, conv.padding = 5, [2, 1], "SAME"  # type: ignore[assignment]
    conv.groups, conv.use_bias, conv.filters = 2, False, 6
    with pytest.raises(ValueError, match=r'"conv" .*filters \(7\) must be a multiple of groups'):
        conv.filters = 7
    conv.name = "renamed"
    dense = layers.Dense(3, activation="softmax")
    wanted = layers.Conv2D(6, 5, (2, 1), "same", groups=2, use_bias=False, name="renamed")
    assert conv.get_config() == wanted.get_config()
    assert conv.geometry == wanted.geometry
    built = Model([convkit.Input(X.shape[1:]), conv, layers.Flatten(), dense])
    assert built.weights[0].path == "renamed/kernel"
    assert built.weights[0].shape == (5, 5, 2, 6)


def test_names_are_still_different_when_the_model_is_built() -> None:
    each = Model([layers.Flatten(name="a"), layers.Dense(3, name="b"), layers.Dense(2, name="c")])
    each.layers[2].name = "b"
    with pytest.raises(ValueError, match=r'"b" \(Dense\).* already has a layer of this name'):
        each.build((None, 4))
    assert not each.built
    each.layers[2].name = "c"
    each.build((None, 4))
    with pytest.raises(AttributeError, match="name cannot be set; the layer is built"):
        each.layers[2].name = "d"


def test_a_parameter_is_given_numbers_and_not_replaced() -> None:
    dense = layers.Dense(3)
    each = Model([convkit.Input((4,)), dense])
    kernel = dense.kernel
    for value in (np.zeros((4, 3)), None, copy.copy(kernel)):
        with pytest.raises(AttributeError, match=r"kernel cannot be set; .*layer\.kernel\.value"):
            dense.kernel = value  # type: ignore[assignment]
    assert dense.kernel is kernel
    with pytest.raises(AttributeError):
        kernel.gradient = np.zeros((4, 3))  # type: ignore[misc]
    assert each.weights[0] is kernel


def test_unknown_attributes_are_python_s_own_affair() -> None:
    dense = layers.Dense(3)
    each = Model([convkit.Input((4,)), dense])
    each.predict(np.zeros((1, 4)), verbose=0)
    dense.actvation = "relu"  # type: ignore[attr-defined]
    dense.notes = each.notes = ["mine"]  # type: ignore[attr-defined]
    assert "actvation" not in dense.get_config()


def test_layers_of_the_user() -> None:
    """What their constructors take is set as everywhere, and their other attributes are theirs."""

    class Shifted(layers.Dense):
        made = 0

        def __init__(self, units: int, shift: float = 0.0, **options: Any) -> None:
            super().__init__(units, **options)
            Shifted.made += 1
            if not 0.0 <= shift < 9.0:
                raise self.error("shift is wrong")
            self.shift = shift
            self.calls = 0
            self.activation = "tanh"  # the constructor may do what it likes

        def forward(self, x: Any, y: Any, *arguments: Any, **options: Any) -> None:
            super().forward(x, y, *arguments, **options)
            self.calls += 1
            y += self.shift

    layer = Shifted(3)
    each = Model([convkit.Input((4,)), layer])
    first = each.predict(np.zeros((1, 4)), verbose=0)
    plan = each._engine._idle["predict"][0]
    np.testing.assert_array_equal(first, np.zeros((1, 3)))
    layer.shift = 1.0
    np.testing.assert_allclose(each.predict(np.zeros((1, 4)), verbose=0), np.tanh([[1.0] * 3]))
    assert layer.calls == 2
    assert each._engine._idle["predict"][0] is plan, "nothing changed that it was lowered for"
    layer.activation = None
    np.testing.assert_array_equal(each.predict(np.zeros((1, 4)), verbose=0), [[1.0] * 3])
    with pytest.raises(ValueError, match="shift is wrong"):
        layer.shift = -1.0
    with pytest.raises(AttributeError, match="units cannot be set"):
        layer.units = 4

    class Fixed(layers.Conv2D):
        def __init__(self) -> None:
            super().__init__(4, 3, activation="relu")

    fixed = Fixed()
    each = Model([convkit.Input((6, 6, 4)), fixed])
    assert each.predict(X, verbose=0).min() == 0.0
    fixed.activation = None
    assert each.predict(X, verbose=0).min() < 0.0
    with pytest.raises(AttributeError, match="strides cannot be set"):
        fixed.strides = 2  # type: ignore[assignment]


def test_a_layer_of_two_models_changes_in_both() -> None:
    dense = layers.Dense(4)
    one, two = (Model([convkit.Input((4,)), dense]) for _ in range(2))
    x = RNG.normal(size=(3, 4)).astype(np.float32)
    before = [each.predict(x, verbose=0) for each in (one, two)]
    dense.activation = "relu"
    for each, linear in zip((one, two), before, strict=True):
        np.testing.assert_array_equal(each.predict(x, verbose=0), np.maximum(linear, 0))


def test_the_plans_of_other_models_stay() -> None:
    dense, other = layers.Dense(4), layers.Dense(4)
    one, two = (Model([convkit.Input((4,)), each]) for each in (dense, other))
    for each in (one, two):
        each.predict(np.zeros((1, 4)), verbose=0)
    plans = one._engine._idle["predict"][0], two._engine._idle["predict"][0]
    dense.activation = "relu"
    for each in (one, two):
        each.predict(np.zeros((1, 4)), verbose=0)
    assert one._engine._idle["predict"][0] is not plans[0]
    assert two._engine._idle["predict"][0] is plans[1]


def test_it_takes_effect_within_a_training(tmp_path: Path) -> None:
    """From the next batch on: a rate that follows the epochs, and an activation that gives way."""
    each = model(layers.Dropout(0.5, name="drop"))
    wanted = model(layers.Dropout(0.5, name="drop"))
    wanted.set_weights(each.get_weights())

    class Change(convkit.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.model.get_layer("drop").rate = (0.5, 0.25, 0.0)[epoch]  # type: ignore[attr-defined]
            if epoch == 2:
                self.model.get_layer("first").activation = "relu"  # type: ignore[attr-defined]

    each.seed = wanted.seed = 1
    each.fit(X, Y, 5, 3, 0, callbacks=Change(), shuffle=False)
    for epoch, rate in enumerate((0.5, 0.25, 0.0)):
        wanted.layers[1].rate = rate  # type: ignore[attr-defined]
        if epoch == 2:
            wanted.layers[0].activation = "relu"  # type: ignore[attr-defined]
        wanted = pickle.loads(pickle.dumps(wanted))
        wanted.fit(X, Y, 5, epoch + 1, 0, initial_epoch=epoch, shuffle=False)
    for one, other in zip(each.get_weights(), wanted.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


# ------------------------------------------------------------------------ losses, optimizers, ...


LOSSES: list[tuple[losses.Loss, str, Any]] = [
    (losses.SparseCategoricalCrossentropy(), "from_logits", True),
    (losses.SparseCategoricalCrossentropy(from_logits=True), "from_logits", False),
    (losses.CategoricalCrossentropy(), "label_smoothing", 0.25),
    (losses.CategoricalCrossentropy(), "from_logits", True),
    (losses.BinaryCrossentropy(), "label_smoothing", 0.25),
    (losses.BinaryCrossentropy(), "from_logits", True),
    (losses.MeanSquaredError(), "name", "mine"),
]


@pytest.mark.filterwarnings("ignore:.*expects (an output|probabilities)")
@pytest.mark.parametrize(("loss", "name", "value"), LOSSES, ids=str)
def test_losses(loss: losses.Loss, name: str, value: Any, tmp_path: Path) -> None:
    loss = copy.deepcopy(loss)
    sparse = isinstance(loss, losses.SparseCategoricalCrossentropy)
    targets = Y if sparse else np.eye(3, dtype=np.float32)[Y]
    each = Model([convkit.Input(X.shape[1:]), layers.Flatten(), layers.Dense(3, "softmax")])
    each.compile("sgd", loss)

    def trained(it: Model) -> list[Any]:
        it.fit(X, targets, 5, 2, 0)
        return [
            it.evaluate(X, targets, verbose=0),
            it.train_on_batch(X, targets),
            *it.get_weights(),
        ]

    trained(each)
    setattr(loss, name, value)
    each.save(tmp_path / "model")
    again = convkit.models.load_model(tmp_path / "model")
    assert again.loss is not None
    assert again.loss.get_config() == loss.get_config()
    assert loss.get_config()[name] == value
    for one, other in zip(trained(each), trained(again), strict=True):
        np.testing.assert_array_equal(one, other)


OPTIMIZERS: list[tuple[optimizers.Optimizer, str, Any]] = [
    (optimizers.SGD(), "momentum", 0.5),
    (optimizers.SGD(momentum=0.5), "momentum", 0.0),
    (optimizers.SGD(momentum=0.5), "nesterov", True),
    (optimizers.RMSprop(), "rho", 0.5),
    (optimizers.RMSprop(), "momentum", 0.5),
    (optimizers.RMSprop(momentum=0.5), "momentum", 0),
    (optimizers.Adam(), "beta_1", 0.5),
    (optimizers.Adam(), "beta_2", 0.5),
    (optimizers.Adam(), "epsilon", 0.5),
    (optimizers.Adam(), "learning_rate", 0.5),
    (optimizers.Adam(), "learning_rate", schedules.ExponentialDecay(0.5, 2, 0.5)),
    (optimizers.Adam(), "iterations", 100),
    (optimizers.AdamW(), "weight_decay", 0.5),
    (optimizers.AdamW(), "weight_decay", None),
]


@pytest.mark.parametrize(("optimizer", "name", "value"), OPTIMIZERS, ids=str)
def test_optimizers(optimizer: optimizers.Optimizer, name: str, value: Any, tmp_path: Path) -> None:
    each = model(layers.ReLU())
    each.compile(copy.deepcopy(optimizer), each.loss)
    use(each)
    setattr(each.optimizer, name, value)
    assert_like_its_file(each, tmp_path)


@pytest.mark.parametrize(
    ("made", "name", "value", "expected"),
    [
        (optimizers.SGD(), "momentum", 1.5, "momentum must be at least 0 and below 1"),
        (optimizers.Adam(), "epsilon", -1, "epsilon must be a finite number"),
        (optimizers.Adam(), "iterations", -1, "iterations must be an integer of at least 0"),
        (optimizers.Adam(), "schedule", None, "schedule cannot be set; set learning_rate"),
        (losses.BinaryCrossentropy(), "label_smoothing", 2, "label_smoothing must lie in 0 .. 1"),
        (regularizers.L1(), "l1", -1, "l1 must be a finite number of at least 0"),
        (regularizers.L1(), "l2", 0.1, "l2 cannot be set; use L1L2"),
        (regularizers.L2(), "l1", 0.1, "l1 cannot be set; use L1L2"),
        (initializers.GlorotUniform(), "scale", 2.0, "scale cannot be set; use VarianceScaling"),
        (initializers.VarianceScaling(), "mode", "fan", "mode must be one of"),
        (initializers.RandomUniform(), "seed", -1, "a seed must lie in"),
        (metrics.TopKCategoricalAccuracy(), "k", 0, "k must be a positive integer"),
        (metrics.BinaryAccuracy(), "name", "loss", "name cannot be set; give it to"),
        (schedules.OneCycle(0.1, 9), "total_steps", 1, "total_steps must be at least 2"),
        (layers.ReLU(), "activation", "tanh", "activation cannot be set; use another layer"),
        (layers.Softmax(), "axis", 1, "axis must be -1"),
        (layers.InputLayer((3,)), "shape", (4,), "shape cannot be set; make a new Input"),
        (layers.Dense(2), "input_shape", (4,), "input_shape cannot be set; give it to the const"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be(made: Configurable, name: str, value: Any, expected: str) -> None:
    before = made.get_config()
    with pytest.raises((AttributeError, ValueError), match=expected):
        setattr(made, name, value)
    assert made.get_config() == before


@pytest.mark.parametrize(
    ("schedule", "name", "value"),
    [
        (schedules.OneCycle(0.1, 30), "max_learning_rate", 0.5),
        (schedules.OneCycle(0.1, 30), "pct_start", 0.5),
        (schedules.CosineDecay(0.1, 30), "decay_steps", 10),
        (schedules.ExponentialDecay(0.1, 10, 0.5), "staircase", True),
        (schedules.PiecewiseConstantDecay([2, 9], [0.3, 0.2, 0.1]), "values", [0.1, 0.5, 0.2]),
    ],
    ids=str,
)
def test_schedules(schedule: Any, name: str, value: Any, tmp_path: Path) -> None:
    schedule = copy.deepcopy(schedule)
    each = model(layers.ReLU())
    each.compile(optimizers.SGD(schedule), each.loss)
    use(each)
    setattr(schedule, name, value)
    wanted = type(schedule).from_config(schedule.get_config())
    assert [schedule(step) for step in range(40)] == [wanted(step) for step in range(40)]
    assert_like_its_file(each, tmp_path)


def test_regularizers_in_use(tmp_path: Path) -> None:
    penalty = regularizers.L1L2(0.01)
    layer = layers.Conv2D(4, 3, kernel_regularizer=penalty, bias_regularizer=penalty)
    each = model(layer)
    use(each)
    penalty.l2 = 0.5
    assert_like_its_file(each, tmp_path)
    layer.kernel_regularizer = None
    assert [weight.regularizer for weight in layer.weights] == [None, penalty]
    assert_like_its_file(each, tmp_path)
    with pytest.raises(AttributeError):
        layer.weights[0].regularizer = penalty  # type: ignore[misc]


def test_constraints_in_use(tmp_path: Path) -> None:
    bound = constraints.MaxNorm(0.5, [0, 1, 2])
    layer = layers.Conv2D(4, 3, kernel_constraint=bound, name="bound")
    each = model(layer)
    use(each)
    bound.max_value = 0.25
    assert_like_its_file(each, tmp_path)
    assert np.linalg.norm(layer.kernel.value.reshape(-1, 4), axis=0).max() < 0.25 + 1e-6
    layer.kernel_constraint, layer.bias_constraint = None, "non_neg"
    assert layer.kernel.constraint is None
    assert_like_its_file(each, tmp_path)
    assert layer.bias is not None
    assert layer.bias.value.min() >= 0
    with pytest.raises(ValueError, match=r'"bound" .*constraint of the kernel: MaxNorm: axis'):
        layer.kernel_constraint = constraints.MaxNorm(1, axis=4)
    assert layer.kernel_constraint is None
    with pytest.raises(AttributeError):
        layer.weights[0].constraint = bound  # type: ignore[misc]


def test_metrics_in_use(tmp_path: Path) -> None:
    each = Model([convkit.Input(X.shape[1:]), layers.Flatten(), layers.Dense(3, "sigmoid")])
    each.compile("sgd", "mse", metrics=[metrics.BinaryAccuracy()])
    x, y = X, np.eye(3)[Y]
    before = each.evaluate(x, y, verbose=0)
    each.metrics[0].threshold = 0.9  # type: ignore[attr-defined]
    after = each.evaluate(x, y, verbose=0)
    each.save(tmp_path / "model")
    assert convkit.models.load_model(tmp_path / "model").evaluate(x, y, verbose=0) == after
    assert after != before


def test_the_function_of_a_scheduler_may_take_other_arguments() -> None:
    scheduler = convkit.callbacks.LearningRateScheduler(lambda epoch: 0.5)
    each = model(layers.ReLU())
    each.fit(X, Y, verbose=0, callbacks=scheduler)
    scheduler.schedule = lambda epoch, rate: rate / 2
    history = each.fit(X, Y, epochs=2, verbose=0, callbacks=scheduler)
    assert history.history["learning_rate"] == [0.25, 0.125]


# ------------------------------------------------------------------------ attributes of a model


def test_what_a_model_is_compiled_with_can_be_set(tmp_path: Path) -> None:
    each = model(layers.ReLU())
    use(each)
    old = each.optimizer
    each.optimizer = optimizers.SGD(0.5)
    assert old is not None
    assert (old.iterations, old.slots) == (0, {}), "it can be used for another model"
    assert_like_its_file(each, tmp_path)
    each.loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.warns(UserWarning, match="leave one of the two out"):
        assert_like_its_file(each, tmp_path)
    each.loss = "sparse_categorical_crossentropy"  # type: ignore[assignment]
    each.metrics = ["accuracy", metrics.SparseTopKCategoricalAccuracy(2)]  # type: ignore[list-item]
    assert_like_its_file(each, tmp_path)
    assert len(each.evaluate(X, Y, verbose=0)) == 3
    for name, value in (("optimizer", "adm"), ("optimizer", None), ("loss", 3), ("metrics", "f")):
        with pytest.raises(ValueError, match="unknown"):
            setattr(each, name, value)
    assert isinstance(each.optimizer, optimizers.SGD)
    assert_like_its_file(each, tmp_path)


def test_the_seed_and_the_name_of_a_model_are_checked(tmp_path: Path) -> None:
    each = model(layers.Dropout(0.5))
    for value in (-1, 2**64, "x", 0.5):
        with pytest.raises((TypeError, ValueError), match="a seed must"):
            each.seed = value  # type: ignore[assignment]
    for name in ("", 5, None):
        with pytest.raises(ValueError, match="a model's name must be a non-empty string"):
            each.name = name  # type: ignore[assignment]
    use(each)
    each.seed, each.name = 2**64 - 1, "renamed"
    assert_like_its_file(each, tmp_path)


def test_the_list_of_layers_is_a_copy() -> None:
    each = model(layers.ReLU())
    before = use(each)
    taken = each.layers
    taken.pop()
    taken.append(layers.Dense(2))
    assert len(each.layers) == len(taken)
    assert each.layers[-1] is not taken[-1]
    assert len(before) == len(use(each))
