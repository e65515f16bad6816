"""Files changed at random where it hurts: model files, ONNX files, archives, plain bytes.

A flipped bit is mostly refused by the first check. So the files are taken apart, changed in one
place or a few (a size, a key, a name, an edge of the graph), and put together again with lengths
and offsets that fit. Everything depends on the generator that is given.
"""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, MutableMapping, MutableSequence
from typing import IO, Any

import numpy as np

import keras_content as content
from convkit.interop import hdf5

Document = dict[str, Any]

# What numbers, texts and objects are replaced with.
NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 1000, 2**15, 2**16, 2**20),
    *(2**30, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, 2**100),
    *(-(2**31), -(2**63), 0.5, -0.5, 1.5, 1e-30, 1e30, 1e308, float("nan"), float("inf")),
)
TEXTS = (
    *("", "a", "/", "..", "a/b", "\0", "kernel", "relu", "softmax", "same", "valid", "F32", "F64"),
    *(
        "I64",
        "adam",
        "mse",
        "x",
        "y",
        "__metadata__",
        "__class__",
        "convkit.layers",
        "os",
        "system",
    ),
    *("Sequential", "Dense", "Conv2D", "\ud7ff", "\U0001f600", "a" * 300, "{}", "null", "eval"),
)
VALUES: tuple[Any, ...] = (None, True, False, [], {}, [0], [[]], [1, 2], {"a": 1}, *NUMBERS, *TEXTS)


def plain(rng: random.Random, data: bytes) -> bytes:
    """Flip, cut, repeat, insert or overwrite some bytes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(changed) + 1)
        kind = rng.randrange(7)
        if kind == 0 and changed:
            changed[place % len(changed)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del changed[place:]
        elif kind == 2:
            del changed[place : place + rng.choice((1, 2, 4, 8, 100))]
        elif kind == 3:
            changed[place:place] = rng.randbytes(rng.choice((1, 2, 4, 8, 100)))
        elif kind == 4:
            changed[place:place] = changed[place : place + rng.choice((1, 4, 16, 1000))]
        elif kind == 5:
            number = rng.choice([n for n in NUMBERS if isinstance(n, int)]) % 2**64
            width = rng.choice((1, 2, 4, 8))
            order = rng.choice(("little", "big"))
            changed[place : place + width] = (number % 2 ** (8 * width)).to_bytes(width, order)
        else:
            changed[place : place + rng.choice((1, 4, 64))] = b"\xff" * rng.choice((1, 4, 64))
    return bytes(changed)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below a tree of dictionaries and lists."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (MutableMapping, MutableSequence)):
            keys = list(node) if isinstance(node, MutableMapping) else range(len(node))
            for key in keys:
                found.append((node, key))
                waiting.append(node[key])
    return found


def tree(rng: random.Random, value: Any) -> Any:
    """Change one place of what JSON can hold: replace, remove, repeat, rename, exchange, nest."""
    changed = copy.deepcopy(value)
    places = _places(changed)
    if not places:
        return rng.choice(VALUES)
    node, key = rng.choice(places)
    kind = rng.randrange(8)
    if kind <= 1:
        old = node[key]
        fitting = TEXTS if isinstance(old, str) else NUMBERS if isinstance(old, int) else VALUES
        node[key] = copy.deepcopy(rng.choice(fitting))
    elif kind == 2:
        node[key] = copy.deepcopy(rng.choice(VALUES))
    elif kind == 3:
        del node[key]
    elif kind == 4:
        other, place = rng.choice(places)
        node[key] = copy.deepcopy(other[place])
    elif kind == 5 and isinstance(node, MutableMapping):
        node[rng.choice([*TEXTS, *(k for _, k in places if isinstance(k, str))])] = node.pop(key)
    elif kind == 6 and isinstance(node, MutableSequence):
        node[key:key] = [copy.deepcopy(node[key])] * rng.choice((1, 2, 50))
    else:
        for _ in range(rng.choice((1, 3, 100))):
            node[key] = [node[key]] if rng.random() < 0.5 else {"a": node[key]}
    return changed


def model_file(rng: random.Random, data: bytes) -> bytes:
    """Change a safetensors file of convkit: its header, document, an array's entry, its data."""
    if rng.random() < 0.1:
        return plain(rng, data)
    try:
        length = int.from_bytes(data[:8], "little")
        header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
        if not isinstance(header, dict):
            return plain(rng, data)
    except ValueError:
        return plain(rng, data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        kind = rng.randrange(8)
        metadata = header.get("__metadata__")
        if kind <= 4 and isinstance(metadata, dict) and isinstance(metadata.get("convkit"), str):
            metadata["convkit"] = _document(rng, metadata["convkit"])
        elif kind == 5:
            header = tree(rng, header)
        elif kind == 6:
            body = _resized(rng, header, body)
        else:
            body = plain(rng, body).ljust(len(body), b"\xff")[: len(body)]
        if not isinstance(header, dict):
            break
    return _joined(rng, header, body)


def _document(rng: random.Random, text: str) -> str:
    try:
        return json.dumps(tree(rng, json.loads(text)))
    except (ValueError, RecursionError):
        return text[: rng.randrange(len(text) + 1)]


def _resized(rng: random.Random, header: dict[str, Any], body: bytes) -> bytes:
    """Give an array another shape, with the bytes that it needs where those are not too many."""
    names = [
        n for n, e in header.items() if isinstance(e, dict) and isinstance(e.get("shape"), list)
    ]
    if not names:
        return body
    entry = header[rng.choice(names)]
    entry["shape"] = [rng.choice((0, 1, 2, 3, 2**20, 2**32)) for _ in range(rng.randrange(6))]
    count = 4
    for size in entry["shape"]:
        count *= size
    if count <= 4096:  # behind all others, so that the file is valid
        entry["data_offsets"] = [len(body), len(body) + count]
        body += b"\0" * count
    return body


def _joined(rng: random.Random, header: Any, body: bytes) -> bytes:
    try:
        text = json.dumps(header).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        text = b"[" * 100_000
    if rng.random() < 0.05:
        text = plain(rng, text)
    length = len(text) if rng.random() < 0.97 else rng.choice((0, 1, len(text) + 1, 2**40, 2**63))
    return struct.pack("<Q", length) + text + body


def keras_file(rng: random.Random, data: bytes) -> bytes:
    """Change a file of Keras: its configurations, its arrays and their places, the archive."""
    if not data.startswith(b"PK\x03\x04"):
        return hdf5_file(rng, data)
    if rng.random() < 0.1:
        return plain(rng, data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, ValueError, zlib.error):
        return plain(rng, data)
    names = [name for name in members if members[name]]
    if not names:
        return plain(rng, data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        name = rng.choice(sorted(names, key=lambda each: not each.endswith(".json"))[:2])
        is_text = name.endswith(".json") or rng.random() < 0.7
        if name.endswith(".json") or (is_text and content.CONFIG in members):
            members[content.CONFIG] = _document(
                rng, members[content.CONFIG].decode(errors="replace")
            ).encode(errors="surrogatepass")
        else:
            members[name] = hdf5_file(rng, members[name])
    if rng.random() < 0.03:
        members[rng.choice((*TEXTS, content.CONFIG.upper()))] = members.pop(rng.choice(names))
    return content.zipped(members)


def hdf5_file(rng: random.Random, data: bytes) -> bytes:
    """Change an HDF5 file: a text among its attributes, a list of names, an array, a group."""
    own = random.Random(rng.getrandbits(64))

    def run(output: IO[bytes]) -> None:
        hdf5.limit(len(data))
        output.write(content.hdf5(lambda file: _change_hdf5(own, file), data))

    with tempfile.TemporaryFile() as output:
        if content.apart(run, output):
            return output.read()
    return plain(rng, data)  # it was changed before, and HDF5 complains or dies of it


def _change_hdf5(rng: random.Random, file: Any) -> None:
    import h5py

    places: list[str] = []
    file.visit(places.append)
    texts = [name for name in file.attrs if isinstance(file.attrs[name], str)]
    if texts and rng.random() < 0.7:
        name = rng.choice(texts)
        file.attrs[name] = _document(rng, file.attrs[name])
        return
    place = rng.choice(places)
    listed = [name for name in file[place].attrs]
    if listed and rng.random() < 0.5:
        names = np.asarray(file[place].attrs[rng.choice(listed)]).ravel().tolist()
        other: Any = rng.choice((names[1:], names[::-1], names * 3, [b"a/b"], 3.5, [1, 2], []))
        file[place].attrs[rng.choice(listed)] = other
        return
    old = file[place]
    shape = old.shape if isinstance(old, h5py.Dataset) else (2, 3)
    del file[place]
    kind = rng.randrange(9)
    if kind == 0:
        file[place] = np.zeros([rng.choice((0, 1, 2, 3, 64)) for _ in range(rng.randrange(5))])
    elif kind == 1:
        dtype = rng.choice(("f2", "f4", "f8", ">f4", "i4", "S3", "c8", "?"))
        file[place] = np.ones(shape, dtype)
    elif kind == 2:  # much of which nothing is stored
        sizes = (*shape[1:], rng.choice((2**20, 2**31, 2**40)))
        file.create_dataset(place, sizes, rng.choice(("f4", "f8")), chunks=rng.choice((None, True)))
    elif kind == 3:
        file.create_dataset(place, data=np.ones(shape, "f4"), compression="gzip", chunks=True)
    elif kind == 4:
        file[place] = h5py.SoftLink(rng.choice(("/", "/layers", "/nowhere", place)))
    elif kind == 5:
        file[place] = h5py.ExternalLink("other.h5", "/x")
    elif kind == 6:
        file[place] = file[rng.choice(("/", rng.choice([p for p in places if p in file] or ["/"])))]
    elif kind == 7:
        file.create_dataset(place, shape, "f4", external=[("x.bin", 0, 4 * int(np.prod(shape)))])


def onnx_file(rng: random.Random, data: bytes) -> bytes:
    """Change an ONNX file: numbers, names, attributes, sizes, edges, whole nodes."""
    import onnx
    from google.protobuf.message import DecodeError, EncodeError

    if rng.random() < 0.1:
        return plain(rng, data)
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError:
        return plain(rng, data)
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        places = _fields(proto)
        if not places:  # an empty file is an empty message
            return plain(rng, data)
        message, field = rng.choice(places)
        try:
            _change(rng, message, field, places)
        except (ValueError, TypeError, AttributeError, OverflowError):
            continue  # of another type than the field, which protobuf does not hold
    try:
        return bytes(proto.SerializeToString())
    except (EncodeError, ValueError):
        return plain(rng, data)


def _fields(message: Any) -> list[tuple[Any, Any]]:
    """Every (message, field) in it that is set."""
    found, waiting = [], [message]
    while waiting:
        node = waiting.pop()
        for field, value in node.ListFields():
            found.append((node, field))
            if field.message_type is not None:
                waiting.extend([value] if _single(node, field) else value)
    return found


def _single(message: Any, field: Any) -> bool:
    """Whether a field holds one value."""
    return not hasattr(getattr(message, field.name), "append")


def _change(rng: random.Random, message: Any, field: Any, places: list[tuple[Any, Any]]) -> None:
    if rng.random() < 0.1:
        message.ClearField(field.name)
        return
    if _single(message, field):
        if field.message_type is None:
            setattr(message, field.name, _scalar(rng, getattr(message, field.name), places))
        else:
            same = [getattr(m, f.name) for m, f in places if f.message_type is field.message_type]
            other = rng.choice([each for each in same if not hasattr(each, "append")])
            getattr(message, field.name).CopyFrom(copy.deepcopy(other))
        return
    values = getattr(message, field.name)
    place, kind = rng.randrange(len(values)), rng.randrange(4)
    if kind == 0:
        del values[place]
    elif kind == 1:
        for _ in range(rng.choice((1, 1, 30))):
            values.append(copy.deepcopy(values[place]))
    elif kind == 2:
        order = rng.sample(list(values), len(values))
        kept = [copy.deepcopy(each) for each in order]
        del values[:]
        values.extend(kept)
    elif field.message_type is None:
        values[place] = _scalar(rng, values[place], places)


def _scalar(rng: random.Random, value: Any, places: list[tuple[Any, Any]]) -> Any:
    """Another value of its type; a name becomes another of the file's names."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        near = value + rng.choice((-1, 1))
        return rng.choice([near, near, *(n for n in NUMBERS if isinstance(n, int))])
    if isinstance(value, float):
        return float(rng.choice(NUMBERS))
    if isinstance(value, bytes):
        return plain(rng, value)
    names: list[Any] = []
    for message, field in places:
        held = getattr(message, field.name)
        if field.message_type is None and not isinstance(held, (int, float, bytes)):
            names.extend(
                [held] if isinstance(held, str) else (h for h in held if isinstance(h, str))
            )
    return rng.choice(names if names and rng.random() < 0.7 else TEXTS)


Mutation = Callable[[random.Random, bytes], bytes]


def raw(header: bytes | Document, data: bytes = b"") -> bytes:
    """A model file with that header, whatever is in it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data
