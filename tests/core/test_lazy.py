"""Names that are imported when they are first asked for: nobody can tell them from others."""

from __future__ import annotations

import ast
import importlib
import pickle
import subprocess
import sys
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import convkit
from convkit.core import lazy

PACKAGE = Path(str(resources.files(convkit)))


def attached() -> list[str]:
    """The modules of convkit whose names `lazy.attach` completes."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if "lazy.attach(" in path.read_text():
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


MODULES = attached()
LAZY = [
    name
    for name in MODULES
    if name in ("convkit", "convkit.datasets") or hasattr(importlib.import_module(name), "_OWNERS")
]


def imports_for_checkers(module: ModuleType) -> dict[str, set[str]]:
    """What stands under `if TYPE_CHECKING`: the names from each module, "" for modules."""
    found: dict[str, set[str]] = {}
    assert module.__file__ is not None
    for node in ast.parse(Path(module.__file__).read_text()).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom) and line.level:
                    owner = "." * (line.level - 1) + (line.module or "")
                    found.setdefault(owner, set()).update(alias.name for alias in line.names)
    return found


def test_all_packages_with_many_modules_are_looked_at() -> None:
    names = {"callbacks", "datasets", "layers", "losses", "metrics", "optimizers", "storage"}
    assert {f"convkit.{name}" for name in names} | {"convkit", "convkit.utils"} == set(LAZY)


@pytest.mark.parametrize("name", LAZY)
def test_type_checkers_see_the_same_names(name: str) -> None:
    module = importlib.import_module(name)
    owners = {owner: set(names) for owner, names in getattr(module, "_OWNERS", {}).items()}
    for_checkers = imports_for_checkers(module)
    submodules = for_checkers.pop("", set())
    assert owners == for_checkers
    assert submodules <= set(module.__all__)
    for each in submodules:
        assert getattr(module, each) is importlib.import_module(f"{name}.{each}")


@pytest.mark.parametrize("name", LAZY)
def test_no_module_takes_the_place_of_a_name(name: str) -> None:
    # Importing `layers.concatenate` sets the attribute `concatenate` of `layers`.
    module = importlib.import_module(name)
    inside = {
        each.stem for path in getattr(module, "__path__", ()) for each in Path(path).iterdir()
    }
    assert inside.isdisjoint(
        each for names in getattr(module, "_OWNERS", {}).values() for each in names
    )


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_there(name: str) -> None:
    module = importlib.import_module(name)
    assert set(module.__all__) <= set(dir(module))
    optional = {"bench", "plots", "sklearn"} if name == "convkit" else {"digits"}
    for each in set(module.__all__) - optional:
        value = getattr(module, each)
        assert vars(module)[each] is value
        names: dict[str, Any] = {}
        exec(f"from {name} import {each}", names)
        assert names[each] is value
    assert not hasattr(module, "__wrapped__")
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_a_star_brings_all() -> None:
    names: dict[str, Any] = {}
    exec("from convkit.layers import *\nfrom convkit.losses import *", names)
    assert set(convkit.layers.__all__) | set(convkit.losses.__all__) <= set(names)


# What one may do first in a new process, and what must not be loaded by it.
FIRST = [
    ("from convkit.layers import RandomFlip; RandomFlip()", "convkit.layers.mixing"),
    ("import convkit; convkit.layers.CutMix()", "convkit.layers.random_affine"),
    ("import convkit.losses.margins; convkit.losses.margins.Hinge()", "convkit.losses.overlap"),
    ("import convkit; convkit.losses.margins.Hinge()", "convkit.losses.overlap"),
    ("from convkit.losses import margins; margins.Hinge()", "convkit.losses.overlap"),
    ("import convkit; convkit.optimizers.get('RMSprop')", "convkit.optimizers.muon"),
    ("import convkit; convkit.metrics.get('accuracy')", "convkit.metrics.auc"),
    ("import convkit; convkit.metrics.mean_squared_error([1], [2])", "convkit.metrics.of_losses"),
    ("import pickle; pickle.loads({pickled!r})", "convkit.optimizers.muon"),
    (
        "from convkit import storage; storage.revive({{'module': 'convkit.layers', 'class_name': "
        "'Dense', 'config': {{'units': 3}}}}, object)",
        "convkit.plots",
    ),
    ("import convkit; help(convkit.callbacks)", "convkit.absent"),
]


@pytest.mark.parametrize(("statement", "unused"), FIRST, ids=lambda text: text[:40])
def test_what_is_asked_for_first(statement: str, unused: str) -> None:
    pickled = pickle.dumps(convkit.optimizers.RMSprop(0.5))
    code = f"import sys; {statement.format(pickled=pickled)}; print({unused!r} in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "False"


def test_the_classes_of_a_module() -> None:
    found = lazy.classes(convkit.optimizers, convkit.optimizers.Optimizer)
    assert found["Muon"] is convkit.optimizers.Muon
    assert "Optimizer" not in found
    assert "LearningRate" not in found
    layers = lazy.classes(convkit.layers, convkit.layers.Layer)
    assert layers["MaxPool2D"] is layers["MaxPooling2D"]
