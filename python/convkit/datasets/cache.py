"""The folder of data sets: where it is, how it is filled, what may be read from it.

Nothing is believed because of where it lies. `read` hands out a file's raw content (decompressed,
where the file is a .gz) only if its size and sha256 are the known ones, so a parser never sees
other bytes than those it was written for. `fetch` downloads what is missing, from one mirror after
the other. A file appears under its name complete or not at all: it is written beside its place,
flushed to the disk and then moved. Two processes that fetch the same file at once do no harm.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from ..core.files import open_regular, write_atomically

# ((x_train, y_train), (x_test, y_test)). All are uint8, but typed as anything, because scripts go
# on with `x_train = x_train.astype("float32") / 255`: the same name for another type.
DataSet = tuple[tuple[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]

FOLDER_VARIABLE = "CONVKIT_DATA"

# Seconds to wait for a connection, and for the next bytes on one that stands.
_TIMEOUT = (10.0, 60.0)
_CHUNK = 1 << 16


@dataclass(frozen=True)
class DataFile:
    """A file of the data folder.

    Attributes:
        path: where it lies in the data folder, with forward slashes. A name that ends in `.gz` is
            a gzip file.
        size: bytes of the raw (decompressed) content.
        sha256: of the raw content, in hexadecimal.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Download:
    """A file on the mirrors: a data file as it is, or a `.tar.gz` archive of several.

    Attributes:
        urls: where to ask for it, first choice first.
        size: bytes of the file as it is sent; a mirror that sends more is cut off.
        known_hash: `"md5:..."` or `"sha256:..."` of the file as it is sent.
    """

    urls: tuple[str, ...]
    size: int
    known_hash: str


def data_folder() -> Path:
    """The folder of all data sets: `$CONVKIT_DATA`, else `convkit` in the user's cache folder."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("convkit"))


def read(file: DataFile) -> bytes:
    """The verified raw content of a file in the data folder.

    At most one byte more than the expected size is ever decompressed.

    Raises:
        ValueError: the content is damaged, or not the expected one, or it is no regular file.
        FileNotFoundError: the file is not there (`fetch` it first).
    """
    path = data_folder() / file.path
    with open_regular(path) as handle:
        return _verified(
            handle,
            file,
            str(path),
            "Delete the file and call load_data() again to download it anew, or put the official "
            "file in its place.",
        )


def fetch(download: Download, files: Sequence[DataFile]) -> None:
    """Download whatever of `files` is not in the data folder; without need, touch no network.

    Arguments:
        download: the one file that is `files`, or the archive that holds all of them under the
            last two parts of their paths.
        files: files of one folder.

    Raises:
        FileNotFoundError: a file is missing and no mirror delivers it.
        ValueError: the archive lacks a file, or holds another content under its name.
    """
    folder = data_folder()
    missing = [file for file in files if not (folder / file.path).exists()]
    if not missing:
        return
    target = (folder / missing[0].path).parent
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=target) as name:
        scratch = Path(name)
        arrived = _retrieve(download, scratch, folder, missing)
        if download.urls[0].endswith(".tar.gz"):
            _place_members(arrived, missing, folder)
        else:
            write_atomically(folder / missing[0].path, arrived.read_bytes())


def _verified(handle: IO[bytes], file: DataFile, name: str, advice: str) -> bytes:
    """Read the raw content of `file` from `handle`; an error message has the name and advice."""
    compressed = file.path.endswith(".gz")
    # Even data that cannot be compressed grow by less than a thousandth in a gzip file.
    limit = file.size + (file.size // 1000 + 1024 if compressed else 0)
    raw = handle.read(limit + 1)
    problem = ""
    if compressed:
        raw, problem = _decompressed(raw, file.size)
    if not problem and len(raw) > file.size:
        problem = f"it holds more than the expected {file.size:,} bytes"
    elif not problem and len(raw) < file.size:
        problem = f"it is truncated: {len(raw):,} of {file.size:,} bytes"
    elif not problem:
        digest = hashlib.sha256(raw).hexdigest()
        if digest != file.sha256:
            problem = f"its content is not the expected one (sha256 {digest})"
    if problem:
        raise ValueError(
            f"{name}: {problem}. Expected {file.size:,} bytes of raw content with sha256 "
            f"{file.sha256}. {advice}"
        )
    return raw


def _decompressed(content: bytes, size: int) -> tuple[bytes, str]:
    """Up to `size + 1` bytes of a gzip stream, and what is wrong with it ("" if nothing is)."""
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        raw = stream.decompress(content, size + 1)
    except zlib.error as error:
        return b"", f"it is not an intact gzip file ({error})"
    if len(raw) <= size and not stream.eof:
        return raw, f"it is truncated: its gzip stream breaks off after {len(raw):,} bytes"
    return raw, ""


def _retrieve(download: Download, scratch: Path, folder: Path, missing: Sequence[DataFile]) -> Path:
    """Download into `scratch` from the first mirror that delivers the right bytes."""
    import pooch

    failures = []
    for url in download.urls:
        http = pooch.HTTPDownloader(
            timeout=_TIMEOUT, chunk_size=_CHUNK, progressbar=sys.stderr.isatty()
        )
        try:
            path = pooch.retrieve(
                url,
                known_hash=download.known_hash,
                fname="download",
                path=scratch,
                downloader=_bounded(http, download.size),
            )
            return Path(path)
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            failures.append(f"  {url}\n    {type(error).__name__}: {_reason(error)}")
    paths = [folder / file.path for file in missing]  # of one folder, which is said once
    names = ", ".join([str(paths[0]), *(path.name for path in paths[1:])])
    raise FileNotFoundError(
        f"{names}: not there, and no mirror delivered it:\n" + "\n".join(failures) + "\n"
        f"Try again with a network connection, put the official files there yourself, or set "
        f"{FOLDER_VARIABLE} to a folder that has them."
    )


def _reason(error: Exception) -> str:
    """What went wrong; of "max retries exceeded" only the reason within tells it."""
    return str(getattr(next(iter(error.args), None), "reason", error))


def _bounded(http: Any, limit: int) -> Callable[[str, str, Any], None]:
    """A pooch downloader that gives up on a mirror which sends more than `limit` bytes."""

    def download(url: str, output_file: str, pooch: Any) -> None:
        with open(output_file, "wb") as handle:
            http(url, _BoundedFile(handle, limit), pooch)

    return download


class _BoundedFile:
    """As much of a writable file as a downloader needs."""

    def __init__(self, handle: IO[bytes], limit: int) -> None:
        self._handle = handle
        self._limit = limit
        self._written = 0

    def write(self, piece: bytes) -> int:
        self._written += len(piece)
        if self._written > self._limit:
            raise ValueError(f"the mirror sends more than the expected {self._limit:,} bytes")
        return self._handle.write(piece)

    def flush(self) -> None:
        self._handle.flush()


def _place_members(archive: Path, wanted: Sequence[DataFile], folder: Path) -> None:
    """Put the wanted members of a .tar.gz in place; nothing else in it is looked at.

    The archive is never extracted: its own paths, links and permissions have no say in what is
    written where.
    """
    members = {"/".join(file.path.split("/")[-2:]): file for file in wanted}
    with tarfile.open(archive, "r|gz") as stream:
        for member in stream:
            file = members.get(member.name)
            if file is None:
                continue
            content = stream.extractfile(member) if member.isreg() else None
            if content is None:
                raise ValueError(f"{member.name} in the archive is not a regular file")
            with content:
                raw = _verified(
                    content,
                    file,
                    f"{member.name} in the archive",
                    f"Put the official file in {(folder / file.path).parent} yourself.",
                )
            write_atomically(folder / file.path, raw)
            del members[member.name]
    if members:
        raise ValueError(f"the archive lacks {', '.join(members)}; expected all of them in it")
