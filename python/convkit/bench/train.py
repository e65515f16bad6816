"""Whole training steps of the three models: convkit against NumPy and, where installed, PyTorch.

A step is forward, softmax cross-entropy, backward and Adam on one batch. Every side starts from
the same weights and walks over the same batches of random images; convkit is called as its users
call it, through `train_on_batch`.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..models import Sequential
from ..utils import set_random_seed
from .contenders.mirror import mirror
from .measure import CONVKIT, Call, Case
from .shapes import MODELS

Step = Callable[[NDArray[np.float32], NDArray[np.int64]], object]
Contender = Callable[[Sequential, int, int], Mapping[str, Step]]


def train_cases(
    models: Sequence[str] = tuple(MODELS), *, batch_size: int = 32, threads: int = 1, torch: bool
) -> Iterator[Case]:
    """A case for each model, made when its turn comes.

    Args:
        models: names out of `MODELS`.
        batch_size: N.
        threads: for the contenders that can be told; NumPy's BLAS cannot.
        torch: whether PyTorch takes part.
    """
    for name in models:
        set_random_seed(0)
        model = MODELS[name]()
        model.compile("adam", "sparse_categorical_crossentropy", metrics=[])
        # The others copy the initial weights, so they come before convkit's first step.
        steps: dict[str, Step] = {CONVKIT: model.train_on_batch}
        steps["numpy"] = mirror(model, batch_size).train_step
        if torch:
            from .contenders.torch_model import torch_steps

            steps |= torch_steps(model, batch_size, threads)
        calls = {side: _over_batches(step, model, batch_size) for side, step in steps.items()}
        yield Case(name, "step", calls, images=batch_size)


def has_torch() -> bool:
    """Whether PyTorch is installed; it is not imported."""
    return importlib.util.find_spec("torch") is not None


def random_batches(
    sample_shape: Sequence[int], batch_size: int, count: int = 8
) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Batches of uniform pixels (N, H, W, C) in [0, 1) with labels 0 .. 9, always the same."""
    generator = np.random.default_rng(0)
    return [
        (
            generator.random((batch_size, *sample_shape), dtype=np.float32),
            generator.integers(0, 10, batch_size),
        )
        for _ in range(count)
    ]


def _over_batches(step: Step, model: Sequential, batch_size: int) -> Call:
    sample_shape = [size or 0 for size in (model.input_shape or ())[1:]]
    batches = itertools.cycle(random_batches(sample_shape, batch_size))

    def call() -> object:
        return step(*next(batches))

    return call
