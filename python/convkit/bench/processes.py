"""What only fresh processes can tell: peak memory, import time; and the size on disk."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from . import child
from .measure import CONVKIT, Case, Facts

_SIDES = {"torch": ("torch nchw", "torch channels_last"), "keras": ("keras",)}


def _label(side: str) -> str:
    """Keras with its backend, which `peers.missing` has settled."""
    backend = os.environ.get("KERAS_BACKEND")
    return f"{side} {backend}" if side == "keras" and backend else side


def memory_cases(
    *, batch_size: int = 32, threads: int = 1, contenders: Sequence[str] = ()
) -> Iterator[Case]:
    """The peak resident set of a process that trains the MNIST model on random images for a moment.

    Args:
        batch_size: N.
        threads: of every side.
        contenders: "torch" and "keras", as far as they are installed.
    """
    sides = [CONVKIT, *(side for name in contenders for side in _SIDES[name])]
    calls = {
        _label(side): partial(run_child, "memory", side, str(batch_size), threads=threads)
        for side in sides
    }
    name = f"mnist, batch {batch_size}, {child.STEPS} steps"
    yield Case(name, "peak resident set", calls, Facts(unit="B", reports=True))


def startup_cases(*, contenders: Sequence[str] = ("numpy",)) -> Iterator[Case]:
    """The time of an import in a fresh process, dependencies included, and the installed sizes.

    Args:
        contenders: modules, all of which must be installed.
    """
    modules = (CONVKIT, *contenders)
    imports = {_label(module): partial(run_child, "import", module) for module in modules}
    yield Case("import time", "fresh process", imports, Facts(reports=True))
    sizes = {module: partial(installed_bytes, module) for module in modules}
    yield Case("installed size", "without dependencies", sizes, Facts(unit="B", reports=True))


def run_child(*arguments: str, threads: int | None = None) -> float:
    """What `child` says in a process of its own.

    Raises:
        RuntimeError: it failed; the message has what it printed.
    """
    environment = dict(os.environ)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    source = Path(child.__file__).read_text(encoding="utf-8")
    command = [sys.executable, "-c", source, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"measuring {' '.join(arguments)} failed:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def installed_bytes(module: str) -> int:
    """The files of a package, with its bundled libraries, without what Python compiles later."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"{module} is not an installed package")
    (folder,) = map(Path, spec.submodule_search_locations)
    files = [*folder.rglob("*"), *folder.with_name(f"{folder.name}.libs").rglob("*")]
    return sum(
        path.stat().st_size for path in files if path.is_file() and "__pycache__" not in path.parts
    )
