"""Scripts and notebooks as Python, without what only IPython and a shell understand."""

from __future__ import annotations

import io
import json
import re
import tokenize
from typing import Any, NamedTuple

from . import notes

_MAGIC = re.compile(r"^(\s*)([%!])(.*)$")
_ASSIGNED = re.compile(r"^(\s*[\w, ]+=\s*)[!%](?![=%])(.*)$")
_HELP = re.compile(r"^\s*\??\??[\w.]+\?\??\s*$")
# Magics of whole cells behind which Python stands.
_TRANSPARENT = ("%%time", "%%timeit", "%%capture", "%%prun", "%%backend", "%%tensorflow_version")


class Part(NamedTuple):
    """A script, or a cell of a notebook.

    Attributes:
        name: what errors call it.
        text: Python.
        may_fail: whether what comes behind it runs all the same: a cell that is marked so, or
            whose error is in the notebook.
    """

    name: str
    text: str
    may_fail: bool = False


def parts_of(path: str) -> list[Part]:
    """The Python of a script or a notebook.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no script and no notebook.
    """
    with open(path, "rb") as file:
        data = file.read()
    if path.endswith(".ipynb"):
        return cells_of(data.decode("utf-8"), path)
    encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    text = data.decode(encoding)
    # A script that a notebook was exported to may have its magics.
    return [Part(path, python_of(text))]


def cells_of(text: str, path: str = "notebook") -> list[Part]:
    """The code cells of a notebook as Python.

    Lines that are magics or commands of a shell are left out, each with a note.

    Raises:
        ValueError: it is no notebook.
    """
    try:
        document: Any = json.loads(text)
        cells = document["cells"] if "cells" in document else document["worksheets"][0]["cells"]
        code = [each for each in cells if each["cell_type"] == "code"]
        return [
            Part(
                f"{path}, code cell {i}",
                python_of("".join(each.get("source", each.get("input", "")))),
                _may_fail(each),
            )
            for i, each in enumerate(code, 1)
        ]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"it is no notebook: {error!r}") from error


def _may_fail(cell: dict[str, Any]) -> bool:
    kinds = [each.get("output_type") for each in cell.get("outputs", ())]
    return "error" in kinds or "raises-exception" in cell.get("metadata", {}).get("tags", ())


def python_of(cell: str) -> str:
    """A cell as Python, with as many lines."""
    lines = _dedented(cell.split("\n"))
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is not None and lines[first].startswith("%%"):
        name = lines[first].split()[0]
        notes.ignored(lines[first].strip())
        if not name.startswith(_TRANSPARENT):
            return "\n" * (len(lines) - 1)
        lines[first] = ""
    if _is_python("\n".join(lines)):
        return "\n".join(lines)
    made: list[str] = []
    goes_on = False
    for line in lines:
        if goes_on:
            goes_on = line.rstrip().endswith("\\")
            made.append("")
            continue
        if match := _MAGIC.match(line):
            notes.ignored(line.strip().rstrip("\\").strip())
            made.append(f"{match[1]}pass")
            goes_on = line.rstrip().endswith("\\")
        elif match := _ASSIGNED.match(line):
            notes.ignored(line.strip())
            made.append(f"{match[1]}[]")
        elif _HELP.match(line):
            made.append("pass")
        else:
            made.append(line)
    return "\n".join(made)


def _dedented(lines: list[str]) -> list[str]:
    """Lines without the indentation of the first one, which IPython removes, too."""
    first = next((line for line in lines if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip())]
    return [line.removeprefix(indent) if indent else line for line in lines]


def _is_python(text: str) -> bool:
    try:
        compile(text, "cell", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


class Shell:
    """What `get_ipython()` gives a script: magics and commands do nothing."""

    def __getattr__(self, name: str) -> Any:
        def nothing(*arguments: Any, **options: Any) -> None:
            notes.ignored(f"get_ipython().{name}({', '.join(map(repr, arguments))})")

        return nothing


def display(*values: Any, **options: Any) -> None:
    """What notebooks have for showing values: they are printed."""
    for value in values:
        print(value)
