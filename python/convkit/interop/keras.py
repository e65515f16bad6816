"""Keras's Sequential as a convkit model, and back.

Both have the same layers under the same names, with the same arguments, layouts and weights, so
that the table of correspondences only says which arguments count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import layers, regularizers
from ..models import Sequential
from .packages import package

if TYPE_CHECKING:
    import keras

# The table: a layer of both libraries is one entry, with the arguments that both have.
_WINDOW = ("strides", "padding")
_BIAS = ("use_bias", "bias_regularizer")
_CONVOLUTION = ("kernel_size", *_WINDOW, "dilation_rate", "activation", *_BIAS)
_ARGUMENTS: dict[type[layers.Layer], tuple[str, ...]] = {
    layers.Activation: ("activation",),
    layers.AveragePooling2D: ("pool_size", *_WINDOW),
    layers.BatchNormalization: (
        *("momentum", "epsilon", "center", "scale"),
        *("beta_regularizer", "gamma_regularizer"),
    ),
    layers.Conv2D: ("filters", "groups", *_CONVOLUTION, "kernel_regularizer"),
    layers.Dense: ("units", "activation", *_BIAS, "kernel_regularizer"),
    layers.DepthwiseConv2D: ("depth_multiplier", *_CONVOLUTION, "depthwise_regularizer"),
    layers.Dropout: ("rate", "seed"),
    layers.ELU: ("alpha",),
    layers.Flatten: (),
    layers.GlobalAveragePooling2D: (),
    layers.GlobalMaxPooling2D: (),
    layers.LeakyReLU: ("negative_slope",),
    layers.MaxPooling2D: ("pool_size", *_WINDOW),
    layers.ReLU: ("max_value", "negative_slope", "threshold"),
    layers.Rescaling: ("scale", "offset"),
    layers.Reshape: ("target_shape",),
    layers.Softmax: (),
    layers.ZeroPadding2D: ("padding",),
}
_BY_NAME = {kind.__name__: kind for kind in _ARGUMENTS}
# Arguments of Keras that say nothing about a trained layer, or that convkit has fixed.
_IGNORED = ("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape")


def from_keras(model: keras.Sequential) -> Sequential:
    """Make a convkit model of a Keras model, with its weights.

    Names and `trainable` of the layers come along. The model is not compiled.

    Args:
        model: a built Sequential, of any backend of Keras, channels-last.

    Raises:
        ValueError: a layer, or an argument of one, has no counterpart in convkit; or the model is
            not built.
        TypeError: not a Sequential of Keras.
        ImportError: Keras is missing; the message says how to install it.
    """
    theirs = package("keras")
    if not isinstance(model, theirs.Sequential):
        raise TypeError(f"expected a keras.Sequential, received {type(model).__name__}")
    if not model.built or not model.inputs:
        raise ValueError(f'the Keras model "{model.name}" is not built; give it an Input')
    copies = [_from_layer(layer) for layer in model.layers]
    ours = Sequential([layers.Input(tuple(model.input_shape[1:])), *copies], name=model.name)
    for copy, layer in zip(copies, model.layers, strict=True):
        copy.set_weights(layer.get_weights())
        copy.trainable = layer.trainable
    return ours


def _from_layer(layer: Any) -> layers.Layer:
    kind = _BY_NAME.get(type(layer).__name__)
    if kind is None or not type(layer).__module__.startswith("keras."):
        raise _error(
            layer, f"it has no counterpart in convkit; these have: {', '.join(sorted(_BY_NAME))}"
        )
    config = layer.get_config()
    wanted = {name: _plain(config[name]) for name in _ARGUMENTS[kind]}
    for name, value in config.items():
        if name in wanted or name in _IGNORED or name.endswith("_initializer"):
            continue
        if not _means_nothing(name, value):
            raise _error(layer, f"convkit has no counterpart for {name}={value!r}")
    if not isinstance(wanted.get("activation", ""), str | None):
        raise _error(layer, f"convkit has no such activation: {wanted['activation']!r}")
    for name, value in wanted.items():
        if name.endswith("_regularizer") and value is not None:
            wanted[name] = _penalty(value, layer, name)
    return kind(name=layer.name, **wanted)


# What the arguments that convkit does not have, or only so, must be.
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "approximate": (False,),
    "axis": (-1, [-1], 3),
    "data_format": ("channels_last",),
    "renorm_momentum": (0.99,),
    "synchronized": (False,),
}


def _means_nothing(name: str, value: Any) -> bool:
    return value in _FIXED[name] if name in _FIXED else value in (None, False, 0.0)


# Who penalises what, in both libraries with the same arguments.
_PENALTIES = {kind.__name__: kind for kind in (regularizers.L1, regularizers.L2, regularizers.L1L2)}


def _penalty(value: Mapping[str, Any], layer: Any, name: str) -> regularizers.Regularizer:
    """A regularizer from Keras's description of its own."""
    kind = _PENALTIES.get(value.get("class_name", ""))
    # A class of somebody else's may have the same name; Keras then says so.
    if kind is None or value.get("module") != "keras.regularizers":
        raise _error(layer, f"convkit has no counterpart for {name}={value!r}")
    return kind(**value["config"])


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _error(layer: Any, message: str) -> ValueError:
    return ValueError(f'Keras layer "{layer.name}" ({type(layer).__name__}): {message}')


def to_keras(model: Sequential) -> keras.Sequential:
    """Make a Keras model of a convkit model, with its weights.

    Names and `trainable` of the layers come along. The model is not compiled.

    Raises:
        ValueError: the model is not built, or a layer has no counterpart in Keras.
        ImportError: Keras is missing; the message says how to install it.
    """
    theirs = package("keras")
    shape = model.input_shape
    copies = [_to_layer(layer, theirs) for layer in model.layers]
    network: keras.Sequential = theirs.Sequential(
        [theirs.Input(shape[1:]), *copies], name=model.name
    )
    for copy, layer in zip(copies, model.layers, strict=True):
        copy.set_weights(layer.get_weights())
        copy.trainable = layer.trainable
    return network


def _to_layer(layer: layers.Layer, theirs: Any) -> Any:
    arguments = _ARGUMENTS.get(type(layer))
    if arguments is None:
        raise layer.error(
            f"it has no counterpart in Keras; these have: {', '.join(sorted(_BY_NAME))}"
        )
    config = layer.get_config()
    wanted = {name: config[name] for name in arguments}
    for name in wanted:
        if name.endswith("_regularizer") and (ours := getattr(layer, name)) is not None:
            if type(ours) not in _PENALTIES.values():
                raise layer.error(f"{name}: {ours!r} has no counterpart in Keras")
            wanted[name] = getattr(theirs.regularizers, type(ours).__name__)(**ours.get_config())
    return getattr(theirs.layers, type(layer).__name__)(name=layer.name, **wanted)
