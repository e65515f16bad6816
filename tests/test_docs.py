"""The code of the documentation's pages runs, and prints what its comments say."""

from __future__ import annotations

import importlib.util
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


# What the code of pages needs besides convkit and NumPy.
NEEDS = {
    "guide/augmentation.md": ("matplotlib", "sklearn"),
    "guide/callbacks.md": ("matplotlib", "sklearn", "tensorboardX"),
    "guide/first_model.md": ("matplotlib", "sklearn"),
    "guide/images.md": ("PIL",),
    "guide/old_scripts.md": ("PIL", "sklearn"),
    "guide/onnx.md": ("onnx", "onnxruntime", "sklearn"),
    "guide/reproducibility.md": ("sklearn",),
    "guide/saving.md": ("h5py", "torch", "keras", "sklearn"),
}


def pages() -> list[str]:
    """The pages whose code runs as a whole."""
    guide = sorted(path.name for path in DOCS.glob("guide/*.md"))
    return ["graphs.md", *(f"guide/{name}" for name in guide if name != "index.md")]


def run(text: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """By the module with which the documentation is built."""
    spec = importlib.util.spec_from_file_location("pages", DOCS / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    made: tuple[dict[str, Any], list[tuple[str, str]]] = runner.run(text)
    return made


@pytest.mark.parametrize("page", pages())
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of other libraries
def test_the_code_of_a_page(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Block after block; a comment behind a print is what it prints, up to a colon."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    for package in NEEDS.get(page, ()):
        pytest.importorskip(package, reason=f"the page needs {package}")
    text = (DOCS / page).read_text()
    registered = dict(convkit.saving.get_custom_objects())
    convkit.utils.clear_session()
    try:
        names, printed = run(text)
    finally:
        convkit.saving.get_custom_objects().clear()
        convkit.saving.get_custom_objects().update(registered)
    assert len(printed) == text.count("```python") > 0
    for block, output in printed:
        for expected in re.findall(r"^ *print\(.*\)  # (.*?)(?:: .*)?$", block, re.MULTILINE):
            assert f"{expected}\n" in output, block
    for name in re.findall(r"^```{picture} (\w+)$", text, re.MULTILINE):
        assert isinstance(names[name], convkit.Model) or hasattr(names[name], "savefig")
    for place in re.finditer(r"^```{output}$", text, re.MULTILINE):
        assert printed[text[: place.start()].count("```python") - 1][1].strip(), "prints nothing"


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
