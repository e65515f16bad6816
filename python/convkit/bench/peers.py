"""Whom convkit is compared with, by the names of the command line, and whether they are here.

Nothing of a peer is imported before it is asked for. Some live in processes of their own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..models import Model
from .contenders import numpy_indexed
from .contenders.mirror import mirror, plain_mirror
from .isolated import IsolatedStep, Recipe
from .shapes import PredictStep, TrainStep

NUMPY_PEERS = ("numpy-tuned", "numpy", "numpy-indexed")  # who is always here

_KERAS_BACKENDS = ("tensorflow", "jax", "torch")


@dataclass(frozen=True)
class Peer:
    """Somebody to compare with.

    Attributes:
        about: what it is, for --help.
        train: makes a training step for each of its sides from a model with its present weights, a
            batch size and a number of threads; `IsolatedStep`s are to be closed. None for those
            that only predict.
        predict: the same for the probabilities of a batch; None for those that only train here.
        packages: what must be installed.
    """

    about: str
    train: Callable[[Model, int, int], Mapping[str, TrainStep]] | None = None
    predict: Callable[[Model, int, int], Mapping[str, PredictStep]] | None = None
    packages: tuple[str, ...] = ()


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


def _isolated(
    recipes: Mapping[str, Recipe], model: Model, batch_size: int, threads: int
) -> Mapping[str, IsolatedStep]:
    return {
        side: IsolatedStep(recipe, model, batch_size, threads) for side, recipe in recipes.items()
    }


def _compiled_torch() -> Peer:
    recipes = {
        f"torch-compile {memory_format}": Recipe(
            "convkit.bench.contenders.torch_model:compiled_train_step",
            labelled=True,
            options={"memory_format": f"torch {memory_format}"},
            # It would compile in processes that outlive one that is killed.
            environment={"TORCHINDUCTOR_COMPILE_THREADS": "1"},
        )
        for memory_format in ("nchw", "channels_last")
    }
    about = "PyTorch, compiled by torch.compile, both memory formats"
    return Peer(about, train=partial(_isolated, recipes), packages=("torch",))


def _keras_on(backend: str, title: str) -> Peer:
    def train(model: Model, batch_size: int, threads: int) -> Mapping[str, TrainStep]:
        environment = {"KERAS_BACKEND": backend}
        if backend == "jax":
            environment["NPROC"] = str(threads)  # where it takes its number of threads from
        recipe = Recipe(
            "convkit.bench.contenders.keras_model:train_step",
            labelled=True,
            environment=environment,
        )
        return _isolated({f"keras-{backend}": recipe}, model, batch_size, threads)

    return Peer(f"Keras on {title}", train=train, packages=("keras", backend))


def _runtime(name: str, title: str, *packages: str) -> Peer:
    recipe = Recipe(f"convkit.bench.contenders.runtimes:{name}_step", labelled=False)
    predict = partial(_isolated, {name: recipe})
    return Peer(f"{title}, float32", predict=predict, packages=("onnx", *packages))


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
        ("torch",),
    ),
    "torch-bf16": Peer(
        "the same with bfloat16 autocast",
        partial(_torch_train, bfloat16=True),
        partial(_torch_predict, bfloat16=True),
        ("torch",),
    ),
    "keras": Peer(
        "Keras, on the backend that is installed", _keras_train, _keras_predict, ("keras",)
    ),
    "torch-compile": _compiled_torch(),
    "keras-jax": _keras_on("jax", "JAX"),
    "keras-tensorflow": _keras_on("tensorflow", "TensorFlow"),
    "onnxruntime": _runtime("onnxruntime", "ONNX Runtime", "onnxruntime"),
    "openvino": _runtime("openvino", "OpenVINO", "openvino"),
    "ncnn": _runtime("ncnn", "ncnn", "ncnn", "pnnx"),
    "mnn": _runtime("mnn", "MNN", "MNN"),
}
TRAINING = tuple(name for name, peer in PEERS.items() if peer.train is not None)
PREDICTING = tuple(name for name, peer in PEERS.items() if peer.predict is not None)


def missing(name: str) -> str | None:
    """Why a peer cannot take part, or None where it can. For Keras this settles the backend."""
    for package in PEERS[name].packages:
        if not _installed(package):
            return f"{package} is not installed"
    if name == "torch-compile" and shutil.which(compiler := os.environ.get("CXX", "g++")) is None:
        return f"torch.compile needs a C++ compiler, and there is no {compiler}"
    if name != "keras":
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
    return list(dict.fromkeys(package for name in names for package in PEERS[name].packages))


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
