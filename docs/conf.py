"""How Sphinx builds the documentation: `sphinx-build -W --keep-going -n docs build/docs`."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

project = "convkit"
author = "The convkit developers"
copyright = "the convkit developers"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
html_theme = "furo"
templates_path = ["_templates"]
default_role = "code"  # `x` is code, in docstrings as in Markdown
napoleon_use_ivar = True
strip_signature_backslash = True  # or the underscore of `classes_` makes it a link
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
# These stay as the source has them; spelled out they would fill lines.
autodoc_type_aliases = {
    name: name.rpartition(".")[2]
    for name in (
        "Array",
        "ArrayLike",
        "Floats",
        "Logs",
        "Shape",
        "Validation",
        "cache.DataSet",
        "npt.ArrayLike",
    )
}
# Nothing is fetched from elsewhere, so references to other packages lead nowhere; ours must.
nitpick_ignore_regex = [("py:.*", r"(?!convkit\.).*")]
nitpick_ignore = [
    ("py:class", "convkit.core.custom._Kind"),  # any class
    ("py:class", "convkit.data.stages.Stage"),  # what a Dataset's own methods make
]


def _plain_aliases(*arguments: Any) -> tuple[str | None, ...]:
    """Signatures without the marks that Sphinx leaves on an alias inside another type."""
    mark = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")
    return tuple(text and mark.sub(r"\1", text) for text in arguments[-2:])


@cache
def _namespace(text: str) -> dict[str, Any]:
    """The names after a page's blocks of Python code, which print into the void."""
    names: dict[str, Any] = {}
    with redirect_stdout(StringIO()):
        for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            exec(block, names)
    return names


class Picture(Directive):
    """The picture of a model that the page's code has made; its summary where dot is not there."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        from convkit.utils import model_to_dot

        source = self.state.document.current_source or self.state.document["source"]
        with open(source, encoding="utf-8") as file:
            model = _namespace(file.read())[self.arguments[0]]
        if shutil.which("dot") is None:
            lines: list[str] = []
            model.summary(print_fn=lines.append)
            return [nodes.literal_block("", "\n".join(lines), language="text")]
        few = len(model.layers) <= 8
        text = model_to_dot(model, show_shapes=few, dpi=72).to_string()
        command = ["dot", "-Tsvg"]
        drawn = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
        picture = drawn.stdout.decode()
        return [nodes.raw("", picture[picture.index("<svg") :], format="html")]


def setup(app: Any) -> None:
    app.add_directive("picture", Picture)
    app.connect("autodoc-process-signature", _plain_aliases)
