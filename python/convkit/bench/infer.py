"""Predicting one batch with the three models: latency at batch size 1, throughput at larger ones.

Every side turns the same NumPy images into a NumPy array of probabilities with the same weights.
convkit is called as its users call it, through `predict_on_batch`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from ..models import Model
from .measure import CONVKIT, Call, Case, Facts
from .peers import NUMPY_PEERS, PEERS
from .shapes import MODELS, PredictStep
from .train import compiled, random_batches, sample_shape


def infer_cases(
    models: Sequence[str] = tuple(MODELS),
    *,
    batch_sizes: Sequence[int] = (1, 32, 128),
    threads: int = 1,
    contenders: Sequence[str] = NUMPY_PEERS,
) -> Iterator[Case]:
    """A case for each model and batch size, made when its turn comes.

    Args:
        models: names out of `MODELS`, or `GRAPHS` where no contender is of NumPy.
        batch_sizes: each N to measure.
        threads: of PyTorch and Keras; NumPy's BLAS has those that `set_blas_threads` gave it.
        contenders: names out of `peers.PEERS`, all of which must be installed.
    """
    for name, batch_size in itertools.product(models, batch_sizes):
        model = compiled(name)
        steps: dict[str, PredictStep] = {CONVKIT: model.predict_on_batch}
        for contender in contenders:
            steps |= PEERS[contender].predict(model, batch_size, threads)
        calls = {side: _over_images(step, model, batch_size) for side, step in steps.items()}
        yield Case(f"{name}, batch {batch_size}", "predict", calls, Facts(images=batch_size))


def _over_images(step: PredictStep, model: Model, batch_size: int) -> Call:
    batches = itertools.cycle(random_batches(sample_shape(model), batch_size))
    return lambda: step(next(batches)[0])
