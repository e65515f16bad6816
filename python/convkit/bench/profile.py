"""Where the time of a training step goes: every native call, against its own bound.

Real steps are made, by `train_on_batch`. In every other run a profile function (`sys.setprofile`)
looks at the clock as each native function is entered and left. Within a native function nothing
is disturbed; between them Python is slowed down a little, and that part is therefore not measured
but what is left of the undisturbed step: Python's share, with NumPy's in it.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any, Protocol

from ..layers.step_context import StepContext
from ..models import Model
from ..plan import Bound, BoundSteps, Plan, Step
from .bounds import (
    BACKWARD,
    FORWARD,
    Roofs,
    Work,
    gather_work,
    loss_work,
    roofs,
    step_work,
    update_work,
)
from .measure import Call, Pace, Spread
from .shapes import MODELS
from .train import compiled, over_batches

_NATIVE = "convkit._core"
_RUNS = 5  # as many runs of the pace's length make one of these: a run has a number of steps

Key = tuple[str, str]  # a part's name and direction
_LOSS: Key = ("softmax_cross_entropy", "")
_PENALTIES: Key = ("regularize", "")
_UPDATE: Key = ("adam_update", "")


@dataclass(frozen=True)
class Part:
    """One step of the plan in one direction, or what comes before, between or behind them.

    Attributes:
        name: its number in the plan and its first layer, or the native function.
        direction: "forward", "backward", or "" where there is no choice.
        operation: as the plan has it.
        seconds: in native functions, for one training step.
        work: what it must do; none where nobody counts it.
    """

    name: str
    direction: str
    operation: str
    seconds: Spread
    work: Work


@dataclass(frozen=True)
class Account:
    """A training step and its parts.

    Attributes:
        model: its name.
        batch_size: N.
        whole: seconds of an undisturbed `train_on_batch`.
        watched: seconds of one while the clock was looked at.
        parts: in the order in which they run.
        roofs: of the machine, medians of the figures measured in each round.
        working_set: the bytes that a step goes through, for which the memory's roof is.
    """

    model: str
    batch_size: int
    whole: Spread
    watched: Spread
    parts: list[Part]
    roofs: Roofs
    working_set: int

    @property
    def native(self) -> float:
        """Seconds in native functions: the sum of the parts' medians."""
        return sum(part.seconds.median for part in self.parts)

    @property
    def python(self) -> float:
        """Seconds of an undisturbed step that are left for Python."""
        return self.whole.median - self.native

    @property
    def work(self) -> Work:
        """Of the whole step."""
        return sum((part.work for part in self.parts), Work())

    @property
    def bound(self) -> float:
        """The sum of the parts' bounds, which run one after the other."""
        return sum(self.roofs.bound(part.work) for part in self.parts)


class Watch(Protocol):
    """Runs the steps of a plan."""

    def run(self, key: Key, call: Callable[[StepContext], None], run: StepContext, /) -> None:
        """A step, under its key."""


@dataclass
class _Clock:
    """A profile function that adds up the seconds in native functions, step after step.

    Those that call Python, which calls others, do not count.

    Attributes:
        key: of the plan's step that is running, if one is.
        steps: for each training step the seconds by key, in the order of the first calls.
    """

    key: Key | None = None
    steps: list[dict[Key, float]] = field(default_factory=list)
    _entered: float | None = None

    def __call__(self, frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and getattr(function, "__module__", None) == _NATIVE:
            self._entered = time.perf_counter()
        elif event == "c_return" and getattr(function, "__module__", None) == _NATIVE:
            if self._entered is not None:
                seconds = time.perf_counter() - self._entered
                self.steps[-1][self.key or (function.__name__, "")] += seconds
            self._entered = None

    def watch(self, step: Call) -> None:
        """Make one training step."""
        self.steps.append(defaultdict(float))
        former = sys.getprofile()
        sys.setprofile(self)
        try:
            step()
        finally:
            sys.setprofile(former)

    def run(self, key: Key, call: Callable[[StepContext], None], run: StepContext) -> None:
        """A step of the plan, under its key."""
        self.key = key
        call(run)
        self.key = None


def accounts(
    models: Sequence[str] = tuple(MODELS), *, batch_size: int = 32, pace: Pace | None = None
) -> Iterator[Account]:
    """The account of each model's training step on random images, made when its turn comes."""
    for name in models:
        yield account(name, compiled(name), batch_size, pace or Pace())


def account(name: str, model: Model, batch_size: int, pace: Pace) -> Account:
    """Measure a compiled model, in rounds of an undisturbed run and a watched one."""
    step = over_batches(model.train_on_batch, model, batch_size)
    step()  # allocates the plan
    once = min(_seconds(step) for _ in range(3))
    count = max(1, round(_RUNS * pace.run_seconds / once))
    plan = model._engine.training_plan
    assert plan is not None
    bound, clock = plan.bind(batch_size), _Clock()
    working_set = _working_set(model, plan)
    whole, watched, tops = [], [], []
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(pace.rounds):
            tops.append(roofs(working_set))
            _settle(step, pace.settle_seconds)
            whole += [_seconds(step) for _ in range(count)]
            with labelled(plan, bound, clock):
                watched += [_seconds(partial(clock.watch, step)) for _ in range(count)]
    finally:
        if collecting:
            gc.enable()
    works = {key: (operation, work) for key, operation, work in _works(model, plan, batch_size)}
    parts = [_part(key, clock.steps, *works.pop(key, ("", Work()))) for key in clock.steps[0]]
    assert not works, f"no native call belongs to {sorted(works)}"
    top = Roofs(*(statistics.median(values) for values in zip(*map(_tuple, tops), strict=True)))
    return Account(name, batch_size, Spread.of(whole), Spread.of(watched), parts, top, working_set)


def _tuple(top: Roofs) -> tuple[float, float, float]:
    return top.peak, top.memory, top.cache


def _part(key: Key, steps: list[dict[Key, float]], operation: str, work: Work) -> Part:
    return Part(*key, operation, Spread.of([step[key] for step in steps]), work)


def _working_set(model: Model, plan: Plan) -> int:
    """The plan's buffers, parameters, gradients, and the optimizer's memory."""
    assert model.optimizer is not None
    slots = sum(slot.nbytes for slot in model.optimizer.slots.values())
    return plan.nbytes + model._engine.parameters().nbytes + slots


def _works(model: Model, plan: Plan, n: int) -> Iterator[tuple[Key, str, Work]]:
    """The parts that are known beforehand."""
    assert model.optimizer is not None
    yield ("gather", ""), "images into the plan", gather_work(plan, n)
    for direction in (FORWARD, BACKWARD):
        for key, step in _running(plan, direction):
            shapes = step.shapes(n)
            operation = step.stage.describe(shapes if step.stage.merges else shapes[0], True)
            yield key, operation, step_work(step, n, direction)
    yield _LOSS, "loss and its gradient", loss_work(plan, n)
    parameters = sum(weight.size for weight in model.trainable_weights)
    work = update_work(parameters, len(model.optimizer.slots))
    yield _UPDATE, "optimizer", work


def _running(plan: Plan, direction: str) -> list[tuple[Key, Step]]:
    """The steps that compute something, in the order of `Bound`."""
    steps = [
        ((f"{number} {step.stage.names[0]}", direction), step)
        for number, step in enumerate(plan.steps)
        if not step.stage.is_view(plan.training)
    ]
    if direction == FORWARD:
        return steps
    return [(key, step) for key, step in reversed(steps) if step.dy is not None]


def _keys(plan: Plan, count: int) -> list[Key]:
    """Whose each of so many calls of a batch is; a step may make several, for sums of gradients."""
    forward = [key for key, _ in _running(plan, FORWARD)]
    backward = [
        (f"{number} {step.stage.names[0]}", BACKWARD)
        for number, step in reversed(list(enumerate(plan.steps)))
        for _ in step.backward(1)
    ]
    last = [_PENALTIES, _UPDATE] if plan.regularized else [_UPDATE]
    losses = count - len(forward) - len(backward) - len(last)
    return [*forward, *[_LOSS] * losses, *backward, *last]


@contextmanager
def labelled(plan: Plan, bound: Bound, clock: Watch) -> Iterator[None]:
    """Let a watch run every step of the plan under its key, each replaying its own calls."""
    former = list(bound.steps)
    alone = [BoundSteps([run], steps.capturable) for steps in former for run in steps.runs]
    pairs = zip(_keys(plan, len(alone)), alone, strict=True)
    watched: list[Callable[[StepContext], None]] = [partial(clock.run, *pair) for pair in pairs]
    bound.steps[:] = [BoundSteps(watched, capturable=False)]
    try:
        yield
    finally:
        bound.steps[:] = former


def _settle(step: Call, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        step()


def _seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
