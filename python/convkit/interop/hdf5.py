"""HDF5 files, read by a process of their own.

The HDF5 library believes what a file says: a damaged one makes it read where nothing is, or take
4 GiB for a text that is said to be so long. So it runs in a child process that may take memory and
time in proportion to the file, and whose end is a ValueError here. The child writes down what
convkit asks of such files: groups, their lists of names, and arrays of real numbers as float32.
"""

from __future__ import annotations

import errno
import json
import math
import os
import resource
import signal
from collections.abc import Iterable, Iterator
from typing import IO, Any

import numpy as np

from ..core import child
from ..core.packages import package

# Of a group: {"path", "group": {name: node}, "attributes": {name: text or list of texts}}. Of an
# array: {"path", "shape", "at": offset of its float32 numbers}. Of what must not be read:
# {"refused": why}.
Node = dict[str, Any]

_TEXTS = ("model_config", "training_config")
_LISTS = ("layer_names", "weight_names")
_DEEPEST = 64  # groups in groups
_MEMORY = 64 * 2**20  # bytes that the child may take beside four times the file
_SECONDS = 20  # of the processor, for reading a file of _SIZE bytes; longer for larger ones
_SIZE = 100 * 2**20
# What keeps the contents from being written, and is no fault of the file.
_OF_THE_SYSTEM = (errno.EDQUOT, errno.EFBIG, errno.ENOSPC)


def contents(file: IO[bytes], size: int, output: IO[bytes]) -> Node:
    """What an HDF5 file holds, read by a child process.

    Args:
        file: the file, of the operating system.
        size: its bytes.
        output: a file to write into, of the operating system; it gets the arrays' numbers.

    Raises:
        ValueError: the file is damaged.
        ImportError: h5py is missing; the message says how to install it.
    """
    extract(file, size, output)
    output.seek(0)
    length = int.from_bytes(output.read(8), "little")
    try:
        found = json.loads(output.read(min(length, os.fstat(output.fileno()).st_size)))
    except ValueError:
        raise ValueError("the HDF5 library ended before it had read the file") from None
    if "missing" in found:
        raise ImportError(found["missing"])
    if "refused" in found:
        raise ValueError(f"it is a damaged HDF5 file: {found['refused']}")
    root: Node = found["root"]
    return root


def extract(file: IO[bytes], size: int, output: IO[bytes]) -> None:
    """Let a child process write down what is in a file; here, where no interpreter is known."""
    if not child.can_start():
        write_contents(file, size, output)
        return
    # No code of filters that a file names.
    code = child.run(__name__, "main", file, output, {"HDF5_PLUGIN_PRELOAD": "::"})
    if code == -signal.SIGXCPU:
        raise ValueError(
            f"it is a damaged HDF5 file: the HDF5 library did not end in {_time(size)} s"
        )
    if code:
        name = signal.Signals(-code).name
        raise ValueError(f"it is a damaged HDF5 file: the HDF5 library died of it ({name})")


def main() -> None:
    """What the child process does: its standard input is the file, its output the contents."""
    with open(0, "rb", closefd=False) as file, open(1, "wb", closefd=False) as output:
        write_contents(file, os.fstat(0).st_size, output, limited=True)
        child.end(output)  # an interpreter that was near its limits need not clean up


def write_contents(file: IO[bytes], size: int, output: IO[bytes], limited: bool = False) -> None:
    """Write what an HDF5 file holds: the description's length, itself as JSON, float32 numbers.

    Args:
        file: the file.
        size: its bytes.
        output: an empty file.
        limited: limit the memory and time of this process to what the file's size explains.
    """
    try:
        library = package("h5py")
    except ImportError as error:
        _write(output, {"missing": str(error)}, [])
        return
    if limited:
        limit(size)
    try:
        file.seek(0)
        with library.File(file, "r") as root:
            reader = _Tree(library, size)
            tree = reader.node(root, 0)
            _write(output, {"root": tree}, reader.again(root))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
            raise
        reason = f"{type(error).__name__} {error}" if isinstance(error, MemoryError) else str(error)
        _write(output, {"refused": reason[: child.LONGEST_REASON]}, [])


def limit(size: int) -> None:
    """Let this process take memory and time for a file of so many bytes from now on, no more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(used.ru_utime + used.ru_stime) + _time(size)
    _lower(resource.RLIMIT_CPU, seconds)
    try:
        with open("/proc/self/statm") as status:
            pages = int(status.read().split()[0])
    except OSError:
        return  # no Linux: memory is not counted
    _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + 4 * size + _MEMORY)


def _lower(kind: int, value: int) -> None:
    soft, hard = resource.getrlimit(kind)
    known = [each for each in (value, soft, hard) if each != resource.RLIM_INFINITY]
    resource.setrlimit(kind, (min(known), hard))


def _time(size: int) -> int:
    return _SECONDS * (1 + size // _SIZE)


class _Tree:
    """Describes groups and arrays, each once."""

    def __init__(self, library: Any, size: int) -> None:
        self._arrays: list[tuple[str, int]] = []  # paths and addresses: an open one is kilobytes
        self._library, self._size, self._left = library, size, size
        self._end = 0  # bytes of the arrays
        self._seen: set[int] = set()

    def again(self, root: Any) -> Iterator[Any]:
        """The arrays that were described, in that order."""
        for path, address in self._arrays:
            found = root[path]
            if self._library.h5o.get_info(found.id).addr != address:
                raise ValueError(f"{path} leads to several arrays")
            yield found

    def node(self, found: Any, depth: int) -> Node:
        if not isinstance(found, self._library.Group | self._library.Dataset):
            return {"refused": f"{found.name} is neither a group nor an array"}
        address = self._library.h5o.get_info(found.id).addr
        if address in self._seen:
            return {"refused": f"{found.name} is in the file twice, by two names"}
        self._seen.add(address)
        if isinstance(found, self._library.Dataset):
            return self._array(found)
        if depth == _DEEPEST:
            return {"refused": f"{found.name} lies in more than {_DEEPEST} groups"}
        return {
            "path": found.name,
            "group": dict(self._members(found, depth)),
            "attributes": dict(self._attributes(found)),
        }

    def _members(self, group: Any, depth: int) -> Iterator[tuple[str, Node]]:
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, self._library.HardLink):
                yield name, self.node(group[name], depth + 1)
            else:
                path = f"{group.name}/{name}".replace("//", "/")
                yield name, {"refused": f"{path} is a link out of its place, which is not followed"}

    def _attributes(self, group: Any) -> Iterator[tuple[str, str | list[str]]]:
        for name in group.attrs:
            if name in _TEXTS:
                value = group.attrs[name]
                if isinstance(value, bytes | np.bytes_):
                    value = bytes(value).decode()
                if isinstance(value, str):
                    yield name, value
            elif name.rstrip("0123456789") in _LISTS:
                values = np.asarray(group.attrs[name]).ravel().tolist()
                yield name, [v.decode() if isinstance(v, bytes) else str(v) for v in values]

    def _array(self, found: Any) -> Node:
        path, shape, dtype = found.name, found.shape, found.dtype
        if dtype.kind != "f" or shape is None:
            return {"refused": f"the array {path} is {dtype}, and must be of real numbers"}
        if found.is_virtual or found.external:
            return {"refused": f"the array {path} lies in other files, which are not read"}
        size = dtype.itemsize * math.prod(shape)
        chunk = dtype.itemsize * math.prod(found.chunks or (0,))
        if max(size, chunk) > self._size:
            own = f"the array {path} of shape {shape} has {size:,} bytes"
            return {"refused": f"{own}, and the file has {self._size:,}"}
        self._left -= size
        if self._left < 0:
            return {"refused": "its arrays overlap: together they are larger than the file"}
        start, self._end = self._end, self._end + 4 * math.prod(shape)
        self._arrays.append((path, self._library.h5o.get_info(found.id).addr))
        return {"path": path, "shape": shape, "at": start}


def _write(output: IO[bytes], description: Node, arrays: Iterable[Any]) -> None:
    text = json.dumps(description).encode()
    output.seek(0)  # over what modules printed when they were imported
    output.truncate()
    output.write(len(text).to_bytes(8, "little") + text)
    for array in arrays:
        output.write(np.asarray(array[()], np.float32).tobytes())
