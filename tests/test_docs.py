"""The code of the documentation's pages runs, and prints what its comments say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import convkit

DOCS = Path(__file__).resolve().parents[1] / "docs"

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the source tree is not here")


def blocks(page: str) -> list[str]:
    text = (DOCS / page).read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_from_a_chain_to_a_graph(capsys: pytest.CaptureFixture[str]) -> None:
    """Block after block; a comment behind a print is what it prints, up to a colon."""
    registered = dict(convkit.saving.get_custom_objects())
    convkit.utils.clear_session()
    names: dict[str, Any] = {}
    found = blocks("graphs.md")
    assert len(found) == 10
    for block in found:
        exec(block, names)
        printed = capsys.readouterr().out
        for expected in re.findall(r"^print\(.*\)  # (.*?)(?::.*)?$", block, re.MULTILINE):
            assert f"{expected}\n" in printed, block
    assert "block" in names
    pictures = re.findall(r"^```{picture} (\w+)$", (DOCS / "graphs.md").read_text(), re.MULTILINE)
    assert pictures
    assert all(isinstance(names[each], convkit.Model) for each in pictures)
    convkit.saving.get_custom_objects().clear()
    convkit.saving.get_custom_objects().update(registered)
