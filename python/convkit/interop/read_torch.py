"""PyTorch's modules as convkit models.

PyTorch is channels-first: its images are (N, C, H, W), its convolution kernels (OC, C, KH, KW), its
Linear weights (OC, C), and its Flatten lays out (C, H, W). Its batch normalisation calls momentum
what convkit and Keras call 1 - momentum, and updates the running variance with the unbiased
variance of the batch, n / (n - 1) times that of convkit. The running variance itself means the same
in both, and is copied as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.packages import package
from ..core.parameters import Array
from ..models import Model
from ..operators.assemble import Source, assemble
from ..operators.operator import Operator
from ..operators.verify import verify as compare
from .check_torch import described, leaves, module_error, needs_trace
from .run_torch import run
from .trace_torch import from_module

if TYPE_CHECKING:
    import torch


def from_torch(
    module: torch.nn.Module,
    input_shape: Sequence[int] | Sequence[Sequence[int]],
    *,
    verify: bool = True,
) -> Model:
    """Make a convkit model of a PyTorch module, with its weights.

    What the module makes of x in evaluation mode, the model makes of x moved to channels-last:
    `model.predict(x.permute(0, 2, 3, 1).numpy())`. An nn.Sequential is read module by module. Any
    other module, and an nn.Sequential that holds one with modules of its own, is traced by
    PyTorch's own exporter to ONNX, with nothing folded, and read as `convkit.onnx.load` reads
    files: residual blocks, concatenations, gates and shared modules become a graph of layers, with
    the names of the modules that have weights. What a trace cannot show is lost: dropout, and
    which way a condition in `forward` would go for other inputs.

    Args:
        module: an nn.Sequential of Conv2d, Linear, BatchNorm1d, BatchNorm2d, MaxPool2d, AvgPool2d,
            AdaptiveAvgPool2d(1), AdaptiveMaxPool2d(1), Flatten, Dropout, Dropout2d, ZeroPad2d,
            Identity, activations, and nn.Sequential of the same. They are read by their classes, so
            that hooks, parametrizations, replaced methods and subclasses that compute something of
            their own are refused. A module without weights may stand twice. Or any other nn.Module
            of the operators that `convkit.onnx.load` understands.
        input_shape: of one sample as the module takes it, (C, H, W) or (C,); of several inputs a
            list of shapes.
        verify: whether the module and the model are tried on the same random batch, of two images
            or one, without gradients and in evaluation mode, which is put back afterwards.

    Raises:
        ValueError: a module, or a setting of one, has no counterpart in convkit; or what the model
            gives for the random batch is further from what the module gives than rounding explains.
        TypeError: not an nn.Module.
        ImportError: PyTorch is missing, or the package onnx where a module is traced; the message
            says how to install it.
    """
    nn = package("torch").nn
    if not isinstance(module, nn.Module):
        raise TypeError(f"expected a torch.nn.Module, received {type(module).__name__}")
    shapes = [shape for shape in input_shape if isinstance(shape, Sequence)]
    if shapes or needs_trace(module):
        given = [tuple(each) for each in shapes] if shapes else [tuple(input_shape)]
        return from_module(module, given, verify)  # type: ignore[arg-type]
    operators = [each for name, part in leaves(module) for each in _operators_of(part, name)]
    sizes: tuple[int, ...] = tuple(input_shape)  # type: ignore[arg-type]
    model, _ = assemble(operators, [Source("x", sizes)], give_last=True)
    if verify:
        compare(model, lambda x: run(module, x), "the PyTorch module")
    return model


def _operators_of(module: Any, name: str) -> Iterable[Operator]:
    kind = type(module).__name__
    read = _READERS.get(kind)
    if read is None or type(module) is not getattr(package("torch").nn, kind):
        # A class of somebody else's, though called the same or derived from one, may do anything.
        raise module_error(
            module, name, f"it has no counterpart in convkit; these have: {', '.join(_READERS)}"
        )
    # Numbers are no names for layers.
    label = "" if name.rpartition(".")[2].isdigit() else name
    try:
        for op, arrays, attributes in read(module):
            yield Operator(op, arrays, attributes, label, described(module, name))
    except _Unsupported as error:
        raise module_error(module, name, str(error)) from None


class _Unsupported(Exception):
    """A setting without a counterpart, told by a reader that does not know the module's name."""


_Parts = Iterator[tuple[str, tuple[Array, ...], dict[str, Any]]]


def _conv2d(module: Any) -> _Parts:
    if module.padding_mode != "zeros":
        raise _Unsupported(f"padding_mode must be 'zeros', not {module.padding_mode!r}")
    pads = module.padding
    if pads == "valid":
        pads = (0, 0, 0, 0)
    elif pads == "same":  # of stride 1 alone; the larger half comes last
        totals = [(k - 1) * d for k, d in zip(module.kernel_size, module.dilation, strict=True)]
        pads = (*(t // 2 for t in totals), *(t - t // 2 for t in totals))
    else:
        pads = (*pads, *pads)
    attributes = {
        "kernel_shape": module.kernel_size,
        "strides": module.stride,
        "pads": pads,
        "dilations": module.dilation,
        "group": module.groups,
    }
    yield "Conv", _arrays(module.weight, module.bias), attributes


def _linear(module: Any) -> _Parts:
    weight, *bias = _arrays(module.weight, module.bias)
    yield "Gemm", (weight.T, *bias), {}


def _batchnorm(module: Any) -> _Parts:
    if module.running_mean is None:
        raise _Unsupported("it must have running statistics, which convkit always uses")
    if module.momentum is None:
        raise _Unsupported("convkit has no cumulative average of the statistics; set momentum")
    channels = module.num_features
    scale = np.ones(channels, np.float32) if module.weight is None else _array(module.weight)
    shift = np.zeros(channels, np.float32) if module.bias is None else _array(module.bias)
    arrays = (scale, shift, *_arrays(module.running_mean, module.running_var))
    attributes = {"epsilon": module.eps, "momentum": 1.0 - module.momentum}
    yield "BatchNormalization", arrays, attributes


def _pool2d(module: Any) -> _Parts:
    average = hasattr(module, "count_include_pad")
    if getattr(module, "divisor_override", None) is not None:
        raise _Unsupported("convkit has no divisor_override")
    if getattr(module, "return_indices", False):
        raise _Unsupported("convkit does not return indices")
    pads = _pair(module.padding)
    attributes = {
        "kernel_shape": _pair(module.kernel_size),
        "strides": _pair(module.stride),
        "pads": (*pads, *pads),
        "dilations": _pair(getattr(module, "dilation", 1)),
        "ceil_mode": module.ceil_mode,
        "count_include_pad": average and module.count_include_pad,
    }
    yield "AveragePool" if average else "MaxPool", (), attributes


def _adaptive(op: str) -> Callable[[Any], _Parts]:
    def read(module: Any) -> _Parts:
        if _pair(module.output_size) != (1, 1) or getattr(module, "return_indices", False):
            raise _Unsupported("convkit pools over the whole image alone, to one value a channel")
        yield op, (), {}

    return read


def _flatten(module: Any) -> _Parts:
    if (module.start_dim, module.end_dim) != (1, -1):
        raise _Unsupported("convkit flattens all but the batch: start_dim=1, end_dim=-1")
    yield "Flatten", (), {}


def _zero_pad2d(module: Any) -> _Parts:
    if getattr(module, "value", 0.0) != 0.0:
        raise _Unsupported(f"convkit pads with zeros alone, not {module.value}")
    left, right, top, bottom = module.padding
    yield "Pad", (), {"pads": (top, left, bottom, right)}


def _unflatten(module: Any) -> _Parts:
    if module.dim not in (1, -1):
        raise _Unsupported("convkit gives each sample a shape: dim=1")
    yield "Reshape", (), {"sizes": tuple(module.unflattened_size)}


def _softmax(op: str) -> Callable[[Any], _Parts]:
    def read(module: Any) -> _Parts:
        if module.dim is None:
            raise _Unsupported(f"say its dim, such as nn.{op}(dim=1)")
        yield op, (), {"axis": module.dim}

    return read


def _softplus(module: Any) -> _Parts:
    """Beyond its threshold PyTorch's is x, which from 15 on changes nothing that float32 shows."""
    if module.beta != 1 or module.threshold < 15:
        raise _Unsupported(
            f"convkit has it with beta=1 and a threshold of 15 or more, received "
            f"beta={module.beta}, threshold={module.threshold}"
        )
    yield "Softplus", (), {}


def _prelu(module: Any) -> _Parts:
    yield "PRelu", _arrays(module.weight), {"of_channels": True}


def _fixed(op: str, **attributes: float) -> Callable[[Any], _Parts]:
    """A reader of a module that has no attributes, of an operator that has."""

    def read(module: Any) -> _Parts:
        yield op, (), attributes

    return read


def _threshold(module: Any) -> _Parts:
    if module.value != 0:
        raise _Unsupported(f"convkit has 0 below a threshold, not {module.value}")
    yield "ThresholdedRelu", (), {"alpha": module.threshold}


def _simple(op: str, **attributes: str) -> Callable[[Any], _Parts]:
    """A reader of a module that has nothing but attributes, here under ONNX's names."""

    def read(module: Any) -> _Parts:
        yield op, (), {ours: getattr(module, theirs) for ours, theirs in attributes.items()}

    return read


_READERS: dict[str, Callable[[Any], _Parts]] = {
    "AdaptiveAvgPool2d": _adaptive("GlobalAveragePool"),
    "AdaptiveMaxPool2d": _adaptive("GlobalMaxPool"),
    "AvgPool2d": _pool2d,
    "BatchNorm1d": _batchnorm,
    "BatchNorm2d": _batchnorm,
    "ConstantPad2d": _zero_pad2d,
    "Conv2d": _conv2d,
    "Dropout": _simple("Dropout", ratio="p"),
    "Dropout2d": _simple("SpatialDropout2D", ratio="p"),
    "ELU": _simple("Elu", alpha="alpha"),
    "Flatten": _flatten,
    "GELU": _simple("Gelu", approximate="approximate"),
    "Hardsigmoid": _fixed("HardSigmoid", alpha=1 / 6, beta=0.5),
    "Hardswish": _simple("HardSwish"),
    "Hardtanh": _simple("Clip", min="min_val", max="max_val"),
    "Identity": lambda module: iter(()),
    "LeakyReLU": _simple("LeakyRelu", alpha="negative_slope"),
    "Linear": _linear,
    "LogSoftmax": _softmax("LogSoftmax"),
    "MaxPool2d": _pool2d,
    "Mish": _simple("Mish"),
    "PReLU": _prelu,
    "ReLU": _simple("Relu"),
    "ReLU6": _simple("Clip", min="min_val", max="max_val"),
    "SELU": _fixed("Selu", alpha=1.6732632423543772, gamma=1.0507009873554805),
    "SiLU": _fixed("Swish", alpha=1.0),
    "Sigmoid": _simple("Sigmoid"),
    "Softmax": _softmax("Softmax"),
    "Softplus": _softplus,
    "Softsign": _simple("Softsign"),
    "Tanh": _simple("Tanh"),
    "Threshold": _threshold,
    "Unflatten": _unflatten,
    "ZeroPad2d": _zero_pad2d,
}


def _pair(value: Any) -> tuple[int, int]:
    """(rows, columns) of a number or of a tuple of one or two."""
    numbers = (value,) if isinstance(value, int) else value
    if not isinstance(numbers, Sequence) or len(numbers) not in (1, 2) or None in numbers:
        raise _Unsupported(f"convkit's windows have two integers, received {value!r}")
    return numbers[0], numbers[-1]


def _arrays(*tensors: Any) -> tuple[Array, ...]:
    return tuple(_array(tensor) for tensor in tensors if tensor is not None)


def _array(tensor: Any) -> Array:
    torch = package("torch")
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or tensor.layout != torch.strided:
        raise _Unsupported(
            f"its weights must be plain tensors, received {type(tensor).__name__} of layout "
            f"{tensor.layout}"
        )
    if tensor.is_meta:
        raise _Unsupported("its weights are on the meta device, where tensors have no values")
    if tensor.dtype != torch.float32:
        raise _Unsupported(f"its weights must be float32, received {tensor.dtype}; use .float()")
    array: Array = tensor.detach().cpu().numpy()
    return array
