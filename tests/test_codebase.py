"""The rules of the house: who may know whom, how long a file may be, what must not be in it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import convkit
from convkit import ops, reference

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "convkit"
CPP = ROOT / "cpp"

pytestmark = pytest.mark.skipif(
    not (PACKAGE.is_dir() and CPP.is_dir()), reason="the source tree is not here"
)

# What each module or subpackage may import of convkit, also for type checkers alone.
# `convkit` itself is __init__.py, which may import all that is public.
_PARTS = {"layers", "losses", "metrics", "optimizers", "regularizers"}
ALLOWED: dict[str, set[str]] = {
    "_core": set(),
    "reference": set(),
    "core": set(),
    "ops": {"_core"},
    "runtime": {"_core", "core", "__version__"},
    "initializers": {"core"},
    "regularizers": {"core", "ops"},
    "constraints": {"core", "ops"},
    "activations": {"core", "ops"},
    "layers": {"activations", "constraints", "core", "initializers", "ops", "regularizers"},
    "losses": {"core", "ops"},
    "metrics": {"core", "losses", "ops"},
    "optimizers": {"core", "ops"},
    "storage": {"constraints", "core", "initializers", *_PARTS},
    "callbacks": {"core"},
    "summary": {"layers"},
    "plan": {"core", "ops", "runtime", *_PARTS},
    "training": {"callbacks", "core", "ops", "plan", "storage", *_PARTS},
    "models": {"callbacks", "core", "storage", "summary", "training", *_PARTS},
    "saving": {"core", "models", "storage"},
    "diagram": {"core", "models"},
    "utils": {"core", "data", "diagram", "layers", "ops"},
    "zoo": {"models", "layers"},
    "operators": {"activations", "core", "layers", "models", "ops"},
    "onnx": {"core", "layers", "models", "operators", "ops", "__version__"},
    "interop": {"activations", "constraints", "models", "onnx", "operators", "storage"}
    | {"core", "ops", *_PARTS},
    "data": {"core", "datasets", "ops"},
    "distribution": {"core", "ops", "runtime"},
    "datasets": {"core"},
    "preprocessing": {"core", "data"},
    "plots": {"models", "layers"},
    "sklearn": {"callbacks", "core", "models", "runtime", "training", *_PARTS},
}
ANYWHERE = {"absent"}  # knows nobody, and is read only where an error is raised
ALLOWED["absent"] = set()
OUTSIDE_MODELS = ("bench", "compat")  # look at everything
LONGEST_FILE = 420
LONGEST_FUNCTION = 70


def python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def all_imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """All imports, those for type checkers and within functions among them."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))


def convkit_imports(path: Path, text: str | None = None) -> set[str]:
    """The modules of convkit that a file imports, by the first name below convkit."""
    here = ["convkit", *path.relative_to(PACKAGE).parts[:-1]]
    found: set[str] = set()
    for node in all_imports(ast.parse(path.read_text() if text is None else text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            base = here[: len(here) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{origin}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "convkit" and len(parts) > 1:
                found.add(parts[1])
    return found


def test_the_scanner_sees_every_form_of_import() -> None:
    text = (
        "from __future__ import annotations\n"
        "from typing import TYPE_CHECKING\n"
        "import numpy, convkit.plan\n"
        "from .. import ops\n"
        "from ..models import Sequential\n"
        "from .base import Layer\n"
        "from convkit.losses import Loss\n"
        "if TYPE_CHECKING:\n    from ..zoo import mnist_cnn\n"
        "def f():\n    from convkit import utils\n"
    )
    seen = convkit_imports(PACKAGE / "layers" / "dense.py", text)
    assert seen == {"plan", "ops", "models", "layers", "losses", "utils", "zoo"}


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_python_modules_know_only_those_below_them(path: Path) -> None:
    module = module_of(path)
    if path == PACKAGE / "__init__.py" or module in OUTSIDE_MODELS:
        return
    assert module in ALLOWED, f"say in ALLOWED what {module} may import"
    forbidden = convkit_imports(path) - ALLOWED[module] - ANYWHERE - {module}
    assert not forbidden, f"{path.name} must not import {sorted(forbidden)}"


def test_the_table_of_layers_has_no_circles() -> None:
    done: set[str] = {"__version__"}
    left = dict(ALLOWED)
    while left:
        ready = {name for name, below in left.items() if below <= done}
        assert ready, f"a circle among {sorted(left)}"
        done |= ready
        left = {name: below for name, below in left.items() if name not in ready}


def modules() -> dict[str, Path]:
    """The modules of the package by their dotted names."""
    found = {}
    for path in python_files():
        parts = ["convkit", *path.relative_to(PACKAGE).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def test_modules_import_each_other_in_no_circles() -> None:
    """Not for types, either; but in `layers` a layer and its calls are one thing in some files."""
    known = modules()
    left: dict[str, set[str]] = {}
    for name, path in known.items():
        here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        left[name] = set()
        for node in all_imports(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                base = here[: len(here) - node.level + 1] if node.level else []
                origin = ".".join([*base, *([node.module] if node.module else [])])
                for alias in node.names:
                    whole = f"{origin}.{alias.name}"
                    left[name].add(whole if whole in known else origin)
    apart = {name for name in left if name.startswith("convkit.layers") or name == "convkit"}
    done = set(apart)
    while waiting := left.keys() - done:
        ready = {name for name in waiting if (left[name] & left.keys()) - done <= {name}}
        assert ready, f"a circle among {sorted(waiting)}"
        done |= ready


def test_only_ops_and_runtime_touch_the_native_module() -> None:
    users = {module_of(path) for path in python_files() if "_core" in convkit_imports(path)}
    assert users == {"ops", "runtime"}


def test_the_reference_needs_numpy_alone() -> None:
    allowed = {"__future__", "collections", "dataclasses", "math", "numpy", "operator", "typing"}
    for path in (PACKAGE / "reference").glob("*.py"):
        for node in all_imports(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                continue
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
            assert {str(name).split(".")[0] for name in names} <= allowed, path.name


def test_ops_and_reference_mirror_each_other() -> None:
    files = [{p.name for p in (PACKAGE / part).glob("[a-z]*.py")} for part in ("ops", "reference")]
    assert files[0] == files[1]
    for name in reference.__all__:
        ours, theirs = (inspect.signature(getattr(m, name)) for m in (ops, reference))
        assert [(p.name, p.default, p.kind) for p in ours.parameters.values()] == [
            (p.name, p.default, p.kind) for p in theirs.parameters.values()
        ], name


# C++.


def cpp_files(folder: str = ".") -> list[Path]:
    return sorted(p for p in (CPP / folder).rglob("*") if p.suffix in (".h", ".cpp"))


def includes(path: Path) -> list[str]:
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


KNOWN_FOLDERS = {
    "bindings": {"bindings", "ops", "dispatch", "."},
    "ops": {"ops", "dispatch", "."},
    "dispatch": {"dispatch", "."},
    "kernels": {"kernels", "dispatch", "."},
    ".": {"."},
}


@pytest.mark.parametrize("path", cpp_files(), ids=lambda p: str(p.relative_to(CPP)))
def test_cpp_files_know_only_those_below_them(path: Path) -> None:
    folder = path.parent.relative_to(CPP).as_posix()
    for name in includes(path):
        target = (path.parent / name).resolve()
        if target.is_file():
            known = target.parent.relative_to(CPP).as_posix()
            assert known in KNOWN_FOLDERS[folder], f"{path.name} must not include {name}"
        if "pybind11" in name or name == "Python.h":
            assert folder == "bindings", f"{path.name}: Python belongs to bindings/ alone"
        if name == "omp.h":
            assert folder == "ops", f"{path.name}: OpenMP belongs to ops/ alone"
        if name in ("immintrin.h", "arm_neon.h"):
            assert path.name.startswith("simd"), f"{path.name}: intrinsics stay behind simd.h"
    text = path.read_text()
    if re.search(r"#\s*pragma\s+omp", text):
        assert folder == "ops", f"{path.name}: OpenMP belongs to ops/ alone"
    assert "ffast-math" not in text


def test_kernels_meet_dispatch_in_one_file_only() -> None:
    meeting = [p.name for p in cpp_files("kernels") if any("dispatch" in i for i in includes(p))]
    assert meeting == ["topics.h"]


def test_builds_for_others_are_not_tuned_to_this_machine() -> None:
    for path in (ROOT / "CMakeLists.txt", ROOT / "cpp" / "CMakeLists.txt"):
        code = re.sub(r"#.*", "", path.read_text())
        assert "-march=native" not in code
        assert "-ffast-math" not in code


# Size, and what does not belong into a file.


@pytest.mark.parametrize(
    "path", [*python_files(), *cpp_files()], ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_files_stay_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST_FILE, f"{path.name} has {lines} lines; split it by topic"


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_functions_stay_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            documented = ast.get_docstring(node) is not None
            first = node.body[1] if documented and len(node.body) > 1 else node.body[0]
            length = (node.end_lineno or 0) - first.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{path.name}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_everything_public_is_documented(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if path.read_text().strip():
        assert ast.get_docstring(tree), f"{path.name} says nothing about itself"
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"


def text_files() -> Iterator[Path]:
    suffixes = {".py", ".pyi", ".ipynb", ".h", ".cpp", ".md", ".rst", ".toml", ".txt"}
    suffixes |= {".yml", ".yaml", ".cff"}
    for folder in ("python", "cpp", "tests", "examples", "docs", ".ci", ".github", "."):
        for path in sorted((ROOT / folder).glob("*" if folder == "." else "**/*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    # Put together here, so that this file does not contain what it looks for.
    patterns = [rf"/{name}/[a-z]" for name in ("root", "work", "home", "Users")] + ["C:" + r"\\"]
    wrong = re.compile("|".join(patterns))
    for path in text_files():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert not wrong.search(line), f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


def test_nothing_is_left_to_do() -> None:
    marks = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b")
    for path in [*python_files(), *cpp_files()]:
        assert not marks.search(path.read_text()), path.name


def test_the_documentation_has_every_public_module() -> None:
    listed = re.findall(r"^ +convkit\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(set(convkit.__all__) - {"Input", "Model", "Sequential"})


def test_the_citation_is_of_this_version() -> None:
    def value(path: str, pattern: str) -> str:
        (found,) = re.findall(pattern, (ROOT / path).read_text(), re.MULTILINE)
        return str(found)

    version = value("python/convkit/__init__.py", r'^__version__ = "(.+?)"')
    assert value("CITATION.cff", r"^version: (.+)$") == version
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_hooks_run_the_pinned_tools() -> None:
    pinned = dict(
        re.findall(r'"(clang-format|ruff)==([^"]+)"', (ROOT / "pyproject.toml").read_text())
    )
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert dict(
        re.findall(r"/(?:mirrors-)?(clang-format|ruff)(?:-pre-commit)?\n +rev: v(.+)", hooks)
    ) == (pinned)
