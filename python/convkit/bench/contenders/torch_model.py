"""The same models in PyTorch, for those who have it: both memory formats.

In eager mode, in float32 or with the operations that gain from it in bfloat16 (`torch.autocast`);
and compiled by `torch.compile`.

Imported only where PyTorch takes part.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from ...interop import to_torch
from ...models import Model
from ..shapes import Array, Labels, PredictStep, TrainStep

MEMORY_FORMATS = {
    "torch nchw": torch.contiguous_format,
    "torch channels_last": torch.channels_last,
}


def train_steps(model: Model, threads: int, *, bfloat16: bool = False) -> dict[str, TrainStep]:
    """A training step of the model for each memory format, from its present weights.

    `threads` sets PyTorch's number of threads for the whole process.
    """
    torch.set_num_threads(threads)
    return {
        _label(name, bfloat16): _train_step(model, memory, bfloat16)
        for name, memory in MEMORY_FORMATS.items()
    }


def compiled_train_step(
    model: Model, batch_size: int, threads: int, *, memory_format: str
) -> TrainStep:
    """A training step whose network `torch.compile` has compiled, in a name of `MEMORY_FORMATS`.

    The first step compiles, which takes a C++ compiler up to minutes.
    """
    torch.set_num_threads(threads)
    return _train_step(model, MEMORY_FORMATS[memory_format], bfloat16=False, compiled=True)


def predict_steps(model: Model, threads: int, *, bfloat16: bool = False) -> dict[str, PredictStep]:
    """The probabilities of a batch for each memory format, likewise."""
    torch.set_num_threads(threads)
    return {
        _label(name, bfloat16): _predict_step(model, memory, bfloat16)
        for name, memory in MEMORY_FORMATS.items()
    }


def _label(memory_format: str, bfloat16: bool) -> str:
    return f"{memory_format} bf16" if bfloat16 else memory_format


def _network(model: Model, memory: torch.memory_format) -> nn.Module:
    """Up to the logits: the softmax at its end belongs to the loss."""
    network = to_torch(model)
    name, last = list(network.named_children())[-1]
    if not isinstance(last, nn.Softmax):
        raise ValueError(f"the benchmark needs a model that ends in a softmax, received {model!r}")
    setattr(network, name, nn.Identity())
    cast(Any, network).to(memory_format=memory)  # PyTorch's own annotations do not know of it
    return network


def _images(x: Array, memory: torch.memory_format) -> torch.Tensor:
    """NHWC memory seen as NCHW is channels_last already; the other format needs a copy."""
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=memory)


def _train_step(
    model: Model, memory: torch.memory_format, bfloat16: bool, compiled: bool = False
) -> TrainStep:
    network = _network(model, memory).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, eps=1e-7)
    if compiled:
        network = cast(Any, torch.compile(network))
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


def _predict_step(model: Model, memory: torch.memory_format, bfloat16: bool) -> PredictStep:
    network = _network(model, memory).eval()

    def step(x: Array) -> Array:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            probabilities = network(_images(x, memory)).softmax(dim=1)
        result: Array = probabilities.float().numpy()
        return result

    return step
