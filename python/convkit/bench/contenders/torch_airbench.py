"""airbench94 in PyTorch: the network and the regime that `examples/recipes/` has in convkit.

(K. Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", 2024.) Imported only where PyTorch
takes part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..shapes import Array, Labels

_MOMENTUM, _RATE, _DECAY, _BIAS_SCALE = 0.85, 1.5, 1.33e-3, 64.0
_WARMUP, _FIRST, _LAST = 0.23, 0.2, 0.07
_PERIOD = 5  # steps between two of Lookahead's
_SHIFT = 2  # pixels


class Block(nn.Module):
    """Convolution, pooling, normalisation, GELU; and the same without pooling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4) for _ in range(2)
        )
        for norm in self.norms:
            cast(nn.BatchNorm2d, norm).weight.requires_grad_(False)
        for convolution in (self.first, self.second):
            nn.init.dirac_(convolution.weight[: convolution.in_channels])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', H // 2, W // 2)."""
        x = functional.max_pool2d(self.first(x), 2)
        x = functional.gelu(self.norms[0](x))
        return functional.gelu(self.norms[1](self.second(x)))


class Airbench(nn.Module):
    """The network; its whitening filters are those of whoever it is compared with."""

    def __init__(self, widths: tuple[int, ...], whitening: Array) -> None:
        super().__init__()
        filters = torch.tensor(np.ascontiguousarray(whitening.transpose(3, 2, 0, 1)))
        self.whitening = nn.Conv2d(filters.shape[1], filters.shape[0], filters.shape[2])
        self.whitening.weight = nn.Parameter(filters, requires_grad=False)
        nn.init.zeros_(cast(torch.Tensor, self.whitening.bias))
        pairs = zip((len(filters), *widths), widths, strict=False)
        self.blocks = nn.Sequential(*(Block(*pair) for pair in pairs))
        self.head = nn.Linear(widths[-1], 10, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = self.blocks(functional.gelu(self.whitening(x)))
        return cast(torch.Tensor, self.head(x.amax((2, 3))) / 9)


class Lookahead:
    """Slow weights and statistics, which go a share of the way to the fast ones."""

    def __init__(self, network: nn.Module) -> None:
        values = network.state_dict().values()
        self._fast = [value for value in values if value.is_floating_point()]
        self._slow = [value.clone() for value in self._fast]

    def update(self, share: float) -> None:
        """Both become the same."""
        for slow, fast in zip(self._slow, self._fast, strict=True):
            slow.lerp_(fast, share)
            fast.copy_(slow)


def trainer(
    x: Array,
    y: Labels,
    widths: tuple[int, ...],
    whitening: Array,
    *,
    mean: Array,
    stddev: Array,
    batch_size: int,
    steps: int,
    threads: int,
    memory: torch.memory_format,
) -> Callable[[int], None]:
    """A training that makes so many of its steps at each call.

    Args:
        x, y: uint8 images (N, H, W, C) and their classes.
        widths, whitening: of the network; the filters (2, 2, C, K).
        mean, stddev: of the images' channels.
        batch_size: the learning rate is in proportion to it.
        steps: of the whole training, for the schedules.
        threads: of PyTorch, in the whole process.
        memory: the format of images and weights.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    normalized = torch.tensor(((x - mean) / stddev).astype(np.float32).transpose(0, 3, 1, 2))
    padded = functional.pad(normalized, (_SHIFT,) * 4, "reflect")
    labels = torch.tensor(np.ravel(y).astype(np.int64))
    network = cast(Any, Airbench(widths, whitening)).to(memory_format=memory)
    large = batch_size / 1024
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1 - 0.6**large
    weights = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    biases = [norm.bias for norm in norms]
    rate = _RATE * large
    optimizer = torch.optim.SGD(
        [
            {"params": [*weights, network.whitening.bias], "weight_decay": _DECAY},
            {"params": biases, "lr": rate * _BIAS_SCALE, "weight_decay": _DECAY / _BIAS_SCALE},
        ],
        lr=rate,
        momentum=_MOMENTUM,
        nesterov=True,
    )
    turns = [0, int(_WARMUP * steps), steps]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: float(np.interp(step, turns, [_FIRST, 1.0, _LAST]))
    )
    lookahead = Lookahead(network)
    mirrored = torch.rand(len(padded)) < 0.5
    batches = len(padded) // batch_size
    order, done = torch.randperm(len(padded)), 0
    rows, columns = (torch.arange(size)[None] for size in normalized.shape[2:])
    smooth = nn.CrossEntropyLoss(label_smoothing=0.2)

    def images(chosen: torch.Tensor) -> torch.Tensor:
        """Moved by whole pixels, and flipped in every other epoch."""
        down, right = torch.randint(0, 2 * _SHIFT + 1, (2, len(chosen), 1))
        across = columns.repeat(len(chosen), 1)
        flips = mirrored[chosen] ^ (done // batches % 2 == 1)
        across[flips] = across[flips].flip(1)
        places = (rows + down)[:, :, None], (across + right)[:, None]
        moved = padded[chosen[:, None, None], :, places[0], places[1]]
        return moved.permute(0, 3, 1, 2).contiguous(memory_format=memory)

    def train(count: int) -> None:
        nonlocal order, done
        network.train()
        for _ in range(count):
            if done and done % batches == 0:
                order = torch.randperm(len(padded))
            chosen = order[done % batches * batch_size :][:batch_size]
            loss = smooth(network(images(chosen)), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
            if done % _PERIOD == 0:
                lookahead.update(1 - 0.95**5 * (done / steps) ** 3)

    return train
