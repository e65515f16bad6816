"""Other people's packages, which convkit does without until a function needs one."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_COMMANDS = {
    "PIL": 'pip install "convkit[images]"',
    "h5py": 'pip install "convkit[keras]"',
    "mpi4py": 'pip install "convkit[mpi]"',
    "keras": "pip install keras, and one of its backends: tensorflow, torch or jax",
    "onnx": 'pip install "convkit[onnx]"',
    "tensorboardX": 'pip install "convkit[tensorboard]"',
    "torch": "pip install torch",
}


def package(name: str) -> Any:
    """The package of that name, or a module in one; ImportError says how to install it."""
    root = name.partition(".")[0]
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"this needs the package {root}, which cannot be imported ({error}); install it with: "
            f"{_COMMANDS[root]}"
        ) from error
