"""The code of a documentation page, run in order, as a reader would who copies all of it."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

FENCE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def run(text: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Run a page's blocks of Python in one namespace, in a temporary folder.

    Returns:
        The names afterwards; and each block with what it printed.
    """
    names: dict[str, Any] = {"__name__": "__page__"}
    printed: list[tuple[str, str]] = []
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for block in FENCE.findall(text):
                with redirect_stdout(StringIO()) as output:
                    exec(block, names)
                printed.append((block, output.getvalue()))
        finally:
            os.chdir(before)
    return names, printed
