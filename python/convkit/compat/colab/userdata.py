"""`google.colab.userdata`: secrets, from the environment."""

from __future__ import annotations

import os

__all__ = ["get"]


def get(key: str) -> str:
    """The environment variable of that name.

    Raises:
        KeyError: there is none.
    """
    return os.environ[key]
