"""The code of the documentation's pages runs, and prints what its comments say."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit

DOCS = Path(__file__).resolve().parents[1] / "docs"

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the source tree is not here")
TITLES = re.findall(r"^## (.+)$", (DOCS / "data.md").read_text(), re.M) if DOCS.is_dir() else []


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


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.filterwarnings("ignore::Warning")  # of other libraries
def test_data_from_elsewhere(title: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The code of a section, behind that of the first, which makes what the others use."""
    sections = (DOCS / "data.md").read_text().split("\n## ")[1:]
    (own,) = (section for section in sections if section.startswith(title))
    names: dict[str, Any] = {}
    for text in dict.fromkeys((sections[0], own)):
        for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            for needed in re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE):
                pytest.importorskip(needed, reason=f"{needed} is not installed")
            try:
                exec(block, names)
            except pickle.PicklingError as error:
                pytest.skip(f"this build of datasets cannot make a set: {error}")
            printed = capsys.readouterr().out
            for expected in re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE):
                assert f"{expected}\n" in printed
    assert np.isfinite(names["history"].history["loss"]).all()
