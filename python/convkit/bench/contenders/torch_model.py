"""The same models in PyTorch, for those who have it: eager mode, both memory formats.

In float32, or with the operations that gain from it in bfloat16 (`torch.autocast`).

Imported only where PyTorch takes part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ... import layers
from ...models import Sequential
from ..shapes import Array, Labels, PredictStep, TrainStep, training_steps

MEMORY_FORMATS = {
    "torch nchw": torch.contiguous_format,
    "torch channels_last": torch.channels_last,
}


def train_steps(model: Sequential, threads: int, *, bfloat16: bool = False) -> dict[str, TrainStep]:
    """A training step of the model for each memory format, from its present weights.

    `threads` sets PyTorch's number of threads for the whole process.
    """
    torch.set_num_threads(threads)
    return {
        _label(name, bfloat16): _train_step(model, memory, bfloat16)
        for name, memory in MEMORY_FORMATS.items()
    }


def predict_steps(
    model: Sequential, threads: int, *, bfloat16: bool = False
) -> dict[str, PredictStep]:
    """The probabilities of a batch for each memory format, likewise."""
    torch.set_num_threads(threads)
    return {
        _label(name, bfloat16): _predict_step(model, memory, bfloat16)
        for name, memory in MEMORY_FORMATS.items()
    }


def to_torch(model: Sequential) -> nn.Sequential:
    """A built convkit classifier up to its logits as PyTorch modules, with the same weights.

    A Dense layer behind Flatten gets its weights' rows reordered, since PyTorch flattens (C, H, W).
    """
    return nn.Sequential(*_modules(model))


def _label(memory_format: str, bfloat16: bool) -> str:
    return f"{memory_format} bf16" if bfloat16 else memory_format


def _network(model: Sequential, memory: torch.memory_format) -> nn.Sequential:
    network = to_torch(model)
    cast(Any, network).to(memory_format=memory)  # PyTorch's own annotations do not know of it
    return network


def _images(x: Array, memory: torch.memory_format) -> torch.Tensor:
    """NHWC memory seen as NCHW is channels_last already; the other format needs a copy."""
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=memory)


def _train_step(model: Sequential, memory: torch.memory_format, bfloat16: bool) -> TrainStep:
    network = _network(model, memory).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, eps=1e-7)
    loss_function = nn.CrossEntropyLoss()

    def step(x: Array, labels: Labels) -> float:
        images = _images(x, memory)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = loss_function(network(images), torch.from_numpy(labels))
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def _predict_step(model: Sequential, memory: torch.memory_format, bfloat16: bool) -> PredictStep:
    network = _network(model, memory).eval()

    def step(x: Array) -> Array:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            probabilities = network(_images(x, memory)).softmax(dim=1)
        result: Array = probabilities.float().numpy()
        return result

    return step


def _modules(model: Sequential) -> Iterator[nn.Module]:
    plane: tuple[int, int, int] | None = None  # (H, W, C) that Flatten laid out, until a Dense
    for step in training_steps(model):
        layer = step.layer
        if isinstance(layer, layers.Conv2D):
            yield _conv2d(layer)
        elif isinstance(layer, layers.Dense):
            yield _dense(layer, plane)
            plane = None
        elif isinstance(layer, layers.BatchNormalization):
            yield _batchnorm(layer)
        elif isinstance(layer, layers.MaxPooling2D):
            yield nn.MaxPool2d(layer.pool_size, layer.strides)
        elif isinstance(layer, layers.Flatten):
            _, h, w, c = layer.input_shape or ()
            plane = (h or 0, w or 0, c or 0)
            yield nn.Flatten()
        elif isinstance(layer, layers.Dropout):
            yield nn.Dropout(layer.rate)
        else:
            raise ValueError(f"the PyTorch contender does not have {layer!r}")
        if step.relu:
            yield nn.ReLU()


def _conv2d(layer: layers.Conv2D) -> nn.Conv2d:
    kernel, bias = layer.get_weights()
    kh, kw, c, oc = kernel.shape
    module = nn.Conv2d(c, oc, (kh, kw), padding=layer.padding)
    _assign(module.weight, kernel.transpose(3, 2, 0, 1))
    _assign(module.bias, bias)
    return module


def _dense(layer: layers.Dense, plane: tuple[int, int, int] | None) -> nn.Linear:
    kernel, bias = layer.get_weights()
    if plane is not None:
        kernel = kernel.reshape(*plane, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
    module = nn.Linear(*kernel.shape)
    _assign(module.weight, kernel.T)
    _assign(module.bias, bias)
    return module


def _batchnorm(layer: layers.BatchNormalization) -> nn.BatchNorm2d:
    gamma, beta, moving_mean, moving_variance = layer.get_weights()
    # PyTorch's momentum is the share of the new statistics.
    module = nn.BatchNorm2d(len(gamma), eps=layer.epsilon, momentum=1.0 - layer.momentum)
    _assign(module.weight, gamma)
    _assign(module.bias, beta)
    _assign(module.running_mean, moving_mean)
    _assign(module.running_var, moving_variance)
    return module


def _assign(target: torch.Tensor | None, values: NDArray[np.float32]) -> None:
    assert target is not None
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(values)))
