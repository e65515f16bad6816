"""ONNX's inference of shapes, with what may kill it in a process of its own.

Its rule for Slice aborts the process on a size below zero, which a file can say or compute (onnx
1.23). So a file with that operator, of which there are few, is given to a child process.
"""

from __future__ import annotations

import signal
import tempfile
from typing import IO

import onnx

from ..core import child

_FATAL = b"Slice"
_RIGHT, _WRONG = b"\0", b"\1"


def infer_shapes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the shapes of all its values.

    Raises:
        ValueError: the shapes contradict one another, or the inference dies of them.
    """
    data = proto.SerializeToString()
    # Wherever an operator's name stands, in functions and branches too, its bytes do.
    if _FATAL not in data or not child.can_start():
        return _inferred(proto)
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
        given.write(data)
        given.flush()
        given.seek(0)
        if code := infer_apart(given, output):
            name = signal.Signals(-code).name
            raise ValueError(f"it is not a valid ONNX model: inferring shapes died of it ({name})")
        output.seek(0)
        kind, found = output.read(1), output.read()
    if kind != _RIGHT:
        raise ValueError(found.decode(errors="replace"))
    inferred = onnx.ModelProto()
    inferred.ParseFromString(found)
    return inferred


def infer_apart(given: IO[bytes], output: IO[bytes]) -> int:
    """Let a child process infer the shapes of a file; its signal's negative number, or 0."""
    return child.run(__name__, "main", given, output)


def main() -> None:
    """What the child process does: its standard input is the file, its output the result."""
    with open(0, "rb", closefd=False) as given, open(1, "wb", closefd=False) as output:
        write_inferred(given, output)
        child.end(output)


def write_inferred(given: IO[bytes], output: IO[bytes]) -> None:
    """Write a file with its shapes, or what is wrong with them."""
    try:
        proto = onnx.ModelProto()
        proto.ParseFromString(given.read())
        output.write(_RIGHT + _inferred(proto).SerializeToString())
    except ValueError as error:
        output.write(_WRONG + str(error).encode(errors="replace"))


def _inferred(proto: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise ValueError(f"it is not a valid ONNX model: {error}") from None
