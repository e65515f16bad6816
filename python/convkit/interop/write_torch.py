"""A convkit model as PyTorch's nn.Sequential: `read_torch` says what differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.packages import package
from ..core.parameters import Array
from ..models import Sequential
from ..operators.decompose import decompose
from ..operators.operator import Operator
from ..operators.verify import verify as compare
from .run_torch import run

if TYPE_CHECKING:
    import torch


def to_torch(model: Sequential, *, verify: bool = True) -> torch.nn.Sequential:
    """Make an nn.Sequential of a convkit model, with its weights.

    It takes channels-first images, and is in evaluation mode; call `.train()` to train it. What the
    model predicts for x, it makes of `torch.from_numpy(x).permute(0, 3, 1, 2)`. Where the model's
    result is images, its own is channels-first. PyTorch's random numbers are as before afterwards.

    Args:
        model: built, with weights.
        verify: whether both are tried on the same random batch, of two images or one.

    Raises:
        ValueError: the model is not built, or a layer has no counterpart in PyTorch; or what the
            network gives for the random batch is further from what the model gives than rounding
            explains.
        ImportError: PyTorch is missing; the message says how to install it.
    """
    torch = package("torch")
    with torch.random.fork_rng(devices=[]):  # modules are made with random weights
        network = _network(model, torch.nn)
    if verify:
        compare(model, lambda x: run(network, x), "its copy in PyTorch")
    return network


def _network(model: Sequential, nn: Any) -> torch.nn.Sequential:
    if model.graph.as_chain() is None:
        raise ValueError(
            f'model "{model.name}" has branches, layers that are called several times, or several '
            f"inputs or outputs, and only a chain of layers can be converted to an nn.Sequential; "
            f"write it with convkit.onnx.export"
        )
    operators = decompose(model, channels_first=True).operators
    modules: list[Any] = []
    rank = len(model.input_shape)
    for operator in operators:
        write = _WRITERS.get(operator.op)
        if write is None:
            raise operator.error("PyTorch has no module that does this")
        modules += write(nn, operator, rank)
        if operator.op in ("Flatten", "Reshape"):
            rank = 1 + len(operator.attributes.get("sizes", (0,)))
    network: torch.nn.Sequential = nn.Sequential(*modules)
    return network.eval()


def _to_conv2d(nn: Any, operator: Operator, rank: int) -> list[Any]:
    given, (kernel, *bias) = operator.attributes, operator.arrays
    top, left, bottom, right = given["pads"]
    even = (top, left) == (bottom, right)
    module = nn.Conv2d(
        kernel.shape[1] * given["group"],
        kernel.shape[0],
        given["kernel_shape"],
        stride=given["strides"],
        padding=(top, left) if even else 0,
        dilation=given["dilations"],
        groups=given["group"],
        bias=bool(bias),
    )
    _assign(module, weight=kernel, bias=bias)
    return [module] if even else [nn.ZeroPad2d((left, right, top, bottom)), module]


def _to_linear(nn: Any, operator: Operator, rank: int) -> list[Any]:
    kernel, *bias = operator.arrays
    module = nn.Linear(*kernel.shape, bias=bool(bias))
    _assign(module, weight=kernel.T, bias=bias)
    return [module]


def _to_batchnorm(nn: Any, operator: Operator, rank: int) -> list[Any]:
    kinds = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
    if rank not in kinds:
        raise operator.error(f"PyTorch has no batch normalisation for inputs of rank {rank}")
    scale, shift, mean, variance = operator.arrays
    given = operator.attributes
    module = kinds[rank](len(scale), eps=given["epsilon"], momentum=1.0 - given["momentum"])
    _assign(module, weight=scale, bias=[shift], running_mean=mean, running_var=variance)
    return [module]


def _to_pool2d(nn: Any, operator: Operator, rank: int) -> list[Any]:
    """An uneven padding, one more behind than before, is a window that hangs over: ceil_mode."""
    given, average = operator.attributes, operator.op == "AveragePool"
    top, left, bottom, right = given["pads"]
    uneven = bottom > top, right > left
    options: dict[str, Any] = {"padding": (top, left), "ceil_mode": any(uneven)}
    before: list[Any] = []
    if any(more and stride == 1 for more, stride in zip(uneven, given["strides"], strict=True)):
        # With stride 1 the window behind the last one is never begun.
        if average:
            raise operator.error(
                "PyTorch has no mean over windows of even size with stride 1 and padding='same'"
            )
        before, options = [nn.ConstantPad2d((left, right, top, bottom), -np.inf)], {}
    if average:
        options["count_include_pad"] = False
    kind = nn.AvgPool2d if average else nn.MaxPool2d
    return [*before, kind(given["kernel_shape"], given["strides"], **options)]


def _to_zero_pad2d(nn: Any, operator: Operator, rank: int) -> list[Any]:
    top, left, bottom, right = operator.attributes["pads"]
    return [nn.ZeroPad2d((left, right, top, bottom))]


def _to_unflatten(nn: Any, operator: Operator, rank: int) -> list[Any]:
    flatten = [nn.Flatten()] if rank > 2 else []
    return [*flatten, nn.Unflatten(1, operator.attributes["sizes"])]


def _to_gelu(nn: Any, operator: Operator, rank: int) -> list[Any]:
    return [nn.GELU(operator.attributes["approximate"])]


def _to_clip(nn: Any, operator: Operator, rank: int) -> list[Any]:
    low, high = operator.attributes["min"], operator.attributes["max"]
    if not low < high:
        raise operator.error("PyTorch cuts off to a range that is not empty: max_value above 0")
    return [nn.ReLU6() if (low, high) == (0.0, 6.0) else nn.Hardtanh(low, high)]


def _to_prelu(nn: Any, operator: Operator, rank: int) -> list[Any]:
    (slopes,) = operator.arrays
    if slopes.size != slopes.shape[0]:
        raise operator.error(
            "PyTorch's PReLU has one slope, or one for each channel: share it along all other axes"
        )
    module = nn.PReLU(slopes.size)
    _assign(module, weight=slopes.reshape(-1))
    return [module]


_WRITERS: dict[str, Callable[[Any, Operator, int], list[Any]]] = {
    "AveragePool": _to_pool2d,
    "BatchNormalization": _to_batchnorm,
    "Clip": _to_clip,
    "Conv": _to_conv2d,
    "Dropout": lambda nn, operator, rank: [nn.Dropout(operator.attributes["ratio"])],
    "Elu": lambda nn, operator, rank: [nn.ELU(operator.attributes["alpha"])],
    "Flatten": lambda nn, operator, rank: [nn.Flatten()],
    "Gelu": _to_gelu,
    "Gemm": _to_linear,
    "GlobalAveragePool": lambda nn, operator, rank: [nn.AdaptiveAvgPool2d(1)],
    "GlobalMaxPool": lambda nn, operator, rank: [nn.AdaptiveMaxPool2d(1)],
    "HardSigmoid": lambda nn, operator, rank: [nn.Hardsigmoid()],
    "HardSwish": lambda nn, operator, rank: [nn.Hardswish()],
    "Identity": lambda nn, operator, rank: [],
    "LeakyRelu": lambda nn, operator, rank: [nn.LeakyReLU(operator.attributes["alpha"])],
    "LogSoftmax": lambda nn, operator, rank: [nn.LogSoftmax(operator.attributes["axis"])],
    "MaxPool": _to_pool2d,
    "Mish": lambda nn, operator, rank: [nn.Mish()],
    "PRelu": _to_prelu,
    "Pad": _to_zero_pad2d,
    "Relu": lambda nn, operator, rank: [nn.ReLU()],
    "Reshape": _to_unflatten,
    "Selu": lambda nn, operator, rank: [nn.SELU()],
    "Sigmoid": lambda nn, operator, rank: [nn.Sigmoid()],
    "Softmax": lambda nn, operator, rank: [nn.Softmax(operator.attributes["axis"])],
    "Softplus": lambda nn, operator, rank: [nn.Softplus()],
    "Softsign": lambda nn, operator, rank: [nn.Softsign()],
    "Swish": lambda nn, operator, rank: [nn.SiLU()],
    "SpatialDropout2D": lambda nn, operator, rank: [nn.Dropout2d(operator.attributes["ratio"])],
    "Tanh": lambda nn, operator, rank: [nn.Tanh()],
    "ThresholdedRelu": lambda nn, operator, rank: [nn.Threshold(operator.attributes["alpha"], 0.0)],
}


def _assign(module: Any, bias: Sequence[Array] = (), **arrays: Array) -> None:
    """Copy arrays into a module's parameters and buffers of the same names."""
    torch = package("torch")
    with torch.no_grad():
        for name, array in (*arrays.items(), *(("bias", each) for each in bias)):
            getattr(module, name).copy_(torch.from_numpy(np.ascontiguousarray(array)))
