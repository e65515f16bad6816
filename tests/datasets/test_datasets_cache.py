"""The data folder: what is read, what is downloaded, and what is refused.

Made-up files of a few bytes stand for the large ones; a server on this machine stands for the
mirrors.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from convkit.datasets import cache
from made_up_data import CONTENT, archive_of, offer, plain, put, zipped

# ------------------------------------------------------------------------------ the data folder


def test_folder_is_the_one_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVKIT_DATA", "~/somewhere")
    assert cache.data_folder() == Path.home() / "somewhere"


@pytest.mark.parametrize("value", [None, ""])
def test_folder_is_the_users_cache_otherwise(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv("CONVKIT_DATA", raising=False)
    else:
        monkeypatch.setenv("CONVKIT_DATA", value)
    pooch = pytest.importorskip("pooch")
    assert cache.data_folder() == Path(pooch.os_cache("convkit"))


# ------------------------------------------------------------------------------ reading


def test_read_plain_and_compressed(data_folder: Path) -> None:
    put(data_folder, "set/a.bin", CONTENT)
    put(data_folder, "set/a.gz", gzip.compress(CONTENT))
    assert cache.read(plain()) == CONTENT
    assert cache.read(zipped()) == CONTENT


def test_read_a_gzip_file_that_compression_made_larger(data_folder: Path) -> None:
    content = np.random.default_rng(0).bytes(100_000)
    put(data_folder, "set/a.gz", gzip.compress(content, compresslevel=0))
    assert cache.read(zipped(content=content)) == content


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        (plain(), b"", "truncated: 0 of 2,048 bytes"),
        (plain(), CONTENT[:-1], "truncated: 2,047 of 2,048 bytes"),
        (plain(), CONTENT + b"\0", "more than the expected 2,048 bytes"),
        (plain(), CONTENT[:-1] + b"\0", "not the expected one"),
        (zipped(), b"", "truncated"),
        (zipped(), gzip.compress(CONTENT, mtime=0)[:-1], "truncated"),
        (zipped(), gzip.compress(CONTENT, mtime=0)[:40], "truncated"),
        (zipped(), gzip.compress(CONTENT[:-1], mtime=0), "truncated: 2,047 of 2,048 bytes"),
        (zipped(), gzip.compress(CONTENT + b"\0", mtime=0), "more than the expected 2,048 bytes"),
        (zipped(), gzip.compress(CONTENT[::-1], mtime=0), "not the expected one"),
        (zipped(), b"<html>Not found</html>", "not an intact gzip file"),
        (zipped(), gzip.compress(CONTENT, mtime=0)[:-8] + bytes(8), "not an intact gzip file"),
    ],
)
def test_read_damaged(
    data_folder: Path, file: cache.DataFile, content: bytes, complaint: str
) -> None:
    path = put(data_folder, file.path, content)
    with pytest.raises(ValueError, match=complaint) as caught:
        cache.read(file)
    message = str(caught.value)
    assert str(path) in message
    assert file.sha256 in message
    assert "Delete the file" in message


def test_read_missing(data_folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.gz"):
        cache.read(zipped())


@pytest.mark.parametrize("compress", [True, False])
def test_read_does_not_swallow_a_bomb(data_folder: Path, compress: bool) -> None:
    huge = bytes(50_000_000)
    file = zipped() if compress else plain()
    put(data_folder, file.path, gzip.compress(huge) if compress else huge)
    del huge
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than the expected"):
            cache.read(file)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_is_there_needs_no_network(data_folder: Path, no_pooch: None) -> None:
    put(data_folder, "set/a.gz", gzip.compress(CONTENT))
    cache.fetch(cache.Download(("https://nowhere.invalid/a.gz",), 1, "md5:0"), [zipped()])
    assert cache.read(zipped()) == CONTENT


def test_download(data_folder: Path, mirror: SimpleNamespace) -> None:
    content = gzip.compress(CONTENT)
    mirror.files["/one/a.gz"] = content
    cache.fetch(offer(mirror, content, "/one/a.gz", "/two/a.gz"), [zipped()])
    assert cache.read(zipped()) == CONTENT
    assert (data_folder / "set/a.gz").read_bytes() == content
    assert mirror.asked == ["/one/a.gz"]
    assert [path.name for path in (data_folder / "set").iterdir()] == ["a.gz"]  # no scratch left


def test_a_downloaded_file_has_the_usual_permissions(
    data_folder: Path, mirror: SimpleNamespace
) -> None:
    content = gzip.compress(CONTENT)
    mirror.files["/a.gz"] = content
    cache.fetch(offer(mirror, content, "/a.gz"), [zipped()])
    usual = put(data_folder, "usual", b"").stat().st_mode
    assert (data_folder / "set/a.gz").stat().st_mode == usual


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/missing/a.gz", None),
        ("/other/a.gz", gzip.compress(CONTENT[::-1], mtime=0)),
        ("/short/a.gz", gzip.compress(CONTENT, mtime=0)[:-5]),
        ("/cut/a.gz", gzip.compress(CONTENT, mtime=0)[:-5]),
        ("/endless/a.gz", gzip.compress(CONTENT) + bytes(1_000_000)),
    ],
)
def test_the_next_mirror_is_asked(
    data_folder: Path, mirror: SimpleNamespace, path: str, sent: bytes | None
) -> None:
    content = gzip.compress(CONTENT)
    mirror.files["/good/a.gz"] = content
    if sent is not None:
        mirror.files[path] = sent
    cache.fetch(offer(mirror, content, path, "/good/a.gz"), [zipped()])
    assert cache.read(zipped()) == CONTENT
    assert mirror.asked == [path, "/good/a.gz"]


def test_no_mirror_delivers(data_folder: Path, mirror: SimpleNamespace) -> None:
    content = gzip.compress(CONTENT)
    mirror.files["/two/a.gz"] = content + b"more"
    with pytest.raises(FileNotFoundError) as caught:
        cache.fetch(offer(mirror, content, "/one/a.gz", "/two/a.gz"), [zipped()])
    message = str(caught.value)
    assert str(data_folder / "set/a.gz") in message
    assert f"{mirror.url}/one/a.gz" in message
    assert "404" in message
    assert f"{mirror.url}/two/a.gz" in message
    assert f"more than the expected {len(content)} bytes" in message
    assert "CONVKIT_DATA" in message
    assert list((data_folder / "set").iterdir()) == []


def test_without_a_network_the_message_is_short(data_folder: Path) -> None:
    nowhere = cache.Download(("http://127.0.0.1:9/all.tar.gz",), 1, "md5:0")
    with pytest.raises(FileNotFoundError) as caught:
        cache.fetch(nowhere, [plain(f"set/{name}.bin") for name in "abc"])
    message = str(caught.value)
    assert message.startswith(f"{data_folder / 'set/a.bin'}, b.bin, c.bin: not there")
    assert "Connection refused" in message
    assert "Max retries" not in message


def test_two_processes_fetch_at_once(data_folder: Path, mirror: SimpleNamespace) -> None:
    content = np.random.default_rng(0).bytes(3_000_000)
    mirror.files["/a.bin"] = content
    file = plain(content=content)
    program = (
        "from convkit.datasets import cache\n"
        f"file = cache.DataFile({file.path!r}, {file.size}, {file.sha256!r})\n"
        f"cache.fetch(cache.Download(({mirror.url + '/a.bin'!r},), {file.size}, "
        f"'sha256:{file.sha256}'), [file])\n"
        "cache.read(file)\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    assert cache.read(file) == content
    assert os.listdir(data_folder / "set") == ["a.bin"]


# ------------------------------------------------------------------------------ archives


MEMBERS = {f"batches/{name}.bin": name.encode() * 100 for name in "abc"}


@pytest.fixture
def fetch_archive(
    data_folder: Path, mirror: SimpleNamespace
) -> Callable[[bytes], tuple[cache.DataFile, ...]]:
    """Fetch the files of MEMBERS from an archive of the given bytes."""

    def fetch(content: bytes) -> tuple[cache.DataFile, ...]:
        mirror.files["/all.tar.gz"] = content
        files = tuple(plain(f"set/{name}", member) for name, member in MEMBERS.items())
        cache.fetch(offer(mirror, content, "/all.tar.gz"), files)
        return files

    return fetch


def test_archive(
    data_folder: Path, fetch_archive: Callable[..., Any], mirror: SimpleNamespace
) -> None:
    content = archive_of({"batches/readme.html": b"x", **MEMBERS, "../outside": b"y"})
    files = fetch_archive(content)
    assert [cache.read(file) for file in files] == list(MEMBERS.values())
    assert sorted(os.listdir(data_folder / "set/batches")) == ["a.bin", "b.bin", "c.bin"]
    assert not list(data_folder.rglob("outside"))
    mirror.files.clear()
    fetch_archive(content)
    assert mirror.asked == ["/all.tar.gz"]


def test_archive_fills_only_the_gaps(data_folder: Path, fetch_archive: Callable[..., Any]) -> None:
    mine = put(data_folder, "set/batches/b.bin", b"mine")
    files = fetch_archive(archive_of(MEMBERS))
    assert mine.read_bytes() == b"mine"
    assert cache.read(files[0]) == MEMBERS["batches/a.bin"]
    with pytest.raises(ValueError, match=r"b\.bin"):
        cache.read(files[1])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (archive_of({**MEMBERS, "batches/b.bin": b"b" * 99}), "truncated: 99 of 100 bytes"),
        (archive_of({**MEMBERS, "batches/b.bin": b"b" * 101}), "more than the expected 100"),
        (archive_of({**MEMBERS, "batches/b.bin": b"c" * 100}), "not the expected one"),
        (archive_of({"batches/a.bin": b"a" * 100}), r"lacks batches/b\.bin, batches/c\.bin"),
        (
            archive_of({}, links={"batches/b.bin": "/etc/hostname"}),
            r"batches/b\.bin in the archive is not a regular file",
        ),
    ],
)
def test_archive_with_wrong_members(
    data_folder: Path, fetch_archive: Callable[..., Any], content: bytes, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        fetch_archive(content)
    left = {path.name for path in (data_folder / "set/batches").iterdir()}
    assert left <= {"a.bin"}  # the member before the wrong one is whole and may stay
