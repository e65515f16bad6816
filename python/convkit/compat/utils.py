"""`keras.utils`, with the names of Keras 1 and 2."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .. import utils
from ..core.custom import custom_object_scope, get_custom_objects
from . import notes
from .image import image_dataset_from_directory, load_img
from .layers import get_source_inputs
from .tensor import as_tensor

__all__ = [
    "CustomObjectScope",
    "GeneratorEnqueuer",
    "OrderedEnqueuer",
    "Progbar",
    "categorical_probas_to_classes",
    "convert_all_kernels_in_model",
    "custom_object_scope",
    "get_custom_objects",
    "get_file",
    "get_source_inputs",
    "image_dataset_from_directory",
    "load_img",
    "model_to_dot",
    "multi_gpu_model",
    "plot_model",
    "print_summary",
    "probas_to_classes",
    "to_categorical",
]
LAZY = ("array_to_img", "img_to_array", "save_img", "normalize", "plot", "split_dataset")
CustomObjectScope = custom_object_scope


def __getattr__(name: str) -> Any:
    if name == "plot":
        return plot_model
    if name in LAZY:
        return getattr(utils, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def to_categorical(
    y: Any, num_classes: Any = None, dtype: Any = "float32", nb_classes: Any = None, **old: Any
) -> Any:
    """One-hot rows of labels."""
    classes = old.pop("x", None) if num_classes is None else num_classes
    count = nb_classes if classes is None else classes
    labels = np.asarray(y)
    if labels.dtype.kind in "OSU":
        labels = labels.astype(np.float64).astype(np.int64)
    made = utils.to_categorical(labels, None if count is None else int(count))
    return made.astype(np.dtype(dtype), copy=False)


def categorical_probas_to_classes(p: Any) -> Any:
    """The class with the largest probability."""
    return np.argmax(p, axis=1)


probas_to_classes = categorical_probas_to_classes


def convert_all_kernels_in_model(model: Any) -> None:
    """Nothing: kernels are as TensorFlow has them."""


def get_file(
    fname: Any = None, origin: Any = None, untar: Any = False, *places: Any, **options: Any
) -> Any:
    """A file that is there or is downloaded; see `convkit.utils.get_file`.

    Of an archive it returns what Keras 1 and 2 did: the folder of the archive's own name that was
    in it, or, where a name with an ending was given, a path beside what was in it.
    """
    names = ("md5_hash", "file_hash", "cache_subdir", "hash_algorithm", "extract")
    options.update(zip(names, places, strict=False))
    path = utils.get_file(fname, origin, untar, **options)
    if not (untar or options.get("extract")):
        return path
    inner = os.path.join(path, os.path.basename(path))
    if fname is not None and "." not in os.path.basename(fname):
        return inner if os.path.isdir(inner) else path
    return os.path.join(path, fname or os.path.basename(str(origin)))


def plot_model(model: Any, to_file: Any = "model.png", *arguments: Any, **options: Any) -> Any:
    """Draw a model into a file; where the drawing programs are missing, note it and go on."""
    try:
        return utils.plot_model(model, to_file, *arguments, **options)
    except (ImportError, OSError, RuntimeError) as error:
        notes.ignored("plot_model", str(error))
        return None


def model_to_dot(model: Any, *arguments: Any, **options: Any) -> Any:
    """A model as a graph of pydot's."""
    return utils.model_to_dot(model, *arguments, **options)


def print_summary(model: Any, *arguments: Any, **options: Any) -> None:
    """Print a model's layers."""
    model.summary()


def multi_gpu_model(model: Any, gpus: Any = None, **options: Any) -> Any:
    """The model itself: it runs on this machine's cores."""
    notes.ignored("multi_gpu_model", "everything runs on this machine's cores")
    return model


class GeneratorEnqueuer:
    """Batches of a generator, one after the other."""

    def __init__(self, generator: Any, *arguments: Any, **options: Any) -> None:
        self._generator = generator

    def start(self, *arguments: Any, **options: Any) -> None:
        """Nothing need be started."""

    def stop(self, timeout: Any = None) -> None:
        """Nothing need be stopped."""

    def get(self) -> Any:
        """The batches."""
        return iter(self._generator)


OrderedEnqueuer = GeneratorEnqueuer


class Progbar:
    """A line that tells how far something is.

    Args:
        target: how many steps there are, or None.
        verbose: 0 prints nothing.
    """

    def __init__(
        self,
        target: Any,
        width: int = 30,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Any = None,
        unit_name: str = "step",
    ) -> None:
        self.target, self.verbose = target, verbose
        self._sums: dict[str, list[float]] = {}
        self._seen = 0

    def update(self, current: int, values: Any = None, finalize: Any = None) -> None:
        """Tell that so many steps are done, with values whose means are shown."""
        for name, value in values or ():
            total = self._sums.setdefault(name, [0.0, 0.0])
            total[0] += float(np.mean(as_tensor(value))) * (current - self._seen)
            total[1] += current - self._seen
        self._seen = current
        if self.verbose and (finalize or current == self.target):
            means = (
                f"{name}: {total / max(count, 1):.4f}"
                for name, (total, count) in self._sums.items()
            )
            print(" - ".join([f"{current}/{self.target or '?'}", *means]))

    def add(self, n: int, values: Any = None) -> None:
        """Tell that so many more steps are done."""
        self.update(self._seen + n, values)
