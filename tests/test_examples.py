"""The examples run to their end, reach what they promise, and write what they announce.

The quickstart runs as it is, as a program of its own. The three studies train on a few hundred
made-up images that stand in for the data sets.
"""

from __future__ import annotations

import importlib
import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import datasets

pictures = pytest.importorskip("matplotlib.image")
pytest.importorskip("sklearn")

EXAMPLES = Path(__file__).parent.parent / "examples"
STUDIES = {"mnist": 469_172, "fashion_mnist": 467_818, "cifar10": 362_346}
PICTURES = [
    "activations.png",
    "confident_mistakes.png",
    "confusion_matrix.png",
    "correct.png",
    "filters.png",
    "history.png",
    "incorrect.png",
]


def made_up_data(name: str) -> Any:
    """200 and 60 images in the shape of a data set: how high a bright bar is tells the label."""
    shape = (32, 32, 3) if name == "cifar10" else (28, 28)
    generator = np.random.default_rng(0)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        y = (np.arange(count) % 10).astype(np.uint8)
        x = generator.integers(0, 60, (count, *shape)).astype(np.uint8)
        for image, label in zip(x, y, strict=True):
            image[2 * label + 2 : 2 * label + 5] += 180
        return x, y[:, np.newaxis] if name == "cifar10" else y

    return part(200), part(60)


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The script of one study, with made-up data in place of the real ones."""
    name = request.param
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(getattr(datasets, name), "load_data", lambda: made_up_data(name))
    threads = convkit.runtime.get_num_threads()
    imported = [name, "study"]
    for module in imported:
        monkeypatch.delitem(sys.modules, module, raising=False)
    yield importlib.import_module(name)
    for module in imported:
        sys.modules.pop(module, None)
    convkit.runtime.set_num_threads(threads)


def assert_pictures(folder: Path) -> None:
    assert sorted(path.name for path in folder.glob("*.png")) == PICTURES
    for name in PICTURES:
        pixels = pictures.imread(folder / name)
        assert min(pixels.shape[:2]) > 100
        assert pixels[..., :3].std() > 0.01, f"{name} is blank"


def test_quickstart(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / "quickstart.py"), "--output", "new/pictures"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run.returncode == 0, run.stderr
    # Processor time bounds the time on an idle machine, whatever else is running on this one.
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 30, f"took {seconds:.0f} s of processor time"
    found = re.search(r"test accuracy (\d+\.\d+) %", run.stdout)
    assert found, run.stdout
    assert float(found.group(1)) >= 97.0
    assert "Total params" in run.stdout
    assert str(tmp_path / "new/pictures") in run.stdout
    assert_pictures(tmp_path / "new/pictures")


@pytest.mark.parametrize(("study", "parameters"), STUDIES.items(), indirect=["study"])
def test_study_reports_and_saves(
    study: ModuleType, parameters: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a" / "b"
    arguments = "--epochs 2 --batch-size 20 --seed 7 --threads 1 --output"
    study.main([*arguments.split(), str(output)])
    assert convkit.runtime.get_num_threads() == 1
    assert_pictures(output)
    metrics = json.loads((output / "metrics.json").read_text())
    assert set(metrics) == {
        "test_accuracy",
        "test_loss",
        "epochs",
        "train_seconds",
        "parameters",
        "seed",
    }
    assert metrics["parameters"] == parameters
    assert metrics["epochs"] == 2
    assert metrics["seed"] == 7
    assert metrics["train_seconds"] > 0
    assert metrics["test_loss"] > 0

    printed = capsys.readouterr().out
    assert f"{parameters:,}" in printed  # the summary
    assert "f1-score" in printed
    for name in getattr(datasets, study.__name__).CLASS_NAMES:
        assert name in printed
    counts = re.search(r"(\d+) test images correct, (\d+) incorrect", printed)
    assert counts, printed
    correct, incorrect = counts.groups()
    assert int(correct) + int(incorrect) == 60
    assert metrics["test_accuracy"] == pytest.approx(int(correct) / 60)
    assert f"test accuracy {100 * metrics['test_accuracy']:.2f} %" in printed
    assert str(output) in printed


@pytest.mark.parametrize("study", ["mnist"], indirect=True)
def test_same_seed_same_result(study: ModuleType, tmp_path: Path) -> None:
    results = []
    for seed, run in [(3, "one"), (3, "two"), (4, "three")]:
        study.main(["--epochs", "1", "--seed", str(seed), "--output", str(tmp_path / run)])
        metrics = json.loads((tmp_path / run / "metrics.json").read_text())
        results.append(metrics["test_loss"])
    assert results[0] == results[1] != results[2]


@pytest.mark.parametrize(
    ("study", "epochs"),
    [("mnist", 5), ("fashion_mnist", 10), ("cifar10", 20)],
    indirect=["study"],
)
def test_regime_by_default(
    study: ModuleType, epochs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is passed to compile and fit is the regime; training is stopped before it starts."""
    compiled: dict[str, Any] = {}
    fitted: dict[str, Any] = {}

    class Stop(Exception):
        pass

    def fit(self: Any, x: np.ndarray, y: np.ndarray, **settings: Any) -> None:
        fitted.update(settings, x=x)
        raise Stop

    monkeypatch.setattr(
        convkit.Sequential, "compile", lambda self, **settings: compiled.update(settings)
    )
    monkeypatch.setattr(convkit.Sequential, "fit", fit)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Stop):
        study.main([])
    assert compiled == {
        "optimizer": "adam",
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
    }
    x = fitted.pop("x")
    assert x.dtype == np.float32
    assert x.ndim == 4
    assert 0.9 < x.max() <= 1.0
    stopping = fitted.pop("callbacks", [])
    assert fitted == {"batch_size": 32, "epochs": epochs, "validation_split": 0.3}
    if study.__name__ == "cifar10":
        (callback,) = stopping
        assert isinstance(callback, convkit.callbacks.EarlyStopping)
        assert (callback.monitor, callback.patience) == ("val_loss", 4)
        assert callback.restore_best_weights
    else:
        assert not stopping


@pytest.mark.parametrize("study", ["cifar10"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--epochs", "0"], "--epochs: expected a whole number from 1, got '0'"),
        (["--epochs", "many"], "--epochs: expected a whole number from 1, got 'many'"),
        (["--batch-size", "-1"], "--batch-size: expected a whole number from 1, got '-1'"),
        (["--batch-size", "1.5"], "--batch-size: expected a whole number from 1, got '1.5'"),
        (["--threads", "0"], "--threads: expected a whole number from 1, got '0'"),
        (["--seed", "-3"], "--seed: expected a whole number from 0, got '-3'"),
        (["--output", "taken/here"], "--output: cannot make the folder 'taken/here'"),
        (["--epoch-count", "3"], "unrecognized arguments"),
    ],
)
def test_wrong_arguments(
    study: ModuleType,
    arguments: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(SystemExit) as caught:
        study.main(arguments)
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("study", list(STUDIES), indirect=True)
def test_help(study: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        study.main(["--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    for option in ("--epochs", "--batch-size", "--seed", "--threads", "--output"):
        assert option in printed
    assert study.__doc__ is not None
    assert study.__doc__.strip().splitlines()[0] in printed
