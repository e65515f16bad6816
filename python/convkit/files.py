"""Writing a file as a whole or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import suppress


def write_atomically(
    path: str | os.PathLike[str], data: bytes | memoryview, overwrite: bool = True
) -> None:
    """Write a file, or leave what was there before.

    Everything goes into a temporary file in the same folder, and reaches the disk before that file
    takes the place of an older one in one step. A symbolic link is followed.

    Raises:
        FileExistsError: `overwrite` is False and there is such a file.
        OSError: the system could not write it; no temporary file remains.
    """
    target = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(target)
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, "is a folder, and must be a file", target)
    if not overwrite and os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "is there; give overwrite=True to replace it", target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", folder)
    # Its name is short, whatever the target's is, and no other process chooses the same.
    temporary = os.path.join(folder, f".convkit-{os.getpid()}-{os.urandom(6).hex()}.tmp")
    try:
        # Not by `tempfile`, whose files only their owner may read: here the umask decides.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)  # the new name, too, is on the disk
        finally:
            os.close(directory)
