"""Files of models: an interrupted save does no harm, and nothing but a sound file is loaded."""

from __future__ import annotations

import copy
import json
import os
import pickle
import signal
import stat
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

import convkit
from compare import assert_same_weights
from convkit import layers, optimizers, storage
from convkit.models import Sequential, load_model

pytestmark = pytest.mark.usefixtures("one_thread")

Document = dict[str, Any]


def network() -> Sequential:
    """A few weights of every kind."""
    return Sequential(
        [
            convkit.Input((6, 6, 2)),
            layers.Conv2D(3, 3, padding="same", use_bias=False),
            layers.BatchNormalization(scale=False),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


# Writing.


def test_permissions_are_what_the_umask_says(tmp_path: Path) -> None:
    model = network()
    former = os.umask(0o027)
    try:
        model.save(tmp_path / "m")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o640


def test_overwrite_false_keeps_the_file(tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / "m", overwrite=False)
    before = (tmp_path / "m").read_bytes()
    for method in (model.save, model.save_weights):
        with pytest.raises(FileExistsError, match="overwrite=True"):
            method(tmp_path / "m", overwrite=False)
    assert (tmp_path / "m").read_bytes() == before


def test_folders_and_links(tmp_path: Path) -> None:
    model = network()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        model.save(tmp_path)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        load_model(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        model.save(tmp_path / "nowhere" / "m")
    with pytest.raises(FileNotFoundError, match="nothing"):
        load_model(tmp_path / "nothing")
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "m")
    model.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert_same_weights(model, load_model(tmp_path / "there" / "m"))


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    call: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network().save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()

    def fail(*arguments: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(error)):
        network().save(tmp_path / "m")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["m"]
    assert (tmp_path / "m").read_bytes() == before


def test_a_full_disk(tmp_path: Path) -> None:
    """The system itself refuses to write more than a limit."""
    script = textwrap.dedent(
        """
        import os, resource, signal, sys
        import convkit
        from convkit import layers
        model = convkit.Sequential([convkit.Input((100,)), layers.Dense(100)])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            model.save(sys.argv[1])
        except OSError as error:
            print(error.errno, os.listdir(os.path.dirname(sys.argv[1])))
        """
    )
    run = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "m"], check=True, capture_output=True, text=True
    )
    assert run.stdout.split() == ["27", "[]"]  # EFBIG, and an empty folder


def test_a_killed_process_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys
        import numpy as np
        import convkit
        from convkit import layers
        model = convkit.Sequential([convkit.Input((300,)), layers.Dense(300)])
        print("go", flush=True)
        value = 0
        while True:
            value += 1
            model.set_weights([np.full_like(w, value) for w in model.get_weights()])
            model.save(sys.argv[1])
        """
    )
    path = tmp_path / "m"
    for round in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", script, path], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        for _ in range(3):  # three saves, then somewhere within the next
            before = path.stat().st_ino if path.exists() else 0
            while not path.exists() or path.stat().st_ino == before:
                assert process.poll() is None
        time.sleep(0.0007 * round)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        weights = load_model(path).get_weights()
        values = {float(v) for w in weights for v in np.unique(w)}
        assert len(values) == 1, "never half of one and half of another"
        assert min(values) >= 3


# Reading what is not one of ours.


def small(tmp_path: Path) -> tuple[Sequential, bytes]:
    convkit.utils.set_random_seed(0)
    model = Sequential([convkit.Input((2,)), layers.Dense(1, name="d")], name="s")
    model.compile(optimizers.SGD(0.1, 0.5), "mse")
    model.fit(np.ones((2, 2)), np.ones(2), verbose=0)
    model.save(tmp_path / "small")
    return model, (tmp_path / "small").read_bytes()


def refuse(path: Path, model: Sequential, message: str = "") -> None:
    """Both ways of loading say what is wrong, and name the file; the model stays as it was."""
    before = model.get_weights()
    for load in (load_model, model.load_weights):
        with pytest.raises(ValueError, match=message or None) as caught:
            load(path)
        assert str(path) in str(caught.value)
    for mine, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def outcome(load: Callable[[Path], Any], path: Path) -> Any:
    """What was loaded, or the message of the one error that there may be."""
    try:
        return load(path)
    except ValueError as error:
        message = str(error)
    assert str(path) in message
    return message


def test_a_file_cut_off_at_any_byte(tmp_path: Path) -> None:
    model, data = small(tmp_path)
    path = tmp_path / "cut"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        refuse(path, model)
    path.write_bytes(data + b"\0")
    refuse(path, model)
    path.write_bytes(data)
    assert_same_weights(model, load_model(path))


def test_a_file_with_any_byte_of_its_header_changed(tmp_path: Path) -> None:
    """It is refused, or it is a sound model: a letter of a name is not a fault that shows."""
    _, data = small(tmp_path)
    path = tmp_path / "changed"
    rng = np.random.default_rng(0)
    refused = 0
    header = 8 + int.from_bytes(data[:8], "little")
    for position in range(header):
        changed = bytearray(data)
        changed[position] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        loaded = outcome(load_model, path)
        if isinstance(loaded, Sequential):
            json.dumps(loaded.get_config(), allow_nan=False)
        else:
            refused += 1
    assert refused > 0.8 * header


def test_random_damage(tmp_path: Path) -> None:
    model, data = small(tmp_path)
    path = tmp_path / "damaged"
    rng = np.random.default_rng(1)
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 12))):
            at = int(rng.integers(0, len(changed)))
            kind = int(rng.integers(0, 3))
            if kind == 0:
                changed[at] = int(rng.integers(0, 256))
            elif kind == 1:
                del changed[at : at + int(rng.integers(1, 9))]
            else:
                changed[at:at] = changed[: int(rng.integers(0, 30))]
        path.write_bytes(changed)
        for load in (load_model, model.load_weights):
            outcome(load, path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated, or no safetensors file: its 0 bytes"),
        (b"hello world, this is text", "no safetensors file"),
        (b"\0" * 100, "no safetensors file"),
        (b"\xff" * 100, "no safetensors file"),
        (b"PK\x03\x04" + b"\x14\0" * 50, r"a zip archive, as Keras's own \.keras files"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, r"an HDF5 file, as Keras's own \.h5"),
        (b"\x93NUMPY" + b"\1\0v\0" * 20, r"a NumPy \.npy file"),
        (pickle.dumps(list(range(40))), "a pickle"),
    ],
)
def test_foreign_files(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "foreign").write_bytes(data)
    refuse(tmp_path / "foreign", network(), message)


def test_real_files_of_others(tmp_path: Path) -> None:
    arrays = {"d/kernel": np.ones((2, 1), np.float32)}
    np.savez(tmp_path / "a.npz", **arrays)
    refuse(tmp_path / "a.npz", network(), "a zip archive")
    safetensors.numpy.save_file(arrays, tmp_path / "b")
    refuse(tmp_path / "b", network(), "a safetensors file that convkit did not write")
    os.mkfifo(tmp_path / "pipe")
    refuse(tmp_path / "pipe", network(), "no regular file")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
def test_real_files_of_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(tmp_path / "m.keras")
    refuse(tmp_path / "m.keras", network(), "a zip archive, as Keras's own")
    model.save_weights(tmp_path / "m.weights.h5")
    refuse(tmp_path / "m.weights.h5", network(), "an HDF5 file, as Keras's own")


def raw(header: bytes | Document, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (raw({"a": {**ONE, "shape": [2**32, 2**32]}}, b"1234"), "overflow"),
        (raw({"a": {**ONE, "shape": [2**40], "data_offsets": [0, 2**42]}}, b"1234"), ""),
        (raw({"a": {**ONE, "shape": [-1]}}, b"1234"), ""),
        (raw({"a": {**ONE, "shape": [1.5]}}, b"1234"), ""),
        (raw({"a": {**ONE, "data_offsets": [4, 0]}}, b"1234"), ""),
        (raw({"a": {**ONE, "data_offsets": [0, 8]}}, b"12345678"), ""),
        (raw({"a": ONE, "b": ONE}, b"1234"), "invalid offset"),
        (raw({"a": ONE}, b"12345"), ""),
        (raw({"a": {**ONE, "dtype": "F64", "data_offsets": [0, 8]}}, b"12345678"), "must be F32"),
        (raw({"a": {**ONE, "dtype": "PICKLE"}}, b"1234"), ""),
        (raw({"a": {**ONE, "dtype": 3}}, b"1234"), ""),
        (raw({"a": 1}), ""),
        (raw({"__metadata__": {"convkit": 1}}), ""),
        (raw({"__metadata__": []}), ""),
        (raw(b"[" * 100_000), ""),
        (raw(b'{"a":' * 100_000), ""),
        (raw(b"\xff\xfe{}"), ""),
        (raw(b'{"a": NaN}'), ""),
        (raw(b"[]"), ""),
        (
            raw(b'{"a":%b,"a":%b}' % ((json.dumps(ONE).encode(),) * 2), b"1234"),
            "the same key twice",
        ),
        (raw(b'{"__metadata__":{"convkit":"{}","convkit":"{}"}}'), "the same key twice"),
        (struct.pack("<Q", 2**63) + b"{}", "no safetensors file"),
        (struct.pack("<Q", 1) + b"{", "no safetensors file"),
    ],
)
def test_hostile_headers(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(data)
    refuse(tmp_path / "bad", network(), message)


def change(document: Document, where: str, value: Any) -> Document:
    """A copy of the document with one entry, `a.0.b`, changed, or deleted by `...`."""
    changed = copy.deepcopy(document)
    *path, last = where.split(".")
    place: Any = changed
    for step in path:
        place = place[int(step) if step.isdigit() else step]
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return changed


DENSE = "model.config.layers.1.config"


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("version", 2, "version 2 of the format.*install the newest convkit"),
        ("version", True, "'version' is missing or of the wrong type"),
        ("version", ..., "'version'"),
        ("model", [], "'model'"),
        ("model.class_name", "Own", "no Sequential of convkit"),
        ("model.config", None, "'config'"),
        ("model.config.name", 3, "'name'"),
        ("model.config.layers", {}, "'layers'"),
        ("model.config.layers", [], "has no place for"),
        ("model.config.layers.1", 5, "must be described"),
        ("model.config.layers.1.class_name", "system", r"no class 'convkit\.layers\.system'"),
        ("model.config.layers.1.module", "os", "no class 'os.Dense'"),
        ("model.config.layers.0.config.shape", [3], r"has shape \(2, 1\), the model needs \(3, 1"),
        ("model.config.layers.0.config.shape", [-1], "must be a positive integer"),
        ("model.config.layers.0.config.shape", [2**31], "must be a positive integer"),
        ("model.config.layers.0.config.shape", "ab", "must be a tuple"),
        ("model.config.layers.0.config.shape", 2, "must be a tuple"),
        (f"{DENSE}.units", 2**31 - 1, r"has shape \(2, 1\), the model needs \(2, 2147483647\)"),
        (f"{DENSE}.units", 2.0, "units must be a positive integer"),
        (f"{DENSE}.units", ..., "units"),
        (f"{DENSE}.name", "other", "has no array 'other/kernel'"),
        (f"{DENSE}.name", "a/b", "without '/'"),
        (f"{DENSE}.name", ["d"], "must be a non-empty string"),
        (f"{DENSE}.activation", "system", "unknown activation"),
        (f"{DENSE}.activation", {"class_name": "x"}, "must be described"),
        (f"{DENSE}.extra", 1, "extra"),
        (f"{DENSE}.kernel_initializer.class_name", "eval", "no class"),
        (f"{DENSE}.kernel_initializer.config", {"seed": -1}, "a seed must lie"),
        ("compile", 1, "'compile'"),
        ("compile.optimizer", None, "must be described"),
        ("compile.optimizer.class_name", "Adam", "momentum"),
        ("compile.optimizer.config.learning_rate", -1, "learning_rate must be"),
        ("compile.optimizer.config.learning_rate", "1", "learning_rate must be"),
        ("compile.optimizer.config.momentum", 0, r"its slots \['velocity'\] are not those of SGD"),
        ("compile.loss", 5, "must be described"),
        ("compile.loss.module", "convkit.metrics", "expected a Loss, found a MeanSquaredError"),
        ("compile.metrics", {}, "'metrics'"),
        ("training.steps", -1, "'steps' must lie in"),
        ("training.steps", 2**60, "'steps' must lie in"),
        ("training.steps", 1.0, "'steps'"),
        ("training.seed", 2**64, "a seed must lie"),
        ("training.iterations", ..., "'iterations'"),
        ("training.slots", ["velocity", "velocity"], "its slots"),
        ("training.slots", [], "has no place for: 'optimizer/velocity"),
    ],
)
def test_hostile_documents(where: str, value: Any, message: str, tmp_path: Path) -> None:
    model, data = small(tmp_path)
    arrays = safetensors.numpy.load(data)
    with safe_open(tmp_path / "small", "numpy") as opened:
        document = json.loads(opened.metadata()["convkit"])
    path = tmp_path / "bad"
    storage.write(path, document, arrays)
    assert_same_weights(model, load_model(path))
    storage.write(path, change(document, where, value), arrays)
    with pytest.raises(ValueError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("weights", ..., "'weights'"),
        ("weights", ["d/kernel"], "has 1 weights and the model has 2"),
        ("weights", ["d/kernel", 3], "has the weight 3 where the model has 'd/bias'"),
        ("weights", ["d/kernel", "e/bias"], "has no array 'e/bias'"),
        ("weights", ["d/bias", "d/kernel"], "has the weight 'd/bias' where"),
        ("version", 0, "version 0"),
    ],
)
def test_hostile_documents_of_weights(where: str, value: Any, message: str, tmp_path: Path) -> None:
    model, data = small(tmp_path)
    with safe_open(tmp_path / "small", "numpy") as opened:
        document = json.loads(opened.metadata()["convkit"])
    path = tmp_path / "bad"
    storage.write(path, change(document, where, value), safetensors.numpy.load(data))
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.load_weights(path)
    for mine, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", ""),
        ("[]", "no JSON object"),
        ('{"version": 1, "version": 1}', "the same key twice"),
        ('{"version": NaN}', "the number NaN"),
        ('{"version": -Infinity}', "the number -Infinity"),
        ('{"version": 1e999}', "the number 1e999, which is too large"),
        ('{"version": ' + "9" * 5000 + "}", ""),
        ("[" * 100_000, ""),
        ('{"a":' * 100_000, ""),
        ("", ""),
    ],
)
def test_hostile_json(text: str, message: str, tmp_path: Path) -> None:
    data = safetensors.numpy.save({"a": np.zeros(1, np.float32)}, {"convkit": text})
    (tmp_path / "bad").write_bytes(data)
    refuse(tmp_path / "bad", network(), message)


def test_a_hostile_file_gets_no_memory(tmp_path: Path) -> None:
    """The layers ask for 8 GB each; the limit on the address space is 2 GB above what is used."""
    script = textwrap.dedent(
        """
        import resource, sys
        import convkit
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2 * 10**9, used + 2 * 10**9))
        for path in sys.argv[1:]:
            try:
                convkit.models.load_model(path)
            except ValueError as error:
                assert path in str(error)
                print("refused")
        """
    )
    _, data = small(tmp_path)
    with safe_open(tmp_path / "small", "numpy") as opened:
        document = json.loads(opened.metadata()["convkit"])
    paths = []
    for kind, shape, config in [
        ("Dense", [2], {"units": 2**31 - 1}),
        ("BatchNormalization", [1, 1, 2**31 - 1], {"center": False, "scale": False}),
        ("BatchNormalization", [1, 1, 2**31 - 1], {}),
        ("Conv2D", [1, 1, 2**31 - 1], {"filters": 1, "kernel_size": 1}),
    ]:
        layer = {"module": "convkit.layers", "class_name": kind, "config": config}
        hostile = change(document, "model.config.layers.1", layer)
        hostile = change(hostile, "model.config.layers.0.config.shape", shape)
        paths.append(tmp_path / f"{len(paths)}")
        storage.write(paths[-1], hostile, safetensors.numpy.load(data))
    run = subprocess.run(
        [sys.executable, "-c", script, *paths], check=True, capture_output=True, text=True
    )
    assert run.stdout.split() == ["refused"] * len(paths)


def test_as_many_layers_as_a_file_likes(tmp_path: Path) -> None:
    _, data = small(tmp_path)
    with safe_open(tmp_path / "small", "numpy") as opened:
        document = json.loads(opened.metadata()["convkit"])
    flatten = {"module": "convkit.layers", "class_name": "Flatten", "config": {}}
    hostile = change(document, "model.config.layers", [flatten] * 10_001)
    storage.write(tmp_path / "bad", hostile, safetensors.numpy.load(data))
    with pytest.raises(ValueError, match="10001 layers, more than the 10000"):
        load_model(tmp_path / "bad")
