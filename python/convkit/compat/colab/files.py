"""`google.colab.files`: no browser that sends or takes files."""

from __future__ import annotations

from typing import Any

from .. import notes

__all__ = ["download", "upload", "view"]


def upload(*arguments: Any, **options: Any) -> dict[str, bytes]:
    """No files: those that a notebook needs lie in the folder where it runs."""
    notes.ignored("files.upload()", "put the files into the folder where the notebook runs")
    return {}


def download(filename: Any, *arguments: Any, **options: Any) -> None:
    """Nothing: the file is on this machine."""


def view(filepath: Any, *arguments: Any, **options: Any) -> None:
    """Nothing: the file is on this machine."""
