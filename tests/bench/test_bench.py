"""The benchmark's command line and example: every command runs from beginning to end."""

from __future__ import annotations

import gc
import importlib.util
import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from convkit import runtime
from convkit.bench import __main__ as command_line
from convkit.bench import peers, report
from convkit.bench.infer import PREDICTOR
from convkit.bench.machine import machine, set_blas_threads
from convkit.bench.measure import CONVKIT, Pace

NO_WAITING = Pace(rounds=1, run_seconds=0.0, settle_seconds=0.0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No waiting between runs: what is printed counts here, not how exact it is."""
    monkeypatch.setattr(command_line, "Pace", lambda rounds: NO_WAITING)
    gc.freeze()  # each case collects garbage, and need not look at all that the tests imported
    yield
    gc.unfreeze()


IN_PROCESS = ("numpy-tuned", "numpy", "numpy-indexed", "torch", "torch-bf16", "keras")
SMALL = {
    "kernels": ["--models", "cifar10", "--batch-size", "2"],
    "train": ["--models", "mnist", "--batch-size", "2"],
    "infer": ["--models", "cifar10", "--batch-size", "1", "2"],
    "scaling": ["--models", "mnist", "--batch-size", "2", "4"],
    "memory": ["--batch-size", "2"],
    "startup": [],
}


def without_slow_peers(command: str) -> list[str]:
    """What starts processes that import PyTorch or Keras takes seconds each, and compiling more."""
    return {
        "memory": ["--contenders"],
        "startup": ["--contenders", "numpy"],
        "train": ["--contenders", *IN_PROCESS],
        "infer": ["--contenders", *IN_PROCESS, "onnxruntime"],
    }.get(command, [])


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore")  # of the peers, which are not ours
@pytest.mark.parametrize("command", SMALL)
def test_every_command_prints_json(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [command, *SMALL[command], *without_slow_peers(command), "--rounds", "1"]
    assert command_line.main([*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["results"]
    for result in document["results"]:
        assert all(value > 0 for values in result["values"].values() for value in values)
        compared = [name for name in result["values"] if name != "multiply-adds, 1 thread"]
        assert set(result["ratios"]) == set(compared[1:])
    for name, reason in document["skipped"].items():
        assert f"without {name}: {reason}" in captured.err
    sides = list(document["results"][0]["values"])
    if command == "scaling":
        assert sides[0] == "1 thread"
        assert list(document["results"][1]["values"]) == ["batch 2", "batch 4"]
    else:
        assert sides[0] == CONVKIT
    if command == "infer":
        assert sides.pop(1) == PREDICTOR
        assert "onnxruntime" in sides or "onnxruntime" in document["skipped"]
        seconds = document["results"][0]["second_ratios"]
        assert list(seconds) == sides[1:]
        assert {ratio["to"] for ratio in seconds.values()} == {PREDICTOR}
    if command in ("train", "infer"):
        assert sides[1:4] == ["numpy, tuned", "numpy", "numpy, indexed"]
        torch = {"torch nchw", "torch channels_last", "torch nchw bf16", "torch channels_last bf16"}
        assert torch <= set(sides) or "torch" in document["skipped"]
        assert any(side.startswith("keras") for side in sides) or "keras" in document["skipped"]


# For each command what its first line of results begins with, and what stands in some line.
TABLES = {
    "kernels": ("conv2d 32x32x3 > 32 same ", " %"),
    "train": ("mnist  step  convkit", "of convkit"),
    "infer": ("cifar10, batch 1  predict  convkit", "cifar10, batch 2  predict"),
    "scaling": ("mnist, threads (batch 32)", "of batch 2"),
    "memory": ("mnist, batch 2, 10 steps  peak resident set  convkit", " MB"),
    "startup": ("import time     fresh process         convkit", "installed size"),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("command", TABLES)
def test_every_command_prints_a_table(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--contenders", "numpy-tuned"]
    chosen = few if command in ("kernels", "train", "infer") else without_slow_peers(command)
    arguments = [command, *SMALL[command], "--rounds", "1", *chosen]
    assert command_line.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    rule = next(number for number, line in enumerate(lines) if line and set(line) == {"-"})
    assert lines[rule + 1].startswith(TABLES[command][0])
    assert any(TABLES[command][1] in line for line in lines[rule + 1 :])
    assert lines[-1] == report.RATIOS


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("command", ["kernels", "train", "scaling"])
def test_commands_draw(command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    bars, roofs = tmp_path / "bars.png", tmp_path / "roofs.png"
    arguments = [command, *SMALL[command], "--rounds", "1", "--chart", str(bars)]
    arguments += {
        "kernels": ["--roofline", str(roofs), "--contenders", "numpy-tuned"],
        "train": ["--contenders", "numpy"],
    }.get(command, [])
    assert command_line.main(arguments) == 0
    assert bars.stat().st_size > 5_000
    assert roofs.exists() == (command == "kernels")


@pytest.mark.usefixtures("quick")
def test_profile_prints_tables_and_json_and_draws(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    arguments = ["profile", "--models", "mnist", "fashion_mnist", "--batch-size", "2"]
    path = tmp_path / "profile.png"
    assert command_line.main([*arguments, "--rounds", "1", "--chart", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("mnist", "fashion_mnist"):
        assert any(line.startswith(f"{name}, batch 2: ") for line in lines)
    for name in ("1 conv2d_1", "adam_update", "sum", "Python", "step"):
        assert sum(line.startswith(f"{name} ") for line in lines) >= 2
    assert lines[-3:] == report.PROFILE.splitlines()
    assert path.stat().st_size > 5_000
    assert command_line.main([*arguments, "--rounds", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [result["model"] for result in document["results"]] == ["mnist", "fashion_mnist"]


@pytest.mark.usefixtures("quick")
def test_absent_peers_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "_installed", lambda module: False)
    assert command_line.main(["train", *SMALL["train"], "--rounds", "1"]) == 0
    printed = capsys.readouterr().out
    absent = {"torch": "torch", "torch-bf16": "torch", "keras": "keras", "keras-jax": "keras"}
    for name, module in absent.items():
        assert f"without {name}: {module} is not installed" in printed
    assert [word for word in ("numpy, tuned", "torch nchw") if f" {word} " in printed] == [
        "numpy, tuned"
    ]


@pytest.mark.usefixtures("quick")
def test_threads_are_those_of_all_sides(capsys: pytest.CaptureFixture[str]) -> None:
    former, blas = runtime.get_num_threads(), machine().blas_threads
    try:
        arguments = ["train", *SMALL["train"], "--rounds", "1", "--contenders", "numpy"]
        assert command_line.main([*arguments, "--threads", "1", "--json"]) == 0
    finally:
        runtime.set_num_threads(former)
        set_blas_threads(blas)
    here = json.loads(capsys.readouterr().out)["machine"]
    assert here["threads"] == 1
    assert here["blas_threads"] == 1 or find_spec("threadpoolctl") is None


@pytest.mark.parametrize(
    ("command", "names"), [("train", peers.TRAINING), ("infer", peers.PREDICTING)]
)
def test_help_names_the_contenders(
    command: str, names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command_line.main([command, "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "default: all of these that are installed" in printed
    for name, peer in peers.PEERS.items():
        assert (f"{name}: {peer.about}" in printed) == (name in names)


def test_command_line_rejects_a_batch_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line.main(["kernels", "--batch-size", "0"])
    assert "must be at least 1" in capsys.readouterr().err


def test_a_picture_that_cannot_be_is_refused_before_measuring(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(SystemExit):
            command_line.main(["kernels", "--roofline", str(path)])
        return capsys.readouterr().err

    pytest.importorskip("matplotlib")
    assert "must end with one of" in refused(tmp_path / "chart.xyz")
    assert f"there is no folder {tmp_path / 'none'}" in refused(tmp_path / "none" / "chart.png")
    (tmp_path / "folder.png").mkdir()
    assert "is there, and is no regular file" in refused(tmp_path / "folder.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert 'pip install "convkit[examples]"' in refused(tmp_path / "chart.png")


def _example() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "compare_numpy.py"
    spec = importlib.util.spec_from_file_location("compare_numpy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("quick")
def test_example_prints_tables_and_saves_charts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    example = _example()
    monkeypatch.setattr(example, "Pace", lambda rounds: NO_WAITING)
    example.main(["--batch-size", "2", "--models", "mnist", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "mnist" in printed
    assert "max_pool2d 28x28x32" in printed
    assert (tmp_path / "training_step.png").stat().st_size > 5_000
    assert (tmp_path / "kernels.png").stat().st_size > 5_000
