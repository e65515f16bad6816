"""Who does which task when: a record of a training step, and what it would be on other machines.

A step is a row of loops over tasks, of which each begins when the one before has ended. A thread
takes the tasks of its own share in turn, neighbours of one another, and then what others have not
begun; before its first one it prepares its memory. Where a loop has phases, all threads take its
tasks in order, each when what it needs has ended: phases, or the group of the same number in one.

A schedule for T threads is simulated from the durations of the tasks that are cut for T threads,
all done by one thread. Nobody waits for memory or for a core there: so it is a bound on the
speed-up. What a step does outside of loops nobody helps with.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import runtime
from ..core.files import write_atomically
from ..layers.step_context import StepContext
from ..models import Model
from .profile import Key, labelled
from .style import new_figure, save
from .train import over_batches

# In the place of a task's number, as cpp/ops/trace.h has them.
_PREPARE, _WHOLE, _REPLAY, _PHASE, _NEED = -1, -2, -3, -4, -5
_BESIDE: Key = ("gather", "")


class Task(NamedTuple):
    """What a thread did without a pause.

    Attributes:
        step: of the plan, and the direction.
        loop: the number of the loop over tasks, in the whole record.
        number: of the task in its loop, or -1 for what comes before a thread's first one.
        thread: 0 for the one that called.
        begin, end: in nanoseconds.
    """

    step: Key
    loop: int
    number: int
    thread: int
    begin: int
    end: int


class Phase(NamedTuple):
    """A part of a loop.

    Attributes:
        groups, size: so many groups of so many tasks, which come in this order.
        needs: the number of a phase before, and whether only its group of the same number matters.
    """

    groups: int
    size: int
    needs: list[tuple[int, bool]]


class Record(NamedTuple):
    """One pass of a batch.

    Attributes:
        tasks: of all loops.
        threads: of each loop the most that it is meant for.
        loops: of each loop, begin and end in nanoseconds.
        phases: of each loop, none where it has no parts.
        seconds: in native code, of the whole pass.
    """

    tasks: list[Task]
    threads: list[int]
    loops: list[tuple[int, int]]
    phases: list[list[Phase]]
    seconds: float


class Loop(NamedTuple):
    """Durations of a loop over tasks, in seconds.

    Attributes:
        threads: the most that it is meant for.
        prepare: before a thread's first task.
        tasks: one after the other.
        phases: that the tasks belong to, none where it has no parts.
    """

    threads: int
    prepare: float
    tasks: list[float]
    phases: Sequence[Phase] = ()

    def span(self, threads: int) -> float:
        """How long it takes on so many threads that nothing keeps from working."""
        threads, count = min(threads, self.threads), len(self.tasks)
        shares = 1 if self.phases else threads
        begun = [i * count // shares for i in range(shares)]
        ends = [(i + 1) * count // shares for i in range(shares)]
        free = [(0.0, thread) for thread in range(threads)]
        prepared = [False] * threads
        waits = _Waits(self.phases)
        last = taken = 0.0
        while free:
            now, thread = heapq.heappop(free)
            for i in range(shares):
                share = (thread + i) % shares
                if begun[share] < ends[share]:
                    break
            else:
                continue
            task = begun[share]
            begun[share] += 1
            now += 0.0 if prepared[thread] else self.prepare
            prepared[thread] = True
            if self.phases:  # nobody takes a task before the one in front of it
                now = taken = max(now, taken, waits.until(task))
            now += self.tasks[task]
            waits.end(task, now)
            last = max(last, now)
            heapq.heappush(free, (now, thread))
        return last


class _Waits:
    """When the tasks of phases may begin. They come in order, so what they need has been begun."""

    def __init__(self, phases: Sequence[Phase]) -> None:
        self.needs = [phase.needs for phase in phases]
        self.groups = [
            (i, group)
            for i, phase in enumerate(phases)
            for group in range(phase.groups)
            for _ in range(phase.size)
        ]
        self.ends = [[0.0] * phase.groups for phase in phases]

    def until(self, task: int) -> float:
        if not self.groups:
            return 0.0
        phase, group = self.groups[task]
        return max(
            (
                self.ends[need][group] if own_group else max(self.ends[need], default=0.0)
                for need, own_group in self.needs[phase]
            ),
            default=0.0,
        )

    def end(self, task: int, now: float) -> None:
        if self.groups:
            phase, group = self.groups[task]
            self.ends[phase][group] = max(self.ends[phase][group], now)


class _Steps:
    """Lets every step of the plan say who it is before it runs."""

    def __init__(self) -> None:
        self.keys: list[Key] = [_BESIDE]

    def run(self, key: Key, call: Callable[[StepContext], None], context: StepContext) -> None:
        if key not in self.keys:
            self.keys.append(key)
        runtime.trace_step(self.keys.index(key))
        call(context)
        runtime.trace_step(0)


def records(model: Model, batch_size: int, count: int, one_thread: bool) -> list[Record]:
    """Training steps of a compiled model, with the threads that are set.

    Args:
        model: whose steps are made; it is trained a little.
        batch_size: N.
        count: how many steps are recorded, behind some that are not.
        one_thread: whether one thread does the tasks that are cut for all.
    """
    step = over_batches(model.train_on_batch, model, batch_size)
    step()  # allocates the plan
    plan = model._engine.training_plan
    assert plan is not None
    steps = _Steps()
    with labelled(plan, plan.bind(batch_size), steps):
        for _ in range(2):  # captures the calls
            step()
        return [_record(step, steps, one_thread) for _ in range(count)]


def _record(step: Callable[[], object], steps: _Steps, one_thread: bool) -> Record:
    runtime.start_trace(one_thread)
    try:
        step()
    finally:
        rows = runtime.stop_trace().tolist()
    ordered = sorted((row for row in rows if row[2] == _WHOLE), key=lambda row: row[4])
    place = {row[1]: i for i, row in enumerate(ordered)}
    tasks = [
        Task(steps.keys[at], place[loop], number, thread, begin, end)
        for at, loop, number, thread, begin, end in rows
        if number >= _PREPARE
    ]
    tasks.sort(key=lambda task: (task.loop, task.begin))
    # A loop before the plan's steps is the whole of its call.
    native = [row for row in rows if row[2] == _REPLAY] + [row for row in ordered if row[0] == 0]
    seconds = 1e-9 * sum(row[5] - row[4] for row in native)
    phases: list[list[Phase]] = [[] for _ in ordered]
    for _, loop, kind, at, first, second in rows:
        if kind == _PHASE:
            phases[place[loop]].append(Phase(first, second, []))
        elif kind == _NEED:
            phases[place[loop]][at].needs.append((first, bool(second)))
    return Record(
        tasks,
        [row[3] for row in ordered],
        [(row[4], row[5]) for row in ordered],
        phases,
        seconds,
    )


def loops(made: Sequence[Record]) -> tuple[list[Loop], float]:
    """The loops of a step that one thread made several times, and the seconds outside of them.

    Durations are the shortest of the records, for other programs have no part in a bound.
    """
    first = made[0]
    durations: list[list[dict[int, float]]] = [[{} for _ in first.threads] for _ in made]
    for record, found in zip(made, durations, strict=True):
        for task in record.tasks:
            found[task.loop][task.number] = 1e-9 * (task.end - task.begin)
    result = []
    for i, threads in enumerate(first.threads):
        of_loop = {
            number: min(each[i].get(number, 0.0) for each in durations)
            for number in durations[0][i]
        }
        prepare = of_loop.pop(_PREPARE, 0.0)
        in_order = [of_loop[number] for number in sorted(of_loop)]
        result.append(Loop(threads, prepare, in_order, first.phases[i]))
    outside = min(
        record.seconds - 1e-9 * sum(end - begin for begin, end in record.loops) for record in made
    )
    return result, max(outside, 0.0)


def speed_ups(
    model: Model, batch_size: int, threads: Sequence[int], rounds: int = 9
) -> Iterator[tuple[int, float]]:
    """The most that each number of threads can gain on a training step's native part.

    Args:
        model: compiled.
        batch_size: N.
        threads: the numbers.
        rounds: recorded steps of each.
    """
    with _threads_again():
        one = _seconds(model, batch_size, 1, rounds)
        for count in threads:
            yield count, one / _seconds(model, batch_size, count, rounds)


def _seconds(model: Model, batch_size: int, threads: int, rounds: int) -> float:
    """Of a simulated step."""
    runtime.set_num_threads(threads)
    found, outside = loops(records(model, batch_size, rounds, one_thread=True))
    return outside + sum(loop.span(threads) for loop in found)


@contextmanager
def _threads_again() -> Iterator[None]:
    former = runtime.get_num_threads()
    try:
        yield
    finally:
        runtime.set_num_threads(former)


def save_trace(record: Record, path: str | PathLike[str]) -> Path:
    """Write a record in the format of Chrome's traces, which https://ui.perfetto.dev opens."""
    start = min(begin for begin, _ in record.loops)
    events = [
        {
            "name": " ".join(task.step) if task.number >= 0 else "prepare",
            "cat": "task",
            "ph": "X",
            "pid": 0,
            "tid": task.thread,
            "ts": (task.begin - start) / 1000,
            "dur": (task.end - task.begin) / 1000,
            "args": {"loop": task.loop, "task": task.number},
        }
        for task in record.tasks
    ]
    names = [
        {"name": "thread_name", "ph": "M", "pid": 0, "tid": i, "args": {"name": f"thread {i}"}}
        for i in sorted({task.thread for task in record.tasks})
    ]
    document = {"traceEvents": names + events, "displayTimeUnit": "ms"}
    write_atomically(path, json.dumps(document).encode())
    return Path(path)


def save_schedule(record: Record, path: str | PathLike[str], *, title: str, note: str = "") -> Path:
    """Draw a record: a row a thread, a bar a task, a colour a step of the plan.

    Raises:
        ImportError: matplotlib is not installed.
    """
    threads = 1 + max(task.thread for task in record.tasks)
    figure, axes = new_figure(1.6 + 0.5 * threads)
    start = min(begin for begin, _ in record.loops)
    steps = list(dict.fromkeys(task.step for task in record.tasks))
    from matplotlib import colormaps

    colors = colormaps["turbo"](np.linspace(0.05, 0.95, len(steps)))
    for step, color in zip(steps, colors, strict=True):
        for thread in range(threads):
            bars = [
                ((task.begin - start) / 1e6, (task.end - task.begin) / 1e6)
                for task in record.tasks
                if task.step == step and task.thread == thread
            ]
            axes.broken_barh(bars, (thread - 0.4, 0.8), facecolors=color, linewidth=0)
        own = [task for task in record.tasks if task.step == step]
        begin, end = min(t.begin for t in own), max(t.end for t in own)
        if end - begin > 0.03 * (record.loops[-1][1] - start):
            axes.text(
                ((begin + end) / 2 - start) / 1e6, -0.55, " ".join(step),
                rotation=60, fontsize=6, ha="left", va="bottom",
            )  # fmt: skip
    axes.set_yticks(range(threads), [f"thread {i}" for i in range(threads)])
    axes.set_ylim(threads - 0.4, -0.5)
    axes.set_xlabel("milliseconds")
    return save(figure, path, title, note)
