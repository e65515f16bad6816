"""get_file: a file of the network in a folder of this machine, and what is in an archive."""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..core.config import flag
from ..core.warn import say
from ..datasets.cache import data_folder
from .arguments import choice, path_of, text_of

_HASHES = {32: "md5", 64: "sha256"}  # by their hexadecimal digits
_TIMEOUT = (10.0, 60.0)  # seconds for a connection, and for the next bytes
_CHUNK = 1 << 16
# What an archive may become: pixels and tables shrink to a tenth, and only a bomb to a hundredth.
_MOST_GROWTH, _ALWAYS = 100, 1 << 28
_ARCHIVES = {"auto": ("tar", "zip"), "tar": ("tar",), "zip": ("zip",), None: ()}


def get_file(
    fname: str | os.PathLike[str] | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """Download a file, unless it is there already.

    A file, and a folder of what was in an archive, appear under their names complete or not at all.
    Nothing in an archive is written outside its folder, links that lead out of it are refused, and
    so is one that grows to more than a hundred times its size.

    Args:
        fname: the name of the file; by default the last part of the address. Of an archive that is
            extracted, the name of the folder, if it has no ending.
        origin: the address.
        untar: as `extract`, for tar archives.
        md5_hash: of the file, in hexadecimal; as `file_hash`.
        file_hash: MD5 or SHA256 of the file, in hexadecimal. A file of another is not used.
        cache_subdir: the folder below `cache_dir`.
        hash_algorithm: "md5", "sha256", or "auto" for the one that has so many digits.
        extract: whether the file is an archive that is to be extracted.
        archive_format: "tar" (compressed or not), "zip", or "auto" for either.
        cache_dir: by default the folder of convkit's data sets, `$CONVKIT_DATA` or one in the
            user's cache folder.
        force_download: whether a file that is there is replaced.

    Returns:
        The path of the file; of an archive that was extracted, of the folder.

    Raises:
        ValueError: a wrong argument, a file with another hash, or an archive that is damaged or
            would write elsewhere.
        OSError: the file cannot be downloaded or written.
    """
    if not isinstance(origin, str) or not origin:
        raise ValueError(f"get_file needs origin, the address of the file, received {origin!r}")
    choice(archive_format, list(_ARCHIVES), "archive_format")
    choice(hash_algorithm, ("auto", "md5", "sha256"), "hash_algorithm")
    extract = flag(extract, "extract", "get_file") or flag(untar, "untar", "get_file")
    name = (
        os.path.basename(unquote(urlsplit(origin).path))
        if fname is None
        else path_of(fname, "fname")
    )
    if not name or name in (os.curdir, os.pardir) or os.path.basename(name) != name:
        raise ValueError(f"fname must be the name of a file and no path, received {name!r}")
    folder = Path(data_folder() if cache_dir is None else path_of(cache_dir, "cache_dir"))
    folder = folder.expanduser() / path_of(cache_subdir, "cache_subdir")
    folder.mkdir(parents=True, exist_ok=True)
    target, extracted = _places(folder, name, fname is not None, extract)
    known = _known_hash(md5_hash, file_hash, hash_algorithm)
    is_new = _fetch(origin, target, known, flag(force_download, "force_download", "get_file"))
    if not extract:
        return str(target)
    if is_new or not extracted.is_dir():
        _extract(target, extracted, _ARCHIVES["tar" if untar else archive_format])
    return str(extracted)


def _places(folder: Path, name: str, is_given: bool, extract: bool) -> tuple[Path, Path]:
    """Where the file goes, and what is in it; as Keras names them."""
    if not extract:
        return folder / name, folder
    if is_given and "." in name:
        return folder / name, folder / f"{name[: name.index('.')]}_extracted"
    return folder / f"{name}_archive", folder / name


def _known_hash(md5_hash: str | None, file_hash: str | None, algorithm: str) -> str | None:
    """The hash as pooch takes it."""
    if file_hash is None:
        file_hash, algorithm = md5_hash, "md5"
    if file_hash is None:
        return None
    text_of(file_hash, "file_hash")
    if algorithm == "auto":
        algorithm = _HASHES.get(len(file_hash), "")
    if algorithm not in _HASHES.values():
        raise ValueError(
            f"a hash is MD5 or SHA256, of 32 or 64 hexadecimal digits, received {file_hash!r}"
        )
    return f"{algorithm}:{file_hash.lower()}"


def _fetch(origin: str, target: Path, known_hash: str | None, anew: bool) -> bool:
    """Put the file in place; whether it was downloaded."""
    if target.exists() and not anew:
        if known_hash is None or _has_hash(target, known_hash):
            return False
        say(f"{target} has another hash, and is downloaded anew")
    say(f"Downloading data from {origin}")
    with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as scratch:
        arrived = Path(scratch) / "download"
        _downloader(origin)(origin, str(arrived), None)
        if known_hash is not None and not _has_hash(arrived, known_hash):
            raise ValueError(
                f"{origin} is incomplete or another file: {known_hash} is not its hash"
            )
        os.replace(arrived, target)
    return True


def _downloader(origin: str) -> Callable[[str, str, Any], None]:
    import pooch

    shows = sys.stderr.isatty()
    scheme = urlsplit(origin).scheme.lower()
    made: Callable[[str, str, Any], None]
    if scheme in ("http", "https"):
        made = pooch.HTTPDownloader(timeout=_TIMEOUT, chunk_size=_CHUNK, progressbar=shows)
    elif scheme == "ftp":
        made = pooch.FTPDownloader(timeout=_TIMEOUT[1], progressbar=shows)
    else:
        raise ValueError(f"origin must begin with https://, http:// or ftp://, received {origin!r}")
    return made


def _has_hash(path: Path, known_hash: str) -> bool:
    import pooch

    algorithm, _, value = known_hash.partition(":")
    return bool(pooch.file_hash(str(path), alg=algorithm) == value)


def _extract(archive: Path, folder: Path, formats: tuple[str, ...]) -> None:
    """Put what is in an archive into a folder, all or nothing."""
    with tempfile.TemporaryDirectory(prefix=".extract-", dir=folder.parent) as name:
        scratch = Path(name) / "content"
        scratch.mkdir()
        try:
            if "tar" in formats and tarfile.is_tarfile(archive):
                with tarfile.open(archive) as tar:
                    _extract_tar(tar, scratch, _most(archive))
            elif "zip" in formats and zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as packed:
                    _check_size(sum(each.file_size for each in packed.infolist()), _most(archive))
                    packed.extractall(scratch)
            else:
                raise ValueError(f"it is no archive of the formats {', '.join(formats)}")
        except OSError:
            raise
        except Exception as error:  # whatever the parsers of damaged archives raise
            raise ValueError(f"cannot extract {archive}: {error}") from error
        if folder.is_dir():
            shutil.rmtree(folder)
        os.replace(scratch, folder)


def _extract_tar(tar: tarfile.TarFile, folder: Path, most: int) -> None:
    size = 0
    for member in tar:
        size += member.size
        _check_size(size, most)
        if hasattr(tarfile, "data_filter"):
            # Of Python 3.12, 3.11.4 and 3.10.12: names and links that lead out of the folder are
            # errors, and there are no devices and no special rights.
            tar.extract(member, folder, **{"filter": "data"})  # type: ignore[arg-type]
        else:
            _extract_member(tar, member, folder)


def _extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """A file or a folder of an archive; ValueError for anything else, and for other places."""
    target = Path(os.path.abspath(folder / member.name.lstrip("/" + os.sep)))
    if not target.is_relative_to(os.path.abspath(folder)):
        raise ValueError(f"{member.name!r} would lie outside of the folder")
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    content = tar.extractfile(member) if member.isreg() else None
    if content is None:
        raise ValueError(
            f"{member.name!r} is no file and no folder, which Python {sys.version.split()[0]} "
            f"cannot extract safely; 3.12, 3.11.4 and 3.10.12 can"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        shutil.copyfileobj(content, file)


def _most(archive: Path) -> int:
    return max(_ALWAYS, _MOST_GROWTH * archive.stat().st_size)


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"it grows to more than {most:,} bytes, as a decompression bomb does")
