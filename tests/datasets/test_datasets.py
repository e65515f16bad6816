"""The data sets: right arrays from right files, and a clear error for every kind of wrong ones.

Made-up files of a few bytes stand for the large ones; a server on this machine stands for the
mirrors. The tests on the real files run where `$CONVKIT_DATA` has them.
"""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from convkit import datasets
from convkit.datasets import cifar10, digits, fashion_mnist, idx, mnist
from made_up_data import md5, put, sha256


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every download fails as it does without a network."""
    pooch = pytest.importorskip("pooch")

    def retrieve(url: str, **_: Any) -> str:
        raise ConnectionError(f"no route to {url}")

    monkeypatch.setattr(pooch, "retrieve", retrieve)


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


def test_idx_set_is_downloaded_and_read(data_folder: Path, mirror: SimpleNamespace) -> None:
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
    assert sorted(os.listdir(data_folder / "tiny")) == sorted(file.name for file in data_set.files)


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
def test_idx_sets_name_the_damaged_file(
    module: ModuleType, data_folder: Path, no_pooch: None
) -> None:
    for file in module._SET.files:
        put(data_folder, f"{module._SET.folder}/{file.name}", gzip.compress(b"wrong"))
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz: it is truncated"):
        module.load_data()


def test_cifar10_names_the_damaged_file(data_folder: Path, no_pooch: None) -> None:
    for file in (*cifar10._TRAIN, *cifar10._TEST):
        put(data_folder, file.path, b"wrong")
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
    module: ModuleType, names: list[str], data_folder: Path, offline: None
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
