"""Whole training steps of the three models: convkit against NumPy, PyTorch and Keras.

A step is forward, softmax cross-entropy, backward and Adam on one batch. Every side starts from
the same weights and walks over the same batches of random images; convkit is called as its users
call it, through `train_on_batch`. Compiled PyTorch, and Keras on a backend that was asked for, live
in processes of their own; whose first two losses are not convkit's, where there is no dropout, is
not measured.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from .. import layers
from ..models import Model
from ..utils import clear_session, set_random_seed
from .isolated import IsolatedStep, admitted
from .measure import CONVKIT, Call, Case, Facts, RemoteError
from .peers import NUMPY_PEERS, PEERS
from .shapes import GRAPHS, MODELS, Array, Labels, TrainStep

_CLOSE = 2e-3  # of losses, relative


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
        threads: of the others; NumPy's BLAS has those that `set_blas_threads` gave it.
        contenders: names out of `peers.TRAINING`, all of which must be installed.
    """
    for name in models:
        model = compiled(name)
        # The others copy the initial weights, so they come before convkit's first step.
        steps: dict[str, TrainStep] = {CONVKIT: model.train_on_batch}
        for contender in contenders:
            train = PEERS[contender].train
            if train is None:
                raise ValueError(f"{contender} takes no part in training")
            steps |= train(model, batch_size, threads)
        calls, absent, close = admitted(
            steps,
            partial(over_batches, model=model, batch_size=batch_size),
            partial(check_losses, make=partial(compiled, name), batch_size=batch_size),
        )
        yield Case(name, "step", calls, Facts(images=batch_size), absent=absent, close=close)


def check_losses(step: IsolatedStep, make: Callable[[], Model], batch_size: int) -> None:
    """Compare the losses of two steps, of which the second shows what the first has done.

    Dropout draws other numbers in every library, and of few images the losses behind it differ by
    more than wrong weights would make them: there they must be finite, and that is all.

    Args:
        step: from the initial weights.
        make: makes a model with these weights, ready to train.
        batch_size: N.

    Raises:
        RemoteError: the losses are others, or there are none.
    """
    model = make()
    by_chance = any(isinstance(layer, layers.Dropout) for layer in model.layers)
    for x, labels in random_batches(sample_shape(model), batch_size, count=2):
        wanted = float(np.ravel(np.asarray(model.train_on_batch(x, labels)))[0])
        loss = float(step(x, labels))
        agrees = math.isfinite(loss) if by_chance else abs(loss - wanted) <= _CLOSE * wanted
        if not agrees:
            raise RemoteError(f"its loss is {loss:.4f}, and not {wanted:.4f} as convkit's")


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
