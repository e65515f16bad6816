"""The data sets: right arrays from right files, and a clear error for every kind of wrong ones.

Made-up files of a few bytes stand for the large ones; a server on this machine stands for the
mirrors. The tests on the real files run where `$CONVKIT_DATA` has them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from convkit import datasets
from convkit.datasets import cache, cifar10, digits, fashion_mnist, idx, mnist

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


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("CONVKIT_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def no_pooch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing pooch, the way to the network, is an error."""
    monkeypatch.setitem(sys.modules, "pooch", None)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every download fails as it does without a network."""
    pooch = pytest.importorskip("pooch")

    def retrieve(url: str, **_: Any) -> str:
        raise ConnectionError(f"no route to {url}")

    monkeypatch.setattr(pooch, "retrieve", retrieve)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A web server: `files` maps paths to contents, `asked` lists the paths asked for."""
    files: dict[str, bytes] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            announced = len(content) + (1000 if "/cut/" in self.path else 0)
            self.send_header("Content-Length", str(announced))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield SimpleNamespace(
        url=f"http://127.0.0.1:{server.server_address[1]}", files=files, asked=asked
    )
    server.shutdown()
    server.server_close()
    thread.join()


def put(folder: Path, path: str, content: bytes) -> Path:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


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


def test_read_plain_and_compressed(folder: Path) -> None:
    put(folder, "set/a.bin", CONTENT)
    put(folder, "set/a.gz", gzip.compress(CONTENT))
    assert cache.read(plain()) == CONTENT
    assert cache.read(zipped()) == CONTENT


def test_read_a_gzip_file_that_compression_made_larger(folder: Path) -> None:
    content = np.random.default_rng(0).bytes(100_000)
    put(folder, "set/a.gz", gzip.compress(content, compresslevel=0))
    assert cache.read(zipped(content=content)) == content


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        (plain(), b"", "truncated: 0 of 2,048 bytes"),
        (plain(), CONTENT[:-1], "truncated: 2,047 of 2,048 bytes"),
        (plain(), CONTENT + b"\0", "more than the expected 2,048 bytes"),
        (plain(), CONTENT[:-1] + b"\0", "not the expected one"),
        (zipped(), b"", "truncated"),
        (zipped(), gzip.compress(CONTENT)[:-1], "truncated"),
        (zipped(), gzip.compress(CONTENT)[:40], "truncated"),
        (zipped(), gzip.compress(CONTENT[:-1]), "truncated: 2,047 of 2,048 bytes"),
        (zipped(), gzip.compress(CONTENT + b"\0"), "more than the expected 2,048 bytes"),
        (zipped(), gzip.compress(CONTENT[::-1]), "not the expected one"),
        (zipped(), b"<html>Not found</html>", "not an intact gzip file"),
        (zipped(), gzip.compress(CONTENT)[:-8] + bytes(8), "not an intact gzip file"),
    ],
)
def test_read_damaged(folder: Path, file: cache.DataFile, content: bytes, complaint: str) -> None:
    path = put(folder, file.path, content)
    with pytest.raises(ValueError, match=complaint) as caught:
        cache.read(file)
    message = str(caught.value)
    assert str(path) in message
    assert file.sha256 in message
    assert "Delete the file" in message


def test_read_missing(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.gz"):
        cache.read(zipped())


@pytest.mark.parametrize("compress", [True, False])
def test_read_does_not_swallow_a_bomb(folder: Path, compress: bool) -> None:
    huge = bytes(50_000_000)
    file = zipped() if compress else plain()
    put(folder, file.path, gzip.compress(huge) if compress else huge)
    del huge
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than the expected"):
            cache.read(file)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------------------------ downloading


def offer(mirror: SimpleNamespace, content: bytes, *paths: str) -> cache.Download:
    """A download of `content` from the given paths, in this order."""
    urls = tuple(mirror.url + path for path in paths)
    return cache.Download(urls, len(content), f"md5:{md5(content)}")


def test_a_file_that_is_there_needs_no_network(folder: Path, no_pooch: None) -> None:
    put(folder, "set/a.gz", gzip.compress(CONTENT))
    cache.fetch(cache.Download(("https://nowhere.invalid/a.gz",), 1, "md5:0"), [zipped()])
    assert cache.read(zipped()) == CONTENT


def test_download(folder: Path, mirror: SimpleNamespace) -> None:
    content = gzip.compress(CONTENT)
    mirror.files["/one/a.gz"] = content
    cache.fetch(offer(mirror, content, "/one/a.gz", "/two/a.gz"), [zipped()])
    assert cache.read(zipped()) == CONTENT
    assert (folder / "set/a.gz").read_bytes() == content
    assert mirror.asked == ["/one/a.gz"]
    assert [path.name for path in (folder / "set").iterdir()] == ["a.gz"]  # no scratch left


def test_a_downloaded_file_has_the_usual_permissions(folder: Path, mirror: SimpleNamespace) -> None:
    content = gzip.compress(CONTENT)
    mirror.files["/a.gz"] = content
    cache.fetch(offer(mirror, content, "/a.gz"), [zipped()])
    usual = put(folder, "usual", b"").stat().st_mode
    assert (folder / "set/a.gz").stat().st_mode == usual


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/missing/a.gz", None),
        ("/other/a.gz", gzip.compress(CONTENT[::-1])),
        ("/short/a.gz", gzip.compress(CONTENT)[:-5]),
        ("/cut/a.gz", gzip.compress(CONTENT)[:-5]),
        ("/endless/a.gz", gzip.compress(CONTENT) + bytes(1_000_000)),
    ],
)
def test_the_next_mirror_is_asked(
    folder: Path, mirror: SimpleNamespace, path: str, sent: bytes | None
) -> None:
    content = gzip.compress(CONTENT)
    mirror.files["/good/a.gz"] = content
    if sent is not None:
        mirror.files[path] = sent
    cache.fetch(offer(mirror, content, path, "/good/a.gz"), [zipped()])
    assert cache.read(zipped()) == CONTENT
    assert mirror.asked == [path, "/good/a.gz"]


def test_no_mirror_delivers(folder: Path, mirror: SimpleNamespace) -> None:
    content = gzip.compress(CONTENT)
    mirror.files["/two/a.gz"] = content + b"more"
    with pytest.raises(FileNotFoundError) as caught:
        cache.fetch(offer(mirror, content, "/one/a.gz", "/two/a.gz"), [zipped()])
    message = str(caught.value)
    assert str(folder / "set/a.gz") in message
    assert f"{mirror.url}/one/a.gz" in message
    assert "404" in message
    assert f"{mirror.url}/two/a.gz" in message
    assert f"more than the expected {len(content)} bytes" in message
    assert "CONVKIT_DATA" in message
    assert list((folder / "set").iterdir()) == []


def test_without_a_network_the_message_is_short(folder: Path) -> None:
    nowhere = cache.Download(("http://127.0.0.1:9/all.tar.gz",), 1, "md5:0")
    with pytest.raises(FileNotFoundError) as caught:
        cache.fetch(nowhere, [plain(f"set/{name}.bin") for name in "abc"])
    message = str(caught.value)
    assert message.startswith(f"{folder / 'set/a.bin'}, b.bin, c.bin: not there")
    assert "Connection refused" in message
    assert "Max retries" not in message


def test_two_processes_fetch_at_once(folder: Path, mirror: SimpleNamespace) -> None:
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
    assert os.listdir(folder / "set") == ["a.bin"]


# ------------------------------------------------------------------------------ archives


MEMBERS = {f"batches/{name}.bin": name.encode() * 100 for name in "abc"}


@pytest.fixture
def fetch_archive(
    folder: Path, mirror: SimpleNamespace
) -> Callable[[bytes], tuple[cache.DataFile, ...]]:
    """Fetch the files of MEMBERS from an archive of the given bytes."""

    def fetch(content: bytes) -> tuple[cache.DataFile, ...]:
        mirror.files["/all.tar.gz"] = content
        files = tuple(plain(f"set/{name}", member) for name, member in MEMBERS.items())
        cache.fetch(offer(mirror, content, "/all.tar.gz"), files)
        return files

    return fetch


def test_archive(folder: Path, fetch_archive: Callable[..., Any], mirror: SimpleNamespace) -> None:
    content = archive_of({"batches/readme.html": b"x", **MEMBERS, "../outside": b"y"})
    files = fetch_archive(content)
    assert [cache.read(file) for file in files] == list(MEMBERS.values())
    assert sorted(os.listdir(folder / "set/batches")) == ["a.bin", "b.bin", "c.bin"]
    assert not list(folder.rglob("outside"))
    mirror.files.clear()
    fetch_archive(content)
    assert mirror.asked == ["/all.tar.gz"]


def test_archive_fills_only_the_gaps(folder: Path, fetch_archive: Callable[..., Any]) -> None:
    mine = put(folder, "set/batches/b.bin", b"mine")
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
    folder: Path, fetch_archive: Callable[..., Any], content: bytes, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        fetch_archive(content)
    left = {path.name for path in (folder / "set/batches").iterdir()}
    assert left <= {"a.bin"}  # the member before the wrong one is whole and may stay


# ------------------------------------------------------------------------------ IDX


def idx_bytes(array: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, array.ndim])
        + b"".join(size.to_bytes(4, "big") for size in array.shape)
        + array.tobytes()
    )


def idx_set(arrays: list[np.ndarray], mirrors: tuple[str, ...]) -> tuple[idx.IdxSet, list[bytes]]:
    contents = [gzip.compress(idx_bytes(array)) for array in arrays]
    names = ("train-images.gz", "train-labels.gz", "test-images.gz", "test-labels.gz")
    train_x, train_y, test_x, test_y = (
        idx.IdxFile(name, array.shape, sha256(idx_bytes(array)), len(content), md5(content))
        for name, array, content in zip(names, arrays, contents, strict=True)
    )
    return idx.IdxSet("tiny", mirrors, (train_x, train_y, test_x, test_y)), contents


def test_idx_set_is_downloaded_and_read(folder: Path, mirror: SimpleNamespace) -> None:
    generator = np.random.default_rng(0)
    shapes = [(7, 4, 3), (7,), (2, 4, 3), (2,)]
    arrays = [generator.integers(0, 256, shape, np.uint8) for shape in shapes]
    data_set, contents = idx_set(arrays, (f"{mirror.url}/one/", f"{mirror.url}/two/"))
    for file, content in zip(data_set.files, contents, strict=True):
        mirror.files[f"/two/{file.name}"] = content
    (x_train, y_train), (x_test, y_test) = idx.load(data_set)
    for array, expected in zip((x_train, y_train, x_test, y_test), arrays, strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == np.uint8
        assert array.flags.writeable
        assert array.flags.c_contiguous
    assert sorted(os.listdir(folder / "tiny")) == sorted(file.name for file in data_set.files)


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "got nothing"),
        (bytes([0, 0, 8, 2, 0, 0, 0, 2]), "expected the IDX header"),
        (bytes([0, 0, 9, 2]) + idx_bytes(np.zeros((2, 3), np.uint8))[4:], "IDX header"),
        (idx_bytes(np.zeros((3, 2), np.uint8)), "IDX header"),
        (idx_bytes(np.zeros((2, 3, 1), np.uint8)), "IDX header"),
        (idx_bytes(np.zeros((2, 3), np.uint8))[:-1], "expected 6 bytes after the IDX header"),
        (idx_bytes(np.zeros((2, 3), np.uint8)) + b"\0", "expected 6 bytes after the IDX header"),
    ],
)
def test_idx_with_a_wrong_header_or_length(raw: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        idx.parse(raw, (2, 3), "tiny/images.gz")
    assert "tiny/images.gz" in str(caught.value)
    assert "official file" in str(caught.value)


# ------------------------------------------------------------------------------ the data sets


@pytest.mark.parametrize("module", [mnist, fashion_mnist])
def test_idx_sets_name_the_damaged_file(module: ModuleType, folder: Path, no_pooch: None) -> None:
    for file in module._SET.files:
        put(folder, f"{module._SET.folder}/{file.name}", gzip.compress(b"wrong"))
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz: it is truncated"):
        module.load_data()


def test_cifar10_names_the_damaged_file(folder: Path, no_pooch: None) -> None:
    for file in (*cifar10._TRAIN, *cifar10._TEST):
        put(folder, file.path, b"wrong")
    with pytest.raises(ValueError, match=r"data_batch_1\.bin: it is truncated: 5 of 30,730,000"):
        cifar10.load_data()


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (mnist, ["train-images-idx3-ubyte.gz"]),
        (fashion_mnist, ["train-images-idx3-ubyte.gz"]),
        (cifar10, ["data_batch_1.bin", "data_batch_5.bin", "test_batch.bin"]),
    ],
)
def test_missing_without_a_network(
    module: ModuleType, names: list[str], folder: Path, offline: None
) -> None:
    with pytest.raises(FileNotFoundError, match="CONVKIT_DATA") as caught:
        module.load_data()
    for name in names:
        assert name in str(caught.value)


@pytest.mark.parametrize("module", [mnist, fashion_mnist, cifar10])
def test_at_least_two_mirrors_and_https_only(module: ModuleType) -> None:
    urls = cifar10._ARCHIVE.urls if module is cifar10 else module._SET.mirrors
    assert len({url.split("/")[2] for url in urls}) >= 2
    assert all(url.startswith("https://") for url in urls)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "digits"])
def test_ten_classes(name: str) -> None:
    module = getattr(datasets, name)
    assert len(set(module.CLASS_NAMES)) == 10
    assert name in dir(datasets)


def test_unknown_data_set() -> None:
    with pytest.raises(AttributeError, match="imagenet"):
        datasets.imagenet  # noqa: B018


def test_digits() -> None:
    pytest.importorskip("sklearn")
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1442, 8, 8)
    assert x_test.shape == (355, 8, 8)
    for x, y in ((x_train, y_train), (x_test, y_test)):
        assert x.dtype == y.dtype == np.uint8
        assert (x.min(), x.max()) == (0, 16)
        shares = np.bincount(y, minlength=10) / len(y)
        assert shares == pytest.approx(0.1, abs=0.005)
    together = np.concatenate([x_train, x_test]).astype(np.int64)
    assert together.sum() == 561_718  # no image lost, none twice
    again = digits.load_data()
    np.testing.assert_array_equal(again[0][0], x_train)


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r'pip install "convkit\[examples\]"'):
        digits.load_data()


# ------------------------------------------------------------------------------ the real files


def real(module: ModuleType, *paths: str) -> Any:
    """Load a real data set, or skip, saying why."""
    folder = os.environ.get("CONVKIT_DATA")
    if not folder:
        pytest.skip("CONVKIT_DATA is not set: no real data sets here")
    missing = [path for path in paths if not (Path(folder) / path).exists()]
    if missing:
        pytest.skip(f"CONVKIT_DATA has no {missing[0]}")
    return module.load_data()


def real_idx(module: ModuleType) -> Any:
    return real(module, *(f"{module._SET.folder}/{file.name}" for file in module._SET.files))


def real_cifar10() -> Any:
    return real(cifar10, *(file.path for file in (*cifar10._TRAIN, *cifar10._TEST)))


@pytest.mark.parametrize(
    ("module", "first_labels", "mean"),
    [
        (mnist, [5, 0, 4, 1, 9, 2, 1, 3, 1, 4], 0.13066),
        (fashion_mnist, [9, 0, 0, 3, 0, 2, 7, 2, 5, 5], 0.28604),
    ],
)
def test_real_idx_sets(module: ModuleType, first_labels: list[int], mean: float) -> None:
    (x_train, y_train), (x_test, y_test) = real_idx(module)
    assert x_train.shape == (60000, 28, 28)
    assert y_train.shape == (60000,)
    assert x_test.shape == (10000, 28, 28)
    assert y_test.shape == (10000,)
    for array in (x_train, y_train, x_test, y_test):
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous
        assert array.flags.writeable
    assert y_train[:10].tolist() == first_labels
    assert x_train.mean() / 255 == pytest.approx(mean, abs=1e-5)
    assert set(y_train) == set(y_test) == set(range(10))


def test_real_cifar10() -> None:
    (x_train, y_train), (x_test, y_test) = real_cifar10()
    assert x_train.shape == (50000, 32, 32, 3)
    assert y_train.shape == (50000, 1)
    assert x_test.shape == (10000, 32, 32, 3)
    assert y_test.shape == (10000, 1)
    for array in (x_train, y_train, x_test, y_test):
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous
        assert array.flags.writeable
    assert np.bincount(y_train.ravel()).tolist() == [5000] * 10
    assert np.bincount(y_test.ravel()).tolist() == [1000] * 10
    # Published means and deviations of red, green and blue: channels last, and in this order.
    published = [(0.49140, 0.24703), (0.48216, 0.24349), (0.44653, 0.26159)]
    level = np.arange(256) / 255
    for channel, expected in enumerate(published):
        share = np.bincount(x_train[..., channel].ravel(), minlength=256) / (50000 * 32 * 32)
        mean = (share * level).sum()
        deviation = np.sqrt((share * (level - mean) ** 2).sum())
        assert (mean, deviation) == pytest.approx(expected, abs=1e-5)
    # Rows before columns: the corners of the first image, a frog.
    assert x_train[0, 0, 0].tolist() == [59, 62, 63]
    assert x_train[0, 0, 31].tolist() == [148, 124, 103]
    assert x_train[0, 31, 0].tolist() == [177, 144, 116]
