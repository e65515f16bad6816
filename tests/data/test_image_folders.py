"""Images from folders: labels, splits, orders, threads, and files that cannot be read."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import layers
from convkit.utils import image_dataset_from_directory, img_to_array, load_img

pytest.importorskip("PIL", reason="Pillow is not installed")

from image_folders import CLASSES, make_folder, picture

SIZE = (10, 12)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "images")


def read(folder: Path, **options: Any) -> Any:
    return image_dataset_from_directory(
        folder, **{"image_size": SIZE, "verbose": False, "batch_size": 4, **options}
    )


def whole(dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    batches = list(dataset)
    return tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))  # type: ignore[return-value]


def test_batches_of_images_and_labels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = read(folder, shuffle=False, verbose=True)
    assert capsys.readouterr().out == "Found 18 files belonging to 3 classes.\n"
    assert dataset.class_names == [*CLASSES]
    assert len(dataset) == 5
    assert [len(images) for images, _ in dataset] == [4, 4, 4, 4, 2]
    images, labels = whole(dataset)
    assert images.shape == (18, *SIZE, 3)
    assert images.dtype == np.float32
    assert labels.dtype == np.int32
    assert labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    folders = [Path(path).relative_to(folder).parts[0] for path in dataset.file_paths]
    assert folders == [CLASSES[label] for label in labels]
    assert 0 <= images.min() < 50 < 200 < images.max() <= 255


def test_label_modes(folder: Path) -> None:
    _, rows = whole(read(folder, shuffle=False, label_mode="categorical"))
    np.testing.assert_array_equal(rows, np.repeat(np.eye(3, dtype=np.float32), 6, axis=0))
    _, two = whole(read(folder, shuffle=False, label_mode="binary", class_names=["c", "a"]))
    np.testing.assert_array_equal(two, np.repeat([[0.0], [1.0]], 6, axis=0))
    assert two.dtype == np.float32
    for options in ({"labels": None}, {"label_mode": None}):
        dataset = read(folder, **options)
        assert all(images.shape[1:] == (*SIZE, 3) for images in dataset)
    own = [*range(18)]
    dataset = read(folder, labels=own, shuffle=False)
    assert dataset.class_names == sorted(map(str, own), key=int)
    assert whole(dataset)[1].tolist() == own


@pytest.mark.parametrize("mode", ["rgb", "rgba", "grayscale"])
def test_colours_and_single_images(folder: Path, mode: str) -> None:
    channels = {"rgb": 3, "rgba": 4, "grayscale": 1}[mode]
    single = list(read(folder, color_mode=mode, batch_size=None, shuffle=False))
    assert len(single) == 18
    images, _ = whole(read(folder, color_mode=mode, shuffle=False))
    assert images.shape[-1] == channels
    for (image, _), expected in zip(single, images, strict=True):
        np.testing.assert_array_equal(image, expected)


def test_splits_share_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options: dict[str, Any] = {"validation_split": 0.3, "seed": 5}
    one, two = read(folder, subset="both", verbose=True, **options)
    assert "Using 13 files for training.\nUsing 5 files for validation." in capsys.readouterr().out
    assert not {*one.file_paths} & {*two.file_paths}
    assert len({*one.file_paths, *two.file_paths}) == 18
    for subset, dataset in (("training", one), ("validation", two)):
        assert read(folder, subset=subset, **options).file_paths == dataset.file_paths
    firsts = [next(iter(two))[1].tolist() for _ in range(2)]
    assert firsts[0] == firsts[1]  # validation is not shuffled anew
    with pytest.raises(ValueError, match="give a seed"):
        read(folder, validation_split=0.3, subset="training")
    with pytest.raises(ValueError, match="or neither"):
        read(folder, validation_split=0.3, seed=1)
    with pytest.raises(ValueError, match="both need at least one"):
        read(folder, validation_split=0.01, subset="training", seed=1)


def test_each_epoch_has_an_order_of_its_own(folder: Path) -> None:
    orders = []
    for _ in range(2):
        dataset = read(folder, seed=3, labels=[*range(18)])
        orders += [whole(dataset)[1].tolist() for _ in range(2)]
    assert orders[0] == orders[2] != orders[1] == orders[3]
    assert sorted(orders[0]) == [*range(18)]


def test_without_a_seed_a_training_can_go_on(folder: Path) -> None:
    """The order of `fit` depends on the model's seed alone."""
    made = []
    for _ in range(2):
        model = convkit.Sequential(
            [
                convkit.Input((*SIZE, 3)),
                layers.Rescaling(1 / 255),
                layers.Flatten(),
                layers.Dense(3),
            ]
        )
        model.seed = 8
        model.set_weights([np.zeros(weight.shape, np.float32) for weight in model.weights])
        model.compile("sgd", convkit.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(read(folder), epochs=2, verbose=0)
        made.append(model.get_weights())
    for one, two in zip(*made, strict=True):
        np.testing.assert_array_equal(one, two)


def test_links_are_followed_when_asked(folder: Path) -> None:
    (folder / "a" / "again").symlink_to(folder / "b", target_is_directory=True)
    (folder / "b" / "loop").symlink_to(folder / "b", target_is_directory=True)
    assert len(read(folder, batch_size=None)) == 18
    assert len(read(folder, batch_size=None, follow_links=True)) == 24


# What cannot be read.


def png_of(width: int, height: int) -> bytes:
    """The beginning of a PNG file of that size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    made = b"\x89PNG\r\n\x1a\n"
    for chunk in (b"IHDR" + header, b"IDAT" + bytes(9)):
        checksum = struct.pack(">I", zlib.crc32(chunk))
        made += struct.pack(">I", len(chunk) - 4) + chunk + checksum
    return made


def damaged(folder: Path) -> dict[str, str]:
    """Files that cannot be read, by their paths, and what is said of them."""
    half = (folder / "a" / "0.jpg").read_bytes()[:200]
    contents = {
        "empty.jpg": (b"", "it is empty"),
        "half.jpg": (half, "it is damaged or truncated"),
        "text.png": (b"<html>404</html>", "and is text, such as a web page"),
        "webp.jpg": (b"RIFF\0\0\0\0WEBPVP8 ", "and is a WebP image"),
        "noise.bmp": (bytes(range(200)), "no image of these formats"),
        "bomb.png": (png_of(60_000, 60_000), "pixels"),
        "large.png": (png_of(10_000, 10_000), "it has 10000 x 10000 pixels, more than"),
        "cut.png": (png_of(8, 8)[:20], "it is damaged or truncated"),
        "postscript.jpg": (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "no image of these",
        ),
    }
    for name, (content, _) in contents.items():
        (folder / "b" / name).write_bytes(content)
    return {str(folder / "b" / name): reason for name, (_, reason) in contents.items()}


@pytest.mark.filterwarnings("ignore:Image size")
def test_files_that_cannot_be_read_are_named_or_left_out(folder: Path) -> None:
    bad = damaged(folder)
    kept = [path for path in bad if "half" not in path]
    for path, reason in bad.items():
        for other in bad:
            Path(other).rename(f"{other}.off")
        Path(f"{path}.off").rename(path)
        with pytest.raises(ValueError, match=re.escape(path)) as info:
            list(read(folder))
        assert reason in str(info.value)
        for other in bad:
            if other != path:
                Path(f"{other}.off").rename(other)
    dataset = read(folder, unreadable="skip", shuffle=False)
    with pytest.warns(UserWarning, match="left out, for they cannot be read") as found:
        images, labels = whole(dataset)
    assert len(images) == len(labels) == 18
    text = " ".join(str(each.message) for each in found)
    assert sum(path in text for path in kept) >= 5
    with pytest.raises(ValueError, match="one of 'raise', 'skip'"):
        read(folder, unreadable="ignore")


def test_a_batch_of_which_nothing_is_left_does_not_come(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
    for i in range(4):
        (tmp_path / "x" / f"{i}.png").write_bytes(b"")
        picture(i).save(tmp_path / "y" / f"{i}.png")
    with pytest.warns(UserWarning, match="it is empty"):
        ((images, labels),) = read(tmp_path, shuffle=False, unreadable="skip")
    assert labels.tolist() == [1] * 4
    assert len(images) == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_are_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "a" / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe\.png is no regular file"):
        list(read(folder))


def test_large_files_and_one_that_is_being_overwritten(tmp_path: Path) -> None:
    """They are not among those that are read together."""
    (tmp_path / "a").mkdir()
    small, large = picture(1, size=(9, 8)), picture(2, size=(200, 300))
    small.save(tmp_path / "a" / "small.bmp")
    large.save(tmp_path / "a" / "large.bmp")
    assert (tmp_path / "a" / "large.bmp").stat().st_size > 2**16
    copy = ".convkit-00000000-1-000000000000.tmp"
    (tmp_path / "a" / "small.bmp").rename(tmp_path / "a" / copy)
    (tmp_path / "a" / "small.bmp").write_bytes(b"\xff" * 8 + copy.encode())
    for picture_of, name in ((small, "small"), (large, "large")):
        size = (picture_of.height, picture_of.width)
        ((images, _),) = read(tmp_path, image_size=size, shuffle=False)
        place = ("large", "small").index(name)
        np.testing.assert_array_equal(images[place], np.asarray(picture_of))


def test_folders_without_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no folders, one for each class"):
        read(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.webp").touch()
    with pytest.raises(ValueError, match=r"has no images.*1 end in \.webp"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": "infered"}, "labels must be"),
        ({"labels": [1, 2]}, "one for each image: 2 are given"),
        ({"labels": [0] * 18, "class_names": ["a"]}, "class_names are for"),
        ({"labels": None, "class_names": ["a"]}, "there are none"),
        ({"class_names": ["d"]}, "class_names has 'd'"),
        ({"label_mode": "one-hot"}, "label_mode must be"),
        ({"label_mode": "binary"}, "needs two classes"),
        ({"color_mode": "cmyk"}, "color_mode must be"),
        ({"image_size": (3, 0)}, "two positive integers"),
        ({"image_size": 3.5}, "two positive integers"),
        ({"interpolation": "cubic"}, "interpolation must be one of"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "not both"),
        ({"data_format": "channels_first"}, "channels_last"),
        ({"validation_split": 2, "subset": "both", "seed": 1}, "between 0 and 1"),
        ({"validation_split": 0.5, "subset": "test", "seed": 1}, "subset must be"),
    ],
)
def test_wrong_arguments_are_refused(folder: Path, options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(folder, **options)


def test_without_pillow_the_command_is_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=re.escape('pip install "convkit[images]"')):
        read(folder)


def test_importing_convkit_imports_none_of_it() -> None:
    code = (
        "import sys, convkit; convkit.utils.to_categorical([1]); "
        "print([m for m in sys.modules if m.startswith(('convkit.data', 'PIL', 'pooch', 'h5py'))])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"


# A training beside it.


def test_a_model_learns_from_a_folder(tmp_path: Path) -> None:
    """Two classes, of which one is dark; and it ends with what is right for single files."""
    for name, low in (("dark", 0), ("light", 120)):
        (tmp_path / name).mkdir()
        for i in range(20):
            pixels = np.random.default_rng(i).integers(low, low + 100, (9, 9, 3), np.uint8)
            convkit.utils.save_img(tmp_path / name / f"{i}.png", pixels, scale=False)
    training, validation = read(
        tmp_path, validation_split=0.2, subset="both", seed=1, image_size=(9, 9)
    )
    convkit.utils.set_random_seed(0)
    model = convkit.Sequential(
        [
            convkit.Input((9, 9, 3)),
            layers.Rescaling(1 / 255),
            layers.GlobalAveragePooling2D(),
            layers.Dense(8, activation="relu"),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.learning_rate = 0.05  # type: ignore[union-attr]
    history = model.fit(
        training.cache().prefetch(2), epochs=8, validation_data=validation, verbose=0
    )
    assert history.history["val_accuracy"][-1] == 1.0
    image = img_to_array(load_img(tmp_path / "dark" / "0.png"))
    assert model.predict(image[np.newaxis], verbose=0).argmax() == 0
