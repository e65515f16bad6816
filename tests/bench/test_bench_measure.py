"""The benchmark's arithmetic: who is timed when, ratios, tables, JSON, pictures."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from convkit.bench import chart, report
from convkit.bench.kernels import with_best
from convkit.bench.machine import BANDWIDTH, PEAK, machine, other_load, set_blas_threads
from convkit.bench.measure import CONVKIT, Case, Facts, Pace, Result, Spread, measure, measure_all
from convkit.bench.roofline import save_roofline


def test_measure_alternates_and_counts_neither_warm_up_nor_collections() -> None:
    log: list[str] = []
    collecting: list[bool] = []

    def ours() -> None:
        log.append("ours")

    def theirs() -> None:
        log.append("theirs")
        collecting.append(gc.isenabled())

    result = measure(Case("c", "forward", {CONVKIT: ours, "numpy": theirs}), Pace(3, 0.0, 0.0))
    assert {name: len(values) for name, values in result.values.items()} == {
        CONVKIT: 3,
        "numpy": 3,
    }
    # Two calls each to learn how long one takes; then, in every round, one to settle and one timed.
    assert log == [*["ours"] * 2, *["theirs"] * 2, *(["ours"] * 2 + ["theirs"] * 2) * 3]
    assert collecting[2:] == [False] * 6
    assert gc.isenabled()


def test_measure_repeats_short_calls() -> None:
    calls = [0]

    def call() -> None:
        calls[0] += 1

    (result,) = measure_all([Case("c", "forward", {CONVKIT: call})], Pace(1, 0.01, 0.0))
    assert calls[0] > 100
    assert 0 < result.value().median < 1e-4


@pytest.mark.parametrize("pace", [(0, 0.1, 0.1), (1, -0.1, 0.1), (1, 0.1, float("nan"))])
def test_pace_rejects_what_makes_no_sense(pace: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        Pace(*pace)


RESULTS = [
    Result(
        "conv2d a",
        "forward",
        {CONVKIT: [1e-3, 2e-3, 4e-3], "numpy": [5e-3, 6e-3, 4e-3]},
        Facts(flops=8e9, nbytes=1e8, images=32),
        [4e12, 5e12, 4e12],
    ),
    Result(
        "conv2d a",
        "backward_input",
        {CONVKIT: [1e-3], "numpy": [2e-3]},
        Facts(flops=8e9, nbytes=1e8, images=32),
        [5e12],
    ),
    Result("relu b", "forward", {CONVKIT: [1e-3], "torch": [3e-3]}),
]


STEPS = Result(
    "batch size",
    "step",
    {"batch 16": [1e-3, 2e-3], "batch 32": [2e-3, 6e-3], "batch 64": [4e-3, 6e-3]},
    Facts(
        images={"batch 16": 16, "batch 32": 32, "batch 64": 64},
        bases={"batch 32": "batch 16", "batch 64": "batch 32"},
    ),
)
MEMORY = Result("mnist", "peak", {CONVKIT: [5e7, 7e7], "torch": [2e8, 2.1e8]}, Facts(unit="B"))


def test_ratios_are_taken_within_a_round() -> None:
    first = RESULTS[0]
    assert first.ratio("numpy") == Spread(3.0, 1.0, 5.0)
    assert first.value("numpy").median == 5e-3
    assert first.gflops() == pytest.approx(4000)
    assert first.images_per_second() == pytest.approx(16000)
    assert first.share_of_peak() == Spread(0.8, 0.5, 2.0)
    assert RESULTS[2].gflops() is None
    assert RESULTS[2].share_of_peak() is None


def test_a_chain_compares_each_with_the_one_before() -> None:
    assert STEPS.contenders == ["batch 32", "batch 64"]
    assert STEPS.ratio("batch 32") == Spread(2.5, 2.0, 3.0)
    assert STEPS.ratio("batch 64") == Spread(1.5, 1.0, 2.0)
    assert STEPS.images_per_second("batch 64") == pytest.approx(64 / 5e-3)


def test_who_is_its_own_base_has_no_ratio() -> None:
    values = {"1 thread": [4e-3], "adds, 1 thread": [2e-3], "adds, 2 threads": [1e-3]}
    bases = dict.fromkeys(("adds, 1 thread", "adds, 2 threads"), "adds, 1 thread")
    result = Result("threads", "step", values, Facts(bases=bases))
    assert result.contenders == ["adds, 2 threads"]
    assert result.ratio("adds, 2 threads").median == 0.5
    assert "of adds, 1 thread" in report.listing([result]).splitlines()[-1]


def test_the_peak_is_measured_behind_the_first_contender_of_every_round() -> None:
    log: list[str] = []

    def peak() -> float:
        log.append("peak")
        return 1e12

    calls = {name: (lambda name=name: log.append(name)) for name in (CONVKIT, "numpy")}
    result = measure(Case("c", "forward", calls, Facts(flops=1.0), peak), Pace(2, 0.0, 0.0))
    assert result.peaks == [1e12, 1e12]
    assert log[4:] == [CONVKIT, CONVKIT, "peak", "numpy", "numpy"] * 2


def test_calls_that_report_are_not_timed() -> None:
    log: list[str] = []

    def call(name: str, value: int) -> int:
        log.append(name)
        return value

    calls = {CONVKIT: lambda: call("ours", 3), "numpy": lambda: call("theirs", 7)}
    result = measure(Case("size", "", calls, Facts(unit="B", reports=True)), Pace(2))
    assert result.values == {CONVKIT: [3.0, 3.0], "numpy": [7.0, 7.0]}
    assert log == ["ours", "theirs"] * 3  # the first ones may meet cold files


def test_the_best_of_a_family_stands_for_it() -> None:
    values = {CONVKIT: [1.0], "torch nchw": [4.0], "numpy": [6.0], "torch channels_last": [3.0]}
    dense = {CONVKIT: [1.0], "torch nchw": [4.0]}
    results = with_best([Result("a", "f", values), Result("b", "f", dense), MEMORY], "torch")
    assert results[0].values == {CONVKIT: [1.0], "numpy": [6.0], "torch": [3.0]}
    assert results[1].values == {CONVKIT: [1.0], "torch": [4.0]}
    assert results[2] == MEMORY


def test_table() -> None:
    lines = report.table(RESULTS).splitlines()
    assert " ".join(lines[0].split()) == (
        "convkit ms GFLOP/s of peak numpy ms ratio torch ms ratio"
    )
    assert "2.000     4000     80 %     5.000  3.00 (1.00 to 5.00)" in lines[2]
    assert lines[4].startswith("relu b    forward")
    assert lines[4].endswith("3.000  3.00 (3.00 to 3.00)")
    assert "%" not in lines[4], "a ReLU has no operations to count"
    steps = Result("mnist", "step", {CONVKIT: [0.01]}, Facts(images=32))
    assert report.table([steps]).splitlines()[2].split()[-1] == "3200"


def test_listing_names_the_units_and_what_ratios_refer_to() -> None:
    lines = report.listing([STEPS, MEMORY]).splitlines()
    assert lines[0].split() == ["value", "images/s", "ratio"]
    assert lines[2].split("  ")[0] == "batch size"
    assert "1.500 (1.000 to 2.000) ms" in lines[2]
    assert lines[4].endswith("12800  1.50 (1.00 to 2.00) of batch 32")
    assert "60.0 (50.0 to 70.0) MB" in lines[5]
    assert lines[6].endswith("3.50 (3.00 to 4.00) of convkit")


def test_json() -> None:
    text = report.as_json([*RESULTS, STEPS], machine(), {"keras": "not installed"})
    document = json.loads(text)
    first, *_, steps = document["results"]
    ratio = {"to": CONVKIT, "median": 3.0, "low": 1.0, "high": 5.0}
    assert first["ratios"]["numpy"] == ratio
    assert first["values"]["numpy"] == [5e-3, 6e-3, 4e-3]
    assert first["gflops"][CONVKIT] == pytest.approx(4000)
    assert (first["unit"], first["bytes"]) == ("s", 1e8)
    assert steps["ratios"]["batch 64"]["to"] == "batch 32"
    assert document["skipped"] == {"keras": "not installed"}
    assert all(document["machine"]["peaks"][name] > 0 for name in (PEAK, BANDWIDTH))


@pytest.mark.skipif(find_spec("threadpoolctl") is None, reason="threadpoolctl is not installed")
def test_the_blas_gets_its_threads() -> None:
    former = machine().blas_threads
    try:
        for count in (1, former):
            set_blas_threads(count)
            assert machine().blas_threads == count
    finally:
        set_blas_threads(former)


def test_versions_of_the_peers_that_take_part() -> None:
    here = machine(["pytest"])
    assert here.versions["pytest"] == pytest.__version__
    assert f"pytest {pytest.__version__}: {here.threads} threads" in here.lines()


def test_versions_of_packages_with_another_distributions_name() -> None:
    pytest.importorskip("sklearn")
    assert machine(["sklearn"]).versions["sklearn"] == version("scikit-learn")
    assert machine(["not_there"]).versions["not_there"] == "of unknown version"


def test_other_load_counts_other_processes_and_not_this_one() -> None:
    if not Path("/proc/stat").exists():
        assert other_load(0.01) == 0.0
        return
    program = "import time; end = time.monotonic() + 30\nwhile time.monotonic() < end: pass"
    with subprocess.Popen([sys.executable, "-c", program]) as busy:
        time.sleep(0.2)
        loaded = other_load(0.5)
        busy.kill()
    # At worst it shares one core with all other work on the machine.
    assert 0.1 < loaded <= (os.cpu_count() or 1) + 0.5


def test_notes_warn_of_what_spoils_a_comparison() -> None:
    here = machine()
    alike = dataclasses.replace(here, threads=2, blas_threads=2, load=0.0)
    assert len(alike.lines()) == 4
    unlike = dataclasses.replace(alike, blas_threads=1, load=1.5)
    assert "OPENBLAS_NUM_THREADS=2" in unlike.lines()[4]
    assert "1.5 cores busy" in unlike.lines()[5]


def test_chart_is_a_picture(tmp_path: Path) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    path = chart.save_chart(RESULTS, tmp_path / "chart.png", title="Title", note="on a machine")
    picture = pyplot.imread(path)
    assert picture.shape[0] > 200
    assert picture.shape[1] > 800
    assert 0.2 < picture[..., :3].mean() < 0.999  # neither all dark nor all white
    with pytest.raises(ValueError, match="no result"):
        chart.save_chart(RESULTS, path, title="Title", contenders=["keras"])


def test_large_ratios_get_a_logarithmic_axis(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    axes = pytest.importorskip("matplotlib.axes").Axes
    scales: list[str] = []
    monkeypatch.setattr(axes, "set_xscale", lambda self, scale: scales.append(scale))
    large = Result("size", "", {CONVKIT: [1.0], "torch": [400.0], "numpy": [0.5]}, Facts(unit="B"))
    chart.save_chart([MEMORY, STEPS], tmp_path / "chart.png", title="Title")
    assert scales == []
    chart.save_chart([MEMORY, large], tmp_path / "chart.png", title="Title")
    assert scales == ["log"]


def test_roofline_is_a_picture(tmp_path: Path) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    path = tmp_path / "roofline.png"
    save_roofline(RESULTS, path, bandwidth=20.0, title="Title", note="on a machine")
    picture = pyplot.imread(path)
    assert picture.shape[0] > 600
    assert picture.shape[1] > 800
    assert 0.2 < picture[..., :3].mean() < 0.999
    with pytest.raises(ValueError, match="no result with operations"):
        save_roofline(RESULTS[2:], path, bandwidth=20.0, title="Title")


def test_chart_without_matplotlib_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "convkit\[examples\]"'):
        chart.save_chart(RESULTS, tmp_path / "chart.png", title="Title")
