"""The images in a folder, with their labels, in Keras's order."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..core.parameters import Array
from ..core.warn import is_terminal, say
from .pictures import EXTENSIONS

_LISTED = 5  # names in a message
_PATIENCE = 1.0  # seconds after which a bar appears


class Index:
    """The images below a folder.

    Args:
        directory: the folder.
        labels: "inferred" from its subfolders, None, or one for each image.
        class_names: the subfolders in the order of their labels, or None for all.
        follow_links: whether links to folders are followed.

    Attributes:
        paths: sorted within each class.
        labels: int32 (n,), or None.
        class_names: of the labels, or None.
        order: the numbers of the images in the order in which they are listed and split.

    Raises:
        ValueError: there are no images, or not those that the arguments say.
        OSError: the folder cannot be read.
    """

    def __init__(
        self,
        directory: str,
        labels: Any,
        class_names: Sequence[str] | None,
        follow_links: bool,
    ) -> None:
        self._directory = directory
        inferred = isinstance(labels, str)
        folders = _subfolders(directory) if inferred else [""]
        if class_names is not None:
            if unknown := [name for name in class_names if name not in folders]:
                raise ValueError(
                    f"class_names has {unknown[0]!r}, and {directory} has the folders {folders}"
                )
            folders = list(class_names)
        self.paths: list[str] = []
        counts, others = [], Counter[str]()
        with _bar() as advance:
            for folder in folders:
                found = _images(os.path.join(directory, folder), follow_links, others, advance)
                self.paths += found
                counts.append(len(found))
        if not self.paths:
            raise ValueError(self._nothing(inferred, folders, others))
        self.labels: Array | None = None
        self.class_names: list[str] | None = None
        if inferred:
            self.labels = np.repeat(np.arange(len(folders), dtype=np.int32), counts)
            self.class_names = folders
        elif labels is not None:
            if len(labels) != len(self.paths):
                raise ValueError(
                    f"labels must have one for each image: {len(labels)} are given, and "
                    f"{directory} has {len(self.paths)} images"
                )
            self.labels = np.asarray(labels, np.int32)
            self.class_names = [str(label) for label in sorted(set(labels))]
        self.order: Array = np.arange(len(self.paths))

    def shuffle(self, seed: int) -> None:
        """Put the images into the order that Keras puts them into with that seed."""
        np.random.RandomState(seed).shuffle(self.order)  # as Keras

    def part(self, fraction: float | None, subset: str | None) -> Array:
        """The numbers of the images of a subset: the last ones are for validation."""
        if not fraction:
            return self.order
        count = int(fraction * len(self.order))
        if not 0 < count < len(self.order):
            raise ValueError(
                f"validation_split={fraction} of {len(self.order)} images leaves "
                f"{len(self.order) - count} for training and {count} for validation; both need at "
                f"least one"
            )
        return self.order[:-count] if subset == "training" else self.order[-count:]

    def tell(self) -> None:
        """Print how much there is, in Keras's words."""
        classes = self.class_names
        end = "" if classes is None else f" belonging to {len(classes)} classes"
        say(f"Found {len(self.paths)} files{end}.")

    def _nothing(self, inferred: bool, folders: Sequence[str], others: Counter[str]) -> str:
        most = ", ".join(f"{n} end in {end or 'nothing'}" for end, n in others.most_common(_LISTED))
        hint = f"; of other files {most}" if most else ""
        if inferred and not folders:
            hint = "; it has no folders, one for each class; with labels=None it needs none"
        return f"{self._directory} has no images, which end in {', '.join(EXTENSIONS)}{hint}"


def _subfolders(directory: str) -> list[str]:
    with os.scandir(directory) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def _images(
    folder: str, follow_links: bool, others: Counter[str], advance: Callable[[int], Any]
) -> list[str]:
    """The images below a folder, sorted by folders and then by names.

    Folders that links lead to again are not entered twice.
    """
    seen: set[tuple[int, int]] = set()
    found: list[tuple[str, list[str]]] = []
    for root, folders, files in os.walk(folder, followlinks=follow_links, onerror=_raise):
        if follow_links:
            status = os.stat(root)
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
        images = [name for name in files if name.lower().endswith(EXTENSIONS)]
        if len(images) < len(files):
            others.update(
                os.path.splitext(name)[1].lower()
                for name in files
                if not name.lower().endswith(EXTENSIONS)
            )
        found.append((root, sorted(images)))
        advance(len(images))
    return [os.path.join(root, name) for root, names in sorted(found) for name in names]


def _raise(error: OSError) -> None:
    raise error


@contextmanager
def _bar() -> Iterator[Callable[[int], Any]]:
    """A bar that counts files, where that takes longer and somebody watches."""
    import sys

    if not is_terminal(sys.stderr):
        yield lambda count: None
        return
    from tqdm import tqdm

    with tqdm(desc="Looking for images", unit=" files", delay=_PATIENCE, leave=False) as bar:
        yield bar.update
