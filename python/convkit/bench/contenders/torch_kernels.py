"""PyTorch's kernels as the benchmark calls them, in both memory formats.

Imported only where PyTorch takes part. Gradients come from `torch.autograd.grad` through a graph
that exists beforehand, in which only what is asked for requires a gradient, so that each direction
computes nothing else. A forward pass needs no graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch.nn import functional

from ..shapes import Array, Calls, LayerArrays, LayerShape
from .torch_model import MEMORY_FORMATS

Forward = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def torch_sides(threads: int) -> Mapping[str, Callable[[LayerShape, LayerArrays], Calls]]:
    """`torch_calls` for each memory format; sets PyTorch's threads for the whole process."""
    torch.set_num_threads(threads)
    return {name: partial(torch_calls, memory) for name, memory in MEMORY_FORMATS.items()}


def torch_calls(memory: torch.memory_format, shape: LayerShape, arrays: LayerArrays) -> Calls:
    """What to call for each direction of this shape; all return tensors in PyTorch's own layout.

    An input without planes, (N, C), has no memory format: only the contiguous side takes part.
    """
    if len(shape.x_shape) == 2 and memory != torch.contiguous_format:
        return {}

    def tensor(array: Array, order: tuple[int, ...]) -> torch.Tensor:
        result = torch.tensor(array)
        return result.permute(order).contiguous(memory_format=memory) if order else result

    planes = (0, 3, 1, 2) if len(shape.x_shape) == 4 else ()
    x, dy = tensor(arrays.x, planes), tensor(arrays.dy, planes)
    b = torch.tensor(arrays.b)
    if shape.operation == "conv2d":
        w = tensor(arrays.w, (3, 2, 0, 1))
        return _with_weights(partial(_conv2d, padding=shape.padding), x, w, b, dy, shape.relu)
    if shape.operation == "dense":
        w = torch.tensor(arrays.w.T).contiguous()
        return _with_weights(functional.linear, x, w, b, dy, shape.relu)
    if shape.operation == "batchnorm":
        gamma = torch.tensor(arrays.gamma)
        return _batchnorm(x, gamma, b, dy, shape.relu)
    if shape.operation == "max_pool2d":
        return _without_weights(lambda t: functional.max_pool2d(t, 2), x, dy)
    return _without_weights(functional.relu, x, dy)


def _conv2d(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor, *, padding: str) -> torch.Tensor:
    return functional.conv2d(x, w, b, padding=padding)


def _with_weights(
    layer: Forward,
    x: torch.Tensor,
    w: torch.Tensor,
    b: torch.Tensor,
    dy: torch.Tensor,
    relu: bool,
) -> Calls:
    def forward() -> torch.Tensor:
        with torch.no_grad():
            y = layer(x, w, b)
            return y.relu_() if relu else y

    x_leaf = x.detach().requires_grad_()
    w_leaf, b_leaf = w.detach().requires_grad_(), b.detach().requires_grad_()
    y_of_x, y_of_w = layer(x_leaf, w, b), layer(x, w_leaf, b_leaf)
    return {
        "forward": forward,
        "backward_input": lambda: _gradients(y_of_x, dy, x_leaf)[0],
        "backward_weights": lambda: _gradients(y_of_w, dy, w_leaf, b_leaf),
    }


def _batchnorm(
    x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, dy: torch.Tensor, relu: bool
) -> Calls:
    statistics = torch.zeros_like(beta), torch.ones_like(beta)

    def layer(x: torch.Tensor) -> torch.Tensor:
        y = functional.batch_norm(x, *statistics, gamma, beta, True, 0.01, 1e-3)
        return y.relu_() if relu else y

    return _without_weights(layer, x, dy, gamma.requires_grad_(), beta.requires_grad_())


def _without_weights(
    layer: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    dy: torch.Tensor,
    *more: torch.Tensor,
) -> Calls:
    def forward() -> torch.Tensor:
        with torch.no_grad():
            return layer(x)

    leaf = x.detach().requires_grad_()
    y = layer(leaf)
    return {"forward": forward, "backward": lambda: _gradients(y, dy, leaf, *more)[0]}


def _gradients(
    y: torch.Tensor, dy: torch.Tensor, *inputs: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    gradients: tuple[torch.Tensor, ...] = torch.autograd.grad(y, inputs, dy, retain_graph=True)
    return gradients
