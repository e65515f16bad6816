"""Weights in HDF5 files of Keras.

Keras 3 writes a group for each layer, named by its class and its place among the layers of that
class, with the weights by their numbers: `layers/conv2d_1/vars/0`. Keras 2, and Keras 3 into files
that end in .h5, writes a group for each layer of the model by its name, and lists the weights in it
in attributes.

Nothing is believed: `hdf5` reads the file apart, and tells what must not be read.
"""

from __future__ import annotations

import math
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count, takewhile
from typing import IO

import numpy as np

from ..core.parameters import Array
from ..layers.base import WeightSource
from .hdf5 import Node, contents


class File:
    """The contents of an HDF5 file.

    Args:
        root: the file's description, by `hdf5.contents`.
        numbers: the file with the arrays' numbers.
    """

    def __init__(self, root: Node, numbers: IO[bytes]) -> None:
        self._root, self._numbers = root, numbers
        self._begin = numbers.tell()

    def group(self, path: str) -> Node | None:
        """The group of that path, or None."""
        found: Node | None = self._root
        for name in path.split("/"):
            found = None if found is None else self.member(found, name)
        return found if found is not None and "group" in found else None

    def member(self, group: Node, name: str) -> Node | None:
        """What a group has of that name, or None; an array has nothing, whatever it holds."""
        found: Node | None = group.get("group", {}).get(name)
        if found is not None and "refused" in found:
            raise ValueError(found["refused"])
        return found

    def read(self, group: Node, path: str, shape: tuple[int, ...]) -> Array:
        """The numbers of an array in a group, of a shape that differs in axes of 1 alone."""
        found: Node | None = group
        for name in path.split("/"):
            found = None if found is None else self.member(found, name)
        if found is None or "shape" not in found:
            raise ValueError(f"it has no array {group['path'].rstrip('/')}/{path}")
        if [n for n in found["shape"] if n != 1] != [n for n in shape if n != 1]:
            raise ValueError(
                f"the array {found['path']} has shape {tuple(found['shape'])}, not {shape}"
            )
        values = bytearray(4 * math.prod(shape))
        self._numbers.seek(self._begin + found["at"])
        if self._numbers.readinto(values) != len(values):  # type: ignore[attr-defined]
            raise ValueError(f"the array {found['path']} was not read in full")
        return np.frombuffer(values, np.float32).reshape(shape)

    def root_of_names(self) -> Node | None:
        """The whole file, if it lists the names of layers."""
        attributes = self._root["attributes"]
        return self._root if "layer_names" in attributes or "layer_names0" in attributes else None

    def text(self, name: str) -> str | None:
        """An attribute of the whole file."""
        found: str | None = self._root["attributes"].get(name)
        return found

    def names(self, group: Node, name: str) -> list[str]:
        """A list of names in the attributes of a group, which long ones are cut in."""
        attributes = group.get("attributes", {})
        if name in attributes:
            return list(attributes[name])
        parts = (attributes.get(f"{name}{i}") for i in count())
        return [each for part in takewhile(lambda part: part is not None, parts) for each in part]


@contextmanager
def opened(file: IO[bytes], size: int) -> Iterator[File]:
    """An HDF5 file of that many bytes; ValueError if it is damaged."""
    with tempfile.TemporaryFile() as numbers:
        yield File(contents(file, size, numbers), numbers)


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
            return self._file.read(group, str(next(numbers)), shape)

        return take


class WeightsByName(Weights):
    """Those that Keras 2 writes.

    Args:
        file: the file.
        group: of the layers.
        layers: the names of the layers as the model has them, for those of the file; by default
            they are the same.
    """

    def __init__(self, file: File, group: Node, layers: dict[str, str] | None = None) -> None:
        self._file, self._group, self._layers = file, group, layers

    def layers(self) -> list[str]:
        """The layers that have weights, in their order."""
        return [
            name for name in self._file.names(self._group, "layer_names") if self._names(name)[1]
        ]

    def _names(self, layer: str) -> tuple[Node, list[str]]:
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
            return self._file.read(group, found, shape)

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
