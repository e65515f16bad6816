"""The notebooks run from top to bottom on some of the real images, and are kept without outputs."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from convkit import zoo

NOTEBOOKS = Path(__file__).parent.parent / "examples" / "notebooks"
MODELS = {
    "cifar10": zoo.cifar10_cnn,
    "fashion_mnist": zoo.fashion_mnist_cnn,
    "mnist": zoo.mnist_cnn,
}
FOLDERS = {"cifar10": "cifar-10", "fashion_mnist": "fashion-mnist", "mnist": "mnist"}
# Put after the cell with the parameters, as papermill does.
SHORT = "epochs, train_images, test_images = 1, 1_000, 200"
NEEDED = ("nbclient", "ipykernel", "matplotlib", "sklearn")


def read(name: str) -> Any:
    nbformat = pytest.importorskip("nbformat")
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_there_is_one_for_each_regime() -> None:
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == sorted(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_is_kept_without_outputs(name: str) -> None:
    notebook = read(name)
    assert not outputs(notebook)
    assert all(cell.get("execution_count") is None for cell in notebook.cells)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info == {"name": "python"}, "a version of the last reader"


@pytest.mark.parametrize("name", MODELS)
def test_runs(name: str) -> None:
    for module in NEEDED:  # not imported here: convkit looks whether ipykernel is
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    folder = os.environ.get("CONVKIT_DATA")
    if not folder:
        pytest.skip("CONVKIT_DATA is not set: no real data sets here")
    if not (Path(folder) / FOLDERS[name]).is_dir():
        pytest.skip(f"CONVKIT_DATA has no {FOLDERS[name]}")
    from nbclient import NotebookClient

    notebook = read(name)
    (place,) = (
        i for i, c in enumerate(notebook.cells) if "parameters" in c.metadata.get("tags", [])
    )
    short = notebook.cells[place].copy()
    short["source"], short["id"] = SHORT, "short"
    notebook.cells.insert(place + 1, short)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()

    texts = [output.text for output in outputs(notebook) if output.output_type == "stream"]
    errors = [o.text for o in outputs(notebook) if o.get("name") == "stderr"]
    assert not errors, "something warned"
    printed = "".join(texts)
    assert f"{MODELS[name]().count_params():,}" in printed  # the study's model
    assert "Epoch 1/1" in printed
    assert re.search(r"test loss \d+\.\d+, test accuracy \d+\.\d+ %", printed)
    assert "f1-score" in printed
    pictures = [o for o in outputs(notebook) if "image/png" in o.get("data", {})]
    assert len(pictures) == 4  # samples, curves, confusions, mistakes
    assert all(len(picture.data["image/png"]) > 10_000 for picture in pictures)
