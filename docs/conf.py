"""How Sphinx builds the documentation: `sphinx-build -W --keep-going -n docs build/docs`."""

from __future__ import annotations

import re
from typing import Any

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


def _plain_aliases(*arguments: Any) -> tuple[str | None, ...]:
    """Signatures without the marks that Sphinx leaves on an alias inside another type."""
    mark = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")
    return tuple(text and mark.sub(r"\1", text) for text in arguments[-2:])


def setup(app: Any) -> None:
    app.connect("autodoc-process-signature", _plain_aliases)
