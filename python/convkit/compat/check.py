"""Which names a script asks Keras and TensorFlow for that convkit has not; nothing is run."""

from __future__ import annotations

import ast
from typing import Any

from .advice import advice
from .guarded import catches_imports
from .notebook import parts_of
from .tree import ROOTS, Namespace, canonical, space
from .unavailable import Unavailable


def missing_names(path: str) -> list[str]:
    """A line for each name of a script or a notebook that is missing: where, which, and what to do.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no script and no notebook.
        SyntaxError: it is no Python.
    """
    found: dict[str, str] = {}
    names: dict[str, Any] = {}
    for part in parts_of(path):
        reader = _Reader(names, part.name, found)
        reader.visit(ast.parse(part.text))
    return list(found.values())


class _Reader(ast.NodeVisitor):
    """Follows the names that modules of Keras and TensorFlow have in a script.

    Args:
        names: what they stand for, by name.
        where: the part of the script.
        found: the lines so far, by the missing name.
    """

    def __init__(self, names: dict[str, Any], where: str, found: dict[str, str]) -> None:
        self._names, self._where, self._found = names, where, found
        self._is_guarded = False

    def visit_Try(self, node: ast.Try) -> None:
        """What a script can do without, for it catches the error of the import, is not missing."""
        former, self._is_guarded = self._is_guarded, catches_imports(node, of_module=True)
        for each in node.body:
            self.visit(each)
        self._is_guarded = former
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)

    def visit_Import(self, node: ast.Import) -> None:
        """`import keras.layers`, and `import tensorflow as tf`."""
        for alias in node.names:
            if alias.name.partition(".")[0] not in ROOTS:
                continue
            module = space(alias.name)
            if module is None:
                path = canonical(alias.name)
                if self._is_guarded:
                    continue
                if not advice(path):
                    self._missing(alias.name, node)
                elif alias.asname:
                    self._names[alias.asname] = Unavailable(path, advice(path))
            elif alias.asname:
                self._names[alias.asname] = module
            else:
                root = alias.name.partition(".")[0]
                self._names[root] = space(root)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """`from keras.layers import Dense`."""
        if node.level or (node.module or "").partition(".")[0] not in ROOTS:
            return
        module = space(node.module or "")
        if module is None and self._is_guarded:
            return
        if module is None and not advice(canonical(node.module or "")):
            self._missing(node.module or "", node)
            return
        for alias in node.names:
            path = f"{canonical(node.module or '')}.{alias.name}"
            value: Any = None
            if module is not None and alias.name != "*":
                quiet = self._is_guarded or bool(advice(path))
                value = self._get(module, alias.name, node, quiet)
            if value is None and advice(path) and not self._is_guarded:
                value = Unavailable(path, advice(path))
            self._names[alias.asname or alias.name] = value

    def visit_Name(self, node: ast.Name) -> None:
        """A name that was imported and is not there: only its use is an error."""
        value = self._names.get(node.id)
        if isinstance(value, Unavailable) and isinstance(node.ctx, ast.Load):
            self._missing(value.__name__, node)

    def visit_Assign(self, node: ast.Assign) -> None:
        """`mnist = tf.keras.datasets.mnist`, or another value of the name."""
        self.visit(node.value)
        value = self._value(node.value, quiet=True)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._names[target.id] = value if isinstance(value, Namespace) else None
            elif not isinstance(target, ast.Attribute):  # `keras.losses.own = own` gives a name
                self.visit(target)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """`tf.keras.layers.Dense`."""
        if self._value(node) is None:
            self.generic_visit(node)

    def _value(self, node: ast.AST, quiet: bool = False) -> Any:
        """What a name or a chain of attributes stands for, None if that is not known."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id)
        if not isinstance(node, ast.Attribute):
            return None
        owner = self._value(node.value, quiet)
        if not isinstance(owner, Namespace):
            return None
        return self._get(owner, node.attr, node, quiet)

    def _get(self, module: Namespace, name: str, node: Any, quiet: bool = False) -> Any:
        try:
            return getattr(module, name)
        except (AttributeError, ImportError):
            if not quiet:
                self._missing(f"{module.__name__}.{name}", node)
            return None

    def _missing(self, name: str, node: Any) -> None:
        line = f"{self._where}:{node.lineno}: {name} is not available{advice(name)}"
        self._found.setdefault(name, line)
