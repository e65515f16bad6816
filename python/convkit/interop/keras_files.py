"""Models and weights in Keras's own files: `.keras`, `.h5` and `.weights.h5`.

`models.load_model` and `model.load_weights` come here with files of those kinds. A `.keras` file is
a zip archive of the configuration as JSON and an HDF5 file with the weights; an `.h5` file has the
configuration as an attribute. No code in a file is run: layers are looked up in the list of those
that convkit has, as `from_keras` does. Sizes are checked before memory is used for them, and the
weights have the shapes that the layers say, which the file must hold in full.
"""

from __future__ import annotations

import errno
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from ..core.files import open_regular
from ..core.parameters import Array, assign
from ..core.warn import warn
from ..layers.base import WeightSource
from ..models import Model
from ..storage import header
from .keras_compiled import compile_as
from .keras_described import DescribedLayer, keras, model_of, snake_case
from .keras_weights import File, Weights, opened, weights_of
from .read_keras import Reader

_WEIGHTS, _CONFIG = "model.weights.h5", "config.json"
_LONGEST_CONFIG = 8_000_000  # bytes, as of convkit's own files
# The numbers of errors by which HDF5 and archives complain of what a file says, such as a place
# before its beginning; others are those of the system, which cannot read it.
_OF_DAMAGE = (None, errno.EINVAL)
_MOST_GROWTH = 10  # Keras does not compress, and nothing makes float32 weights much smaller


def load_model(path: str | os.PathLike[str], compile: bool = True) -> Model:
    """The model in a `.keras` or `.h5` file, with its weights.

    Args:
        path: of the file.
        compile: whether the model gets the optimizer, loss and metrics that it had, the optimizer
            without its memory; where convkit has not all of them, a warning says so.

    Raises:
        ValueError: the file is damaged, or the model has a part that convkit has not.
        OSError: the file cannot be read.
        ImportError: h5py is missing; the message says how to install it.
    """
    with _reading(path) as (described, compiled, file):
        if described is None:
            raise ValueError(
                "it holds weights alone: make the model in Python and call model.load_weights(path)"
            )
        network = model_of(described)
        reader = _FileReader(weights_of(file))
        model = reader.model(network)
        reader.copy_weights(network)
    if compile and compiled is not None:
        problem = compile_as(model, compiled)
        if problem:
            warn(f"{os.fsdecode(path)}: the model is not compiled, because {problem}; call compile")
    return model


def load_weights(model: Model, path: str | os.PathLike[str]) -> None:
    """Give a model the weights in a file of Keras, all or none.

    They go to the layers in their order, whatever those are called.

    Raises:
        ValueError: the file is damaged, or is of other layers.
        OSError: the file cannot be read.
        ImportError: h5py is missing; the message says how to install it.
    """
    with _reading(path) as (_, _, file):
        leaves = list(_leaves(model))
        tops = dict.fromkeys(top for _, top, layer in leaves if layer.weights)
        weights = weights_of(file, list(tops))
        values: dict[int, Array] = {}
        for place, top, layer in leaves:
            take = weights.of(place, top, layer.name, is_top=layer.name == top)
            for parameter in layer.weights:
                values[id(parameter)] = take(parameter.path, parameter.shape)
    found = [values[id(parameter)] for parameter in model.weights]
    assign(model.weights, found, f'model "{model.name}"')


def _leaves(model: Model, place: str = "", top: str = "") -> Iterator[tuple[str, str, Any]]:
    """The layers of a model and of those in it, each once: its place, the model's layer, itself."""
    counts: dict[str, int] = {}
    for layer in model.layers:
        kind = "Functional" if type(layer) is Model else type(layer).__name__
        name = snake_case(kind)
        number = counts[name] = counts.get(name, -1) + 1
        own = f"{place}layers/{name}_{number}" if number else f"{place}layers/{name}"
        if isinstance(layer, Model):
            yield from _leaves(layer, f"{own}/", top or layer.name)
        else:
            yield own, top or layer.name, layer


class _FileReader(Reader):
    """Makes layers of described ones, with weights out of a file."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(keras)
        self._weights = weights

    def _weights_of(self, layer: DescribedLayer) -> WeightSource:
        return self._weights.of(layer.place, layer.top, layer.name, is_top=layer.name == layer.top)

    def copy_weights(self, network: Any) -> None:
        """Freeze the layers that the model does not train; the weights are there."""
        for layer, copy in self.pairs:
            copy.weight_source = None
            copy.trainable = bool(network.trainable and layer.trainable)


@contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[tuple[Any, Any, File]]:
    """The model's configuration, that of its training, and the weights of a file.

    Whatever goes wrong while it is open becomes a ValueError that names the file.
    """
    name = os.fsdecode(path)
    with open_regular(name) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            if file.peek(4)[:4] == b"PK\x03\x04":
                with _opened_archive(file, size) as found:
                    yield found
            else:
                with opened(file, size) as weights:
                    yield (
                        _parsed(weights.text("model_config"), "model_config"),
                        _parsed(weights.text("training_config"), "training_config"),
                        weights,
                    )
        except (ImportError, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno not in _OF_DAMAGE:
                raise
            raise ValueError(f"cannot load {name}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
        return str(error)
    return f"it is damaged, or no model of Keras: {error!r}"


@contextmanager
def _opened_archive(file: IO[bytes], size: int) -> Iterator[tuple[Any, Any, File]]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if _CONFIG not in names or _WEIGHTS not in names:
            raise ValueError(
                f"it is a zip archive without {_CONFIG} and {_WEIGHTS}, and so no .keras file"
            )
        described = _parsed(_member(archive, _CONFIG, _LONGEST_CONFIG), _CONFIG) or {}
        content = _member(archive, _WEIGHTS, _MOST_GROWTH * size)
    with tempfile.TemporaryFile() as inner:
        size = inner.write(content)
        inner.flush()
        del content
        with opened(inner, size) as weights:
            yield described, described.get("compile_config"), weights


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The content of a member of at most so many bytes."""
    with archive.open(name) as member:
        content = member.read(most + 1)
    if len(content) > most:
        raise ValueError(f"its {name} has more than {most:,} bytes")
    return content


def _parsed(text: str | bytes | None, name: str) -> Mapping[str, Any] | None:
    if text is None:
        return None
    try:
        return header.parse(text)
    except ValueError as error:
        raise ValueError(f"its {name} cannot be read: {error}") from error
