"""PyTorch modules for what `torch.nn` has no module for: graphs, and operators between tensors.

This file imports PyTorch, and is imported where a model is converted to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn


class Network(nn.Module):
    """Modules that are called one after the other, each on results of those before it.

    Args:
        modules: by their names.
        calls: the name of a module, the names of the tensors that it takes, and that of its result.
        inputs: the names of what the network takes.
        outputs: the names of what it gives: one tensor, or a tuple of several.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        calls: Sequence[tuple[str, tuple[str, ...], str]],
        inputs: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self.calls, self.inputs, self.outputs = list(calls), list(inputs), list(outputs)
        # The last reader of a tensor lets go of it.
        last = {name: index for index, (_, read, _) in enumerate(calls) for name in read}
        self._released = [
            [name for name in read if last[name] == index and name not in outputs]
            for index, (_, read, _) in enumerate(calls)
        ]

    def forward(self, *given: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """What the network makes of its inputs."""
        if len(given) != len(self.inputs):
            raise ValueError(f"it takes {len(self.inputs)} inputs, received {len(given)}")
        values = dict(zip(self.inputs, given, strict=True))
        for (name, read, result), released in zip(self.calls, self._released, strict=True):
            values[result] = self._modules[name](*(values[each] for each in read))  # type: ignore[misc]
            for each in released:
                values.pop(each, None)
        outputs = tuple(values[name] for name in self.outputs)
        return outputs[0] if len(outputs) == 1 else outputs


class Combine(nn.Module):
    """A function of several tensors, taken two at a time from the left.

    Args:
        op: ONNX's name of it: Add, Sum, Mean, Mul, Sub, Max, Min.
    """

    _FUNCTIONS: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
        "Add": torch.add,
        "Max": torch.maximum,
        "Mean": torch.add,
        "Min": torch.minimum,
        "Mul": torch.mul,
        "Sub": torch.sub,
        "Sum": torch.add,
    }

    def __init__(self, op: str) -> None:
        super().__init__()
        self.op = op

    def forward(self, first: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """The tensors, broadcast and combined."""
        combine, result = self._FUNCTIONS[self.op], first
        for other in others:
            result = combine(result, other)
        return result / (1 + len(others)) if self.op == "Mean" else result

    def extra_repr(self) -> str:
        """The function's name."""
        return self.op


class SharedDropout(nn.Module):
    """A dropout whose values have one fate along some axes, such as those of whole samples.

    Args:
        p: the share that becomes zero in training; the rest is scaled by 1 / (1 - p).
        shared: the axes.
    """

    def __init__(self, p: float, shared: Sequence[int]) -> None:
        super().__init__()
        self.p = p
        self.shared = tuple(shared)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The tensor, in training times the mask."""
        shape = [1 if axis in self.shared else size for axis, size in enumerate(x.shape)]
        return x * nn.functional.dropout(x.new_ones(shape), self.p, self.training)

    def extra_repr(self) -> str:
        """The share and the axes."""
        return f"p={self.p}, shared={self.shared}"


class GaussianDropout(nn.Module):
    """In training, products with normal numbers of mean 1 and variance p / (1 - p).

    Args:
        p: as of a dropout with the same variance.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The tensor, in training times the noise."""
        deviation = math.sqrt(self.p / (1.0 - self.p))
        return x * (1.0 + deviation * torch.randn_like(x)) if self.training else x

    def extra_repr(self) -> str:
        """The share."""
        return f"p={self.p}"


class GaussianNoise(nn.Module):
    """In training, sums with normal numbers of mean 0.

    Args:
        stddev: their standard deviation.
    """

    def __init__(self, stddev: float) -> None:
        super().__init__()
        self.stddev = stddev

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The tensor, in training with noise."""
        return x + self.stddev * torch.randn_like(x) if self.training else x

    def extra_repr(self) -> str:
        """The deviation."""
        return f"stddev={self.stddev}"


class WithConstant(nn.Module):
    """The sum, or the product, of a tensor and constants that are not trained.

    Args:
        op: "Add" or "Mul".
        value: a number, or an array that is broadcast to a sample.
    """

    value: torch.Tensor

    def __init__(self, op: str, value: torch.Tensor) -> None:
        super().__init__()
        self.op = op
        self.register_buffer("value", value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum or the product."""
        return x * self.value if self.op == "Mul" else x + self.value

    def extra_repr(self) -> str:
        """The operator's name."""
        return self.op


class Concatenate(nn.Module):
    """Tensors one behind the other along an axis."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """One tensor of all."""
        return torch.cat(tensors, self.axis)

    def extra_repr(self) -> str:
        """The axis."""
        return f"axis={self.axis}"


class Permute(nn.Module):
    """A tensor with its axes in another order."""

    def __init__(self, axes: Sequence[int]) -> None:
        super().__init__()
        self.axes = tuple(axes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The tensor, of which no element moves."""
        return x.permute(self.axes)

    def extra_repr(self) -> str:
        """The order."""
        return f"axes={self.axes}"


class Exponential(nn.Module):
    """exp(x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The exponential of each element."""
        return x.exp()
