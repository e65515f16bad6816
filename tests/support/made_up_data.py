"""Made-up files of a few bytes for the tests of the data sets, and where they are put."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from types import SimpleNamespace

from convkit.datasets import cache

CONTENT = bytes(range(256)) * 8


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def plain(path: str = "set/a.bin", content: bytes = CONTENT) -> cache.DataFile:
    return cache.DataFile(path, len(content), sha256(content))


def zipped(path: str = "set/a.gz", content: bytes = CONTENT) -> cache.DataFile:
    return cache.DataFile(path, len(content), sha256(content))


def archive_of(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A .tar.gz with regular files and symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, destination in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type = tarfile.SYMTYPE
            info.linkname = destination
            archive.addfile(info)
    return buffer.getvalue()


def put(folder: Path, path: str, content: bytes) -> Path:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


# ------------------------------------------------------------------------------ downloading


def offer(mirror: SimpleNamespace, content: bytes, *paths: str) -> cache.Download:
    """A download of `content` from the given paths, in this order."""
    urls = tuple(mirror.url + path for path in paths)
    return cache.Download(urls, len(content), f"md5:{md5(content)}")
