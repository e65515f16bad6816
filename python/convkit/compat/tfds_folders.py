"""Data sets of `tensorflow_datasets` that are image files, a folder for each class."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.parameters import Array
from ..data.pictures import EXTENSIONS
from ..datasets.cache import data_folder
from ..utils import get_file

_GOOGLE = "https://storage.googleapis.com/download.tensorflow.org"
_CATS = (
    "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/"
    "kagglecatsanddogs_5340.zip"
)


class _Images(NamedTuple):
    """A data set.

    Attributes:
        classes: their names, in the order of the labels.
        archives: for each part, an address and the SHA256 of what lies there, from
            `tensorflow_datasets` itself; the latest archive of cats and dogs is not among those.
    """

    classes: tuple[str, ...]
    archives: dict[str, tuple[str, str | None]]


FOLDERS = {
    "cats_vs_dogs": _Images(("cat", "dog"), {"train": (_CATS, None)}),
    "horses_or_humans": _Images(
        ("horses", "humans"),
        {
            "train": (
                f"{_GOOGLE}/data/horse-or-human.zip",
                "e2e6f70d3d549c5dd10a57165e55af253ee66ad750403f95c0fb76bb943633a9",
            ),
            "test": (
                f"{_GOOGLE}/data/validation-horse-or-human.zip",
                "ae5fff2f4f5554791f05358108e2e05d9801b191f1896ea101402f0e7f6c32c0",
            ),
        },
    ),
    "rock_paper_scissors": _Images(
        ("rock", "paper", "scissors"),
        {
            "train": (
                f"{_GOOGLE}/data/rps.zip",
                "c2403444395842ad04c53612bad54b574443eae17a0723117a2ff87b9d72194f",
            ),
            "test": (
                f"{_GOOGLE}/data/rps-test-set.zip",
                "c27ab9fa43ce40b2e453de711365b477f4424586edf0388116674fd320f07503",
            ),
        },
    ),
    "tf_flowers": _Images(
        ("dandelion", "daisy", "tulips", "sunflowers", "roses"),
        {
            "train": (
                f"{_GOOGLE}/example_images/flower_photos.tgz",
                "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
            )
        },
    ),
}


def parts_of(name: str, data_dir: Any = None) -> dict[str, tuple[Array, Array]]:
    """The paths and labels of each part of a data set, mixed, always in the same order.

    Args:
        name: of the data set.
        data_dir: where it lies, or is downloaded to: in `name/part/class` there, such as
            `tf_flowers/train/roses`. By default the folder of convkit's data sets.

    Raises:
        OSError: it is not there and cannot be downloaded.
        ValueError: a class has no images.
    """
    made = {}
    for part, (address, sha256) in FOLDERS[name].archives.items():
        place = Path(data_folder() if data_dir is None else os.fspath(data_dir)).expanduser()
        root = place / name / part
        if not root.is_dir():
            root = _downloaded(name, part, address, sha256, place)
        made[part] = _listed(name, root)
    return made


def _downloaded(name: str, part: str, address: str, sha256: str | None, place: Path) -> Path:
    stem = os.path.basename(address).partition(".")[0]
    try:
        return Path(
            get_file(stem, address, extract=True, file_hash=sha256, cache_subdir=name,
                     cache_dir=place)
        )  # fmt: skip
    except OSError as error:
        classes = ", ".join(FOLDERS[name].classes)
        raise OSError(
            f"the data set {name!r} cannot be downloaded ({error}): put its images into "
            f"{place / name / part}, in one folder for each of the classes {classes}"
        ) from error


def _listed(name: str, root: Path) -> tuple[Array, Array]:
    paths: list[str] = []
    labels: list[int] = []
    for label, kind in enumerate(FOLDERS[name].classes):
        folder = _folder(root, kind)
        found = [] if folder is None else _images_in(folder)
        if name == "cats_vs_dogs":
            found = [each for each in found if _is_jfif(each)]
        if not found:
            raise ValueError(f"the data set {name!r} has no images of the class {kind!r} in {root}")
        paths += found
        labels += [label] * len(found)
    order = np.random.default_rng(len(paths)).permutation(len(paths))
    return np.array(paths, object)[order], np.array(labels, np.int64)[order]


def _folder(root: Path, kind: str) -> Path | None:
    """The folder of a class: in the root, or in a folder that the archive has in between."""
    for folder, _, _ in sorted(os.walk(root), key=lambda each: len(each[0])):
        if os.path.basename(folder).lower() == kind:
            return Path(folder)
    return None


def _images_in(folder: Path) -> list[str]:
    return sorted(str(each) for each in folder.iterdir() if each.suffix.lower() in EXTENSIONS)


def _is_jfif(path: str) -> bool:
    """Whether a file begins as the photographs do that `tensorflow_datasets` keeps."""
    with open(path, "rb") as file:
        return b"JFIF" in file.read(10)
