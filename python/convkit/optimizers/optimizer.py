"""What all optimizers share: options, slots, and the parts of a step around the update itself.

An optimizer works on the flat buffers of a `ParameterStore`: a training step is one call of an op
for each contiguous run of trainable parameters, which is one call unless some are frozen, kept from
weight decay or learn at a rate of their own. Its own memory (the slots) has the layout of the
parameters and is allocated once.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import ops
from ..core.advice import with_advice
from ..core.changes import Capturable
from ..core.config import Configurable, flag, not_negative
from ..core.memory import aligned_zeros
from ..core.parameters import Array, Parameter, ParameterStore
from ..ops._calls import weights_changed
from . import schedules
from .arguments import count, undecayed
from .clipping import Clipping, checked_limits
from .rate import LearningRate
from .schedules import LearningRateSchedule

if TYPE_CHECKING:
    from typing_extensions import Self


class Optimizer(Capturable, Configurable):
    """Base class of the optimizers, and the options that all of them take.

    Args:
        learning_rate: a number, or a schedule of `convkit.optimizers.schedules`.
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        clipnorm: the largest norm of each weight's gradient; larger ones are scaled down to it.
        clipvalue: the largest absolute value in a gradient; what lies outside is cut off.
        global_clipnorm: the largest norm of all gradients together. Only one of the three may be
            given.
        use_ema: keep an exponential moving average of the weights, which `fit` gives to the model
            at its end.
        ema_momentum: how much of the average stays at each step.
        ema_overwrite_frequency: after every so many steps the weights become the average; None for
            the end of `fit` alone.
        loss_scale_factor: taken as Keras takes it, and of no effect: the gradients of a loss times
            the factor, over the factor, are the same in float32.
        gradient_accumulation_steps: update the weights at every so many steps, at least 2, by the
            mean of the gradients since the last update. Schedules follow the steps, `iterations`
            counts the updates.
        name: of the optimizer, by default that of its class in lower case.

    Attributes:
        learning_rate: that of the next step.
        iterations: how many updates were made.
        slots: the optimizer's memory by name, flat arrays in the layout of `store.values`.
        capturable: `update` is a native call that depends on nothing but the arrays and the
            attributes, so that a plan may capture it. Not inherited.
    """

    slot_names: tuple[str, ...] = ()  # of what `update` is given
    slot_values: ClassVar[Mapping[str, str]] = {}  # the attributes that slots begin with, unless 0
    read_at_replay = frozenset({"iterations", "learning_rate", "_learning_rate", "_decay", "_rate"})
    _unsettable: ClassVar[Mapping[str, str]] = {
        "schedule": "set learning_rate to a schedule, or make a new optimizer",
        "gradient_accumulation_steps": "make a new optimizer",
    }

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        self.name = type(self).__name__.lower() if name is None else name
        self.schedule: LearningRateSchedule | None = None
        # Where a replayed call counts the step that it makes.
        self.steps_made = np.zeros(1, np.int64)
        self.gradient_accumulation_steps = count(
            gradient_accumulation_steps, "gradient_accumulation_steps", 2, self
        )
        self.learning_rate = learning_rate
        self.weight_decay = 0.0
        if weight_decay is not None:
            self.weight_decay = not_negative(weight_decay, "weight_decay", self)
        given = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        self.clipnorm, self.clipvalue, self.global_clipnorm = checked_limits(given, self)
        self.use_ema = flag(use_ema, "use_ema", self)
        self.ema_momentum = not_negative(ema_momentum, "ema_momentum", self)
        if self.ema_momentum > 1.0:
            raise self._error(f"ema_momentum must lie in 0 .. 1, received {ema_momentum!r}")
        self.ema_overwrite_frequency = count(
            ema_overwrite_frequency, "ema_overwrite_frequency", 1, self
        )
        self.loss_scale_factor = None
        if loss_scale_factor is not None:
            self.loss_scale_factor = not_negative(loss_scale_factor, "loss_scale_factor", self)
        if self.gradient_accumulation_steps is not None:
            self.capturable = False  # its steps differ from one another
        self._begin()

    def _begin(self) -> None:
        """Be an optimizer without a model."""
        self.slots: dict[str, Array] = {}
        self._undecayed: frozenset[Parameter] = frozenset()
        self._undecayed_names: re.Pattern[str] | None = None
        self._store: ParameterStore | None = None
        self._ranges: tuple[slice, ...] = ()
        self._runs: list[tuple[tuple[Any, ...], list[Array]]] = []
        self._clip = Clipping()
        # Of the step that is being made, where a replayed call finds them: its number, and the
        # learning rates by what multiplies them.
        self._step = np.empty(1, np.int64)
        self._rates: dict[float, Array] = {}
        # Of the run that is being updated.
        self._decay, self._rate = 0.0, np.empty(1, np.float64)

    def _error(self, message: str) -> ValueError:
        """A ValueError that names this optimizer."""
        return ValueError(f"{type(self).__name__}: {message}")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__init__" in vars(cls):
            cls.__init__ = with_advice(cls.__init__)  # type: ignore[method-assign]

    if not TYPE_CHECKING:  # to type checkers, every attribute would be there

        def __getattr__(self, name: str) -> Any:
            from ..absent import renamed  # here: only for an error

            kind = type(self).__name__
            raise AttributeError(f"{kind!r} object has no attribute {name!r}{renamed(name)}")

    @property
    def learning_rate(self) -> LearningRate:
        """The step size of the next step. It can be set, to a number or a schedule, at any time.

        It is a float that also has Keras's `numpy()` and `assign(value)`.

        Raises:
            ValueError: set to a negative or infinite number.
            TypeError: set to a number while a schedule decides it, as in Keras.
        """
        return LearningRate(self._learning_rate, self)

    @learning_rate.setter
    def learning_rate(self, value: float | LearningRateSchedule) -> None:
        if isinstance(value, LearningRateSchedule):
            object.__setattr__(self, "schedule", value)
            self._follow_schedule()
            return
        if self.schedule is not None:
            raise TypeError(
                f"{type(self).__name__}: the learning rate follows a schedule, "
                f"{type(self.schedule).__name__}, and cannot be set; give the optimizer a number "
                f"as learning_rate if something else shall change it"
            )
        self._learning_rate = not_negative(value, "learning_rate", self)

    @property
    def iterations(self) -> int:
        """How many updates were made; in `update`, the one that is being made among them.

        It can be set, which also sets the learning rate by a schedule.

        Raises:
            ValueError: set to what is no integer of at least 0.
        """
        return int(self.steps_made[0]) // (self.gradient_accumulation_steps or 1)

    @iterations.setter
    def iterations(self, value: int) -> None:
        number = -1 if isinstance(value, bool) else operator.index(value)
        if number < 0:
            raise self._error(f"iterations must be an integer of at least 0, received {value!r}")
        self.count_from(number * (self.gradient_accumulation_steps or 1))

    def count_from(self, steps: int) -> None:
        """Be where so many steps were made, of which several may make an update."""
        self.steps_made[0] = steps
        self._follow_schedule()

    @property
    def variables(self) -> list[Parameter]:
        """The slots by weights, as views into the memory that training works on."""
        if self._store is None:
            return []
        order = {weight: place for place, weight in enumerate(self._store.parameters)}
        parts = sorted(self.memory(), key=lambda part: order[part[1]])
        return [
            Parameter(name, view, path=f"{self.name}/{weight.path}/{name}", trainable=False)
            for name, weight, view in parts
        ]

    def memory(self) -> Iterator[tuple[str, Parameter, Array]]:
        """Each slot's name and its part for each weight, a view; nothing before the first step."""
        if self._store is not None:
            for name, slot in self.slots.items():
                for weight, view in self._store.split(slot).items():
                    yield name, weight, view

    def _arguments(self, kind: type[Any]) -> dict[str, Any]:
        own = super()._arguments(kind)
        if "learning_rate" in own:
            own["learning_rate"] = self.schedule or self._learning_rate
        return own

    def _set(self, name: str, value: Any) -> None:
        super()._set(name, value)
        if name in self.read_at_replay:
            return
        self._forget_runs()
        store = self._store
        if store is not None and tuple(self.slots) != self.memory_names:
            # It has more or less to remember now; what is new begins as it does in a new optimizer.
            old = self.slots
            self.slots = {
                each: old[each] if each in old else self._new_slot(each, store)
                for each in self.memory_names
            }

    # Whose parameters it changes.

    @property
    def memory_names(self) -> tuple[str, ...]:
        """The names of all slots: those that `update` is given, and those of the options."""
        average = ("average",) if self.use_ema else ()
        gradients = ("gradient_accumulator",) if self.gradient_accumulation_steps else ()
        return (*self.slot_names, *average, *gradients)

    def _new_slot(self, name: str, store: ParameterStore) -> Array:
        slot = aligned_zeros(store.values.size)
        if name == "average":
            np.copyto(slot, store.values)
        elif name in self.slot_values:
            slot.fill(getattr(self, self.slot_values[name]))
        return slot

    def bind(self, store: ParameterStore) -> None:
        """Work for the model whose parameters live in `store`.

        Raises:
            ValueError: the optimizer already works for another model.
        """
        if self._store is not None and self._store is not store:
            raise ValueError(
                f"this {type(self).__name__} already belongs to another model; "
                f"give each model an optimizer of its own"
            )
        if self._store is None:
            self._store = store
            self.slots = {name: self._new_slot(name, store) for name in self.memory_names}

    def is_bound_to(self, store: ParameterStore) -> bool:
        """Whether the slots are those of that store's parameters."""
        return self._store is store

    def unbind(self, store: ParameterStore | None) -> None:
        """Leave that store, because its model got other layers; the slots begin anew."""
        if store is not None and self._store is store:
            self._store = None
            self.slots = {}
            self._forget_runs()
            self.iterations = 0

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Parameter] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Keep some weights from the decay; a later call takes the place of an earlier one.

        Args:
            var_list: weights of the model; TypeError for anything else.
            var_names: patterns, of which one is found in the name of such a weight, as in "bias".
        """
        self._undecayed, self._undecayed_names = undecayed(var_list, var_names, self)
        self._forget_runs()

    def decays(self, parameter: Parameter) -> bool:
        """Whether weight decay is meant for a parameter."""
        names = self._undecayed_names
        return parameter not in self._undecayed and not (names and names.search(parameter.name))

    # A step.

    def _follow_schedule(self) -> None:
        if self.schedule is not None:
            self._learning_rate = float(self.schedule(int(self.steps_made[0])))

    def apply(self, store: ParameterStore) -> None:
        """Make one step. A model makes its parts by themselves: a subclass defines `update`."""
        self.begin(store)
        self.steps_made += 1
        self.update_all()
        self.end()

    def begin(self, store: ParameterStore) -> None:
        """Get ready for a step: the first part of `apply`."""
        self.bind(store)
        # The last step may have been interrupted, and the schedule's attributes may be others now.
        self._follow_schedule()
        ranges = store.trainable_ranges()
        if ranges is not self._ranges:
            self._find_runs(store)
            self._ranges = ranges
        for multiplier, rate in self._rates.items():
            rate[0] = self._learning_rate * multiplier
        self._step[0] = self.iterations + 1

    def _forget_runs(self) -> None:
        """The layout changed of what a step works on."""
        self._ranges, self._runs, self._clip = (), [], Clipping()

    def _find_runs(self, store: ParameterStore) -> None:
        """The arrays of a step: those of each update, and those of each norm."""
        accumulated = self.slots.get("gradient_accumulator")
        gradients = store.gradients if accumulated is None else accumulated
        arrays = (store.values, gradients, *(self.slots[name] for name in self.slot_names))
        self._runs = [
            (kind, [self._view(array[run], weights) for array in arrays])
            for kind, run, weights in store.runs(self._kind)
        ]
        self._rates = {kind[1]: np.empty(1, np.float64) for kind, _ in self._runs}
        self._clip = Clipping(self.clipnorm, self.clipvalue, self.global_clipnorm)
        self._clip.find(store, gradients)

    def _kind(self, parameter: Parameter) -> tuple[Any, ...]:
        """What neighbours updated together have in common: decay, multiplier, and perhaps more."""
        decay = self.weight_decay if self.decays(parameter) else 0.0
        return decay, parameter.learning_rate_multiplier

    def _view(self, array: Array, weights: list[Parameter]) -> Array:
        """A run of an array in the form that `update` takes it."""
        return array

    def update_all(self) -> None:
        """Change the trainable values, in a step that was counted, and apply their constraints."""
        store, steps = self._store, self.gradient_accumulation_steps
        weights_changed()  # for whoever finds them half changed after an interrupt
        if store is not None and (steps is None or self._accumulate(store, steps)):
            self._clip()
            for kind, views in self._runs:
                self._update_run(kind, views)
            if steps is not None:
                self.slots["gradient_accumulator"].fill(0.0)
        if store is not None:
            if self.use_ema:
                self._average(store)
            store.constrain()
        weights_changed()

    def _accumulate(self, store: ParameterStore, steps: int) -> bool:
        """Add the gradients to those of earlier steps; return whether to update by their mean."""
        is_last = int(self.steps_made[0]) % steps == 0
        total = self.slots["gradient_accumulator"]
        for run in self._ranges:
            factor = 1.0 / steps if is_last else 1.0
            ops.accumulate(total[run], store.gradients[run], factor=factor)
        return is_last

    def _update_run(self, kind: tuple[Any, ...], views: list[Array]) -> None:
        self._decay, self._rate = kind[0], self._rates[kind[1]]
        self.update(*views)

    def _average(self, store: ParameterStore) -> None:
        average, every = self.slots["average"], self.ema_overwrite_frequency or 0
        for run in self._ranges:
            ops.moving_average(
                average[run],
                store.values[run],
                momentum=self.ema_momentum,
                step=self._step,
                overwrite_every=every,
            )

    def end(self) -> None:
        """Take the learning rate of the next step."""
        self._follow_schedule()

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """Change w in place, given its gradient and the slots; `iterations` counts from 1."""
        raise NotImplementedError

    def finalize_variable_values(self, var_list: Iterable[Parameter]) -> None:
        """Give weights their moving averages, if there are any, as `fit` does at its end."""
        averages = dict(self.averages())
        for weight in var_list:
            if weight in averages:
                weight.write(averages[weight])

    def averages(self) -> list[tuple[Parameter, Array]]:
        """The weights that learn, with their moving averages; none before the first step."""
        if self._store is None or "average" not in self.slots or not self.steps_made[0]:
            return []
        split = self._store.split(self.slots["average"])
        return [(weight, average) for weight, average in split.items() if weight.trainable]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A new optimizer from what `get_config` returned."""
        rate = config.get("learning_rate")
        if isinstance(rate, Mapping):
            config = {**config, "learning_rate": schedules.get(rate)}
        return cls(**config)
