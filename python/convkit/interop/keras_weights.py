"""Weights in HDF5 files of Keras.

Keras 3 writes a group for each layer, named by its class and its place among the layers of that
class, with the weights by their numbers: `layers/conv2d_1/vars/0`. Keras 2, and Keras 3 into files
that end in .h5, writes a group for each layer of the model by its name, and lists the weights in it
in attributes.

Nothing is believed: links lead nowhere but into the file, and no array is larger than the file.
"""

from __future__ import annotations

import io
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from ..core.packages import package
from ..core.parameters import Array
from ..layers.base import WeightSource

_MOST_CHUNKS = 10_000  # attributes that a list of names is cut into


class File:
    """An open HDF5 file.

    Args:
        root: of h5py.
        size: bytes of the file.
    """

    def __init__(self, root: Any, size: int) -> None:
        self._library = package("h5py")
        self._root, self._size, self._left = root, size, size

    def group(self, path: str) -> Any | None:
        """The group of that path, or None."""
        found = self._root
        for name in path.split("/"):
            found = self.member(found, name)
            if not isinstance(found, self._library.Group):
                return None
        return found

    def member(self, group: Any, name: str) -> Any | None:
        """What a group has of that name, or None; an array has nothing, whatever it holds."""
        if not isinstance(group, self._library.Group) or name not in group:
            return None
        if not isinstance(group.get(name, getlink=True), self._library.HardLink):
            raise ValueError(
                f"{group.name}/{name} is a link out of its place, which is not followed"
            )
        return group[name]

    def dataset(self, group: Any, path: str) -> Any:
        """The description of an array in a group, which is not read yet."""
        found = group
        for name in path.split("/"):
            found = None if found is None else self.member(found, name)
        if not isinstance(found, self._library.Dataset):
            raise ValueError(f"it has no array {group.name}/{path}")
        size = found.dtype.itemsize * math.prod(found.shape or (1,))
        if found.dtype.kind != "f" or found.shape is None:
            raise ValueError(
                f"the array {found.name} is {found.dtype}, and must be of real numbers"
            )
        if found.is_virtual or found.external:
            raise ValueError(f"the array {found.name} lies in other files, which are not read")
        chunk = found.dtype.itemsize * math.prod(found.chunks or (0,))
        if max(size, chunk) > self._size:
            raise ValueError(
                f"the array {found.name} of shape {found.shape} has {size:,} bytes, and the file "
                f"has {self._size:,}"
            )
        return found

    def read(self, found: Any, shape: tuple[int, ...]) -> Array:
        """The numbers of an array, as float32 of a shape that differs in axes of 1 alone."""
        if [n for n in found.shape if n != 1] != [n for n in shape if n != 1]:
            raise ValueError(f"the array {found.name} has shape {found.shape}, not {shape}")
        self._left -= found.dtype.itemsize * math.prod(shape)
        if self._left < 0:
            raise ValueError("its arrays overlap: together they are larger than the file")
        return np.asarray(found[()], np.float32).reshape(shape)

    def root_of_names(self) -> Any | None:
        """The whole file, if it lists the names of layers."""
        attributes = self._root.attrs
        return self._root if "layer_names" in attributes or "layer_names0" in attributes else None

    def text(self, name: str) -> str | None:
        """An attribute of the whole file."""
        value = self._root.attrs.get(name)
        if isinstance(value, bytes | np.bytes_):
            return bytes(value).decode()
        return value if isinstance(value, str) else None

    def names(self, group: Any, name: str) -> list[str]:
        """A list of names in the attributes of a group, which long ones are cut in."""
        if name in group.attrs:
            parts = [group.attrs[name]]
        else:
            numbered = (f"{name}{i}" for i in range(_MOST_CHUNKS))
            parts = []
            for each in numbered:
                if each not in group.attrs:
                    break
                parts.append(group.attrs[each])
        found = [value for part in parts for value in np.asarray(part).ravel().tolist()]
        return [value.decode() if isinstance(value, bytes) else str(value) for value in found]


@contextmanager
def opened(file: IO[bytes], size: int) -> Iterator[File]:
    """An HDF5 file of that many bytes; ValueError if it is damaged."""
    library = package("h5py")
    try:
        root = library.File(file, "r")
    except OSError as error:
        raise ValueError(f"it is a damaged HDF5 file: {error}") from error
    with root:
        yield File(root, size)


def in_memory(content: bytes) -> IO[bytes]:
    """Bytes as a file."""
    return io.BytesIO(content)


class Weights(ABC):
    """The weights of a file by layers."""

    @abstractmethod
    def of(self, place: str, top: str, name: str, *, is_top: bool) -> WeightSource:
        """What the parameters of a layer take their values from, in their order.

        Args:
            place: of the layer in a file of Keras 3.
            top: the name of the model's layer that it is, or is in.
            name: of the layer.
            is_top: whether it is that layer itself.
        """


class WeightsByPlace(Weights):
    """Those that Keras 3 writes."""

    def __init__(self, file: File) -> None:
        self._file = file
        # Some versions of Keras 2 called the container otherwise.
        self._first = "layers" if file.group("layers") else "_layer_checkpoint_dependencies"
        if file.group(self._first) is None:
            raise ValueError("it has no layers, as the weights of a model of Keras have")

    def of(self, place: str, top: str, name: str, *, is_top: bool) -> WeightSource:
        path = "/".join(self._first if each == "layers" else each for each in place.split("/"))
        numbers = iter(range(2**31))

        def take(parameter: str, shape: tuple[int, ...]) -> Array:
            group = self._file.group(f"{path}/vars")
            if group is None:
                raise ValueError(f"it has no weights {path}/vars, of the layer {name!r}")
            found = self._file.dataset(group, str(next(numbers)))
            return self._file.read(found, shape)

        return take


class WeightsByName(Weights):
    """Those that Keras 2 writes.

    Args:
        file: the file.
        group: of the layers.
        layers: the names of the layers as the model has them, for those of the file; by default
            they are the same.
    """

    def __init__(self, file: File, group: Any, layers: dict[str, str] | None = None) -> None:
        self._file, self._group, self._layers = file, group, layers

    def layers(self) -> list[str]:
        """The layers that have weights, in their order."""
        return [
            name for name in self._file.names(self._group, "layer_names") if self._names(name)[1]
        ]

    def _names(self, layer: str) -> tuple[Any, list[str]]:
        group = self._file.member(self._group, layer)
        if group is None:
            raise ValueError(f"it has no weights of the layer {layer!r}")
        return group, self._file.names(group, "weight_names")

    def of(self, place: str, top: str, name: str, *, is_top: bool) -> WeightSource:
        given: Iterator[str] | None = None

        def take(parameter: str, shape: tuple[int, ...]) -> Array:
            nonlocal given
            layer = top if self._layers is None else self._layers.get(top, top)
            group, names = self._names(layer)
            if is_top:
                given = iter(names) if given is None else given
                found = next(given, None)
            else:
                end = f"{name}/{parameter.rpartition('/')[2]}"
                ending = [
                    each for each in names if f"/{each.partition(':')[0]}".endswith(f"/{end}")
                ]
                found = ending[0] if len(ending) == 1 else None
            if found is None:
                raise ValueError(
                    f"it has no {parameter!r} among the weights of the layer {layer!r}"
                )
            return self._file.read(self._file.dataset(group, found), shape)

        return take


def weights_of(file: File, layers: Sequence[str] = ()) -> Weights:
    """The weights in a file of either kind.

    Args:
        file: the file.
        layers: the names of the layers that have weights, for a file of another model's.

    Raises:
        ValueError: it has none, or of another number of layers.
    """
    root = file.group("model_weights") or file.root_of_names()
    if root is None:
        return WeightsByPlace(file)
    found = WeightsByName(file, root)
    if layers:
        theirs = found.layers()
        if len(theirs) != len(layers):
            raise ValueError(
                f"it has {len(theirs)} layers with weights, and the model has {len(layers)}"
            )
        found = WeightsByName(file, root, dict(zip(layers, theirs, strict=True)))
    return found
