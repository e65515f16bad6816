"""The types that users and their tools see.

mypy and stubtest run with the linters. stubtest sees names and values but no native function's
arguments: those stand in the first line of its docstring, where the bindings write them, and are
compared with the stub here. The script of a user that mypy checks is run here.
"""

from __future__ import annotations

import ast
import re
import runpy
from importlib import resources
from pathlib import Path

import pytest

import convkit
from convkit import _core

# How a docstring spells what a function accepts, and how the stub spells it: first match wins.
_SPELLINGS = [
    (r"typing\.Annotated\[(.*), 'FixedSize\(\d+\)'\]", r"\1"),  # the length is checked, not typed
    (r"typing\.SupportsFloat( \| typing\.SupportsIndex)?", "float"),
    (r"typing\.SupportsInt( \| typing\.SupportsIndex)?", "int"),
    (r"(collections\.abc|convkit\._core|numpy\.typing|npt)\.", ""),
    (r"\bnumpy\.ndarray\b", "NDArray[Any]"),
    (r"\bnumpy\.", "np."),
]
Signature = tuple[list[tuple[str, str]], str]


def signature(function: ast.FunctionDef, aliases: dict[str, str]) -> Signature:
    """The arguments and the result of a function: names, and types in the stub's spelling."""

    def spelled(annotation: ast.expr | None) -> str:
        assert annotation is not None, f"{function.name} has an argument or a result of no type"
        text = ast.unparse(annotation)
        for alias, meaning in aliases.items():
            text = re.sub(rf"\b{alias}\b", meaning, text)
        for theirs, ours in _SPELLINGS:
            text = re.sub(theirs, ours, text)
        return text

    arguments = [(argument.arg, spelled(argument.annotation)) for argument in function.args.args]
    return arguments, spelled(function.returns)


def stub() -> ast.Module:
    return ast.parse((resources.files(convkit) / "_core.pyi").read_text())


def stubbed() -> dict[str, Signature]:
    body = stub().body
    aliases = {
        ast.unparse(node.targets[0]): ast.unparse(node.value)
        for node in body
        if isinstance(node, ast.Assign)
    }
    return {n.name: signature(n, aliases) for n in body if isinstance(n, ast.FunctionDef)}


def native() -> dict[str, Signature]:
    found = {}
    for name, member in vars(_core).items():
        if callable(member) and not isinstance(member, type):
            (definition,) = ast.parse(f"def {member.__doc__.splitlines()[0]}: ...").body
            assert isinstance(definition, ast.FunctionDef)
            found[name] = signature(definition, {})
    return found


def test_the_stub_lists_every_native_function() -> None:
    assert sorted(stubbed()) == sorted(native())


@pytest.mark.parametrize("name", sorted(native()))
def test_the_stub_has_the_signature_of(name: str) -> None:
    assert stubbed()[name] == native()[name]


def test_the_script_that_mypy_checks_runs(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")  # its data
    runpy.run_path(str(Path(__file__).parent / "typing" / "script.py"))
    assert re.search(r"test accuracy 0\.\d+", capsys.readouterr().out)
