"""How Sphinx builds the documentation: `sphinx-build -W --keep-going -n docs build/docs`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

sys.path.insert(0, str(Path(__file__).parent))
import pages

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
        "ImageStep",
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
def _run(source: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """What the code of a page makes, and what each of its blocks prints."""
    return pages.run(Path(source).read_text(encoding="utf-8"))


class Picture(Directive):
    """A model or a figure that the page's code has made; a model's summary where dot is missing."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        made = _run(_source(self))[0][self.arguments[0]]
        drawn = _drawn_figure(made) if hasattr(made, "savefig") else _drawn_model(made)
        if drawn is None:
            lines: list[str] = []
            made.summary(print_fn=lines.append)
            return [nodes.literal_block("", "\n".join(lines), language="text")]
        return [nodes.raw("", drawn[drawn.index("<svg") :], format="html")]


class Output(Directive):
    """What the block of Python before it printed, on the machine that builds the documentation."""

    def run(self) -> list[nodes.Node]:
        source = _source(self)
        lines = Path(source).read_text(encoding="utf-8").splitlines()[: self.lineno]
        printed = _run(source)[1][lines.count("```python") - 1][1]
        return [nodes.literal_block("", printed.rstrip(), language="text")]


def _source(directive: Directive) -> str:
    return str(directive.state.document.current_source or directive.state.document["source"])


def _drawn_model(model: Any) -> str | None:
    from convkit.utils import model_to_dot

    if shutil.which("dot") is None:
        return None
    text = model_to_dot(model, show_shapes=len(model.layers) <= 8, dpi=72).to_string()
    command = ["dot", "-Tsvg"]
    return subprocess.run(
        command, input=text.encode(), capture_output=True, check=True
    ).stdout.decode()


def _drawn_figure(figure: Any) -> str:
    drawn = StringIO()
    figure.savefig(drawn, format="svg", bbox_inches="tight", metadata={"Date": None})
    return drawn.getvalue().replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1)


def setup(app: Any) -> None:
    app.add_directive("picture", Picture)
    app.add_directive("output", Output)
    app.connect("autodoc-process-signature", _plain_aliases)
