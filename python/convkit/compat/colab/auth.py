"""`google.colab.auth`: nobody logs in."""

from __future__ import annotations

from typing import Any

__all__ = ["authenticate_user"]


def authenticate_user(*arguments: Any, **options: Any) -> None:
    """Nothing: nothing here belongs to an account."""
