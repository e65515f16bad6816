"""Pictures of models: boxes and arrows in the text of DOT, and in what Graphviz makes of it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import convkit
from convkit import layers
from convkit.utils import model_to_dot, plot_model
from own_layers import classes

needs_pydot = pytest.mark.skipif(not importlib.util.find_spec("pydot"), reason="without pydot")
needs_dot = pytest.mark.skipif(not shutil.which("dot"), reason="without Graphviz")


def network() -> convkit.Model:
    """A shared encoder, an own layer with two outputs, and names that need escaping."""
    encoder = convkit.Sequential(
        [convkit.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten()],
        name="encoder <3>",
    )
    left, right = convkit.Input((8, 8, 3), name="left"), convkit.Input((8, 8, 3), name="right")
    y, z = classes(convkit)[1](5, name="own")([left, right])
    joined = layers.Concatenate(name='"joined"')([encoder(left), encoder(right), z])
    square = layers.Multiply(name="square")([joined, joined])
    return convkit.Model([left, right], [layers.Dense(2, name="head")(square), y])


def boxes(text: str) -> dict[str, str]:
    """What each box says, by its name in the text."""
    return dict(re.findall(r"^(\w+) \[label=<(<table.*?</table>)>\]", text, re.MULTILINE))


def arrows(text: str) -> set[tuple[str, str]]:
    """From which box to which an arrow leads, by what is bold in them."""
    names = {key: re.findall("<b>(.*?)</b>", label)[0] for key, label in boxes(text).items()}
    found = re.findall(r"(\w+) *-> *(\w+)", text)
    assert len(found) == len(set(found))
    return {(names[start], names[end]) for start, end in found}


@needs_pydot
def test_boxes_and_arrows() -> None:
    text = model_to_dot(network()).to_string()
    assert arrows(text) == {
        ("left", "own"),
        ("right", "own"),
        ("left", "encoder &lt;3&gt;"),
        ("right", "encoder &lt;3&gt;"),
        ("encoder &lt;3&gt;", "&quot;joined&quot;"),
        ("own", "&quot;joined&quot;"),
        ("&quot;joined&quot;", "square"),
        ("square", "head"),
    }
    assert "rankdir=TB" in text
    assert "Shape" not in text
    assert "None" not in text


@needs_pydot
def test_models_in_models() -> None:
    text = model_to_dot(network(), expand_nested=True).to_string()
    inside = {("input_layer", "conv2d"), ("conv2d", "flatten")}
    found = {tuple(re.sub(r"_\d+$", "", name) for name in pair) for pair in arrows(text)}
    assert inside <= found
    assert ("left", "input_layer") in found
    assert ("flatten", "&quot;joined&quot;") in found
    assert text.count("subgraph cluster_") == 1
    part = model_to_dot(network().get_layer("encoder <3>"), subgraph=True, show_layer_names=False)
    assert type(part).__name__ == "Cluster"
    kinds = [re.findall("<b>(.*?)</b>", each)[0] for each in boxes(part.to_string()).values()]
    assert kinds == ["InputLayer", "Conv2D", "Flatten"]


@needs_pydot
def test_what_a_box_says() -> None:
    model = network()
    model.get_layer("encoder <3>").trainable = False
    text = model_to_dot(
        model,
        show_shapes=True,
        show_dtype=True,
        show_layer_activations=True,
        show_trainable=True,
        expand_nested=True,
        rankdir="LR",
    ).to_string()
    (conv,) = (each for each in boxes(text).values() if "(Conv2D)" in each)
    cells = re.findall("<td>(.*?)</td>", conv)
    assert cells[1:] == [
        "activation: relu",
        "input: (None, 8, 8, 3)",
        "output: (None, 6, 6, 4)",
        "float32",
        "frozen",
    ]
    (own,) = (each for each in boxes(text).values() if "(Gate)" in each)
    assert "output: (None, 8, 8, 5), (None, 5)" in own
    assert "trainable" in own
    assert "rankdir=LR" in text


@needs_pydot
@needs_dot
@pytest.mark.parametrize(
    ("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_drawn(ending: str, start: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"model.{ending}"
    drawn = plot_model(network(), path, show_shapes=True, expand_nested=True, dpi=60)
    assert drawn is None
    assert path.read_bytes().startswith(start)
    if ending == "svg":
        text = path.read_text()
        assert text.count('class="edge"') == 10
        assert text.count('class="node"') == 9


@needs_pydot
@needs_dot
def test_what_dot_cannot_draw(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dot cannot write '.*model\.nonsense': .*nonsense"):
        plot_model(network(), tmp_path / "model.nonsense")
    assert not list(tmp_path.iterdir())


@needs_pydot
@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: model_to_dot(3), TypeError, "model_to_dot takes a model, received 3"),
        (
            lambda: model_to_dot(network(), rankdir="UP"),
            ValueError,
            "RL, received 'UP'",
        ),
        (lambda: model_to_dot(network(), dpi=0), ValueError, "dpi must be a number in 1"),
        (lambda: model_to_dot(network(), splines=1), TypeError, "splines must be a string"),
        (lambda: plot_model(network(), 3), TypeError, "to_file must be the path"),
        (lambda: plot_model(convkit.Sequential()), ValueError, "has no layers"),
    ],
)
def test_refused(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if importlib.util.find_spec("pydot"):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ImportError, match=r"program dot.*apt-get install graphviz"):
            plot_model(network(), tmp_path / "model.png")
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(ImportError, match=r'pip install "convkit\[diagrams\]"'):
        model_to_dot(network())
    assert not list(tmp_path.iterdir())
