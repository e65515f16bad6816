"""The schedule of a training step: what is recorded, simulated and drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from convkit import ops, runtime
from convkit.bench.__main__ import main
from convkit.bench.schedule import (
    Loop,
    Phase,
    Record,
    loops,
    records,
    save_schedule,
    speed_ups,
)
from convkit.bench.train import compiled


@pytest.mark.parametrize(
    ("threads", "tasks", "prepare", "cores", "expected"),
    [
        (4, [1.0] * 8, 0.0, 4, 2.0),
        (4, [1.0] * 8, 0.0, 1, 8.0),
        (2, [1.0] * 8, 0.0, 4, 4.0),  # it is meant for two
        (3, [1.0] * 8, 0.0, 3, 3.0),  # the last round has two tasks
        (2, [3.0, 1.0, 1.0, 1.0], 0.0, 2, 3.0),  # the second one helps the first
        (2, [3.0, 1.0, 1.0, 1.0], 0.5, 2, 3.5),
        (8, [2.0], 1.0, 8, 3.0),
        (2, [], 0.0, 2, 0.0),
    ],
)
def test_the_span_of_a_loop(
    threads: int, tasks: list[float], prepare: float, cores: int, expected: float
) -> None:
    assert Loop(threads, prepare, tasks).span(cores) == expected


@pytest.mark.parametrize(
    ("needs", "cores", "expected"),
    [
        ([], 1, 9.0),
        ([], 2, 5.0),
        ([], 8, 4.0),
        ([(0, False)], 1, 9.0),  # one thread never waits
        ([(0, False)], 2, 6.0),  # two tasks after another, behind the long one
        ([(0, False)], 8, 5.0),
        ([(0, True)], 2, 5.0),  # the first group waits for the short one alone
        ([(0, True)], 8, 5.0),
    ],
)
def test_tasks_wait_for_what_they_need(
    needs: list[tuple[int, bool]], cores: int, expected: float
) -> None:
    phases = [Phase(2, 1, []), Phase(2, 2, needs)]
    assert Loop(8, 0.0, [1.0, 4.0, 1.0, 1.0, 1.0, 1.0], phases).span(cores) == expected


def test_no_task_is_taken_before_the_one_in_front_of_it() -> None:
    phases = [Phase(2, 1, []), Phase(2, 1, [(0, True)])]
    assert Loop(8, 0.0, [4.0, 1.0, 1.0, 3.0], phases).span(8) == 7.0


def test_no_task_begins_before_what_it_needs(restore_threads: None) -> None:
    runtime.set_num_threads(3)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, 16, 16, 32), np.float32)
    w = rng.standard_normal((3, 3, 32, 32), np.float32)
    waiting = 0
    for _ in range(10):
        runtime.start_trace()
        ops.conv2d_forward(x, w, padding="same")
        ops.conv2d_backward_weights(x, x, w.shape, padding="same")
        rows = runtime.stop_trace()
        for loop in np.unique(rows[rows[:, 2] == -4, 1]):
            of_loop = rows[rows[:, 1] == loop]
            phases = [(int(row[4]), int(row[5])) for row in of_loop[of_loop[:, 2] == -4]]
            tasks = of_loop[of_loop[:, 2] >= 0]
            tasks = tasks[np.argsort(tasks[:, 2])]
            firsts = np.cumsum([0, *(groups * size for groups, size in phases)])
            assert firsts[-1] == len(tasks)
            for _, _, _, phase, needed, own_group in of_loop[of_loop[:, 2] == -5]:
                for group in range(phases[phase][0]):
                    size, needed_size = phases[phase][1], phases[needed][1]
                    begin = firsts[phase] + group * size
                    first, last = firsts[needed], firsts[needed + 1]
                    if own_group:
                        first += group * needed_size
                        last = first + needed_size
                    end = tasks[first:last, 5].max()
                    assert (tasks[begin : begin + size, 4] >= end).all()
                    waiting += size
    assert waiting > 0


def test_every_task_is_recorded_once(restore_threads: None) -> None:
    runtime.set_num_threads(3)
    x, w = np.ones((16, 24, 24, 16), np.float32), np.ones((3, 3, 16, 16), np.float32)
    for one_thread in (False, True):
        runtime.start_trace(one_thread)
        ops.conv2d_forward(x, w, padding="same")
        rows = runtime.stop_trace()
        whole = rows[rows[:, 2] == -2]
        assert len(whole) >= 1
        timed = rows[rows[:, 2] >= -3]
        assert (timed[:, 5] >= timed[:, 4]).all()
        for loop, meant in whole[:, [1, 3]]:
            tasks = rows[(rows[:, 1] == loop) & (rows[:, 2] >= 0)]
            assert sorted(tasks[:, 2]) == list(range(len(tasks)))
            assert len(tasks) >= meant >= 1
            assert tasks[:, 3].max() < (1 if one_thread else meant)
            begin, end = whole[whole[:, 1] == loop][0, 4:]
            assert (tasks[:, 4] >= begin).all()
            assert (tasks[:, 5] <= end).all()
    with pytest.raises(ValueError, match="no trace"):
        runtime.stop_trace()


@pytest.fixture(scope="module")
def recorded() -> list[Record]:
    return records(compiled("mnist"), 16, 2, one_thread=True)


def test_a_record_has_the_steps_of_the_plan(recorded: list[Record]) -> None:
    for record in recorded:
        steps = {task.step for task in record.tasks}
        assert {("0 conv2d", "forward"), ("0 conv2d", "backward"), ("adam_update", "")} <= steps
        assert {task.loop for task in record.tasks} == set(range(len(record.loops)))
        within = sum(end - begin for begin, end in record.loops)
        assert 0.0 < 1e-9 * within <= record.seconds
        assert sum(task.end - task.begin for task in record.tasks) <= within


def test_a_simulation_of_one_thread_is_the_sum(recorded: list[Record]) -> None:
    found, outside = loops(recorded)
    assert outside >= 0.0
    for loop in found:
        one = loop.span(1)
        assert one == pytest.approx(sum(loop.tasks) + loop.prepare)
        spans = [loop.span(count) for count in range(1, 9)]
        assert all(
            one / count <= span * (1 + 1e-9) <= one * (1 + 1e-9)
            for count, span in enumerate(spans, 1)
        )


def test_bounds_grow_with_threads(restore_threads: None) -> None:
    """On a busy machine durations are noisy: what must hold holds by far."""
    before = runtime.get_num_threads()
    bounds = dict(speed_ups(compiled("mnist"), 64, [1, 8], rounds=5))
    assert runtime.get_num_threads() == before
    assert 0.5 < bounds[1] < 2.0
    assert 2.0 < bounds[8] <= 16.0
    assert bounds[8] > bounds[1]


def test_the_trace_opens_in_perfetto(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    monkeypatch.chdir(tmp_path)
    arguments = ["trace", "--models", "mnist", "--batch-size", "16", "--rounds", "2"]
    assert main([*arguments, "--chart", "schedule.png"]) == 0
    events = json.loads((tmp_path / "mnist-16.trace.json").read_text())["traceEvents"]
    tasks = [event for event in events if event["ph"] == "X"]
    assert {event["ph"] for event in events} == {"M", "X"}
    assert all(event["ts"] >= 0 and event["dur"] >= 0 for event in tasks)
    assert any(event["name"] == "0 conv2d backward" for event in tasks)
    assert (tmp_path / "schedule-mnist.png").read_bytes().startswith(b"\x89PNG")
    assert "mnist-16.trace.json" in capsys.readouterr().out


def test_the_simulation_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["scaling", "--models", "mnist", "--batch-size", "16", "--simulate", "1,4"]
    assert main([*arguments, "--rounds", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3] == "| model | batch | 1 threads | 4 threads |"
    assert lines[-1].startswith("| mnist | 16 | ")
    assert main([*arguments, "--rounds", "2", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert set(row["speed_up"]) == {"1", "4"}


def test_a_picture_has_a_row_for_each_thread(recorded: list[Record], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    path = save_schedule(recorded[0], tmp_path / "schedule.svg", title="a step")
    assert "thread 0" in path.read_text()
