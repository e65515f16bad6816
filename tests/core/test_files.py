"""What is no regular file is refused everywhere; what replaces a file is like it, or does not."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import convkit
from compare import assert_same_weights
from convkit.bench import style
from convkit.callbacks import CSVLogger, ModelCheckpoint
from convkit.core import files
from convkit.datasets import cache
from convkit.models import load_model
from some_models import few_weights

pytestmark = pytest.mark.usefixtures("one_thread", "in_time")


@pytest.fixture
def in_time() -> Iterator[None]:
    """Waiting for the other end of a pipe is an error after a minute."""

    def late(*_: Any) -> None:
        raise AssertionError("it waits")

    former = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


# What is no regular file.


def make_special(kind: str, path: Path) -> None:
    """A named pipe, a socket, or a device like /dev/zero, which never ends and takes everything."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.fspath(path))
    else:
        try:
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        except PermissionError:
            path.symlink_to("/dev/zero")  # which nobody but root can replace


def fitted(callback: convkit.callbacks.Callback) -> None:
    model = convkit.Sequential([convkit.Input((2,)), convkit.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit([[1.0, 2.0]], [1.0], verbose=0, callbacks=callback)


def read_data(path: Path) -> None:
    os.environ["CONVKIT_DATA"] = str(path.parent)
    cache.read(cache.DataFile(path.name, 10, ""))


def draw(path: Path) -> None:
    figure, _ = style.new_figure(1.0)
    style.save(figure, path, "", "")


USES: dict[str, Callable[[Path], Any]] = {
    "save": lambda path: few_weights().save(path),
    "save_weights": lambda path: few_weights().save_weights(path),
    "load_model": load_model,
    "load_weights": lambda path: few_weights().load_weights(path),
    "export": lambda path: convkit.onnx.export(few_weights(), path),
    "load": lambda path: convkit.onnx.load(path),
    "csv": lambda path: fitted(CSVLogger(path)),
    "csv, going on": lambda path: fitted(CSVLogger(path, append=True)),
    "checkpoint": lambda path: fitted(ModelCheckpoint(path)),
    "data set": read_data,
    "chart": draw,
}


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize("use", USES)
def test_what_is_no_regular_file_is_refused(
    use: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, needed in (("onnx", ("export", "load")), ("matplotlib", ("chart",))):
        if use in needed:
            pytest.importorskip(module, reason=f"{module} is not installed")
    monkeypatch.setenv("CONVKIT_DATA", "")  # so that it is put back
    path = tmp_path / "special.svg"
    make_special(kind, path)
    before = os.lstat(path)
    with pytest.raises(ValueError, match="is no regular file but a") as caught:
        USES[use](path)
    assert str(os.path.realpath(path)) in str(caught.value)
    assert os.lstat(path) == before
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("use", [name for name in USES if name != "data set"])
def test_a_folder_is_refused(use: str, tmp_path: Path) -> None:
    for module, needed in (("onnx", ("export", "load")), ("matplotlib", ("chart",))):
        if use in needed:
            pytest.importorskip(module, reason=f"{module} is not installed")
    (tmp_path / "models.svg").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder, and must be a file"):
        USES[use](tmp_path / "models.svg")
    assert os.listdir(tmp_path / "models.svg") == []


@pytest.mark.parametrize("name", ["models/", "models/.", "models/..", "there/", "there/.", ""])
def test_a_name_that_ends_as_a_folder_s_is_no_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for write in (files.write_atomically, lambda path, _: files.open_text_to_write(path)):
        with pytest.raises(IsADirectoryError, match="is a folder"):
            write(name, b"1")
    assert os.listdir(tmp_path) == ["there"]


def test_what_becomes_a_pipe_at_the_last_moment_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"1")
    os.mkfifo(tmp_path / "pipe")
    status = os.stat(tmp_path / "file")
    monkeypatch.setattr(os, "stat", lambda path: status)
    with pytest.raises(ValueError, match="no regular file but a named pipe"):
        files.open_regular(tmp_path / "pipe")


# What a file keeps.


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o777])
def test_a_file_that_is_replaced_keeps_its_mode(mode: int, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"")
    os.chmod(tmp_path / "m", mode)
    few_weights().save(tmp_path / "m")
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == mode


def test_what_is_to_be_private_is_so_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever could open the file before its mode is set could read it afterwards."""
    (tmp_path / "m").write_bytes(b"")
    os.chmod(tmp_path / "m", 0o600)
    seen = []
    real = os.fchmod

    def note(descriptor: int, mode: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        real(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", note)
    files.write_atomically(tmp_path / "m", b"1")
    assert seen == [0o600]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_a_file_that_is_replaced_keeps_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"")
    os.chown(path, 1234, 2345)
    os.chmod(path, 0o660)
    few_weights().save(path)
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 2345, 0o660)

    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)  # as for everybody else
    model = few_weights()
    model.save(path)
    assert path.stat().st_ino == status.st_ino, "overwritten in place"
    assert_same_weights(model, load_model(path))
    assert os.listdir(tmp_path) == ["m"]


def test_a_file_that_is_replaced_keeps_its_extended_attributes(tmp_path: Path) -> None:
    if not hasattr(os, "setxattr"):
        pytest.skip("this system's Python knows no extended attributes")
    (tmp_path / "m").write_bytes(b"")
    try:
        os.setxattr(tmp_path / "m", "user.origin", b"here")
    except OSError as error:
        pytest.skip(f"this file system has no extended attributes: {error}")
    few_weights().save(tmp_path / "m")
    assert os.getxattr(tmp_path / "m", "user.origin") == b"here"


def test_a_read_only_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "m.svg"
    path.write_bytes(b"precious")
    os.chmod(path, 0o444)
    for use in ("save", "save_weights", "csv", "csv, going on", "checkpoint"):
        with pytest.raises(PermissionError, match="is read-only") as caught:
            USES[use](path)
        assert str(path) in str(caught.value)
    assert path.read_bytes() == b"precious"
    assert os.listdir(tmp_path) == [path.name]


def test_a_file_with_two_names_keeps_both(tmp_path: Path) -> None:
    few_weights().save(tmp_path / "a")
    os.link(tmp_path / "a", tmp_path / "b")
    os.chmod(tmp_path / "a", 0o640)
    for model in (few_weights(), convkit.Sequential([convkit.Input((2,))])):
        model.save(tmp_path / "a")  # longer, then shorter than before
        assert os.path.samefile(tmp_path / "a", tmp_path / "b")
        assert_same_weights(model, load_model(tmp_path / "b"))
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_file_that_is_mounted_by_itself_is_overwritten_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As containers have them: nothing can be renamed over it."""

    def busy(*_: Any) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    (tmp_path / "m").write_bytes(b"before")
    inode = (tmp_path / "m").stat().st_ino
    monkeypatch.setattr(os, "replace", busy)
    files.write_atomically(tmp_path / "m", b"behind it")
    assert (tmp_path / "m").read_bytes() == b"behind it"
    assert (tmp_path / "m").stat().st_ino == inode
    assert os.listdir(tmp_path) == ["m"]
    with pytest.raises(OSError, match="busy"):
        files.write_atomically(tmp_path / "new", b"1")
    assert os.listdir(tmp_path) == ["m"]


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from convkit.core import files
    count, path = int(sys.argv[1]), sys.argv[2]

    def counted(real):
        def call(*arguments, **options):
            global count
            count -= 1
            if count < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)
        return call

    for name in ("open", "fsync", "pwrite", "replace", "unlink", "fstat", "fchmod"):
        setattr(os, name, counted(getattr(os, name)))
    files.write_atomically(path, [b"new" * 100_000] * 3)
    """
)


@pytest.mark.parametrize("names", [1, 2])
def test_a_save_that_is_killed_at_any_call_leaves_the_old_file_or_the_new_one(
    names: int, tmp_path: Path
) -> None:
    """And whatever else it leaves, the next save of the same file removes."""
    path = tmp_path / "m"
    old, new = b"old" * 200_000, b"new" * 300_000
    left, incomplete = set(), 0
    for count in range(100):
        path.write_bytes(old)
        if names == 2 and not (tmp_path / "n").exists():
            os.link(path, tmp_path / "n")
        run = subprocess.run([sys.executable, "-c", KILLED, str(count), path], check=False)
        incomplete += path.read_bytes() not in (old, new)
        for name in ("m", "n")[:names]:
            with files.open_regular(tmp_path / name) as file:
                left.add(file.read())
            content = (tmp_path / name).read_bytes()
            assert content in (old, new) or not files.is_whole(content)
        assert left <= {old, new}
        for temporary in tmp_path.glob(".convkit-*"):
            os.utime(temporary, (0, 0))  # an empty one might be a living process's otherwise
        files.write_atomically(path, b"next")
        assert sorted(os.listdir(tmp_path)) == ["m", "n"][:names]
        assert path.read_bytes() == b"next"
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL
    assert count > 6
    assert (incomplete > 2) == (names == 2), "what is written in place has its copy beside it"
    assert run.returncode == 0
    assert left == {old, new}


def test_the_temporary_files_of_living_processes_stay(tmp_path: Path) -> None:
    """Two that save the same file at once do not take each other's away."""
    path = tmp_path / "m"

    def pieces() -> Iterator[bytes]:
        yield b"first" * 10_000
        files.write_atomically(path, b"second")
        assert path.read_bytes() == b"second"
        assert len(os.listdir(tmp_path)) == 2
        yield b"end"

    files.write_atomically(path, pieces())
    assert path.read_bytes() == b"first" * 10_000 + b"end"
    assert os.listdir(tmp_path) == ["m"]


def test_the_temporary_files_of_other_targets_stay(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"1" * 100_000
        (stale,) = os.listdir(tmp_path)
        os.link(tmp_path / stale, tmp_path / "copy")

    files.write_atomically(tmp_path / "a", pieces())
    name = f".convkit-{files.zlib.crc32(b'a'):08x}-1-0123456789ab.tmp"
    os.rename(tmp_path / "copy", tmp_path / name)
    (tmp_path / f"{name}.mine").write_bytes(b"1")
    files.write_atomically(tmp_path / "b", b"1")
    assert len(os.listdir(tmp_path)) == 4
    files.write_atomically(tmp_path / "a", b"1")
    assert sorted(os.listdir(tmp_path)) == [f"{name}.mine", "a", "b"]


# What the system refuses.


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EIO])
def test_a_folder_that_cannot_be_synchronised_does_not_undo_a_save(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_fsync, real_open = os.fsync, os.open

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real_fsync(descriptor)

    def refusing_open(path: Any, *arguments: Any, **options: Any) -> int:
        if os.path.isdir(path):
            raise OSError(number, os.strerror(number), path)
        return real_open(path, *arguments, **options)

    for call, fake in (("fsync", fsync), ("open", refusing_open)):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fake)
            model = few_weights()
            model.save(tmp_path / call)
        assert_same_weights(model, load_model(tmp_path / call))


def test_no_room_for_a_log_names_it(tmp_path: Path) -> None:
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match=r"log\.csv") as caught:
            fitted(CSVLogger(tmp_path / "log.csv"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, former)
    assert caught.value.errno == errno.EFBIG
