"""Layers with the names and arguments of Keras 1 and 2."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import layers
from ..core import lazy
from ..layers import Input as _Input
from ..layers import InputLayer as _InputLayer
from ..layers.graph import Tensor as InputTensor
from ..models import Model
from . import notes
from .activations import name_of
from .adapted import Adapted, Arguments, drop, drop_unknown, extended, rename
from .layout import dimensions_first, is_first, sample_shape
from .old_names.initializers import modern
from .tensor import is_symbolic

_RENAMED = {
    "W_constraint": "kernel_constraint",
    "W_regularizer": "kernel_regularizer",
    "b_constraint": "bias_constraint",
    "b_regularizer": "bias_regularizer",
    "bias": "use_bias",
    "border_mode": "padding",
    "init": "kernel_initializer",
    "nb_filter": "filters",
    "output_dim": "units",
    "subsample": "strides",
}
_BY_CLASS = {
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    "Dropout": {"p": "rate"},
    "GaussianDropout": {"p": "rate"},
    "GaussianNoise": {"sigma": "stddev"},
    "LeakyReLU": {"alpha": "negative_slope"},
    "PReLU": {"init": "alpha_initializer", "W_regularizer": "alpha_regularizer"},
    "SpatialDropout2D": {"p": "rate"},
}
# Arguments that change nothing on one device in float32; others may be of layers to come.
_HARMLESS = {
    "dtype": (None, "float32"),
    "autocast": (None, True),
    "dynamic": (None, False),
    "implementation": (None, 1, 2),
    "batch_size": None,
    "sparse": (None, False),
    "optional": False,
    "ragged": (None, False),
    "fused": (None, True, False),
    "virtual_batch_size": None,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
    "synchronized": False,
}
_KERNELS = ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "SeparableConv2D")

__all__ = [
    "Adapted",
    "AtrousConvolution2D",
    "Deconvolution2D",
    "Input",
    "InputLayer",
    "InputSpec",
    "Lambda",
    "Merge",
    "ThresholdedReLU",
    "get_source_inputs",
    "make",
    "merge",
]
# All classes of convkit's layers, adapted, by their names there.
LAZY = tuple(
    name for name in lazy.classes(layers, layers.Layer) if name not in ("InputLayer", "Layer")
)


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = make(getattr(layers, name), name)
    return made


class _Augmenting:
    """A layer that changes images at random, also where it is called on them by itself."""

    def __call__(self, inputs: Any, training: Any = None) -> Any:
        chosen = True if training is None and not is_symbolic(inputs) else training
        return super().__call__(inputs, training=chosen)  # type: ignore[misc]


class _Weighted(Adapted):
    """Makes layers, whose first weights may be given: `Dense(3, weights=[kernel, bias])`."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        weights = options.pop("weights", None)
        made = super().__call__(*arguments, **options)
        if weights is not None:
            made.weight_source = _InTurn(made, weights)
        return made


class _InTurn:
    """Gives a layer that is built some arrays, one after the other."""

    def __init__(self, layer: Any, arrays: Any) -> None:
        self._layer, self._arrays = layer, [np.asarray(each, np.float32) for each in arrays]

    def __call__(self, path: str, shape: tuple[int, ...]) -> Any:
        if not self._arrays or self._arrays[0].shape != tuple(shape):
            received = self._arrays[0].shape if self._arrays else "none"
            raise self._layer.error(
                f"weights must have an array of shape {tuple(shape)} for {path}, received "
                f"{received}"
            )
        return self._arrays.pop(0)


def make(kind: type[Any], name: str) -> Any:
    """A class of layers that takes old arguments."""
    if kind.has_phases and vars(kind).get("transforms_images"):
        kind = extended(kind, _Augmenting, transforms_images=True)

    def translate(arguments: tuple[Any, ...], options: dict[str, Any]) -> Arguments:
        arguments = _positions(kind, name, arguments, options)
        _modernize(kind, options)
        return arguments, options

    return _Weighted(kind, translate, name)


def _positions(
    kind: type[Any], name: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> tuple[Any, ...]:
    """The arguments by place; Keras 1 gave the height and width of a kernel as two."""
    label = kind.__name__
    if label in _KERNELS:
        rows, columns = options.pop("nb_row", None), options.pop("nb_col", None)
        if rows is not None and columns is not None:
            options["kernel_size"] = (rows, columns)
        elif len(arguments) >= 3 and _are_sizes(arguments[1:3]):
            of_old = name.startswith(("Convolution", "Deconvolution", "Atrous", "SeparableConvolu"))
            if of_old or arguments[1] == arguments[2]:
                if not of_old:
                    notes.ignored(
                        f"{name}({', '.join(map(str, arguments[:3]))})",
                        "taken as a kernel of that height and width, as Keras 1 and 2 do; "
                        "write strides= for strides",
                    )
                arguments = (arguments[0], tuple(arguments[1:3]), *arguments[3:])
    if label == "Activation" and arguments:
        arguments = (name_of(arguments[0]), *arguments[1:])
    if label == "Dense" and len(arguments) > 1:
        arguments = (arguments[0], name_of(arguments[1]), *arguments[2:])
    return arguments


def _are_sizes(values: tuple[Any, ...]) -> bool:
    return all(isinstance(each, int) and not isinstance(each, bool) for each in values)


def _modernize(kind: type[Any], options: dict[str, Any]) -> None:
    """Give the arguments of a layer the names and values that convkit knows."""
    label = kind.__name__
    rename(options, _BY_CLASS.get(label, {}))
    rename(options, _RENAMED)
    if "batch_input_shape" in options:
        options.setdefault("input_shape", tuple(options.pop("batch_input_shape"))[1:])
    if "input_dim" in options:
        size = options.pop("input_dim")
        options.setdefault("input_shape", (int(size),))
    if isinstance(options.get("padding"), str):
        options["padding"] = options["padding"].lower()
    for name in options:
        if name.endswith("_initializer"):
            options[name] = modern(options[name])
    if "activation" in options:
        options["activation"] = name_of(options["activation"])
    first = is_first(options.pop("data_format", options.pop("dim_ordering", None)))
    if options.get("input_shape") is not None:
        options["input_shape"] = sample_shape(options["input_shape"], first)
    if label == "BatchNormalization":
        options.pop("mode", None)
        axis = options.get("axis")
        if (first and axis == 1) or axis == 3:
            options["axis"] = -1
    drop(options, label, **_HARMLESS)
    drop_unknown(options, kind, ("activity_regularizer", "lora_rank"))


def Input(
    shape: Any = None,
    batch_size: Any = None,
    name: str | None = None,
    dtype: Any = None,
    sparse: Any = None,
    tensor: Any = None,
    batch_shape: Any = None,
    **options: Any,
) -> Any:
    """Say the shape of one sample; the batch may have any size, whatever is said of it."""
    if shape is None:
        shape = options.pop("batch_input_shape", batch_shape)[1:]
    drop(
        {"dtype": dtype, **options},
        "Input",
        **{**_HARMLESS, "type_spec": None, "dtype": (None, "float32", "uint8")},
    )
    return _Input(sample_shape(shape, is_first(None)), name=name)


def InputLayer(
    input_shape: Any = None,
    batch_size: Any = None,
    dtype: Any = None,
    *,
    shape: Any = None,
    batch_input_shape: Any = None,
    batch_shape: Any = None,
    name: str | None = None,
    **options: Any,
) -> Any:
    """What `Input` makes, as a layer."""
    whole = batch_shape if batch_input_shape is None else batch_input_shape
    given = next(each for each in (shape, input_shape, whole and whole[1:]) if each is not None)
    return _InputLayer(sample_shape(given, is_first(None)), name=name)


class InputSpec:
    """What a layer of one's own expects; nothing is checked by it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.options = options


def AtrousConvolution2D(*arguments: Any, atrous_rate: Any = 1, **options: Any) -> Any:
    """Keras 1's convolution with a dilated kernel."""
    return make(layers.Conv2D, "AtrousConvolution2D")(
        *arguments, dilation_rate=atrous_rate, **options
    )


def Deconvolution2D(*arguments: Any, output_shape: Any = None, **options: Any) -> Any:
    """Keras 1's transposed convolution."""
    return make(layers.Conv2DTranspose, "Deconvolution2D")(*arguments, **options)


def ThresholdedReLU(theta: float = 1.0, **options: Any) -> Any:
    """x where it is above a threshold, else 0."""
    return layers.ReLU(threshold=theta, **options)


def merge(
    inputs: Any, mode: str = "sum", concat_axis: int = -1, name: str | None = None, **options: Any
) -> Any:
    """Keras 1's function for all the layers that merge."""
    kinds = {
        "sum": layers.Add,
        "mul": layers.Multiply,
        "ave": layers.Average,
        "max": layers.Maximum,
    }
    if mode == "concat":
        axis = -1 if concat_axis == 3 or dimensions_first() else concat_axis
        return layers.Concatenate(axis=axis, name=name)(inputs)
    if mode not in kinds:
        raise ValueError(
            f"merge: mode must be one of concat, {', '.join(kinds)}, received {mode!r}"
        )
    return kinds[mode](name=name)(inputs)


def get_source_inputs(tensor: Any, layer: Any = None, node_index: Any = None) -> list[Any]:
    """The Inputs that a symbolic tensor comes from, each once."""
    found: dict[int, Any] = {}
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each.layer, _InputLayer):
            found[id(each)] = each
        waiting += reversed(each.node.inputs)
    return list(found.values())


def Merge(*arguments: Any, **options: Any) -> Any:
    """Keras 1's layer that joins several Sequential models."""
    raise ValueError(
        "Merge joins Sequential models, which convkit does not: connect layers by calling them, "
        "merge their outputs with Add, Concatenate ..., and make a Model of the result"
    )


class Lambda:
    """A function as a layer, where convkit has a layer for it.

    Args:
        function: of a tensor. It is tried on a few numbers: what scales, shifts or leaves them
            alone becomes a layer; anything else is a ValueError with what to do. Called on arrays,
            it computes any function.
    """

    def __new__(
        cls,
        function: Any,
        output_shape: Any = None,
        mask: Any = None,
        arguments: Any = None,
        **options: Any,
    ) -> Any:
        """A layer of convkit's, or an object that applies the function to arrays."""
        from .lambdas import made_of

        _modernize(layers.Rescaling, options)
        return made_of(function, arguments or {}, options)


# A model is a layer to Keras, and is exported from where layers are.
Tensor = InputTensor
Network = Container = Functional = Model
__all__ += ["Container", "Functional", "Network"]
