"""Layers of Keras as convkit's, and back.

Both have the same layers under the same names, with the same arguments, layouts and weights, so
that the table of correspondences only says which arguments count. `read_keras` and `write_keras`
make models of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import constraints, layers, regularizers
from ..core.packages import package
from ..core.parameters import Array
from ..models import Model

# The table: a layer of both libraries is one entry, with the arguments that both have.
_WINDOW = ("strides", "padding")
_SCALES = ("epsilon", "center", "scale", "beta_regularizer", "gamma_regularizer")
_BIAS = ("use_bias", "bias_regularizer", "bias_constraint")
_KERNEL = ("kernel_regularizer", "kernel_constraint")
_CONVOLUTION = ("kernel_size", *_WINDOW, "dilation_rate", "activation", *_BIAS)
_FILLED = ("fill_mode", "interpolation", "fill_value")
_ARGUMENTS: dict[type[layers.Layer], tuple[str, ...]] = {
    layers.Activation: ("activation",),
    layers.Add: (),
    layers.Average: (),
    layers.AveragePooling2D: ("pool_size", *_WINDOW),
    layers.BatchNormalization: ("momentum", *_SCALES, "beta_constraint", "gamma_constraint"),
    layers.CenterCrop: ("height", "width"),
    layers.Concatenate: ("axis",),
    layers.Conv2D: ("filters", "groups", *_CONVOLUTION, *_KERNEL),
    layers.Conv2DTranspose: ("filters", "output_padding", *_CONVOLUTION, *_KERNEL),
    layers.Cropping2D: ("cropping",),
    layers.Dense: ("units", "activation", *_BIAS, *_KERNEL),
    layers.DepthwiseConv2D: (
        *("depth_multiplier", *_CONVOLUTION, "depthwise_regularizer", "depthwise_constraint"),
    ),
    layers.Dropout: ("rate", "noise_shape", "seed"),
    layers.ELU: ("alpha",),
    layers.Flatten: (),
    layers.GaussianDropout: ("rate", "seed"),
    layers.GaussianNoise: ("stddev", "seed"),
    layers.GroupNormalization: ("groups", *_SCALES),
    layers.LayerNormalization: ("axis", *_SCALES),
    layers.GlobalAveragePooling2D: ("keepdims",),
    layers.GlobalMaxPooling2D: ("keepdims",),
    layers.Identity: (),
    layers.LeakyReLU: ("negative_slope",),
    layers.Maximum: (),
    layers.MaxPooling2D: ("pool_size", *_WINDOW),
    layers.Minimum: (),
    layers.Multiply: (),
    layers.Normalization: ("axis", "mean", "variance", "invert"),
    layers.Permute: ("dims",),
    layers.PReLU: ("alpha_regularizer", "shared_axes"),
    layers.RandomBrightness: ("factor", "value_range", "seed"),
    layers.RandomColorJitter: (
        *("value_range", "brightness_factor", "contrast_factor", "saturation_factor"),
        *("hue_factor", "seed"),
    ),
    layers.RandomContrast: ("factor", "value_range", "seed"),
    layers.RandomCrop: ("height", "width", "seed"),
    layers.RandomErasing: ("factor", "scale", "fill_value", "value_range", "seed"),
    layers.RandomFlip: ("mode", "seed"),
    layers.RandomGrayscale: ("factor", "seed"),
    layers.RandomHue: ("factor", "value_range", "seed"),
    layers.RandomInvert: ("factor", "value_range", "seed"),
    layers.RandomRotation: ("factor", "seed", *_FILLED),
    layers.RandomSaturation: ("factor", "value_range", "seed"),
    layers.RandomShear: ("x_factor", "y_factor", "seed", *_FILLED),
    layers.RandomTranslation: ("height_factor", "width_factor", "seed", *_FILLED),
    layers.RandomZoom: ("height_factor", "width_factor", "seed", *_FILLED),
    layers.ReLU: ("max_value", "negative_slope", "threshold"),
    layers.Rescaling: ("scale", "offset"),
    layers.Reshape: ("target_shape",),
    layers.Resizing: (
        *("height", "width", "interpolation", "antialias", "fill_mode", "fill_value"),
        *("crop_to_aspect_ratio", "pad_to_aspect_ratio"),
    ),
    layers.SeparableConv2D: (
        *("filters", "depth_multiplier"),
        *_CONVOLUTION,
        *("depthwise_regularizer", "pointwise_regularizer"),
        *("depthwise_constraint", "pointwise_constraint"),
    ),
    layers.Softmax: (),
    layers.SpatialDropout2D: ("rate", "seed"),
    layers.Subtract: (),
    layers.UpSampling2D: ("size", "interpolation"),
    layers.ZeroPadding2D: ("padding",),
}
KNOWN = {kind.__name__: kind for kind in _ARGUMENTS}
# Arguments of Keras that say nothing about a trained layer, or that convkit has fixed.
_IGNORED = ("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape")


def read_layer(layer: Any, rank: int, theirs: Any) -> layers.Layer:
    """Make a layer of one of Keras's, without its weights.

    Args:
        layer: built.
        rank: of its input, the first one of several.
        theirs: Keras.

    Raises:
        ValueError: it, or an argument of it, has no counterpart in convkit.
    """
    name = type(layer).__name__
    kind = KNOWN.get(name)
    if kind is None or type(layer) is not getattr(theirs.layers, name):
        raise no_counterpart(layer.name, name)
    check_layer(layer)
    if hasattr(layer, "activation"):
        _check_activation(layer, theirs)
    config = layer.get_config()
    wanted = {name: _plain(config[name]) for name in _ARGUMENTS[kind] if name in config}
    for name, value in config.items():
        if name in wanted or name in _IGNORED or name.endswith("_initializer"):
            continue
        if not _means_nothing(name, value, rank):
            raise error(layer, f"convkit has no counterpart for {name}={value!r}")
    for name, value in wanted.items():
        if name.endswith(tuple(_OF_PARAMETERS)) and value is not None:
            wanted[name] = _of_parameter(value, layer, name)
    if kind is layers.Rescaling:
        wanted = {name: channel_numbers(layer, name, getattr(layer, name)) for name in wanted}
    return kind(name=layer.name, **wanted)


def check_layer(layer: Any) -> None:
    """ValueError if a layer computes something else than its class says, or not in float32."""
    check_calls(layer, type(layer), f'Keras layer "{layer.name}" ({type(layer).__name__})')
    if layer.dtype_policy.name != "float32":
        raise error(
            layer,
            f"its dtype policy is {layer.dtype_policy.name!r}, and convkit computes in float32: "
            f"make the model anew with that, and give it the weights",
        )


def check_calls(ours: Any, kind: type, what: str) -> None:
    """ValueError if an object, or its class, computes something else than `kind` does."""
    calls = ("__call__", "call", "convolution_op")
    own = [
        call
        for call in calls
        if call in vars(ours) or getattr(type(ours), call, None) is not getattr(kind, call, None)
    ]
    if own:
        raise ValueError(
            f"{what}: it has its own {', '.join(own)}, so that it may compute anything; convkit "
            f"reads a {kind.__name__} of Keras itself"
        )


def _check_activation(layer: Any, theirs: Any) -> None:
    """ValueError unless the function is Keras's own; one's own may be called as Keras's."""
    name = getattr(layer.activation, "__name__", "")
    if layer.activation is not getattr(theirs.activations, name, None):
        raise error(layer, f"convkit has no such activation: {layer.activation!r}")


def channel_numbers(layer: Any, name: str, value: Any) -> float | list[float]:
    """Numbers that scale or move a layer's input, perhaps an array: one, or one a channel."""
    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if array.ndim == 0:
        return float(array)
    if array.size != array.shape[-1]:
        raise error(
            layer, f"{name} must be a number, or one for each channel, received shape {array.shape}"
        )
    return [float(number) for number in array.reshape(-1)]


# What the arguments that convkit does not have, or only so, must be.
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "approximate": (False,),
    "data_format": ("channels_last",),
    "renorm_momentum": (0.99,),
    "synchronized": (False,),
}


def _means_nothing(name: str, value: Any, rank: int) -> bool:
    if name == "axis":
        return value in (-1, rank - 1, [-1], [rank - 1])
    return value in _FIXED[name] if name in _FIXED else value in (None, False, 0.0)


# What a parameter may have, by the end of the argument: Keras's module, and the classes that both
# libraries have with the same arguments.
_OF_PARAMETERS: dict[str, tuple[str, tuple[type[Any], ...]]] = {
    "_regularizer": ("regularizers", (regularizers.L1, regularizers.L2, regularizers.L1L2)),
    "_constraint": (
        "constraints",
        (constraints.MaxNorm, constraints.MinMaxNorm, constraints.NonNeg, constraints.UnitNorm),
    ),
}


def _of_parameter(value: Mapping[str, Any], layer: Any, name: str) -> Any:
    """A regularizer or a constraint from Keras's description of its own."""
    module, kinds = _OF_PARAMETERS[f"_{name.rpartition('_')[2]}"]
    kind = {kind.__name__: kind for kind in kinds}.get(value.get("class_name", ""))
    # A class of somebody else's may have the same name; Keras then says so.
    if kind is None or value.get("module") != f"keras.{module}":
        raise error(layer, f"convkit has no counterpart for {name}={value!r}")
    return kind(**value["config"])


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def error(layer: Any, message: str) -> ValueError:
    """A ValueError that names a layer of Keras."""
    return fault(layer.name, type(layer).__name__, message)


def fault(name: str, kind: str, message: str) -> ValueError:
    """A ValueError that names a layer of Keras of that name and class."""
    return ValueError(f'Keras layer "{name}" ({kind}): {message}')


def no_counterpart(name: str, kind: str) -> ValueError:
    """The error for a class of layers that convkit has not."""
    known = ", ".join(sorted(KNOWN))
    return fault(name, kind, f"it has no counterpart in convkit; these have: {known}")


def write_layer(layer: layers.Layer, theirs: Any) -> Any:
    """Make one of Keras's layers of one of convkit's, without its weights.

    Raises:
        ValueError: it, or an argument of it, has no counterpart in Keras.
    """
    arguments = _ARGUMENTS.get(type(layer))
    if arguments is None:
        raise layer.error(f"it has no counterpart in Keras; these have: {', '.join(sorted(KNOWN))}")
    config = layer.get_config()
    wanted = {name: config[name] for name in arguments}
    for name in wanted:
        end = f"_{name.rpartition('_')[2]}"
        if end in _OF_PARAMETERS and (ours := getattr(layer, name)) is not None:
            module, kinds = _OF_PARAMETERS[end]
            if type(ours) not in kinds:
                raise layer.error(f"{name}: {ours!r} has no counterpart in Keras")
            kind = getattr(getattr(theirs, module), type(ours).__name__)
            wanted[name] = kind(**ours.get_config())
    if isinstance(behind := getattr(layer, "activation", None), layers.Activation):
        wanted["activation"] = write_layer(behind, theirs)
    if isinstance(layer, layers.RandomShear):  # Keras takes no number below 0, but means -f .. f
        wanted |= {
            name: pair[1] if pair[0] == -pair[1] else pair
            for name, pair in (("x_factor", layer.x_factor), ("y_factor", layer.y_factor))
        }
    return getattr(theirs.layers, type(layer).__name__)(name=layer.name, **wanted)


def run(network: Any, model: Model, x: Any, theirs: Any) -> list[Array]:
    """What a Keras model makes of an array, or of a list of several inputs', without gradients.

    Args:
        network: of Keras.
        model: its counterpart, whose inputs and outputs say in which order arrays stand.
        x: one array, or a list with one for each input.
        theirs: Keras.
    """
    given = model._structure(0).pack(x if isinstance(x, list) else [x])
    if theirs.backend.backend() == "torch":
        with package("torch").no_grad():
            made = model._structure(1).flatten(
                network(given, training=False), "outputs", np.ndarray
            )
            return [each.cpu().numpy() for each in made]
    made = model._structure(1).flatten(network(given, training=False), "outputs", np.ndarray)
    return [np.asarray(theirs.ops.convert_to_numpy(each)) for each in made]
