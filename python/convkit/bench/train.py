"""Whole training steps of the three models: convkit against NumPy, PyTorch and Keras.

A step is forward, softmax cross-entropy, backward and Adam on one batch. Every side starts from
the same weights and walks over the same batches of random images; convkit is called as its users
call it, through `train_on_batch`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..models import Model
from ..utils import clear_session, set_random_seed
from .measure import CONVKIT, Call, Case, Facts
from .peers import NUMPY_PEERS, PEERS
from .shapes import GRAPHS, MODELS, Array, Labels, TrainStep


def train_cases(
    models: Sequence[str] = tuple(MODELS),
    *,
    batch_size: int = 32,
    threads: int = 1,
    contenders: Sequence[str] = NUMPY_PEERS,
) -> Iterator[Case]:
    """A case for each model, made when its turn comes.

    Args:
        models: names out of `MODELS`, or `GRAPHS` where no contender is of NumPy.
        batch_size: N.
        threads: of PyTorch and Keras; NumPy's BLAS has those that `set_blas_threads` gave it.
        contenders: names out of `peers.PEERS`, all of which must be installed.
    """
    for name in models:
        model = compiled(name)
        # The others copy the initial weights, so they come before convkit's first step.
        steps: dict[str, TrainStep] = {CONVKIT: model.train_on_batch}
        for contender in contenders:
            steps |= PEERS[contender].train(model, batch_size, threads)
        calls = {side: over_batches(step, model, batch_size) for side, step in steps.items()}
        yield Case(name, "step", calls, Facts(images=batch_size))


def compiled(name: str) -> Model:
    """A model out of `MODELS` or `GRAPHS`, ready to train, the same each time."""
    set_random_seed(0)
    clear_session()
    model = (MODELS | GRAPHS)[name]()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[])
    return model


def sample_shape(model: Model) -> tuple[int, ...]:
    """(H, W, C) of the model's images."""
    return tuple(size or 0 for size in (model.input_shape or ())[1:])


def random_batches(
    shape: Sequence[int], batch_size: int, count: int = 8
) -> list[tuple[Array, Labels]]:
    """Batches of uniform pixels (N, H, W, C) in [0, 1) with labels 0 .. 9, always the same."""
    generator = np.random.default_rng(0)
    return [
        (
            generator.random((batch_size, *shape), dtype=np.float32),
            generator.integers(0, 10, batch_size),
        )
        for _ in range(count)
    ]


def over_batches(step: Callable[[Array, Labels], object], model: Model, batch_size: int) -> Call:
    """A call that makes the step on the next random batch, round and round."""
    batches = itertools.cycle(random_batches(sample_shape(model), batch_size))
    return lambda: step(*next(batches))
