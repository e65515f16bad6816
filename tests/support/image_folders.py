"""Folders of small images, as image_dataset_from_directory reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("a", "b", "c")


def picture(seed: int, mode: str = "RGB", size: tuple[int, int] = (13, 17)) -> Image.Image:
    """A smooth random picture of that height and width."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 5, 4), np.uint8)
    return Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC).convert(mode)


def make_folder(folder: Path, each: int = 6, classes: tuple[str, ...] = CLASSES) -> Path:
    """A folder with images of different kinds and sizes, and what is none."""
    endings = (".jpg", ".png", ".bmp", ".gif", ".JPEG")
    for number, name in enumerate(classes):
        (folder / name / "deeper").mkdir(parents=True)
        for i in range(each):
            seed = 100 * number + i
            place = folder / name / ("deeper" if i % 3 == 2 else ".")
            image = picture(seed, size=(8 + seed % 7, 9 + seed % 5))
            image.convert("L" if i == 4 else "RGB").save(place / f"{i}{endings[i % 5]}")
        (folder / name / "notes.txt").write_text("none")
    (folder / ".hidden").mkdir()
    return folder
