"""`google.colab.drive`: no drive is mounted."""

from __future__ import annotations

from typing import Any

from .. import notes

__all__ = ["flush_and_unmount", "mount"]


def mount(mountpoint: str, *arguments: Any, **options: Any) -> None:
    """Nothing: what lies there is read as a folder of this machine."""
    notes.ignored(f"drive.mount({mountpoint!r})", "put the files there, or change their paths")


def flush_and_unmount(*arguments: Any, **options: Any) -> None:
    """Nothing: nothing was mounted."""
