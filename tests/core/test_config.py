"""Configurations: every public class goes into JSON and comes back the same."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import callbacks, constraints, initializers, layers, losses, metrics, optimizers
from convkit.core.config import Configurable, argument_names, serialize, suggestion
from convkit.losses.loss import FunctionLoss
from convkit.optimizers import schedules
from convkit.storage import registry, revive

# The arguments of classes that need some, and of others what is not their default.
EXAMPLES: dict[type, dict[str, Any]] = {
    layers.Activation: {"activation": "gelu", "name": "bend"},
    layers.AveragePooling2D: {"pool_size": 3, "strides": (1, 2), "padding": "same"},
    layers.BatchNormalization: {
        "momentum": 0.9,
        "epsilon": 1e-5,
        "center": False,
        "scale": False,
        "beta_initializer": initializers.Constant(0.5),
        "moving_variance_initializer": "he_normal",
    },
    layers.CenterCrop: {"height": 4, "width": 3},
    layers.RandomBrightness: {"factor": (-0.25, 0.5), "value_range": (0.0, 1.0)},
    layers.RandomContrast: {"factor": (0.25, 0.5), "seed": 3},
    layers.RandomColorJitter: {"hue_factor": (0.25, 0.5), "value_range": (0.0, 1.0)},
    layers.RandomCrop: {"height": 4, "width": 3},
    layers.RandomHue: {"factor": (0.25, 0.5), "value_range": (0.0, 1.0)},
    layers.RandomRotation: {"factor": (0.25, 0.5), "fill_mode": "wrap"},
    layers.RandomSaturation: {"factor": (-0.25, 0.5), "seed": 3},
    layers.RandomTranslation: {"height_factor": 0.25, "width_factor": (-0.5, 0.25)},
    layers.RandomZoom: {"height_factor": (-0.5, 0.25), "interpolation": "nearest"},
    layers.Resizing: {"height": 4, "width": 3, "antialias": True},
    layers.Conv2D: {
        "filters": 6,
        "kernel_size": (3, 1),
        "strides": np.int64(2),
        "dilation_rate": 1,
        "groups": 2,
        "activation": "relu",
        "use_bias": False,
        "kernel_initializer": initializers.HeNormal(seed=2**63),
        "bias_initializer": initializers.Constant(np.float32(0.5)),
        "trainable": False,
        "input_shape": (8, 8, 2),
    },
    layers.Conv2DTranspose: {
        "filters": 6,
        "kernel_size": (3, 1),
        "strides": 3,
        "output_padding": (1, 2),
        "activation": "relu",
        "kernel_regularizer": "l2",
    },
    layers.SeparableConv2D: {
        "filters": 6,
        "kernel_size": 3,
        "depth_multiplier": 2,
        "pointwise_initializer": "he_uniform",
        "depthwise_regularizer": "l2",
        "activation": "relu",
    },
    layers.Normalization: {"mean": [0.5, 1.0], "variance": (1, 2), "invert": True},
    layers.GroupNormalization: {"groups": 4, "epsilon": 1e-5, "gamma_initializer": "he_normal"},
    layers.LayerNormalization: {"axis": (-2, -1), "epsilon": 1e-5, "center": False},
    layers.DepthwiseConv2D: {"kernel_size": 3, "depth_multiplier": 2, "activation": "relu"},
    layers.ELU: {"alpha": 0.5},
    layers.LeakyReLU: {"negative_slope": 0.2},
    layers.PReLU: {"alpha_initializer": "ones", "shared_axes": (1, 2)},
    layers.ReLU: {"max_value": 6.0, "negative_slope": 0.125, "threshold": 0.5},
    layers.Rescaling: {"scale": 1 / 255, "offset": [0.5, -0.5]},
    layers.Reshape: {"target_shape": (4, -1)},
    layers.Concatenate: {"axis": 2},
    layers.ZeroPadding2D: {"padding": ((1, 0), (2, 3))},
    layers.Cropping2D: {"cropping": ((1, 0), (2, 3))},
    layers.GaussianDropout: {"rate": 0.25, "seed": 7},
    layers.GaussianNoise: {"stddev": 0.25, "seed": 7},
    layers.Permute: {"dims": (2, 1, 3)},
    layers.SpatialDropout2D: {"rate": 0.25, "seed": 7},
    layers.UpSampling2D: {"size": (2, 3), "interpolation": "bilinear"},
    layers.Dense: {
        "units": 3,
        "activation": "softmax",
        "kernel_initializer": "he_uniform",
        "kernel_constraint": constraints.MaxNorm(3.0),
    },
    layers.Dropout: {"rate": 0.25, "seed": 7},
    layers.InputLayer: {"shape": (4, 4, 1), "name": "images"},
    constraints.MaxNorm: {"max_value": 0.5, "axis": [0, 1, 2]},
    constraints.MinMaxNorm: {"min_value": 0.5, "max_value": 1.5, "rate": 0.5, "axis": 1},
    constraints.UnitNorm: {"axis": -1},
    initializers.Constant: {"value": -2.5},
    initializers.Orthogonal: {"gain": 2.0, "seed": 4},
    initializers.TruncatedNormal: {"mean": 1.0, "stddev": 0.25, "seed": 3},
    initializers.VarianceScaling: {"scale": 2.0, "mode": "fan_out", "distribution": "uniform"},
    initializers.RandomNormal: {"mean": 1.0, "stddev": 0.25, "seed": 3},
    losses.CategoricalCrossentropy: {"from_logits": True, "label_smoothing": 0.1},
    losses.BinaryCrossentropy: {"from_logits": True, "label_smoothing": 0.1},
    losses.SparseCategoricalCrossentropy: {"from_logits": True, "name": "mine"},
    metrics.MeanSquaredError: {"name": "square"},
    metrics.IoU: {"num_classes": 3, "target_class_ids": [0, 2], "sparse_y_pred": False},
    metrics.MeanIoU: {"num_classes": 3, "ignore_class": 1},
    metrics.OneHotIoU: {"num_classes": 3, "target_class_ids": (1,), "sparse_y_pred": True},
    metrics.OneHotMeanIoU: {"num_classes": 3, "ignore_class": -1},
    metrics.PrecisionAtRecall: {"recall": 0.75, "num_thresholds": 9, "class_id": 1},
    metrics.RecallAtPrecision: {"precision": 0.75, "num_thresholds": 9},
    metrics.SensitivityAtSpecificity: {"specificity": 0.75, "name": "mine"},
    metrics.SpecificityAtSensitivity: {"sensitivity": 0.75, "class_id": 1},
    optimizers.SGD: {"learning_rate": 0.5, "momentum": 0.5, "nesterov": True},
    optimizers.RMSprop: {"rho": 0.8, "momentum": 0.1},
    optimizers.Adam: {"learning_rate": schedules.OneCycle(0.1, 9), "weight_decay": 0.1},
    schedules.CosineDecay: {
        "initial_learning_rate": 0.0,
        "decay_steps": 10,
        "alpha": 0.1,
        "warmup_target": 0.5,
        "warmup_steps": 3,
    },
    schedules.ExponentialDecay: {
        "initial_learning_rate": 0.1,
        "decay_steps": 10,
        "decay_rate": 0.5,
        "staircase": True,
    },
    schedules.CosineDecayRestarts: {
        "initial_learning_rate": 0.1,
        "first_decay_steps": 10,
        "t_mul": 1.5,
        "m_mul": 0.9,
        "alpha": 0.1,
    },
    schedules.InverseTimeDecay: {
        "initial_learning_rate": 0.1,
        "decay_steps": 10,
        "decay_rate": 0.5,
        "staircase": True,
    },
    schedules.PolynomialDecay: {
        "initial_learning_rate": 0.1,
        "decay_steps": 10,
        "end_learning_rate": 0.01,
        "power": 2.0,
        "cycle": True,
    },
    optimizers.Muon: {"exclude_layers": ["dense"], "rms_rate": 0.5, "adam_weight_decay": 0.1},
    optimizers.Ftrl: {"beta": 0.5, "use_ema": True, "ema_overwrite_frequency": 3},
    optimizers.Lion: {"gradient_accumulation_steps": 3, "clipnorm": 0.5},
    schedules.OneCycle: {"max_learning_rate": 0.1, "total_steps": 30, "pct_start": 0.2},
    schedules.PiecewiseConstantDecay: {"boundaries": (2, 5), "values": [0.3, 0.2, 0.1]},
}
# Classes of objects that hold a function, which no file can hold.
OF_FUNCTIONS: tuple[type[Configurable], ...] = (FunctionLoss, metrics.MeanMetricWrapper)
KINDS = [(module, base) for module, base in registry._KINDS]
CLASSES = sorted(registry.known_classes().values(), key=lambda c: f"{c.__module__}.{c.__name__}")


@pytest.mark.parametrize(
    "kind",
    [kind for kind in CLASSES if kind not in OF_FUNCTIONS],
    ids=lambda c: f"{c.__module__}.{c.__name__}",
)
def test_every_class_comes_back_from_json(kind: type[Configurable]) -> None:
    for arguments in ({}, EXAMPLES.get(kind, {})):
        if not arguments and kind in EXAMPLES:
            required = argument_names(kind)[:1]
            if required and required[0] in EXAMPLES[kind]:
                continue
        made = kind(**arguments)
        config = made.get_config()
        text = json.dumps(serialize(made), allow_nan=False)
        twin = revive(json.loads(text), Configurable)
        assert type(twin) is kind
        assert twin.get_config() == config == kind.from_config(config).get_config()
        for name in argument_names(kind):
            if name != "input_shape":
                assert name in config, f"{kind.__name__} forgets {name}"


@pytest.mark.parametrize("kind", OF_FUNCTIONS, ids=lambda c: c.__name__)
def test_what_holds_a_function_has_no_configuration(kind: Any) -> None:
    with pytest.raises(TypeError, match=f"{kind.__name__}: the argument .* is .*max"):
        serialize(kind(max))


def test_every_argument_that_was_given_is_in_the_configuration() -> None:
    for kind, arguments in EXAMPLES.items():
        config = kind(**arguments).get_config()
        for name, given in arguments.items():
            found = config[name]
            if isinstance(found, dict):
                assert found["class_name"], name
            elif isinstance(given, tuple | list):
                assert found == json.loads(json.dumps(given)), name
            elif isinstance(found, list):
                assert found == [given, given], name
            else:
                assert found == given, name
                assert type(found) in (bool, int, float, str), name


@pytest.mark.parametrize(("module", "base"), KINDS, ids=lambda v: getattr(v, "__name__", ""))
def test_every_public_class_can_be_saved(module: Any, base: type) -> None:
    public = {
        value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and not name.startswith("_")
    }
    assert public - {base}
    assert public - {base} <= set(registry.known_classes().values())


def test_every_configurable_class_of_convkit_is_in_the_list() -> None:
    waiting: list[type] = [Configurable]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        ours = kind.__module__.startswith("convkit.") and not kind.__name__.startswith("_")
        if ours and not kind.__subclasses__() and kind not in OF_FUNCTIONS:
            if kind.__module__.startswith("convkit.compat."):
                continue  # it computes what a script says, which no file holds
            # The class that a file names is this one, or the one that it adapts to old scripts.
            module = ".".join(kind.__module__.split(".")[:2])
            assert registry.known_classes().get((module, kind.__name__)) in kind.__mro__, kind


def test_the_names_are_keras_s() -> None:
    assert serialize(layers.Dense(2, name="d"))["module"] == "convkit.layers"
    assert serialize(schedules.OneCycle(1.0, 9))["module"] == "convkit.optimizers"
    assert layers.Conv2D(2, 3).get_config()["data_format"] == "channels_last"
    config = layers.Softmax(name="last").get_config()
    assert config == {"axis": -1, "name": "last", "trainable": True}


def test_what_json_cannot_hold() -> None:
    class Odd(initializers.Initializer):
        def __init__(self, value: Any) -> None:
            self.value = value

    for value in (print, float("nan"), float("inf"), b"bytes", {1: 2}, 1j, object()):
        with pytest.raises(TypeError, match=r"Odd: the argument value is .*, which a config"):
            Odd(value).get_config()
    assert Odd({"a": (np.float64(0.5), np.arange(2))}).get_config() == {
        "value": {"a": [0.5, [0, 1]]}
    }


def test_a_model_has_a_configuration_too() -> None:
    model = convkit.zoo.cifar10_cnn()
    config = json.loads(json.dumps(model.get_config()))
    twin = convkit.Sequential.from_config(config)
    assert twin.get_config() == model.get_config()
    assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]
    assert [p.shape for p in twin.weights] == [p.shape for p in model.weights]
    unbuilt = convkit.Sequential([layers.Dense(3)], name="later")
    again = convkit.Sequential.from_config(unbuilt.get_config())
    assert not again.built
    assert again.name == "later"


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"module": "os", "class_name": "system", "config": {}}, "no class 'os.system'"),
        ({"module": "convkit.layers", "class_name": "Layer", "config": {}}, "no class"),
        ({"module": "convkit.layers", "class_name": [], "config": {}}, "no class"),
        ({"module": "convkit.losses", "class_name": "MeanSquaredError", "config": {}}, "a Layer, "),
        ({"class_name": "Dense", "config": {"units": 1}}, "no class"),
        ({"module": "convkit.layers", "class_name": "Dense", "config": []}, "must be described"),
        ({"module": "convkit.layers", "class_name": "Dense"}, "must be described"),
        ([], "must be described"),
        (None, "must be described"),
        (
            {
                "module": "convkit.layers",
                "class_name": "Dense",
                "config": {
                    "units": 1,
                    "kernel_initializer": {"class_name": "Zeros", "module": "a", "config": {}},
                },
            },
            "no class 'a.Zeros'",
        ),
    ],
)
def test_descriptions_that_name_nothing_of_convkit(description: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        revive(description, layers.Layer)


def test_repr_is_the_call_that_makes_the_object() -> None:
    for made, text in (
        (optimizers.SGD(0.1, momentum=0.5), "SGD(learning_rate=0.1, momentum=0.5, nesterov=False,"),
        (losses.BinaryCrossentropy(), "BinaryCrossentropy(from_logits=False,"),
        (initializers.HeNormal(3), "HeNormal(seed=3)"),
        (callbacks.EarlyStopping(patience=3), "EarlyStopping(monitor='val_loss', min_delta=0.0, "),
        (callbacks.LearningRateScheduler(lambda epoch: 0.1), "LearningRateScheduler(verbose=0)"),
        (callbacks.LambdaCallback(on_epoch_end=print), "LambdaCallback()"),
    ):
        assert repr(made).startswith(text)
    again = eval(repr(optimizers.Adam(0.25)), {"Adam": optimizers.Adam})
    assert again.get_config() == optimizers.Adam(0.25).get_config()


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ("ADAM", "'adam'"),
        ("adma", "'adam'"),
        ("ada", "'adam' or 'adam_w'"),
        ("AdamW", "'adam_w'"),
        ("x", None),
        (0.5, None),
        (None, None),
    ],
)
def test_what_a_user_may_have_meant(received: Any, expected: str | None) -> None:
    asked = suggestion(received, ["adam", "adam_w", "sgd"])
    assert asked == ("" if expected is None else f"; did you mean {expected}?")


def test_signatures_are_those_of_the_constructors() -> None:
    """For `help`, and what an editor shows while one writes."""
    for kind in CLASSES:
        takes_none = kind.__init__ is object.__init__  # type: ignore[misc]
        own = [] if takes_none else list(inspect.signature(kind.__init__).parameters)[1:]  # type: ignore[misc]
        assert list(inspect.signature(kind).parameters) == own, kind


def test_an_argument_of_a_decorated_constructor_is_checked_when_it_is_set() -> None:
    def logged(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> None:
            function(*arguments, **options)

        return call

    class Own(Configurable):
        @logged
        def __init__(self, share: float, *, other: int = 0) -> None:
            if share > 1.0:
                raise ValueError("too much")
            self.share, self.other = share, other

    own = Own(0.5, other=2)
    assert own.get_config() == {"share": 0.5, "other": 2}
    with pytest.raises(ValueError, match="too much"):
        own.share = 2.0
    own.share = 0.25
    assert own.share == 0.25
