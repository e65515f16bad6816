"""Schedules: learning rates that follow the training step, with Keras 3's names and defaults.

A schedule is a pure function of the number of steps made before: what an optimizer counts, and a
saved model remembers, is all the state it has. It is evaluated once a step, in plain Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from ..core import custom, lazy
from ..core.config import Configurable, as_number, flag, serialize

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "get",
    "serialize",
]


if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__)


_S = TypeVar("_S", bound="LearningRateSchedule")


class LearningRateSchedule(Configurable):
    """Base class: `schedule(step)` is the learning rate of the step that has `step` before it."""

    def __call__(self, step: int) -> float:
        """The learning rate, where steps count from 0."""
        raise NotImplementedError

    def error(self, message: str) -> ValueError:
        """A ValueError that names this schedule."""
        return ValueError(f"{type(self).__name__}: {message}")

    def number(self, value: float, what: str, above_zero: bool = False) -> float:
        """Return `value`; ValueError unless it is a finite number of at least, or above, 0."""
        number = as_number(value)
        if number is None:
            number = math.nan
        if not math.isfinite(number) or number < 0 or (above_zero and number == 0):
            least = "above 0" if above_zero else "of at least 0"
            raise self.error(f"{what} must be a finite number {least}, received {value!r}")
        return number


def _within_numbers(call: Callable[[_S, int], float]) -> Callable[[_S, int], float]:
    """A schedule's `__call__`, with a ValueError for a learning rate beyond all numbers."""

    @wraps(call)
    def checked(self: _S, step: int) -> float:
        try:
            return call(self, step)
        except OverflowError:
            raise self.error(f"the learning rate of step {step} is beyond all numbers") from None

    return checked


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate * decay_rate ** (step / decay_steps).

    Args:
        initial_learning_rate: the learning rate of step 0.
        decay_steps: after so many steps it has been multiplied by `decay_rate`.
        decay_rate: that factor.
        staircase: decay at once every `decay_steps` steps, rather than a little at each step.
        name: by default `ExponentialDecay`.

    Example:
        >>> schedule = convkit.optimizers.schedules.ExponentialDecay(1e-3, 1000, 0.9)
        >>> model.compile(convkit.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = self.number(initial_learning_rate, "initial_learning_rate")
        self.decay_steps = self.number(decay_steps, "decay_steps", True)
        self.decay_rate = self.number(decay_rate, "decay_rate")
        self.staircase = flag(staircase, "staircase", self)
        self.name = name

    @_within_numbers
    def __call__(self, step: int) -> float:
        """The decayed learning rate."""
        times = self.number(step, "step") / self.decay_steps
        if self.staircase:
            times = math.floor(times)
        return float(self.initial_learning_rate * self.decay_rate**times)


class InverseTimeDecay(LearningRateSchedule):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps).

    Args:
        initial_learning_rate: the learning rate of step 0.
        decay_steps: how often to decay.
        decay_rate: how much the divisor grows in so many steps.
        staircase: decay at once every `decay_steps` steps, rather than a little at each step.
        name: by default `InverseTimeDecay`.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = self.number(initial_learning_rate, "initial_learning_rate")
        self.decay_steps = self.number(decay_steps, "decay_steps", True)
        self.decay_rate = self.number(decay_rate, "decay_rate")
        self.staircase = flag(staircase, "staircase", self)
        self.name = name

    @_within_numbers
    def __call__(self, step: int) -> float:
        """The decayed learning rate."""
        times = self.number(step, "step") / self.decay_steps
        if self.staircase:
            times = math.floor(times)
        return self.initial_learning_rate / (1.0 + self.decay_rate * times)


class PolynomialDecay(LearningRateSchedule):
    """From one learning rate to another, along a power of the share of the steps that are left.

    Args:
        initial_learning_rate: the learning rate of step 0.
        decay_steps: the length of the decay; later steps keep the last learning rate.
        end_learning_rate: that of its end.
        power: 1 for a straight line.
        cycle: begin a decay of twice, three times ... the length after each, rather than keep the
            last learning rate.
        name: by default `PolynomialDecay`.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = self.number(initial_learning_rate, "initial_learning_rate")
        self.decay_steps = self.number(decay_steps, "decay_steps", True)
        self.end_learning_rate = self.number(end_learning_rate, "end_learning_rate")
        self.power = self.number(power, "power")
        self.cycle = flag(cycle, "cycle", self)
        self.name = name

    @_within_numbers
    def __call__(self, step: int) -> float:
        """The learning rate on the way."""
        done = self.number(step, "step") / self.decay_steps
        done = done / max(math.ceil(done), 1) if self.cycle else min(done, 1.0)
        way = self.initial_learning_rate - self.end_learning_rate
        return float(way * (1.0 - done) ** self.power + self.end_learning_rate)


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i] up to and including the step boundaries[i]; after the last one, values[-1].

    Args:
        boundaries: steps, each larger than the one before.
        values: learning rates, one more than boundaries.
        name: by default `PiecewiseConstant`.
    """

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        for what, each in (("boundaries", boundaries), ("values", values)):
            if isinstance(each, str) or not hasattr(each, "__len__"):
                raise self.error(f"{what} must be a list of numbers, received {each!r}")
        if len(boundaries) != len(values) - 1:
            raise self.error(
                f"there must be one value more than boundaries, received {len(values)} values "
                f"and {len(boundaries)} boundaries"
            )
        self.boundaries = tuple(self.number(each, "each boundary") for each in boundaries)
        self.values = tuple(self.number(each, "each value") for each in values)
        if any(one >= two for one, two in pairwise(self.boundaries)):
            raise self.error(f"boundaries must increase, received {list(boundaries)}")
        self.name = name

    @_within_numbers
    def __call__(self, step: int) -> float:
        """The learning rate between the two boundaries."""
        step = self.number(step, "step")  # type: ignore[assignment]
        return self.values[sum(step > boundary for boundary in self.boundaries)]


class CosineDecay(LearningRateSchedule):
    """A linear warm-up, if asked for, then half a wave of the cosine down to a share of the rate.

    (I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017; the
    warm-up of P. Goyal et al., "Accurate, large minibatch SGD", 2017.)

    Args:
        initial_learning_rate: where the warm-up begins, or the decay if there is no warm-up.
        decay_steps: the length of the decay.
        alpha: the share of the rate, at which the decay began, that remains at its end.
        name: by default `CosineDecay`.
        warmup_target: where the warm-up ends and the decay begins; None for no warm-up.
        warmup_steps: the length of the warm-up, which comes before the `decay_steps`.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate = self.number(initial_learning_rate, "initial_learning_rate")
        self.decay_steps = self.number(decay_steps, "decay_steps", True)
        self.alpha = self.number(alpha, "alpha")
        self.name = name
        self.warmup_target = (
            None if warmup_target is None else self.number(warmup_target, "warmup_target")
        )
        self.warmup_steps = self.number(warmup_steps, "warmup_steps")

    @_within_numbers
    def __call__(self, step: int) -> float:
        """The learning rate of the warm-up or of the decay."""
        step = self.number(step, "step")  # type: ignore[assignment]
        start, highest = self.initial_learning_rate, self.warmup_target
        if highest is None:
            decayed, highest = float(step), start
        elif step < self.warmup_steps:
            return start + (highest - start) * step / self.warmup_steps
        else:
            decayed = step - self.warmup_steps
        share = _cosine(min(decayed / self.decay_steps, 1.0))
        return highest * ((1.0 - self.alpha) * share + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """Half a wave of the cosine again and again, each longer than the one before.

    (I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.)

    Args:
        initial_learning_rate: where the first decay begins.
        first_decay_steps: its length.
        t_mul: each decay is so many times as long as the one before. With less than 1 they end.
        m_mul: each begins at so many times the rate of the one before.
        alpha: the share of the initial rate that remains at the end of each.
        name: by default `SGDRDecay`.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = self.number(initial_learning_rate, "initial_learning_rate")
        self.first_decay_steps = self.number(first_decay_steps, "first_decay_steps", True)
        self.t_mul = self.number(t_mul, "t_mul", True)
        self.m_mul = self.number(m_mul, "m_mul")
        self.alpha = self.number(alpha, "alpha")
        self.name = name

    @_within_numbers
    def __call__(self, step: int) -> float:
        """The learning rate of the decay that the step is in."""
        restarts, done = self._place(self.number(step, "step") / self.first_decay_steps)
        share = self.m_mul**restarts * _cosine(done)
        return float(self.initial_learning_rate * ((1.0 - self.alpha) * share + self.alpha))

    def _place(self, lengths: float) -> tuple[int, float]:
        """After so many lengths of the first decay: the restarts, and the share of the last one."""
        growth = self.t_mul
        if growth == 1.0:
            restarts = math.floor(lengths)
            return restarts, lengths - restarts
        left = 1.0 - lengths * (1.0 - growth)
        if left <= 0.0:  # decays that become shorter are over
            return 0, 1.0
        restarts = math.floor(math.log(left) / math.log(growth))
        for number in (restarts + 1, restarts, restarts - 1):  # the logarithms were rounded
            done = (lengths - (1.0 - growth**number) / (1.0 - growth)) / growth**number
            if done >= 0.0:
                return number, min(done, 1.0)
        return 0, lengths


class OneCycle(LearningRateSchedule):
    """Up to a large learning rate and down to almost nothing, both along half a wave of the cosine.

    (L. Smith and N. Topin, "Super-convergence", 2018, in the form that PyTorch's `OneCycleLR` and
    fastai made usual; the momentum is not cycled.) Keras has no such schedule.

    Args:
        max_learning_rate: the largest learning rate.
        total_steps: of the whole cycle: epochs * ceil(samples / batch_size). Later steps keep the
            last learning rate.
        pct_start: the share of the cycle in which the learning rate grows.
        div_factor: it begins at max_learning_rate / div_factor.
        final_div_factor: it ends at max_learning_rate / div_factor / final_div_factor.
        name: by default `OneCycle`.
    """

    _derived = ("_first", "_last", "_peak")

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: float,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        name: str = "OneCycle",
    ) -> None:
        self.max_learning_rate = self.number(max_learning_rate, "max_learning_rate")
        self.total_steps = self.number(total_steps, "total_steps", True)
        self.pct_start = self.number(pct_start, "pct_start")
        self.div_factor = self.number(div_factor, "div_factor", True)
        self.final_div_factor = self.number(final_div_factor, "final_div_factor", True)
        self.name = name
        if not 0.0 < self.pct_start < 1.0:
            raise self.error(f"pct_start must lie between 0 and 1, received {pct_start!r}")
        if self.total_steps < 2:
            raise self.error(f"total_steps must be at least 2, received {total_steps!r}")
        self._first = self.max_learning_rate / self.div_factor
        self._last = self._first / self.final_div_factor
        self._peak = self.pct_start * self.total_steps - 1.0  # a step, perhaps between two

    @_within_numbers
    def __call__(self, step: int) -> float:
        """The learning rate on the way up or down."""
        step = self.number(step, "step")  # type: ignore[assignment]
        if step < self._peak:
            start, end, done = self._first, self.max_learning_rate, step / self._peak
        else:
            way = self.total_steps - 1.0 - self._peak
            start, end = self.max_learning_rate, self._last
            done = min((step - self._peak) / way, 1.0)
        return end + (start - end) * _cosine(done)


def _cosine(done: float) -> float:
    """From 1 to 0 along half a wave, as `done` goes from 0 to 1."""
    return 0.5 * (1.0 + math.cos(math.pi * done))


_CLASSES: tuple[type[LearningRateSchedule], ...] = (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
)


def get(config: Mapping[str, Any]) -> LearningRateSchedule:
    """The schedule that `serialize` described; ValueError for an unknown class."""
    if not isinstance(config, Mapping) or not isinstance(config.get("config", {}), Mapping):
        raise TypeError(f"a schedule is described by a dictionary, received {config!r}")
    name = config.get("class_name")
    own = custom.find(str(name))
    for kind in (*_CLASSES, *([] if own is None else [own])):
        if issubclass(kind, LearningRateSchedule) and (name == kind.__name__ or kind is own):
            made: LearningRateSchedule = kind.from_config(config.get("config", {}))
            return made
    raise ValueError(
        f"unknown schedule {name!r}: use one of {', '.join(each.__name__ for each in _CLASSES)}"
    )


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> LearningRateSchedule:
    """The schedule that `serialize` described, made anew.

    Args:
        config: its class_name and config.
        custom_objects: classes of your own by their names, besides those that are registered.

    Raises:
        ValueError: there is no such class.
    """
    with custom.custom_object_scope(custom_objects):
        return get(config)
