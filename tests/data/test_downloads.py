"""get_file: downloads, hashes, and archives that do no harm."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from convkit.data import downloads
from convkit.utils import get_file


@pytest.fixture
def fetched(mirror: SimpleNamespace, tmp_path: Path) -> Callable[..., Path]:
    """Calls get_file for a file of the web server, in a folder of the test."""

    def get(content: bytes, name: str = "a.bin", **options: Any) -> Path:
        mirror.files[f"/{name}"] = content
        options = {"origin": f"{mirror.url}/{name}", "cache_dir": tmp_path, **options}
        return Path(get_file(**options))

    return get


def test_a_file_is_downloaded_once(
    fetched: Callable[..., Path], mirror: SimpleNamespace, tmp_path: Path
) -> None:
    path = fetched(b"one")
    assert path == tmp_path / "datasets" / "a.bin"
    assert path.read_bytes() == b"one"
    assert fetched(b"two").read_bytes() == b"one"
    assert fetched(b"two", force_download=True).read_bytes() == b"two"
    assert len(mirror.asked) == 2
    other = fetched(b"three", fname="b.txt", cache_subdir="x/y")
    assert other == tmp_path / "x" / "y" / "b.txt"
    assert sorted(each.name for each in (tmp_path / "datasets").iterdir()) == ["a.bin"]


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_hashes_are_held_against_files_old_and_new(
    fetched: Callable[..., Path], algorithm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    known = hashlib.new(algorithm, b"right").hexdigest()
    with pytest.raises(ValueError, match="incomplete or another file"):
        fetched(b"wrong", file_hash=known)
    path = fetched(b"old")
    assert fetched(b"right", file_hash=known.upper(), hash_algorithm=algorithm) == path
    assert path.read_bytes() == b"right"
    assert "has another hash, and is downloaded anew" in capsys.readouterr().out
    with pytest.raises(ValueError, match="incomplete or another file"):
        fetched(b"worse", file_hash=known, force_download=True)
    assert path.read_bytes() == b"right"
    if algorithm == "md5":
        assert fetched(b"right", md5_hash=known) == path


def tarred(members: dict[str, bytes], kind: str = "w:gz", **link: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=kind) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in link.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return file.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.fixture(params=[True, False], ids=["with_filters", "without_filters"])
def tarfile_filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """tarfile as it is, and as of Python 3.11.3 and older."""
    if not request.param:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)


@pytest.mark.usefixtures("tarfile_filters")
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_archives_are_extracted(fetched: Callable[..., Path], kind: str, tmp_path: Path) -> None:
    members = {"flowers/a.txt": b"a", "flowers/b/c.txt": b"c", "/d.txt": b"d"}
    content = (
        zipped(members) if kind == "zip" else tarred(members, "w" if kind == "tar" else "w:gz")
    )
    folder = fetched(content, f"x.{kind}", extract=True)
    assert folder == tmp_path / "datasets" / f"x.{kind}"
    assert (folder / "flowers" / "b" / "c.txt").read_bytes() == b"c"
    assert (folder / "d.txt").read_bytes() == b"d"
    assert (tmp_path / "datasets" / f"x.{kind}_archive").is_file()
    named = fetched(content, f"x.{kind}", fname="own", untar=kind != "zip", extract=kind == "zip")
    assert named == tmp_path / "datasets" / "own"
    ending = fetched(content, f"x.{kind}", fname="own.big.tgz", extract=True)
    assert ending == tmp_path / "datasets" / "own_extracted"
    (ending / "flowers" / "a.txt").write_bytes(b"changed")
    assert fetched(content, f"x.{kind}", fname="own.big.tgz", extract=True) == ending
    assert (ending / "flowers" / "a.txt").read_bytes() == b"changed"


@pytest.mark.usefixtures("tarfile_filters")
@pytest.mark.parametrize(
    "content",
    [
        tarred({"../out.txt": b"x"}),
        tarred({}, link="../../out.txt"),
        tarred({}, link="/etc/passwd"),
        b"no archive",
        tarred({"a": b"x" * 5000})[:60],
        zipped({"a": b"x" * 5000})[:-3],
    ],
    ids=["outside", "link", "absolute_link", "text", "cut_tar", "cut_zip"],
)
def test_archives_that_do_harm_are_refused(
    fetched: Callable[..., Path], content: bytes, tmp_path: Path
) -> None:
    with pytest.raises((ValueError, OSError)):
        fetched(content, "x.tgz", extract=True)
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["datasets", "x.tgz_archive"]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_archives_that_grow_are_refused(
    fetched: Callable[..., Path], pack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_ALWAYS", 100_000)
    with pytest.raises(ValueError, match="as a decompression bomb does"):
        fetched(pack({"a": bytes(10_000_000)}), "x", extract=True)


def test_wrong_arguments_are_refused(
    fetched: Callable[..., Path], mirror: SimpleNamespace, tmp_path: Path
) -> None:
    for options, words in (
        ({"origin": None}, "needs origin"),
        ({"origin": "file:///etc/passwd"}, "must begin with https"),
        ({"fname": "../x"}, "no path"),
        ({"archive_format": "rar"}, "archive_format must be"),
        ({"file_hash": "abc"}, "32 or 64 hexadecimal digits"),
    ):
        with pytest.raises(ValueError, match=words):
            fetched(b"", **options)
    with pytest.raises(OSError, match="404"):
        get_file(origin=f"{mirror.url}/none", cache_dir=tmp_path)
