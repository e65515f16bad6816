"""Keras's Sequential as a convkit model, and back.

Both have the same layers under the same names, with the same arguments, layouts and weights, so
that the table of correspondences only says which arguments count.
"""

from __future__ import annotations

import random as seeds
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import constraints, layers, regularizers
from ..core import random
from ..core.parameters import Array
from ..models import Sequential
from .chain import chain_of
from .packages import package
from .verify import verify as compare

if TYPE_CHECKING:
    import keras

# The table: a layer of both libraries is one entry, with the arguments that both have.
_WINDOW = ("strides", "padding")
_SCALES = ("epsilon", "center", "scale", "beta_regularizer", "gamma_regularizer")
_BIAS = ("use_bias", "bias_regularizer", "bias_constraint")
_KERNEL = ("kernel_regularizer", "kernel_constraint")
_CONVOLUTION = ("kernel_size", *_WINDOW, "dilation_rate", "activation", *_BIAS)
_ARGUMENTS: dict[type[layers.Layer], tuple[str, ...]] = {
    layers.Activation: ("activation",),
    layers.AveragePooling2D: ("pool_size", *_WINDOW),
    layers.BatchNormalization: ("momentum", *_SCALES, "beta_constraint", "gamma_constraint"),
    layers.Conv2D: ("filters", "groups", *_CONVOLUTION, *_KERNEL),
    layers.Conv2DTranspose: ("filters", "output_padding", *_CONVOLUTION, *_KERNEL),
    layers.Cropping2D: ("cropping",),
    layers.Dense: ("units", "activation", *_BIAS, *_KERNEL),
    layers.DepthwiseConv2D: (
        *("depth_multiplier", *_CONVOLUTION, "depthwise_regularizer", "depthwise_constraint"),
    ),
    layers.Dropout: ("rate", "seed"),
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
    layers.MaxPooling2D: ("pool_size", *_WINDOW),
    layers.Normalization: ("axis", "mean", "variance", "invert"),
    layers.Permute: ("dims",),
    layers.PReLU: ("alpha_regularizer", "shared_axes"),
    layers.ReLU: ("max_value", "negative_slope", "threshold"),
    layers.Rescaling: ("scale", "offset"),
    layers.Reshape: ("target_shape",),
    layers.SeparableConv2D: (
        *("filters", "depth_multiplier"),
        *_CONVOLUTION,
        *("depthwise_regularizer", "pointwise_regularizer"),
        *("depthwise_constraint", "pointwise_constraint"),
    ),
    layers.Softmax: (),
    layers.SpatialDropout2D: ("rate", "seed"),
    layers.UpSampling2D: ("size", "interpolation"),
    layers.ZeroPadding2D: ("padding",),
}
_BY_NAME = {kind.__name__: kind for kind in _ARGUMENTS}
# Arguments of Keras that say nothing about a trained layer, or that convkit has fixed.
_IGNORED = ("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape")


def from_keras(model: keras.Sequential, *, verify: bool = True) -> Sequential:
    """Make a convkit model of a Keras model, with its weights.

    Names and `trainable` of the layers come along. The model is not compiled. Layers are read by
    their classes and arguments, so that subclasses, replaced methods, functions of one's own that
    are called as Keras's, and dtype policies other than float32 are refused.

    Args:
        model: a built Sequential, of any backend of Keras, channels-last.
        verify: whether both are tried on the same random batch, of two images or one.

    Raises:
        ValueError: a layer, or an argument of one, has no counterpart in convkit; or the model is
            not built; or what the new model gives for the random batch is further from what
            Keras's gives than rounding explains.
        TypeError: not a Sequential of Keras.
        ImportError: Keras is missing; the message says how to install it.
    """
    theirs = package("keras")
    if not isinstance(model, theirs.Sequential):
        raise TypeError(f"expected a keras.Sequential, received {type(model).__name__}")
    if not model.built or not model.inputs:
        raise ValueError(f'the Keras model "{model.name}" is not built; give it an Input')
    _check_calls(model, theirs.Sequential, f'the Keras model "{model.name}"')
    copies: list[layers.Layer] = []
    shape = tuple(model.input_shape)
    for layer in model.layers:
        copies.append(_from_layer(layer, len(shape), theirs))
        shape = copies[-1].compute_output_shape(shape)
    with random.seeded(0):  # the initializers of what is overwritten
        ours = Sequential([layers.Input(tuple(model.input_shape[1:])), *copies], name=model.name)
    for copy, layer in zip(copies, model.layers, strict=True):
        copy.set_weights(_without_count(layer.get_weights(), copy))
        copy.trainable = layer.trainable
    if verify:
        compare(ours, lambda x: _run(model, x, theirs), "the Keras model")
    return ours


def _from_layer(layer: Any, rank: int, theirs: Any) -> layers.Layer:
    name = type(layer).__name__
    kind = _BY_NAME.get(name)
    if kind is None or type(layer) is not getattr(theirs.layers, name):
        raise _error(
            layer, f"it has no counterpart in convkit; these have: {', '.join(sorted(_BY_NAME))}"
        )
    _check_calls(layer, type(layer), f'Keras layer "{layer.name}" ({name})')
    if layer.dtype_policy.name != "float32":
        raise _error(
            layer,
            f"its dtype policy is {layer.dtype_policy.name!r}, and convkit computes in float32: "
            f"make the model anew with that, and give it the weights",
        )
    if hasattr(layer, "activation"):
        _check_activation(layer, theirs)
    config = layer.get_config()
    wanted = {name: _plain(config[name]) for name in _ARGUMENTS[kind]}
    for name, value in config.items():
        if name in wanted or name in _IGNORED or name.endswith("_initializer"):
            continue
        if not _means_nothing(name, value, rank):
            raise _error(layer, f"convkit has no counterpart for {name}={value!r}")
    for name, value in wanted.items():
        if name.endswith(tuple(_OF_PARAMETERS)) and value is not None:
            wanted[name] = _of_parameter(value, layer, name)
    if kind is layers.Rescaling:
        wanted = {name: _channel_numbers(layer, name) for name in wanted}
    return kind(name=layer.name, **wanted)


def _without_count(weights: list[Array], copy: layers.Layer) -> list[Array]:
    """A layer's weights; of a Normalization without the number that Keras keeps and never reads."""
    return weights[:2] if isinstance(copy, layers.Normalization) else weights


def _check_calls(ours: Any, kind: type, what: str) -> None:
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
        raise _error(layer, f"convkit has no such activation: {layer.activation!r}")


def _channel_numbers(layer: Any, name: str) -> float | list[float]:
    """A Rescaling's numbers, which may be an array: one, or one for each channel."""
    value = getattr(layer, name)
    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if array.ndim == 0:
        return float(array)
    if array.size != array.shape[-1]:
        raise _error(
            layer, f"{name} must be a number, or one for each channel, received shape {array.shape}"
        )
    return [float(number) for number in array.reshape(-1)]


def _run(network: Any, x: Array, theirs: Any) -> Array:
    """What a Keras model makes of images, without gradients."""
    if theirs.backend.backend() == "torch":
        with package("torch").no_grad():
            result: Array = network(x, training=False).cpu().numpy()
            return result
    return np.asarray(theirs.ops.convert_to_numpy(network(x, training=False)))


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
        raise _error(layer, f"convkit has no counterpart for {name}={value!r}")
    return kind(**value["config"])


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _error(layer: Any, message: str) -> ValueError:
    return ValueError(f'Keras layer "{layer.name}" ({type(layer).__name__}): {message}')


def to_keras(model: Sequential, *, verify: bool = True) -> keras.Sequential:
    """Make a Keras model of a convkit model, with its weights.

    Names and `trainable` of the layers come along. The model is not compiled. The random numbers
    of Python, from which Keras takes its seeds, are as before afterwards.

    Args:
        model: built, with weights.
        verify: whether both are tried on the same random batch, of two images or one.

    Raises:
        ValueError: the model is not built, or a layer has no counterpart in Keras; or what Keras's
            model gives for the random batch is further from what this one gives than rounding
            explains.
        ImportError: Keras is missing; the message says how to install it.
    """
    theirs = package("keras")
    shape, state = model.input_shape, seeds.getstate()
    try:
        chain = chain_of(model)
        copies = [_to_layer(layer, theirs) for layer in chain]
        network: keras.Sequential = theirs.Sequential(
            [theirs.Input(shape[1:]), *copies], name=model.name
        )
    finally:
        seeds.setstate(state)
    for copy, layer in zip(copies, chain, strict=True):
        weights = layer.get_weights()
        if isinstance(layer, layers.Normalization) and weights:
            copy.set_weights([*weights, np.zeros((), np.int32)])
            copy.finalize_state()  # or it would compute with what it was made with
        else:
            copy.set_weights(weights)
        copy.trainable = layer.trainable
    if verify:
        compare(model, lambda x: _run(network, x, theirs), "its copy in Keras")
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
        end = f"_{name.rpartition('_')[2]}"
        if end in _OF_PARAMETERS and (ours := getattr(layer, name)) is not None:
            module, kinds = _OF_PARAMETERS[end]
            if type(ours) not in kinds:
                raise layer.error(f"{name}: {ours!r} has no counterpart in Keras")
            kind = getattr(getattr(theirs, module), type(ours).__name__)
            wanted[name] = kind(**ours.get_config())
    return getattr(theirs.layers, type(layer).__name__)(name=layer.name, **wanted)
