"""Small files that are read together: their bytes, and what is left to others."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convkit import _core
from convkit.ops._read_files import read_small_files


def test_what_is_no_small_regular_file_is_left_out(tmp_path: Path) -> None:
    contents = {"a": b"1", "empty": b"", "all": bytes(range(256)) * 2, "just": b"x" * 1000}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "large").write_bytes(b"x" * 1001)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "broken").symlink_to(tmp_path / "none")
    for name in ("large", "pipe", "broken", "none", "a/b"):
        contents[name] = None  # type: ignore[assignment]
    contents["link"] = b"1"
    paths = [str(tmp_path / name) for name in contents] + [str(tmp_path), "/dev/zero", ""]
    wanted = [*contents.values(), None, None, None]
    assert read_small_files(paths, 1000) == wanted
    assert read_small_files(paths[::-1], 1000) == wanted[::-1]
    assert read_small_files(paths[:2], 0) == [None, b""]
    assert read_small_files([], 1000) == []


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are UTF-8 there")
def test_names_of_any_bytes(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff \n\xc3\xa4"
    with open(path, "wb") as file:
        file.write(b"1")
    assert read_small_files([os.fsdecode(path)], 1) == [b"1"]


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    path = np.frombuffer(os.fsencode(tmp_path / "a") + b"\0", np.uint8)
    sizes = np.zeros(1, np.int64)
    assert _core.read_small_files(path, 9, sizes) == b"1"
    assert sizes == 1
    read_only = sizes.copy()
    read_only.flags.writeable = False
    wrong: list[tuple[Any, ...]] = [
        (path[:-1], 9, sizes, "must end with a 0"),
        (path[None], 9, sizes, "paths must have 1 dimension"),
        (path, -1, sizes, "largest must be"),
        (path, 2**20 + 1, sizes, "largest must be"),
        (path, 9, np.zeros(2, np.int64), "sizes must have shape"),
        (path, 9, sizes[:0], "sizes must have shape"),
        (path, 9, sizes[None], "sizes must have 1 dimension"),
        (path, 9, read_only, "not writeable"),
    ]
    for *arguments, words in wrong:
        with pytest.raises(ValueError, match=words):
            _core.read_small_files(*arguments)
    for given in ((path.astype(np.int8), 9, sizes), (path, 9, [0]), (path, "9", sizes)):
        with pytest.raises(TypeError):
            _core.read_small_files(*given)  # type: ignore[arg-type]
