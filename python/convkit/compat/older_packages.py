"""What scripts of 2016 to 2020 use of NumPy, SciPy and scikit-learn, and newer ones have not.

It is there while a script runs, where the package itself has it no more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np

from .tree import Made

# NumPy's names for Python's types, and those that have another name today.
_OF_NUMPY = {
    "Inf": np.inf,
    "NaN": np.nan,
    "alltrue": np.all,
    "bool": bool,
    "complex": complex,
    "float": float,
    "float_": np.float64,
    "infty": np.inf,
    "int": int,
    "object": object,
    "product": np.prod,
    "sometrue": np.any,
    "str": str,
    "unicode_": np.str_,
}
_MOVED = {"sklearn.cross_validation": "sklearn.model_selection"}


class _Finder:
    """Finds modules that are another one today, and `scipy.misc` with its functions of images."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of one of them."""
        if name in _MOVED:
            return ModuleSpec(name, Made(import_module(_MOVED[name])))
        return ModuleSpec(name, Made(_Misc(name))) if name == "scipy.misc" else None


class _Misc(ModuleType):
    """`scipy.misc`, as it was: images by Pillow."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        for each in (fromimage, imread, imresize, imsave, toimage):
            setattr(self, each.__name__, each)

    def __getattr__(self, name: str) -> Any:
        places = {"ascent": "datasets", "comb": "special", "face": "datasets"}
        if name.startswith("__") or name not in (*places, "factorial", "logsumexp"):
            raise AttributeError(f"module 'scipy.misc' has no attribute {name!r}")
        return getattr(import_module(f"scipy.{places.get(name, 'special')}"), name)


def fromimage(im: Any, flatten: bool = False, mode: Any = None) -> Any:
    """The numbers of an image of Pillow's, (H, W, channels); grey as float32 if `flatten`."""
    if mode is not None or im.mode == "P":
        im = im.convert(mode or "RGB")
    return np.array(im.convert("F") if flatten else im)


def toimage(arr: Any, mode: Any = None, **options: Any) -> Any:
    """An image of Pillow's; numbers that are not uint8 are stretched to 0 .. 255."""
    from PIL import Image

    array = np.asarray(arr)
    if array.dtype != np.uint8:
        low, high = options.get("cmin"), options.get("cmax")
        low, high = array.min() if low is None else low, array.max() if high is None else high
        scaled = (array - low) * (255.0 / ((high - low) or 1))
        array = (scaled.clip(0, 255) + 0.5).astype(np.uint8)
    if array.ndim == 3 and array.shape[0] in (3, 4) and array.shape[2] not in (3, 4):
        array = array.transpose(1, 2, 0)
    made = Image.fromarray(array)
    return made if mode is None else made.convert(mode)


def imread(name: Any, flatten: bool = False, mode: Any = None) -> Any:
    """The numbers of an image in a file."""
    from PIL import Image

    with Image.open(name) as image:
        return fromimage(image, flatten, mode)


def imsave(name: Any, arr: Any, format: Any = None) -> None:
    """Write an image."""
    toimage(arr).save(name, format)


def imresize(arr: Any, size: Any, interp: str = "bilinear", mode: Any = None) -> Any:
    """The image in another size: (H, W), a factor, or percent; uint8."""
    from PIL import Image

    image = toimage(arr, mode)
    if isinstance(size, int | np.integer):
        size = size / 100.0
    if isinstance(size, float | np.floating):
        width, height = (int(each * size) for each in image.size)
    else:
        height, width = (int(each) for each in size[:2])
    kinds = {"lanczos": "LANCZOS", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "cubic": "BICUBIC"}
    chosen = getattr(Image.Resampling, kinds.get(interp, "NEAREST"))
    return fromimage(image.resize((width, height), chosen))


_array: Any = np.array


@wraps(_array)
def _any_array(*arguments: Any, **options: Any) -> Any:
    """`numpy.array`, which once made arrays of objects of what a script gives it that is ragged."""
    try:
        return _array(*arguments, **options)
    except ValueError as error:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if "inhomogeneous" not in str(error) or caller != "__main__" or "dtype" in options:
            raise
        return _array(*arguments, dtype=object, **options)


@contextmanager
def older_packages() -> Iterator[None]:
    """Within, the packages have what they had."""
    added = [name for name in _OF_NUMPY if name not in vars(np)]
    vars(np)["array"] = _any_array
    finder: Any = _Finder()
    before = sys.modules.pop("scipy.misc", None)
    for name in added:
        setattr(np, name, _OF_NUMPY[name])
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        vars(np)["array"] = _array
        for name in added:
            delattr(np, name)
        for name in ("scipy.misc", *_MOVED):
            sys.modules.pop(name, None)
        if before is not None:
            sys.modules["scipy.misc"] = before
