"""Predicting one batch with the three models: latency at batch size 1, throughput at larger ones.

Every side turns the same NumPy images into a NumPy array of probabilities with the same weights.
convkit is called as its users call it, in two ways: through `predict_on_batch`, as PyTorch and
Keras are, and as a service calls it, through `model.predictor` made for the batch size, as the
runtimes are with their sessions. Ratios are taken against the first, which does more in a call, and
reported against the second as well. Runtimes live in processes of their own, and whose
probabilities differ from convkit's by more than 1e-3 is not measured.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from ..models import Model
from .isolated import IsolatedStep, admitted
from .measure import CONVKIT, Call, Case, Facts, RemoteError
from .peers import NUMPY_PEERS, PEERS
from .shapes import MODELS, PredictStep
from .train import compiled, random_batches, sample_shape

PREDICTOR = f"{CONVKIT} predictor"
_CLOSE = 1e-3  # of probabilities


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
        threads: of the others; NumPy's BLAS has those that `set_blas_threads` gave it.
        contenders: names out of `peers.PREDICTING`, all of which must be installed.
    """
    for name, batch_size in itertools.product(models, batch_sizes):
        model = compiled(name)
        steps: dict[str, PredictStep] = {
            CONVKIT: model.predict_on_batch,
            PREDICTOR: model.predictor(batch_size),
        }
        for contender in contenders:
            predict = PEERS[contender].predict
            if predict is None:
                raise ValueError(f"{contender} takes no part in predictions")
            steps |= predict(model, batch_size, threads)
        calls, absent, close = admitted(
            steps,
            partial(_over_images, model=model, batch_size=batch_size),
            partial(check_probabilities, model=model, batch_size=batch_size),
        )
        facts = Facts(images=batch_size, second_base=PREDICTOR)
        title = f"{name}, batch {batch_size}"
        yield Case(title, "predict", calls, facts, absent=absent, close=close)


def check_probabilities(step: IsolatedStep, model: Model, batch_size: int) -> None:
    """Compare the probabilities of some images (N, H, W, C) with those of the model.

    Raises:
        RemoteError: they are others, or there are none.
    """
    images = random_batches(sample_shape(model), batch_size, count=1)[0][0]
    wanted = model.predict_on_batch(images)
    got = np.asarray(step(images))
    if got.shape != wanted.shape:
        raise RemoteError(f"it gives probabilities {got.shape} in place of {wanted.shape}")
    if not np.allclose(got, wanted, rtol=0.0, atol=_CLOSE):
        off = np.abs(got - wanted).max()
        raise RemoteError(f"its probabilities are not convkit's, but off by up to {off:.2g}")


def _over_images(step: PredictStep, model: Model, batch_size: int) -> Call:
    batches = itertools.cycle(random_batches(sample_shape(model), batch_size))
    return lambda: step(next(batches)[0])
