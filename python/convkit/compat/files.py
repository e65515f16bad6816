"""`tf.io` and `tf.io.gfile`: files of this machine."""

from __future__ import annotations

import glob as _glob
import os
import shutil
from typing import Any

import numpy as np

from .tensor import Tensor, as_tensor

__all__ = [
    "Exists",
    "FastGFile",
    "GFile",
    "Glob",
    "ListDirectory",
    "MakeDirs",
    "Open",
    "copy",
    "exists",
    "glob",
    "isdir",
    "listdir",
    "makedirs",
    "matching_files",
    "mkdir",
    "read_file",
    "remove",
    "rename",
    "rmtree",
    "walk",
    "write_file",
]


def path_of(value: Any) -> str:
    """The path that a tensor, bytes or text says."""
    if isinstance(value, Tensor | np.ndarray):
        value = value[()] if not isinstance(value, Tensor) else value.numpy()
    return value.decode() if isinstance(value, bytes) else os.fspath(value)


def read_file(filename: Any, name: Any = None) -> Any:
    """The bytes of a file."""
    with open(path_of(filename), "rb") as file:
        return as_tensor(file.read())


def write_file(filename: Any, contents: Any, name: Any = None) -> None:
    """Write bytes into a file, in folders that are made if need be."""
    path = path_of(filename)
    if folder := os.path.dirname(path):
        os.makedirs(folder, exist_ok=True)
    data = contents.numpy() if isinstance(contents, Tensor) else contents
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else str(data).encode())


def GFile(name: Any, mode: str = "r") -> Any:
    """An open file."""
    return open(path_of(name), mode, encoding=None if "b" in mode else "utf-8")


FastGFile = Open = GFile


def exists(path: Any) -> bool:
    """Whether there is a file or folder of that path."""
    return os.path.exists(path_of(path))


def isdir(path: Any) -> bool:
    """Whether there is a folder of that path."""
    return os.path.isdir(path_of(path))


def listdir(path: Any) -> list[str]:
    """The names in a folder."""
    return os.listdir(path_of(path))


def glob(pattern: Any) -> list[str]:
    """The paths that fit a pattern, or one of several."""
    several = pattern if isinstance(pattern, list | tuple) else [pattern]
    return sorted(each for one in several for each in _glob.glob(path_of(one)))


matching_files = glob


def makedirs(path: Any) -> None:
    """Make a folder, and those above it."""
    os.makedirs(path_of(path), exist_ok=True)


mkdir = makedirs


def copy(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Copy a file; FileExistsError if there is another and `overwrite` is False."""
    if exists(dst) and not overwrite:
        raise FileExistsError(path_of(dst))
    shutil.copyfile(path_of(src), path_of(dst))


def rename(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Give a file another name; FileExistsError if there is another and `overwrite` is False."""
    if exists(dst) and not overwrite:
        raise FileExistsError(path_of(dst))
    os.replace(path_of(src), path_of(dst))


def remove(path: Any) -> None:
    """Remove a file."""
    os.remove(path_of(path))


def rmtree(path: Any) -> None:
    """Remove a folder and what is in it."""
    shutil.rmtree(path_of(path))


def walk(top: Any, topdown: bool = True) -> Any:
    """The folders below one, with what is in them."""
    return os.walk(path_of(top), topdown)


Exists, Glob, ListDirectory, MakeDirs = exists, glob, listdir, makedirs
