"""Whom convkit is compared with, by the names of the command line, and whether they are here.

Nothing of a peer is imported before it is asked for.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..models import Model
from .contenders import numpy_indexed
from .contenders.mirror import mirror, plain_mirror
from .shapes import PredictStep, TrainStep

NUMPY_PEERS = ("numpy-tuned", "numpy", "numpy-indexed")  # who is always here

_KERAS_BACKENDS = ("tensorflow", "jax", "torch")


@dataclass(frozen=True)
class Peer:
    """Somebody to compare with.

    Attributes:
        about: what it is, for --help.
        train: makes a training step for each of its sides from a model with its present weights, a
            batch size and a number of threads.
        predict: the same for the probabilities of a batch.
    """

    about: str
    train: Callable[[Model, int, int], Mapping[str, TrainStep]]
    predict: Callable[[Model, int, int], Mapping[str, PredictStep]]


def _torch_train(
    model: Model, batch_size: int, threads: int, *, bfloat16: bool
) -> Mapping[str, TrainStep]:
    from .contenders import torch_model

    return torch_model.train_steps(model, threads, bfloat16=bfloat16)


def _torch_predict(
    model: Model, batch_size: int, threads: int, *, bfloat16: bool
) -> Mapping[str, PredictStep]:
    from .contenders import torch_model

    return torch_model.predict_steps(model, threads, bfloat16=bfloat16)


def _keras_train(model: Model, batch_size: int, threads: int) -> Mapping[str, TrainStep]:
    from .contenders import keras_model

    return keras_model.train_steps(model, threads)


def _keras_predict(model: Model, batch_size: int, threads: int) -> Mapping[str, PredictStep]:
    from .contenders import keras_model

    return keras_model.predict_steps(model, threads)


PEERS: Mapping[str, Peer] = {
    "numpy-tuned": Peer(
        "NumPy with kept buffers and measured choices",
        lambda model, n, _: {"numpy, tuned": mirror(model, n).train_step},
        lambda model, n, _: {"numpy, tuned": mirror(model, n).predict},
    ),
    "numpy": Peer(
        "NumPy as textbooks have it",
        lambda model, *_: {"numpy": plain_mirror(model).train_step},
        lambda model, *_: {"numpy": plain_mirror(model).predict},
    ),
    "numpy-indexed": Peer(
        "the same with CS231n's im2col, by index arrays and np.add.at",
        lambda model, *_: {"numpy, indexed": plain_mirror(model, numpy_indexed.Conv2D).train_step},
        lambda model, *_: {"numpy, indexed": plain_mirror(model, numpy_indexed.Conv2D).predict},
    ),
    "torch": Peer(
        "PyTorch, eager, float32, both memory formats",
        partial(_torch_train, bfloat16=False),
        partial(_torch_predict, bfloat16=False),
    ),
    "torch-bf16": Peer(
        "the same with bfloat16 autocast",
        partial(_torch_train, bfloat16=True),
        partial(_torch_predict, bfloat16=True),
    ),
    "keras": Peer("Keras, on the backend that is installed", _keras_train, _keras_predict),
}


def missing(name: str) -> str | None:
    """Why a peer cannot take part, or None where it can. For Keras this settles the backend."""
    if name.startswith("numpy"):
        return None
    (module,) = modules([name])
    if not _installed(module):
        return f"{module} is not installed"
    if module != "keras":
        return None
    backend = _keras_backend()
    if backend not in _KERAS_BACKENDS:
        return f"the benchmark cannot train with Keras on {backend!r}"
    if not _installed(backend):
        return (
            f"Keras has no backend: {backend!r} is not installed, and KERAS_BACKEND names no other"
        )
    os.environ["KERAS_BACKEND"] = backend  # for this process and those it starts
    return None


def present(names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The peers that can take part, and why the others cannot."""
    reasons = {name: reason for name in names if (reason := missing(name)) is not None}
    return [name for name in names if name not in reasons], reasons


def modules(names: Sequence[str]) -> list[str]:
    """The packages behind the peers' names, without NumPy."""
    bases = (name.removesuffix("-bf16") for name in names if not name.startswith("numpy"))
    return list(dict.fromkeys(bases))


def _installed(module: str) -> bool:
    """Whether it is a package; a folder that happens to have its name is found, but has no file."""
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


def _keras_backend() -> str:
    """The backend that the user chose as Keras lets one, else the first that is installed."""
    if chosen := os.environ.get("KERAS_BACKEND"):
        return chosen
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    try:
        chosen = str(json.loads((home / "keras.json").read_text())["backend"])
    except (OSError, ValueError, KeyError):
        chosen = _KERAS_BACKENDS[0]
    # Keras writes that file itself, with its default, whether or not the backend is installed.
    candidates = (chosen, *_KERAS_BACKENDS)
    return next((name for name in candidates if _installed(name)), chosen)
