"""Files of models: an interrupted save does no harm, and nothing but a sound file is loaded."""

from __future__ import annotations

import json
import os
import pickle
import signal
import stat
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

from compare import assert_same_weights
from convkit.models import Sequential, load_model
from some_models import assert_refused, few_weights, saved_line

pytestmark = pytest.mark.usefixtures("one_thread")


# Writing.


def test_permissions_are_what_the_umask_says(tmp_path: Path) -> None:
    model = few_weights()
    former = os.umask(0o027)
    try:
        model.save(tmp_path / "m")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o640


def test_overwrite_false_keeps_the_file(tmp_path: Path) -> None:
    model = few_weights()
    model.save(tmp_path / "m", overwrite=False)
    before = (tmp_path / "m").read_bytes()
    for method in (model.save, model.save_weights):
        with pytest.raises(FileExistsError, match="overwrite=True"):
            method(tmp_path / "m", overwrite=False)
    assert (tmp_path / "m").read_bytes() == before


def test_folders_and_links(tmp_path: Path) -> None:
    model = few_weights()
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
    few_weights().save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()

    def fail(*arguments: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(error)):
        few_weights().save(tmp_path / "m")
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
            print(error.errno, error.filename, os.listdir(os.path.dirname(sys.argv[1])))
        """
    )
    run = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "m"], check=True, capture_output=True, text=True
    )
    assert run.stdout.split() == ["27", str(tmp_path / "m"), "[]"]  # EFBIG, an empty folder


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


def outcome(load: Callable[[Path], Any], path: Path) -> Any:
    """What was loaded, or the message of the one error that there may be."""
    try:
        return load(path)
    except ValueError as error:
        message = str(error)
    assert str(path) in message
    return message


def test_a_file_cut_off_at_any_byte(tmp_path: Path) -> None:
    model, data = saved_line(tmp_path)
    path = tmp_path / "cut"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        assert_refused(path, model)
    path.write_bytes(data + b"\0")
    assert_refused(path, model)
    path.write_bytes(data)
    assert_same_weights(model, load_model(path))


def test_a_file_with_any_byte_of_its_header_changed(tmp_path: Path) -> None:
    """It is refused, or it is a sound model: a letter of a name is not a fault that shows."""
    _, data = saved_line(tmp_path)
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
    model, data = saved_line(tmp_path)
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
        (b"PK\x03\x04" + b"\x14\0" * 50, "damaged, or no model of Keras"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "a damaged HDF5 file"),
        (b"\x93NUMPY" + b"\1\0v\0" * 20, r"a NumPy \.npy file"),
        (pickle.dumps(list(range(40))), "a pickle"),
    ],
)
def test_foreign_files(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "foreign").write_bytes(data)
    assert_refused(tmp_path / "foreign", few_weights(), message)


def test_real_files_of_others(tmp_path: Path) -> None:
    arrays = {"d/kernel": np.ones((2, 1), np.float32)}
    np.savez(tmp_path / "a.npz", **arrays)
    assert_refused(tmp_path / "a.npz", few_weights(), "a zip archive")
    safetensors.numpy.save_file(arrays, tmp_path / "b")
    assert_refused(tmp_path / "b", few_weights(), "a safetensors file that convkit did not write")
    os.mkfifo(tmp_path / "pipe")
    assert_refused(tmp_path / "pipe", few_weights(), "no regular file")
