"""Data sets that compat reads from files of the user's, or downloads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convkit.compat import cifar100, keras, tfds, tfds_folders

COUNTS = {"train": 6, "test": 3}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of data sets, with a small CIFAR-100: pixels say plane and record."""
    monkeypatch.setenv("CONVKIT_DATA", str(tmp_path))
    place = tmp_path / "cifar-100" / "cifar-100-binary"
    place.mkdir(parents=True)
    for part, count in COUNTS.items():
        records = np.zeros((count, 2 + 3 * 1024), np.uint8)
        records[:, 0], records[:, 1] = np.arange(count) % 20, 90 + np.arange(count)
        planes = records[:, 2:].reshape(count, 3, 1024)
        planes[...] = 10 * np.arange(3)[:, np.newaxis] + np.arange(count)[:, np.newaxis, np.newaxis]
        planes[:, :, 1] = 255  # the second pixel of the first row
        records.tofile(place / f"{part}.bin")
    return tmp_path


def test_cifar_100_is_read_as_its_authors_write_it(folder: Path) -> None:
    (x, y), (x_test, y_test) = keras.datasets.cifar100.load_data()
    assert x.shape == (6, 32, 32, 3)
    assert x_test.shape == (3, 32, 32, 3)
    assert x.dtype == y.dtype == np.uint8
    assert x.flags.c_contiguous
    np.testing.assert_array_equal(y, 90 + np.arange(6)[:, np.newaxis])
    np.testing.assert_array_equal(x[4, 5, 6], [4, 14, 24])
    np.testing.assert_array_equal(x[4, 0, 1], [255, 255, 255])
    coarse = keras.datasets.cifar100.load_data(label_mode="coarse")[1][1]
    np.testing.assert_array_equal(coarse, np.arange(3)[:, np.newaxis])
    train = tfds.load("cifar100", split="train", as_supervised=True)
    assert [int(label) for _, label in train] == [90, 91, 92, 93, 94, 95]
    assert y_test.shape == (3, 1)


def test_cifar_100_says_what_is_wrong(folder: Path) -> None:
    with pytest.raises(ValueError, match="label_mode must be"):
        cifar100.load_data("other")
    (folder / "cifar-100" / "cifar-100-binary" / "test.bin").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"test\.bin is damaged"):
        cifar100.load_data()


def test_what_cannot_be_downloaded_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*arguments: object, **options: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr(tfds_folders, "get_file", offline)
    with pytest.raises(OSError, match=r"no network\): put its images into .*rock_paper_scissors"):
        tfds.load("rock_paper_scissors", data_dir=tmp_path)
    place = tmp_path / "cats_vs_dogs" / "train"
    (place / "Cat").mkdir(parents=True)
    (place / "Cat" / "0.jpg").write_bytes(b"no photograph")
    with pytest.raises(ValueError, match="no images of the class 'cat'"):
        tfds.load("cats_vs_dogs", data_dir=tmp_path)


def test_archives_have_folders_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = pytest.importorskip("PIL.Image")
    asked: list[tuple[object, ...]] = []

    def unpacked(stem: str, address: str, **options: object) -> str:
        asked.append((stem, address, options["file_hash"], options["cache_dir"]))
        for kind in ("Cat", "Dog"):
            inner = tmp_path / stem / "PetImages" / kind
            inner.mkdir(parents=True, exist_ok=True)
            image.new("RGB", (9, 7), (kind == "Dog") * 255).save(inner / "1.jpg")
            (inner / "2.jpg").write_bytes(b"\xff\xd8 not JFIF")
        return str(tmp_path / stem)

    monkeypatch.setattr(tfds_folders, "get_file", unpacked)
    data = tfds.load("cats_vs_dogs", split="train", data_dir=tmp_path, as_supervised=True)
    labels = {int(label) for _, label in data}
    assert len(data) == 2
    assert labels == {0, 1}
    assert asked[0][0] == "kagglecatsanddogs_5340"
    images = tfds.load("cats_vs_dogs", split="all", data_dir=tmp_path, batch_size=-1)["image"]
    assert images.shape == (2, 7, 9, 3)
