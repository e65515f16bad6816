"""Lookahead: slow weights that follow the weights of another optimizer, and lead them back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .. import ops
from ..core.config import as_number
from ..core.memory import aligned_empty
from ..core.parameters import Array, Parameter, ParameterStore
from ..ops._calls import weights_changed
from . import schedules
from .names import get
from .optimizer import Optimizer
from .rate import LearningRate
from .schedules import LearningRateSchedule

_SLOW = "slow"


class Lookahead(Optimizer):
    """Another optimizer's steps, of which every few go back most of the way they came.

    After every `sync_period` updates slow += slow_step_size * (w - slow), and the weights w become
    the slow ones; `fit` ends with these. (M. Zhang, J. Lucas, G. Hinton and J. Ba, "Lookahead
    optimizer: k steps forward, 1 step back", 2019.) Keras has no such optimizer; the arguments are
    those of TensorFlow Addons.

    The statistics of BatchNormalization are averaged as the weights are (as in K. Jordan, "94 % on
    CIFAR-10 in 3.29 seconds on a single GPU", 2024). What is frozen stays as it is. The slow
    weights begin as the weights are at the first step, and are the optimizer's memory: weights that
    are loaded or set later count from the next synchronisation on, by the step size.

    Args:
        optimizer: a name or an object, without `use_ema`. Its options, such as the learning rate
            and the weight decay, are its own; the learning rate can be read and set here, too.
        sync_period: the updates between two synchronisations, k in the paper; at least 1.
        slow_step_size: alpha in the paper, in 0 .. 1; or a schedule of it, which is asked for the
            number of updates made, the present one among them.
        name: by default "lookahead".

    Example:
        >>> optimizer = convkit.optimizers.Lookahead(convkit.optimizers.SGD(0.1, 0.9), 5)
    """

    _unsettable = {**Optimizer._unsettable, "optimizer": "make a new Lookahead"}  # noqa: RUF012

    def __init__(
        self,
        optimizer: str | Mapping[str, Any] | Optimizer = "sgd",
        sync_period: int = 6,
        slow_step_size: float | LearningRateSchedule = 0.5,
        name: str | None = None,
    ) -> None:
        self.optimizer = get(optimizer)
        if isinstance(self.optimizer, Lookahead) or self.optimizer.use_ema:
            raise self._error(
                "the optimizer is to be one without averages of its own (use_ema, Lookahead), "
                f"received {self.optimizer!r}"
            )
        period = as_number(sync_period)
        if period is None or not period.is_integer() or not 1 <= period < 2**31:
            raise self._error(f"sync_period must be an integer of at least 1, got {sync_period!r}")
        self.sync_period = int(period)
        self.slow_step_size = slow_step_size
        if not isinstance(slow_step_size, LearningRateSchedule):
            self.slow_step_size = self._checked(slow_step_size)
        self.name = "lookahead" if name is None else name
        self.capturable = self.optimizer.capturable
        self._size = np.empty(1, np.float64)  # of the step that is being made
        self._slow: tuple[Array, Array] | None = None  # in the layouts of `values` and of `state`
        self._views: list[tuple[Array, Array]] = []
        self._seen: tuple[slice, ...] | None = None  # what the views were made for

    def _checked(self, value: Any) -> float:
        number = as_number(value)
        if number is None or not 0.0 <= number <= 1.0:
            raise self._error(f"slow_step_size must lie in 0 .. 1, received {value!r}")
        return number

    # What is the other optimizer's.

    @property
    def generation(self) -> int:
        """The number of changes, of the other optimizer's attributes too."""
        inner: Optimizer | None = self.__dict__.get("optimizer")
        own: int = self.__dict__.get("_generation", 0)
        return own + (0 if inner is None else inner.generation)

    @generation.setter
    def generation(self, value: int) -> None:
        self.__dict__["_generation"] = self.__dict__.get("_generation", 0) + value - self.generation

    @property
    def learning_rate(self) -> LearningRate:
        """The other optimizer's."""
        return self.optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | LearningRateSchedule) -> None:
        self.optimizer.learning_rate = value

    @property
    def schedule(self) -> LearningRateSchedule | None:  # type: ignore[override]
        """The other optimizer's."""
        return self.optimizer.schedule

    @property
    def weight_decay(self) -> float:  # type: ignore[override]
        """The other optimizer's."""
        return self.optimizer.weight_decay

    @property
    def steps_made(self) -> Array:  # type: ignore[override]
        """The other optimizer's."""
        return self.optimizer.steps_made

    @property
    def gradient_accumulation_steps(self) -> int | None:  # type: ignore[override]
        """The other optimizer's."""
        return self.optimizer.gradient_accumulation_steps

    @property
    def use_ema(self) -> bool:  # type: ignore[override]
        """False: the averages are the slow weights."""
        return False

    @property
    def _store(self) -> ParameterStore | None:  # type: ignore[override]
        return self.optimizer._store

    def count_from(self, steps: int) -> None:
        """Be where so many steps were made."""
        self.optimizer.count_from(steps)

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Parameter] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """As the other optimizer's."""
        self.optimizer.exclude_from_weight_decay(var_list, var_names)

    def decays(self, parameter: Parameter) -> bool:
        """Whether weight decay is meant for a parameter."""
        return self.optimizer.decays(parameter)

    def _forget_runs(self) -> None:
        self._seen = None

    # Whose parameters it changes.

    @property
    def memory_names(self) -> tuple[str, ...]:
        """The names of all slots."""
        return (*self.optimizer.memory_names, _SLOW)

    @property
    def slots(self) -> dict[str, Array]:  # type: ignore[override]
        """The memory of both by name, in the layout of `store.values`."""
        own = {} if self._slow is None else {_SLOW: self._slow[0]}
        return {**self.optimizer.slots, **own}

    def memory(self) -> Iterator[tuple[str, Parameter, Array]]:
        """Each slot's part for each weight, and the slow ones of what is not trained."""
        yield from super().memory()
        if self._slow is not None and self._store is not None:
            for parameter, view in self._store.split(self._slow[1], state=True).items():
                yield _SLOW, parameter, view

    def bind(self, store: ParameterStore) -> None:
        """Work for the model whose parameters live in `store`; ValueError for a second model."""
        self.optimizer.bind(store)
        if self._slow is None:
            slow = aligned_empty(store.values.size), aligned_empty(store.state.size)
            for own, array in zip(slow, (store.values, store.state), strict=True):
                np.copyto(own, array)
            self._slow, self._seen = slow, None

    def unbind(self, store: ParameterStore | None) -> None:
        """Leave that store; the memory begins anew."""
        if store is not None and self._store is store:
            self.optimizer.unbind(store)
            self._slow, self._views, self._seen = None, [], None

    # A step.

    def begin(self, store: ParameterStore) -> None:
        """Get ready for a step."""
        self.bind(store)
        self.optimizer.begin(store)
        ranges = store.trainable_ranges()
        if ranges is not self._seen:
            assert self._slow is not None
            slow, state = self._slow
            self._views = [(slow[run], store.values[run]) for run in ranges]
            self._views += [(state, store.state)] if state.size else []
            self._seen = ranges
        size = self.slow_step_size
        if isinstance(size, LearningRateSchedule):
            size = self._checked(size(self.iterations + 1))
        self._size[0] = size

    def update_all(self) -> None:
        """Make the other optimizer's step, and go back where it is time."""
        inner = self.optimizer
        inner.update_all()
        steps = inner.gradient_accumulation_steps
        if steps is not None and int(self.steps_made[0]) % steps:
            return
        weights_changed()  # for whoever finds them half changed after an interrupt
        for slow, w in self._views:
            numbers: Any = {"step_size": self._size, "step": inner._step}
            ops.lookahead(slow, w, **numbers, sync_period=self.sync_period)
        if inner._store is not None:
            inner._store.constrain()
        weights_changed()

    def end(self) -> None:
        """Take the learning rate of the next step."""
        self.optimizer.end()

    def finalize_variable_values(self, var_list: Iterable[Parameter]) -> None:
        """Give weights their slow ones, as `fit` does at its end."""
        if not self.steps_made[0]:
            return
        slow = {weight: view for name, weight, view in self.memory() if name == _SLOW}
        for weight in var_list:
            if weight in slow and not weight.frozen:
                weight.write(slow[weight])

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Lookahead:
        """A new optimizer from what `get_config` returned."""
        size = config.get("slow_step_size")
        if isinstance(size, Mapping):
            config = {**config, "slow_step_size": schedules.get(size)}
        return cls(**config)
