"""What is fed with hostile input: the targets, what each may raise, and how much it may take.

`hunt.py` runs any number of inputs of a target in a child process, `fuzz.py` lets atheris choose
them. The corpus is made by the functions here, from models of a few layers.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import signal
import tarfile
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO
from unittest import mock

import numpy as np

import convkit
import hostile_calls
import keras_content as content
import mutations
import random_graphs
from convkit.datasets import cache as files
from convkit.datasets import idx
from convkit.interop import hdf5
from convkit.onnx import inference
from some_models import LINES, few_weights, of_line, small_cnn, stripes

# Beside ten times its size, what reading a file may take: bytes, and seconds of the processor.
MEMORY = 50 * 2**20
SECONDS = 5.0


class Wrong(AssertionError):
    """The input did harm, though no exception came out."""


@dataclass(frozen=True)
class Target:
    """Something that takes bytes.

    Attributes:
        name: for the command line.
        seeds: makes the corpus, of which every input is a mutation.
        mutate: changes one of the corpus.
        run: takes an input; what it raises is right if it is one of `allowed`.
        bounded: whether its memory must be in proportion to the input.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    mutate: mutations.Mutation
    run: Callable[[bytes], None]
    allowed: tuple[type[Exception], ...] = (ValueError,)
    bounded: bool = True

    def input(self, seed: int, index: int) -> bytes:
        """Input number `index` of a seed."""
        rng = random.Random(f"{self.name}:{seed}:{index}")
        return self.mutate(rng, rng.choice(self.corpus()))

    @cache  # noqa: B019 - a target lives as long as the process
    def corpus(self) -> list[bytes]:
        return self.seeds()

    def take(self, data: bytes) -> None:
        """Run an input, with forks in the place of child processes."""
        with (
            mock.patch.object(hdf5, "extract", _read_in_a_fork),
            mock.patch.object(inference, "infer_apart", _infer_in_a_fork),
        ):
            self.run(data)

    def offer(self, data: bytes) -> str:
        """Run an input; return what is wrong about it, "" if nothing is."""
        before, start = _resident(reset=True), time.process_time()
        problem = ""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.take(data)
            except self.allowed as error:
                if not str(error) and not isinstance(error, MemoryError):
                    problem = f"a {type(error).__name__} that says nothing"
            except Exception as error:
                problem = f"{type(error).__name__}: {str(error)[:300]} ({_place(error)})"
        seconds, taken = time.process_time() - start, _resident() - before
        if not problem and seconds > SECONDS:
            problem = f"it took {seconds:.1f} s"
        if not problem and self.bounded and taken > 10 * len(data) + MEMORY:
            problem = f"it took {taken / 2**20:.0f} MiB for {len(data)} bytes"
        return problem


def _place(error: BaseException) -> str:
    """Where an exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "nowhere"
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"


def _resident(reset: bool = False) -> int:
    """The most memory that the process had, in bytes, since the last reset; 0 where not known."""
    try:
        if reset:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


@cache
def _folder() -> Path:
    """A folder in memory where there is one."""
    shared = "/dev/shm"
    parent = shared if os.path.isdir(shared) and os.access(shared, os.W_OK) else None
    keeper = tempfile.TemporaryDirectory(prefix="convkit-hostile-", dir=parent)
    _KEPT.append(keeper)
    return Path(keeper.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def _as_file(data: bytes, name: str = "input") -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def _saved(save: Callable[[Path], None]) -> bytes:
    path = _folder() / "seed"
    save(path)
    return path.read_bytes()


def _models() -> list[convkit.Sequential]:
    """Small models of every layer, some of them trained with each optimizer."""
    made = [of_line(name) for name in LINES]
    for optimizer in ("adam", "sgd", "rmsprop"):
        model = small_cnn(compiled=False)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        x, y = stripes(8)
        model.fit(x, y, verbose=0)
        made.append(model)
    return made


def _model_files() -> list[bytes]:
    return [_saved(model.save) for model in _models()]


def _keras_files() -> list[bytes]:
    models = [*_models(), *(random_graphs.Draw(seed).model(10) for seed in range(6))]
    return [write(model) for model in models for write in (content.archive, content.whole_file)]


def _read_in_a_fork(file: IO[bytes], size: int, output: IO[bytes]) -> None:
    """As the child process does that `hdf5.extract` starts, a hundred times as fast."""

    def run(output: IO[bytes]) -> None:
        hdf5.write_contents(file, size, output, limited=True)

    if not content.apart(run, output):
        raise ValueError("the HDF5 library died of it")


def _infer_in_a_fork(given: IO[bytes], output: IO[bytes]) -> int:
    """Likewise for the shapes of ONNX files."""

    def run(output: IO[bytes]) -> None:
        inference.write_inferred(given, output)

    return 0 if content.apart(run, output) else -signal.SIGABRT


def _load_model(data: bytes) -> None:
    path = _as_file(data)
    try:
        convkit.models.load_model(path)
    except ValueError as error:
        if str(path) not in str(error):
            raise Wrong(f"the message does not name the file: {error}") from error
        raise


def _use_model(data: bytes) -> None:
    """What was loaded must work, or say why not; what it computes may take memory of its own."""
    model = convkit.models.load_model(_as_file(data))
    sizes = [size or 1 for size in model.input_shape[1:]]
    if np.prod(sizes, dtype=float) > 1e5:
        return
    model.predict(np.ones((1, *sizes), np.float32), verbose=0)
    model.save(_folder() / "again")


@cache
def _reader() -> tuple[convkit.Sequential, list[np.ndarray]]:
    model = few_weights()
    return model, model.get_weights()


def _weight_files() -> list[bytes]:
    model, _ = _reader()
    other = small_cnn()
    return [_saved(model.save_weights), _saved(model.save), _saved(other.save_weights)]


def _keras_weight_files() -> list[bytes]:
    model, _ = _reader()
    return [write(model) for write in (content.weights_by_place, content.whole_file)]


def _load_weights(data: bytes) -> None:
    model, before = _reader()
    try:
        model.load_weights(_as_file(data))
    except ValueError:
        for mine, old in zip(model.get_weights(), before, strict=True):
            if mine.tobytes() != old.tobytes():
                raise Wrong("a file that was refused changed the weights") from None
        raise
    finally:
        model.set_weights(before)


def _onnx_files() -> list[bytes]:
    from onnx_graphs import chain, floats, graph_of, helper

    exported = [
        _saved(lambda path, model=model: convkit.onnx.export(model, path)) for model in _models()
    ]
    w, b = floats(4, 3, 3, 3), floats(4)
    others = [
        graph_of(
            chain(
                ("Conv", ["w", "b"], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
                ("Relu", [], {}),
                ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
                ("Flatten", [], {}),
                ("Gemm", ["v", "c"], {"transB": 1}),
            ),
            ["N", 3, 8, 8],
            {"w": w, "b": b, "v": floats(5, 16), "c": floats(5)},
        ),
        graph_of(
            chain(
                ("Transpose", [], {"perm": [0, 3, 1, 2]}),
                ("Pad", ["p"], {}),
                ("Conv", ["w"], {"auto_pad": b"SAME_UPPER", "group": 1}),
                ("GlobalAveragePool", [], {}),
                ("Reshape", ["s"], {}),
                ("Softmax", [], {}),
            ),
            ["N", 6, 5, 3],
            {"w": w, "p": np.array([0, 0, 1, 0, 0, 0, 0, 2]), "s": np.array([0, -1])},
        ),
        graph_of(
            [
                *chain(("Resize", ["", "f"], {}), ("ConvTranspose", ["w"], {"strides": [2, 2]})),
                helper.make_node("Slice", ["y", "b", "e", "a"], ["z"]),
                helper.make_node("Concat", ["z", "z"], ["c"], axis=1),
                helper.make_node("Sigmoid", ["c"], ["g"]),
                helper.make_node("Mul", ["c", "g"], ["d"]),
                helper.make_node("LayerNormalization", ["d", "s"], ["n"]),
            ],
            ["N", 4, 3, 4],
            {
                "f": np.float32([1, 1, 2, 2]),
                "w": floats(4, 3, 3, 3),
                "b": np.array([1, 1]),
                "e": np.array([6, 7]),
                "a": np.array([2, 3]),
                "s": floats(6),
            },
        ),
    ]
    graphs = [random_graphs.Draw(seed).model(10) for seed in range(6)]
    exported += [
        _saved(lambda path, model=model: convkit.onnx.export(model, path)) for model in graphs
    ]
    return [*exported, *(proto.SerializeToString() for proto in others)]


def _load_onnx(data: bytes) -> None:
    convkit.onnx.load(_as_file(data, "model.onnx"))


_IDX_SHAPE = (3, 4, 5)


def _idx_files() -> list[bytes]:
    return [bytes((0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5)) + bytes(range(60))]


def _parse_idx(data: bytes) -> None:
    array = idx.parse(data, _IDX_SHAPE, "input")
    if array.shape != _IDX_SHAPE or array.tobytes() != data[-60:]:
        raise Wrong("the array is not what the file holds")


_CONTENT = bytes(range(256)) * 12
_PACKED = files.DataFile(
    "set/cifar-10-batches-bin/test_batch.bin.gz",
    len(_CONTENT),
    hashlib.sha256(_CONTENT).hexdigest(),
)
_MEMBER = files.DataFile("set/cifar-10-batches-bin/test_batch.bin", _PACKED.size, _PACKED.sha256)


def _gzipped(content: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def _gzip_files() -> list[bytes]:
    return [_gzipped(_CONTENT), _gzipped(bytes(2**24)), _gzipped(_CONTENT[:100])]


def _read_gzip(data: bytes) -> None:
    raw = files._verified(io.BytesIO(data), _PACKED, "input", "Delete it.")
    if raw != _CONTENT:
        raise Wrong("other content was taken for the right one")


def _archives() -> list[bytes]:
    made = []
    for names in (("cifar-10-batches-bin/test_batch.bin",), ("../../outside", "/outside")):
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode="w") as archive:
            for name in names:
                entry = tarfile.TarInfo(name)
                entry.size = len(_CONTENT)
                archive.addfile(entry, io.BytesIO(_CONTENT))
            link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
        made.append(whole.getvalue())
    return made


def _place_archive(data: bytes) -> None:
    """The archive is packed after it was changed: a changed gzip stream is the target before."""
    folder = _folder() / "data"
    (folder / "set/cifar-10-batches-bin").mkdir(parents=True, exist_ok=True)
    archive = _as_file(_gzipped(data), "archive.tar.gz")
    files._place_members(archive, [_MEMBER], folder)
    found = [path for path in folder.rglob("*") if path.is_file()]
    if [path.read_bytes() for path in found] != [_CONTENT]:
        raise Wrong(f"other files than the right one were written: {found}")
    found[0].unlink()


TARGETS = {
    target.name: target
    for target in (
        Target("load_model", _model_files, mutations.model_file, _load_model),
        Target(
            "use_model",
            _model_files,
            mutations.model_file,
            _use_model,
            (ValueError, MemoryError),
            bounded=False,
        ),
        Target("load_weights", _weight_files, mutations.model_file, _load_weights),
        Target("keras_model", _keras_files, mutations.keras_file, _load_model),
        Target("keras_weights", _keras_weight_files, mutations.keras_file, _load_weights),
        Target("hdf5", _keras_weight_files, mutations.plain, _load_weights),
        Target("onnx", _onnx_files, mutations.onnx_file, _load_onnx),
        Target("idx", _idx_files, mutations.plain, _parse_idx),
        Target("gzip", _gzip_files, mutations.plain, _read_gzip),
        Target(
            "archive",
            _archives,
            mutations.plain,
            _place_archive,
            (ValueError, OSError, EOFError, tarfile.TarError, zlib.error),
        ),
        *(
            Target(
                name,
                lambda: [b"\0" * 16],
                lambda rng, data: rng.randbytes(16),
                run,
                hostile_calls.ALLOWED,
                bounded=False,
            )
            for name, run in hostile_calls.RUNS.items()
        ),
    )
}
