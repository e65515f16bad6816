"""Files: only regular ones are opened, and they are written as a whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import re
import stat
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import IO, TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from typing_extensions import Buffer

# The name of a temporary file: of what target (a checksum of its name), process, random digits.
_TEMPORARY = re.compile(rb"\.convkit-[0-9a-f]{8}-\d{1,10}-[0-9a-f]{12}\.tmp")
_UNLOCKED = 60.0  # seconds after which an empty temporary file without a lock is nobody's
# A file that is being overwritten in place begins so, and goes on with the name of the whole copy.
_MARK = b"\xff" * 8
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a file to read its bytes; what is no regular file is refused before it is opened.

    Raises:
        ValueError: a device, a named pipe or a socket.
        IsADirectoryError: a folder.
        OSError: the file cannot be opened.
    """
    name = os.fsdecode(path)
    _check_regular(name, os.stat(name))
    file = _open(name, os.O_RDONLY, "rb")
    try:
        copy = _copy_beside(name, file)
        if copy is None:
            return io.BufferedReader(file)
    except BaseException:
        file.close()
        raise
    file.close()
    return io.BufferedReader(_open(copy, os.O_RDONLY, "rb"))


def is_whole(content: bytes) -> bool:
    """Whether a file that was read in another way than by `open_regular` is not being overwritten.

    If it is, `open_regular` finds the copy.
    """
    return not content.startswith(_MARK)


def open_text_to_write(path: str | os.PathLike[str], append: bool = False) -> io.TextIOWrapper:
    """Open a file, new or old, to write UTF-8 text into it as it is: no other takes its place.

    Args:
        path: of the file. A symbolic link is followed.
        append: keep what is in it and write at its end.

    Raises:
        ValueError, IsADirectoryError, PermissionError: as `write_atomically`.
    """
    target, former = _target(path)
    # Emptied only when it is known to be a regular file, so not by O_TRUNC.
    if former is None:
        file = io.FileIO(target, "xb")
    else:
        flags = os.O_WRONLY | (os.O_APPEND if append else 0)
        file = _open(target, flags, "ab" if append else "wb")
    try:
        if not append:
            file.truncate(0)
        return io.TextIOWrapper(
            io.BufferedWriter(file), encoding="utf-8", errors="backslashreplace", newline=""
        )
    except BaseException:
        file.close()
        raise


def write_atomically(
    path: str | os.PathLike[str],
    data: bytes | memoryview | Iterable[Buffer],
    overwrite: bool = True,
) -> None:
    """Write a file, or leave what was there before.

    Everything goes into a temporary file in the same folder, and reaches the disk before that file
    takes the place of an older one in one step, with the older one's mode, owner and extended
    attributes. A symbolic link is followed. What a killed process left behind of an earlier attempt
    to write this file is removed.

    A file with several names (hard links), of an owner that this process cannot give files to, or
    mounted by itself, cannot be replaced and stay what it is: it is overwritten in place. Until
    that is done it begins with a mark by which `open_regular` finds the whole copy beside it.

    Args:
        path: of the file.
        data: its bytes, or several pieces, asked for one after the other.
        overwrite: whether there may be such a file.

    Raises:
        FileExistsError: `overwrite` is False and there is such a file.
        IsADirectoryError: there is a folder of that name, or the name ends as a folder's.
        PermissionError: the file may not be written, though its folder may.
        ValueError: there is something of that name that is no regular file.
        OSError: the system could not write it; no temporary file remains. The error names the file.
    """
    target, former = _target(path, overwrite)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", folder)
    pieces: Iterable[Buffer] = (data,) if isinstance(data, bytes | memoryview) else data
    # Its name is short, whatever the target's is, and no other process chooses the same.
    prefix = f".convkit-{zlib.crc32(os.fsencode(os.path.basename(target))):08x}-"
    temporary = os.path.join(folder, f"{prefix}{os.getpid()}-{os.urandom(6).hex()}.tmp")
    needed = _remove_stale(folder, prefix, target)
    try:
        _write_beside(temporary, target, former, pieces)
    except OSError as error:
        error.filename, error.filename2 = target, None
        raise
    _sync_folder(folder)
    if needed:
        _remove_stale(folder, prefix, target)


def _target(
    path: str | os.PathLike[str], overwrite: bool = True
) -> tuple[str, os.stat_result | None]:
    """The file that a path leads to, and what is known of it, if it may be written."""
    name = os.fsdecode(path)
    target = os.path.realpath(name)
    if os.path.basename(name) in ("", os.curdir, os.pardir):
        _refuse_folder(name or target)
    try:
        former = os.stat(target)
    except FileNotFoundError:
        return target, None
    _check_regular(target, former)
    if not overwrite:
        raise FileExistsError(errno.EEXIST, "is there; give overwrite=True to replace it", target)
    # Those who may write anything shall not by mistake write what is meant to stay as it is.
    if not former.st_mode & 0o222 or not os.access(
        target, os.W_OK, effective_ids=os.access in os.supports_effective_ids
    ):
        raise PermissionError(
            errno.EACCES, "is read-only; make it writable or choose another name", target
        )
    return target, former


def _check_regular(name: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        _refuse_folder(name)
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise ValueError(f"{name} is no regular file but {kind}; give the path of a file")


def _refuse_folder(name: str) -> NoReturn:
    raise IsADirectoryError(errno.EISDIR, "is a folder, and must be a file", name)


class _Call(partial[int]):
    """A call of `os.open` that passes for the path in it."""

    def __fspath__(self) -> str:
        return str(self.args[0])


def _open(name: str, flags: int, mode: str) -> io.FileIO:
    """Open a file that is there; ValueError if it is no regular file (any more).

    Without O_NONBLOCK a named pipe would be waited for. FileIO passes no flags of its user's on,
    and of an opener in Python an interrupt could lose the descriptor before FileIO has it. So
    FileIO itself makes the call: its opener, and what it gives that one, are made for each other.
    """
    call = _Call(os.open, name, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    file = io.FileIO(call, mode, opener=_Call.__call__)  # type: ignore[arg-type]
    try:
        _check_regular(name, os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def _write_beside(
    temporary: str, target: str, former: os.stat_result | None, pieces: Iterable[Buffer]
) -> None:
    """Write the pieces into a new file and put it, complete, in the target's place."""
    # Not by `tempfile`, whose files only their owner may read: for a new file the umask decides.
    # What replaces a private file is private from the beginning.
    opener = partial(os.open, mode=0o666 if former is None else 0o600)
    in_place = is_done = False
    try:
        with (
            open(temporary, "xb", opener=opener) as file,
            open(temporary, "rb") as held,  # with the lock, while the other is closed and renamed
        ):
            _lock(held, fcntl.LOCK_SH)
            for piece in pieces:
                file.write(piece)
            file.flush()
            in_place = former is not None and not _keep(file.fileno(), target, former)
            os.fsync(file.fileno())
            file.close()
            if not in_place:
                in_place = not _replace(temporary, target)
            if in_place:
                _overwrite(target, temporary)
            is_done = True
    except BaseException as error:
        # Where only the closing of a copy failed that is not needed any more, nothing is lost.
        if not (is_done and isinstance(error, OSError)):
            if not in_place or _copy_name(target) != os.path.basename(temporary):
                with suppress(OSError):
                    os.unlink(temporary)
            raise
    if in_place:
        with suppress(OSError):
            os.unlink(temporary)


def _keep(descriptor: int, target: str, former: os.stat_result) -> bool:
    """Give a new file what the target has besides its content; False if it cannot have it."""
    if former.st_nlink > 1:
        return False
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (former.st_uid, former.st_gid):
        try:
            os.fchown(descriptor, former.st_uid, former.st_gid)
        except OSError:
            return False
    if hasattr(os, "listxattr"):
        with suppress(OSError):  # a file system that has none of them
            for name in os.listxattr(target):
                with suppress(OSError):  # one that only the system may set
                    os.setxattr(descriptor, name, os.getxattr(target, name))
    os.fchmod(descriptor, stat.S_IMODE(former.st_mode))
    return True


def _replace(temporary: str, target: str) -> bool:
    """Put a file in another's place; False if that is a mount point, such as a container's."""
    try:
        os.replace(temporary, target)
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.EXDEV) or not os.path.exists(target):
            raise
        return False
    return True


def _overwrite(target: str, temporary: str) -> None:
    """Copy a file over another, which begins with a mark until all of it is there."""
    with _open(target, os.O_RDWR, "r+b") as file:
        _lock(file, fcntl.LOCK_EX)  # one after the other
        try:
            _copy_over(file, temporary)
        except BaseException:  # an interrupt, or a fault that may have passed
            _copy_over(file, temporary)
            raise


def _copy_over(file: io.FileIO, temporary: str) -> None:
    mark = _MARK + os.fsencode(os.path.basename(temporary))
    with open(temporary, "rb") as source:
        os.pwrite(file.fileno(), mark, 0)
        os.fsync(file.fileno())
        start = source.read(len(mark))  # of the content, written last, over the mark
        file.seek(len(mark))
        with open(file.fileno(), "wb", closefd=False) as buffered:
            from shutil import copyfileobj  # here, because few programs come so far

            copyfileobj(source, buffered, 1 << 20)
        os.fsync(file.fileno())
        os.pwrite(file.fileno(), start, 0)
        file.truncate(source.tell())
        os.fsync(file.fileno())


def _copy_name(name: str) -> str | None:
    """The name of the whole copy of a file that begins with the mark; None if it does not."""
    with suppress(OSError, ValueError), _open(name, os.O_RDONLY, "rb") as file:
        return _marked(file)
    return None


def _marked(file: io.FileIO) -> str | None:
    start = os.pread(file.fileno(), 64, 0)
    found = start.startswith(_MARK) and _TEMPORARY.match(start, len(_MARK))
    return os.fsdecode(found.group()) if found else None


def _copy_beside(name: str, file: io.FileIO) -> str | None:
    """The path of the whole copy, if a file begins with the mark and the copy is there."""
    marked = _marked(file)
    copy = marked and os.path.join(os.path.dirname(os.path.realpath(name)), marked)
    return copy if copy and os.path.exists(copy) else None


def _lock(file: IO[bytes] | io.FileIO, kind: int) -> None:
    """Let others know that this file is in use."""
    with suppress(OSError):  # a file system without locks
        fcntl.flock(file, kind)


def _remove_stale(folder: str, prefix: str, target: str) -> bool:
    """Remove the temporary files that were to be the target and that nobody writes any more.

    Returns:
        Whether one stays because the target is incomplete without it.
    """
    names: list[str] = []
    with suppress(OSError), os.scandir(folder) as entries:
        names = [each.name for each in entries if each.name.startswith(prefix)]
    needed = _copy_name(target) if names else None
    for name in names:
        if name == needed or not _TEMPORARY.fullmatch(os.fsencode(name)):
            continue
        path = os.path.join(folder, name)
        with suppress(OSError, ValueError), _open(path, os.O_RDONLY, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(file.fileno())
            # One that is empty may have been made a moment ago, to be locked in the next.
            if status.st_size or status.st_mtime < time.time() - _UNLOCKED:
                os.unlink(path)
    return needed in names


def _sync_folder(folder: str) -> None:
    """Let a new name reach the disk. Where a folder cannot be synchronised, nothing is lost."""
    held: list[int] = []
    try:
        try:
            with suppress(OSError):
                # By `map`, so that no interrupt comes between a descriptor and this list.
                held.extend(map(os.open, (folder,), (os.O_RDONLY | os.O_CLOEXEC,)))
                os.fsync(held[0])
        finally:
            _close_all(held)
    finally:  # for an interrupt in the line above; no file object of Python's takes a folder
        _close_all(held)


def _close_all(held: list[int]) -> None:
    while held:
        with suppress(OSError):
            list(map(os.close, map(held.pop, (-1,))))
