"""A convkit model as a PyTorch module: `read_torch` says what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..core.packages import package
from ..core.parameters import Array
from ..models import Model
from ..operators.decompose import decompose
from ..operators.operator import Operator
from ..operators.verify import verify as compare
from .run_torch import run

if TYPE_CHECKING:
    import torch


def to_torch(model: Model, *, verify: bool = True) -> torch.nn.Module:
    """Make a PyTorch module of a convkit model, with its weights.

    A chain of what torch.nn has becomes an nn.Sequential, anything else an nn.Module that calls
    modules by the names of the layers; a layer that is called several times is one module. It takes
    channels-first images, and is in evaluation mode; call `.train()` to train it. What the model
    predicts for x, it makes of `torch.from_numpy(x).permute(0, 3, 1, 2)`; it takes several inputs
    in the model's order, and gives several outputs as a tuple. Where the model's result is images,
    its own is channels-first. PyTorch's random numbers are as before afterwards.

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


def _network(model: Model, nn: Any) -> torch.nn.Module:
    operators, inputs, outputs = decompose(model, channels_first=True)
    ranks = {
        name: len(tensor.shape) for name, tensor in zip(inputs, model.graph.inputs, strict=True)
    }
    steps: list[tuple[Operator, list[Any]]] = []
    made: dict[tuple[Any, ...], list[Any]] = {}  # one layer's, by its arrays
    for operator in _with_bias(operators):
        write = _WRITERS.get(operator.op)
        if write is None:
            raise operator.error(
                "it is not converted to a PyTorch module; write the model with convkit.onnx.export"
            )
        rank = max(ranks[name] for name in operator.inputs)
        key = (operator.op, rank, *map(id, operator.arrays))
        modules = made.get(key) if operator.arrays else None
        if modules is None:
            modules = made[key] = write(nn, operator, rank)
        steps.append((operator, modules))
        if operator.op in ("Flatten", "Reshape"):
            rank = 1 + len(operator.attributes.get("sizes", (0,)))
        ranks[operator.output] = rank
    chain = [each for _, own in steps for each in own]
    if model.graph.as_chain() is not None and all(hasattr(nn, type(m).__name__) for m in chain):
        sequential: torch.nn.Sequential = nn.Sequential(*chain)
        return sequential.eval()
    return _graph(steps, inputs, outputs)


def _graph(
    steps: list[tuple[Operator, list[Any]]], inputs: list[str], outputs: list[str]
) -> torch.nn.Module:
    """A module that calls those of the steps on each other's results."""
    from .torch_modules import Network  # here, for it imports PyTorch

    modules: dict[str, Any] = {}
    names: dict[int, str] = {}
    calls: list[tuple[str, tuple[str, ...], str]] = []
    same: dict[str, str] = {}  # what passes a tensor on, to the tensor
    for operator, own in steps:
        read = tuple(same.get(name, name) for name in operator.inputs)
        if not own:
            same[operator.output] = read[0]
        for index, module in enumerate(own):
            title = operator.name.replace("/", "_").replace(".", "_")
            name = f"{title}_{index}" if len(own) > 1 else title
            while id(module) not in names and name in modules:  # of a layer of another name
                name += "_"
            name = names.setdefault(id(module), name)
            modules[name] = module
            last = index == len(own) - 1
            result = operator.output if last else f"{operator.output}/{index}"
            calls.append((name, read, result))
            read = (result,)
    results = [same.get(name, name) for name in outputs]
    return cast("torch.nn.Module", Network(modules, calls, inputs, results).eval())


def _with_bias(operators: Sequence[Operator]) -> Iterator[Operator]:
    """The operators; the bias behind a product of rows is an array of the product's."""
    waiting: Operator | None = None
    for operator in operators:
        is_bias = operator.op == "Add" and operator.name.endswith("/bias")
        if waiting is not None and is_bias and operator.inputs == (waiting.output,):
            arrays = (*waiting.arrays, *operator.arrays)
            operator = replace(waiting, arrays=arrays, output=operator.output)
            waiting = None
        if waiting is not None:
            yield waiting
            waiting = None
        if operator.op == "MatMul" and len(operator.arrays) == 1:
            waiting = operator
        else:
            yield operator
    if waiting is not None:
        yield waiting


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


def _to_conv2d_transpose(nn: Any, operator: Operator, rank: int) -> list[Any]:
    given, (kernel, *bias) = operator.attributes, operator.arrays
    top, left, bottom, right = given["pads"]
    even = (top, left) == (bottom, right)
    module = nn.ConvTranspose2d(
        kernel.shape[0],
        kernel.shape[1] * given["group"],
        given["kernel_shape"],
        stride=given["strides"],
        padding=(top, left) if even else 0,
        output_padding=given["output_padding"],
        dilation=given["dilations"],
        groups=given["group"],
        bias=bool(bias),
    )
    _assign(module, weight=kernel, bias=bias)
    return [module] if even else [module, nn.ZeroPad2d((-left, -right, -top, -bottom))]


def _to_layernorm(nn: Any, operator: Operator, rank: int) -> list[Any]:
    scale, *shift = operator.arrays
    module = nn.LayerNorm(scale.shape, operator.attributes["epsilon"], bias=bool(shift))
    _assign(module, weight=scale, bias=shift)
    return [module]


def _to_upsample(nn: Any, operator: Operator, rank: int) -> list[Any]:
    mode = "nearest" if operator.attributes["mode"] == "nearest" else "bilinear"
    return [nn.Upsample(scale_factor=tuple(map(float, operator.attributes["factors"])), mode=mode)]


def _to_combine(nn: Any, operator: Operator, rank: int) -> list[Any]:
    """Of a tensor and a constant, or of several tensors."""
    from . import torch_modules  # here, for it imports PyTorch

    if not operator.arrays:
        return [torch_modules.Combine(operator.op)]
    value = package("torch").from_numpy(np.array(operator.arrays[0], order="C"))
    if value.ndim == 1 and rank > 2:  # one for each channel
        value = value.reshape(-1, *(1,) * (rank - 2))
    return [torch_modules.WithConstant(operator.op, value)]


def _to_concatenate(nn: Any, operator: Operator, rank: int) -> list[Any]:
    from .torch_modules import Concatenate  # here, for it imports PyTorch

    return [Concatenate(operator.attributes["axis"])]


def _to_permute(nn: Any, operator: Operator, rank: int) -> list[Any]:
    from .torch_modules import Permute  # here, for it imports PyTorch

    return [Permute(operator.attributes["perm"])]


def _to_exponential(nn: Any, operator: Operator, rank: int) -> list[Any]:
    from .torch_modules import Exponential  # here, for it imports PyTorch

    return [Exponential()]


def _to_noise(nn: Any, operator: Operator, rank: int) -> list[Any]:
    from . import torch_modules  # here, for it imports PyTorch

    return [getattr(torch_modules, operator.op)(*operator.attributes.values())]


_WRITERS: dict[str, Callable[[Any, Operator, int], list[Any]]] = {
    "Add": _to_combine,
    "AveragePool": _to_pool2d,
    "BatchNormalization": _to_batchnorm,
    "Clip": _to_clip,
    "Concat": _to_concatenate,
    "Conv": _to_conv2d,
    "ConvTranspose": _to_conv2d_transpose,
    "Dropout": lambda nn, operator, rank: [nn.Dropout(operator.attributes["ratio"])],
    "Elu": lambda nn, operator, rank: [nn.ELU(operator.attributes["alpha"])],
    "Exp": _to_exponential,
    "Flatten": lambda nn, operator, rank: [nn.Flatten()],
    "GaussianDropout": _to_noise,
    "GaussianNoise": _to_noise,
    "Gelu": _to_gelu,
    "Gemm": _to_linear,
    "GlobalAveragePool": lambda nn, operator, rank: [nn.AdaptiveAvgPool2d(1)],
    "GlobalMaxPool": lambda nn, operator, rank: [nn.AdaptiveMaxPool2d(1)],
    "HardSigmoid": lambda nn, operator, rank: [nn.Hardsigmoid()],
    "HardSwish": lambda nn, operator, rank: [nn.Hardswish()],
    "Identity": lambda nn, operator, rank: [],
    "LayerNormalization": _to_layernorm,
    "LeakyRelu": lambda nn, operator, rank: [nn.LeakyReLU(operator.attributes["alpha"])],
    "LogSoftmax": lambda nn, operator, rank: [nn.LogSoftmax(operator.attributes["axis"])],
    "MatMul": _to_linear,
    "Max": _to_combine,
    "MaxPool": _to_pool2d,
    "Mean": _to_combine,
    "Min": _to_combine,
    "Mish": lambda nn, operator, rank: [nn.Mish()],
    "Mul": _to_combine,
    "PRelu": _to_prelu,
    "Pad": _to_zero_pad2d,
    "Relu": lambda nn, operator, rank: [nn.ReLU()],
    "Reshape": _to_unflatten,
    "Resize": _to_upsample,
    "Selu": lambda nn, operator, rank: [nn.SELU()],
    "SharedDropout": _to_noise,
    "Sigmoid": lambda nn, operator, rank: [nn.Sigmoid()],
    "Softmax": lambda nn, operator, rank: [nn.Softmax(operator.attributes["axis"])],
    "Softplus": lambda nn, operator, rank: [nn.Softplus()],
    "Softsign": lambda nn, operator, rank: [nn.Softsign()],
    "Swish": lambda nn, operator, rank: [nn.SiLU()],
    "SpatialDropout2D": lambda nn, operator, rank: [nn.Dropout2d(operator.attributes["ratio"])],
    "Sub": _to_combine,
    "Sum": _to_combine,
    "Tanh": lambda nn, operator, rank: [nn.Tanh()],
    "ThresholdedRelu": lambda nn, operator, rank: [nn.Threshold(operator.attributes["alpha"], 0.0)],
    "Transpose": _to_permute,
}


def _assign(module: Any, bias: Sequence[Array] = (), **arrays: Array) -> None:
    """Copy arrays into a module's parameters and buffers of the same names."""
    torch = package("torch")
    with torch.no_grad():
        for name, array in (*arrays.items(), *(("bias", each) for each in bias)):
            getattr(module, name).copy_(torch.from_numpy(np.ascontiguousarray(array)))
