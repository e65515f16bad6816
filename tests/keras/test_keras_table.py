"""The table of Keras's names in docs/keras.md against the code, and against Keras where it is.

Without Keras: names that are the same or different exist, absent ones do not, nothing public is
missing from the table, and its head line counts right. With Keras: all names are Keras's, and
arguments agree as the table says.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import convkit

TABLE = Path(__file__).resolve().parents[2] / "docs" / "keras.md"
KINDS = ("same", "different", "absent")

pytestmark = [
    pytest.mark.skipif(not TABLE.is_file(), reason="the source tree is not here"),
    pytest.mark.filterwarnings("ignore:__array:DeprecationWarning"),
]

# Where a public name of convkit must be in the table if Keras has it too.
MODULES = (
    "activations",
    "callbacks",
    "constraints",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "optimizers.schedules",
    "regularizers",
    "saving",
    "utils",
)
# What Keras has no counterpart for, by keyword only.
OUR_OWN = {"algorithm", "alternating", "label_smoothing"}
# What a subclass with a call leaves out; Keras's arguments are those of its Functional.
LEFT_OUT = {"inputs", "outputs"}
# Keras gives these a default and then refuses to do without them.
REQUIRED = {"shape", "x"}
# What Keras's constructors hide behind **kwargs, and convkit's layers and Sequential all take.
COMMON = {"name", "trainable", "input_shape"}
# Taken nowhere, as the table's head says.
NOWHERE = {"dtype"}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    kind: str
    how: str

    @property
    def without(self) -> set[str]:
        """The arguments of Keras that the row says are not taken."""
        found = re.search(r"without ((?:`\w+`(?:, )?)+)", self.how)
        return set(re.findall(r"`(\w+)`", found.group(1))) if found else set()


def table() -> list[Row]:
    found = re.findall(r"^\| `([\w.]+)` \| (\w+) \|(.*)\|$", TABLE.read_text(), re.MULTILINE)
    return [Row(name, kind, how.strip()) for name, kind, how in found]


ROWS = table() if TABLE.is_file() else []


def has_keras() -> bool:
    return all(importlib.util.find_spec(name) for name in ("keras", "torch")) and (
        os.environ.setdefault("KERAS_BACKEND", "torch") == "torch"
    )


needs_keras = pytest.mark.skipif(not has_keras(), reason="Keras with PyTorch is not installed")


def resolve(library: str, name: str) -> Any:
    """The object of that name; AttributeError if there is none."""
    root = importlib.import_module(library)
    parts = name.split(".")
    if len(parts) > 1 and parts[0] in ("Sequential", "Dense"):
        model = root.Sequential([root.Input((4,)), root.layers.Dense(2)])
        model.compile("adam", "mse")
        found: Any = model if parts[0] == "Sequential" else model.layers[0]
        # A class's own call, not that of its metaclass.
        parts = parts[1:]
        if parts[0] == "__call__" and "__call__" not in dir(type(found)):
            raise AttributeError(name)
    else:
        found = root
    for part in parts:
        try:
            found = getattr(found, part)
        except AttributeError:
            # Some submodules are only imported when they are asked for.
            if not inspect.ismodule(found):
                raise
            try:
                found = importlib.import_module(f"{found.__name__}.{part}")
            except ImportError as error:
                raise AttributeError(name) from error
    return found


def arguments(found: Any) -> dict[str, inspect.Parameter] | None:
    """The named arguments of a function or class in order; None for anything else."""
    if not callable(found) or inspect.ismodule(found):
        return None
    if inspect.isclass(found) and found.__module__.startswith("keras"):
        if found.__name__ == "Model":  # whose constructor makes a Functional of these
            found = importlib.import_module("keras.src.models.functional").Functional
        found = found.__init__  # Sequential's and Layer's own __new__ hides it
    parameters = inspect.signature(found).parameters.values()
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    named = {p.name: p for p in parameters if p.kind not in variable and p.name != "self"}
    return {name: p for name, p in named.items() if name not in NOWHERE}


def ids(row: Row) -> str:
    return row.name


def rows(*kinds: str) -> list[Row]:
    return [row for row in ROWS if row.kind in kinds]


def test_the_head_line_counts_right(count: Callable[..., None]) -> None:
    counts = Counter(row.kind for row in ROWS)
    same, different, absent = (counts[kind] for kind in KINDS)
    line = f"**{len(ROWS)} names: {same} the same, {different} different, {absent} absent.**"
    assert line in TABLE.read_text().splitlines()
    count(
        "names in the table of Keras's",
        {"the same": same, "different": different, "absent": absent},
    )


def test_every_row_is_well_formed() -> None:
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    assert len(lines) == len(ROWS) > 200
    assert set(Counter(row.name for row in ROWS).values()) == {1}
    for row in ROWS:
        assert row.kind in KINDS, row
        assert row.how or row.kind == "same", f"{row.name}: say how it differs or what to do"


@pytest.mark.parametrize("row", rows("same", "different"), ids=ids)
def test_names_that_are_here(row: Row) -> None:
    found = resolve("convkit", row.name)
    name = row.name.removeprefix("activations.")
    if name not in (row.name, "get", "serialize", "deserialize"):
        for given in (name, found):
            config = convkit.layers.Activation(given).get_config()
            kept = {"linear": None, "celu": "elu"}.get(name, found.__name__)
            assert config["activation"] == kept


@pytest.mark.parametrize("row", rows("absent"), ids=ids)
def test_names_that_are_not(row: Row) -> None:
    if row.name.startswith("activations."):
        with pytest.raises(ValueError, match="unknown activation"):
            convkit.layers.Activation(row.name.removeprefix("activations."))
    with pytest.raises((AttributeError, ModuleNotFoundError)):
        resolve("convkit", row.name)


@needs_keras
@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_all_names_are_keras_s(row: Row) -> None:
    resolve("keras", row.name)


@needs_keras
@pytest.mark.parametrize("module", MODULES)
def test_no_public_name_is_missing(module: str) -> None:
    try:
        ours, theirs = resolve("convkit", module), resolve("keras", module)
    except AttributeError:
        pytest.skip(f"convkit.{module} is not here")
    listed = {row.name for row in ROWS}
    for name in dir(ours):
        value = getattr(ours, name)
        # A helper that a module imports is not its own.
        own = getattr(value, "__module__", "").startswith(f"convkit.{module.split('.')[0]}")
        if not name.startswith("_") and own and hasattr(theirs, name) and callable(value):
            assert f"{module}.{name}" in listed, f"say in {TABLE.name} how {module}.{name} compares"


def _options(row: Row) -> set[str]:
    """What optimizers take through **options, by keyword."""
    if not row.name.startswith("optimizers.") or not inspect.isclass(resolve("convkit", row.name)):
        return set()
    return set(arguments(convkit.optimizers.Optimizer) or ())


@needs_keras
@pytest.mark.parametrize("name", ["SGD", "Adam", "Muon"])
def test_options_of_optimizers(name: str) -> None:
    """Those that `test_arguments` leaves out are taken, with Keras's defaults."""
    theirs = arguments(importlib.import_module("keras").optimizers.Optimizer)
    ours = arguments(convkit.optimizers.Optimizer)
    assert theirs is not None
    assert ours is not None
    assert list(ours) == list(theirs)
    for key, parameter in theirs.items():
        assert ours[key].default == parameter.default, key
        if key not in ("learning_rate", "weight_decay"):
            getattr(convkit.optimizers, name)(**{key: parameter.default})


@needs_keras
@pytest.mark.parametrize("row", rows("same", "different"), ids=ids)
def test_arguments(row: Row) -> None:
    """Of what is the same, arguments, their places and defaults; of all, what is not taken."""
    theirs, ours = arguments(resolve("keras", row.name)), arguments(resolve("convkit", row.name))
    if theirs is None or ours is None:
        assert not row.without
        return
    # Some of Keras's classes take these through **kwargs, and all of ours.
    missing = theirs.keys() - ours.keys() - COMMON - _options(row)
    assert row.without - COMMON == missing, f"the row says without {sorted(row.without)}"
    if row.kind == "different":
        return
    positional = [p.name for p in ours.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    taken = [name for name in theirs if name in ours][: len(positional)]
    for name, parameter in ours.items():
        if name in COMMON and name not in theirs:
            continue
        if name in OUR_OWN and parameter.kind is parameter.KEYWORD_ONLY:
            continue
        assert name in theirs, f"Keras has no {name}"
        if name not in ("name", *LEFT_OUT) and not (
            name in REQUIRED and parameter.default is parameter.empty
        ):
            # An automatic name is None here and a word there.
            assert parameter.default == theirs[name].default, name
    assert positional == taken, "positional arguments come in Keras's order"
    gaps = [name for name in list(theirs)[: len(positional)] if name not in ours]
    assert not gaps, f"arguments behind {gaps} must be given by keyword"
