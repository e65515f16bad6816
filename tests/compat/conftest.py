"""A folder to run scripts in, with small images and tables, and small data sets to load."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

SETS = {
    "mnist": ((28, 28), ()),
    "fashion_mnist": ((28, 28), ()),
    "cifar10": ((32, 32, 3), (1,)),
}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder, which is the current one; what scripts set is set back afterwards."""
    from convkit.compat import layout, notes

    _write_images(tmp_path / "images")
    _write_digits(tmp_path / "digits")
    for name, (sizes, label) in SETS.items():
        module = import_module(f"convkit.datasets.{name}")
        monkeypatch.setattr(module, "load_data", partial(_set, sizes, label))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    state = np.random.get_state()  # noqa: NPY002 - scripts seed it
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # a script's own warnings are its own
        yield tmp_path
    np.random.set_state(state)  # noqa: NPY002
    layout.set_image_data_format("channels_last")
    notes.forget()
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def _set(sizes: tuple[int, ...], label: tuple[int, ...]) -> object:
    """Images whose brightness says their class: 96 to train on and 32 for tests."""
    numbers = np.random.default_rng(0)
    parts = []
    for count in (96, 32):
        labels = np.arange(count) % 10
        images = numbers.integers(0, 100, (count, *sizes))
        images += 15 * labels.reshape(-1, *[1] * len(sizes))
        parts.append((images.astype(np.uint8), labels.astype(np.uint8).reshape(count, *label)))
    return tuple(parts)


def _write_images(folder: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    numbers = np.random.default_rng(1)
    for part, count in (("train", 12), ("test", 8)):
        for name in ("cats", "dogs"):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = numbers.integers(0, 256, (4, 5, 3), np.uint8)
                image.fromarray(pixels).resize((25, 20)).save(folder / part / name / f"{i}.jpg")


def _write_digits(folder: Path) -> None:
    folder.mkdir()
    numbers = np.random.default_rng(2)
    names = [f"pixel{i}" for i in range(784)]
    for name, count in (("train", 40), ("test", 10)):
        rows = numbers.integers(0, 256, (count, 784))
        labels = (np.arange(count) % 10)[:, np.newaxis]
        head = names
        if name == "train":
            rows, head = np.hstack([labels, rows]), ["label", *names]
        lines = [",".join(head), *(",".join(map(str, row)) for row in rows)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
