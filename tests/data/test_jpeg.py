"""JPEG files by simplejpeg: what becomes of them is what becomes of them by Pillow alone."""

from __future__ import annotations

import io
import random
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL", reason="Pillow is not installed")

from PIL import Image

from convkit.data import jpeg, pictures
from convkit.utils import image_dataset_from_directory
from image_folders import picture

MODES = ("rgb", "rgba", "grayscale")
EXIF = Image.Exif()
EXIF[0x0112] = 6  # to be turned, which is left to others
EXIF[0x011A] = 300.0
KINDS: dict[str, dict[str, Any]] = {
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "4:2:0": {"subsampling": 2, "optimize": True},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 1},
    "coarse": {"quality": 5},
    "resolution": {"dpi": (300, 300)},
    "exif": {"exif": EXIF.tobytes()},
    "profile": {"icc_profile": b"x" * 300},
    "comment": {"comment": b"none"},
    "rgb": {"keep_rgb": True},
}
# What may stand between the segments of a file, some of which Pillow refuses.
SEGMENTS = (
    b"\xff\xe1\x00\x08Exif\0\0",
    b"\xff\xe0\x00\x06JFIF",
    b"\xff\xe2\x00\x0eICC_PROFILE\0",
    b"\xff\xed\x00\x14Photoshop 3.0\x008BIM",
    b"\xff\xee\x00\x07Adobe",
    b"\xff\xee\x00\x0eAdobe\0d\0\0\0\0\0",
    b"\xff\xdd\x00\x04\x00\x01",
    b"\xff\xd8",
    b"\xff\xd9",
    b"\xff\x01",
    b"\xff",
    b"none",
)


def jpeg_of(seed: int, size: tuple[int, int], mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    picture(seed, "RGB", size).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.fixture
def outcome(tmp_path: Path) -> Callable[[bytes, str], Any]:
    """What becomes of a file: pixels, or an error and its words."""

    def read(content: bytes, mode: str) -> Any:
        path = tmp_path / "file.jpg"
        path.write_bytes(content)
        try:
            return pictures.decode(str(path), mode)
        except ValueError as error:
            return re.sub("0x[0-9a-f]+", "", str(error))  # where an object lay in memory

    return read


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of what simplejpeg decoded."""
    pytest.importorskip("simplejpeg", reason="simplejpeg is not installed")
    shapes, decode = [], jpeg.decoder()

    def spy(*arguments: Any, **options: Any) -> Any:
        pixels = decode(*arguments, **options)
        shapes.append(pixels.shape)
        return pixels

    monkeypatch.setattr(jpeg, "decoder", lambda: spy)
    return shapes


def assert_as_pillow(outcome: Callable[[bytes, str], Any], content: bytes, mode: str) -> Any:
    found = outcome(content, mode)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jpeg, "decoder", lambda: None)
        wanted = outcome(content, mode)
    assert type(found) is type(wanted), (found, wanted)
    np.testing.assert_array_equal(found, wanted)
    assert isinstance(found, str) or found.dtype == wanted.dtype
    return found


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (16, 17), (33, 5), (40, 64)])
@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_those_of_pillow(kind: str, size: Any, outcome: Any, decoded: Any) -> None:
    content = jpeg_of(3, size, **KINDS[kind])
    for mode in MODES:
        assert assert_as_pillow(outcome, content, mode).shape[:2] == size
    assert decoded == [(*size, 3), (*size, 4)]  # to make it grey is left to Pillow
    assert (jpeg.plain_frame(content) is None) == (kind in ("exif", "profile", "comment", "rgb"))
    if kind in ("rgb", "4:2:2", "4:2:0"):
        return
    grey = jpeg_of(4, size, "L", **KINDS[kind])
    for mode in MODES:
        assert_as_pillow(outcome, grey, mode)
    assert decoded[2:] == [(*size, 3), (*size, 4), (*size, 1)]


def test_pillow_decodes_what_simplejpeg_does_not(outcome: Any, decoded: Any) -> None:
    png = io.BytesIO()
    picture(1).save(png, "PNG")
    whole = jpeg_of(2, (30, 40))
    for content in (jpeg_of(1, (9, 9), "CMYK"), png.getvalue(), whole[:-60], whole[:-2]):
        for mode in MODES:
            assert_as_pillow(outcome, content, mode)
    assert not decoded


def test_the_frame_of_a_plain_file() -> None:
    content = jpeg_of(1, (20, 30))
    assert jpeg.plain_frame(content) == (20, 30, 3)
    assert jpeg.plain_frame(jpeg_of(1, (300, 7), "L", progressive=True)) == (300, 7, 1)
    place = content.index(b"\xff\xc0")
    scan = content.index(b"\xff\xda")
    assert jpeg.plain_frame(content[:scan] + content[scan : scan + 10]) == (20, 30, 3)
    for count in range(scan + 10):
        assert jpeg.plain_frame(content[:count]) is None
    for wrong in (b"\xff\xc3\x00\x11\x08", b"\xff\xc9\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"):
        assert jpeg.plain_frame(content[:place] + wrong + content[place + 5 :]) is None


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of damaged metadata
def test_damaged_files_are_read_or_refused_as_by_pillow(outcome: Any, decoded: Any) -> None:
    rng = random.Random(1)
    kinds, refused = list(KINDS.values()), 0
    for count in range(400):
        size = (rng.randrange(1, 25), rng.randrange(1, 25))
        grey = rng.random() < 0.3
        options = {} if grey else rng.choice(kinds)
        content = bytearray(jpeg_of(count, size, "L" if grey else "RGB", **options))
        markers = [i for i in range(2, len(content) - 1) if content[i] == 255 != content[i + 1]]
        for _ in range(rng.choice((1, 1, 2))):
            place, marker = rng.randrange(2, len(content)), rng.choice(markers)
            match rng.randrange(5):
                case 0:
                    content[place] ^= 1 << rng.randrange(8)
                case 1:
                    content[rng.randrange(min(len(content), 40))] = rng.randrange(256)
                case 2:
                    content[marker:marker] = rng.choice(SEGMENTS)
                case 3:
                    del content[place : place + rng.choice((1, 2, 20, 10_000))]
                case 4:
                    del content[marker : marker + rng.choice((2, 10))]
            content += b"\xff\xd9" * 2
            markers = [min(each, len(content) - 2) for each in markers]
        refused += isinstance(assert_as_pillow(outcome, bytes(content), rng.choice(MODES)), str)
    assert 100 < refused < 300
    assert len(decoded) > 50


def test_no_memory_for_more_pixels_than_allowed(
    outcome: Any, decoded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(jpeg_of(1, (20, 30)))
    assert_as_pillow(outcome, content, "rgb")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 599)
    with pytest.warns(Image.DecompressionBombWarning):
        assert "it has 30 x 20 pixels, more than" in assert_as_pillow(outcome, content, "rgb")
    monkeypatch.undo()
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", 60_000, 60_000)
    monkeypatch.setattr(jpeg.np, "empty", pytest.fail)
    assert "decompression bomb" in outcome(content, "rgb")


def test_without_simplejpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        for i in range(5):
            (tmp_path / name / f"{i}.jpg").write_bytes(jpeg_of(i, (20 + i, 30)))

    def images() -> list[Any]:
        jpeg.decoder.cache_clear()
        found = image_dataset_from_directory(tmp_path, image_size=16, seed=1, verbose=False)
        return [batch for batch, _ in found]

    with_it = images()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "simplejpeg", None)
        np.testing.assert_array_equal(images(), with_it)
        assert jpeg.decoder() is None
    jpeg.decoder.cache_clear()
