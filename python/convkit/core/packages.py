"""Other people's packages, which convkit does without until a function needs one."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_COMMANDS = {
    "keras": "pip install keras, and one of its backends: tensorflow, torch or jax",
    "onnx": 'pip install "convkit[onnx]"',
    "tensorboardX": 'pip install "convkit[tensorboard]"',
    "torch": "pip install torch",
}


def package(name: str) -> Any:
    """The package of that name; ImportError says how to install it where it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"this needs the package {name}, which cannot be imported ({error}); install it with: "
            f"{_COMMANDS[name]}"
        ) from error
