"""Optimizers: how gradients change the parameters. Keras 3's formulas, names and defaults.

An optimizer works on the flat buffers of a `ParameterStore`: a training step is one call of an op
for each contiguous run of trainable parameters, which is one call unless layers are frozen. Its
own memory (the slots) has the layout of the parameters and is allocated once.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import ops
from ..core.changes import Capturable
from ..core.config import Configurable, flag, not_negative, unknown
from ..core.parameters import Array, ParameterStore, aligned_zeros
from ..ops._calls import weights_changed
from . import schedules
from .schedules import LearningRateSchedule

if TYPE_CHECKING:
    from typing_extensions import Self


def _with_advice(init: Callable[..., None]) -> Callable[..., None]:
    """The constructor, which says what to write for arguments that only Keras's has."""

    @functools.wraps(init)
    def checked(self: Any, *args: Any, **options: Any) -> None:
        try:
            init(self, *args, **options)
        except TypeError as error:
            from ..absent import renamed  # here: only for an error

            for name in options:
                if f"unexpected keyword argument {name!r}" in str(error):
                    raise TypeError(f"{error}{renamed(name)}") from None
            raise

    return checked


class Optimizer(Capturable, Configurable):
    """Base class of the optimizers.

    Args:
        learning_rate: a number, or a schedule of `convkit.optimizers.schedules`.
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        name: of the optimizer.

    Attributes:
        learning_rate: that of the next step.
        iterations: how many steps were made.
        slots: the optimizer's memory by name, flat arrays in the layout of `store.values`.
        capturable: `update` is a native call that depends on nothing but the arrays and the
            attributes, so that a plan may capture it. Not inherited.
    """

    slot_names: tuple[str, ...] = ()
    read_at_replay = frozenset({"iterations", "learning_rate", "_learning_rate"})
    _unsettable: ClassVar[Mapping[str, str]] = {
        "schedule": "set learning_rate to a schedule, or make a new optimizer"
    }

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        weight_decay: float | None,
        name: str,
    ) -> None:
        self.name = name
        self.schedule: LearningRateSchedule | None = None
        # Where a replayed call counts the step that it makes.
        self.steps_made = np.zeros(1, np.int64)
        self.learning_rate = learning_rate
        self.weight_decay = 0.0
        if weight_decay is not None:
            self.weight_decay = not_negative(weight_decay, "weight_decay", self)
        self.slots: dict[str, Array] = {}
        self._store: ParameterStore | None = None
        self._ranges: tuple[slice, ...] = ()
        self._views: list[list[Array]] = []
        # Of the step that is being made, where a replayed call finds them.
        self._rate, self._step = np.empty(1, np.float64), np.empty(1, np.int64)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__init__" in vars(cls):
            cls.__init__ = _with_advice(cls.__init__)  # type: ignore[method-assign]

    if not TYPE_CHECKING:  # to type checkers, every attribute would be there

        def __getattr__(self, name: str) -> Any:
            from ..absent import renamed  # here: only for an error

            kind = type(self).__name__
            raise AttributeError(f"{kind!r} object has no attribute {name!r}{renamed(name)}")

    @property
    def learning_rate(self) -> float:
        """The step size of the next step. It can be set, to a number or a schedule, at any time.

        Raises:
            ValueError: set to a negative or infinite number.
            TypeError: set to a number while a schedule decides it, as in Keras.
        """
        return self._learning_rate

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
        """How many steps were made; in `update`, the one that is being made among them.

        It can be set, which also sets the learning rate by a schedule.

        Raises:
            ValueError: set to what is no integer of at least 0.
        """
        return int(self.steps_made[0])

    @iterations.setter
    def iterations(self, value: int) -> None:
        number = -1 if isinstance(value, bool) else operator.index(value)
        if number < 0:
            raise ValueError(
                f"{type(self).__name__}: iterations must be an integer of at least 0, received "
                f"{value!r}"
            )
        self.steps_made[0] = number
        self._follow_schedule()

    def _arguments(self, kind: type[Any]) -> dict[str, Any]:
        own = super()._arguments(kind)
        if self.schedule is not None and "learning_rate" in own:
            own["learning_rate"] = self.schedule
        return own

    def _set(self, name: str, value: Any) -> None:
        super()._set(name, value)
        if self._store is not None and tuple(self.slots) != self.slot_names:
            # It has more or less to remember now; what is new begins as it does in a new optimizer.
            size, old = self._store.values.size, self.slots
            self.slots = {n: old[n] if n in old else aligned_zeros(size) for n in self.slot_names}
            self._ranges, self._views = (), []

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
            self.slots = {name: aligned_zeros(store.values.size) for name in self.slot_names}

    def is_bound_to(self, store: ParameterStore) -> bool:
        """Whether the slots are those of that store's parameters."""
        return self._store is store

    def unbind(self, store: ParameterStore | None) -> None:
        """Leave that store, because its model got other layers; the slots begin anew."""
        if store is not None and self._store is store:
            self._store = None
            self.slots, self._ranges, self._views = {}, (), []
            self.iterations = 0

    def _follow_schedule(self) -> None:
        if self.schedule is not None:
            self._learning_rate = float(self.schedule(self.iterations))

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
            arrays = (store.values, store.gradients, *self.slots.values())
            self._views = [[array[run] for array in arrays] for run in ranges]
            self._ranges = ranges
        self._rate[0], self._step[0] = self._learning_rate, self.iterations + 1

    def update_all(self) -> None:
        """Change the trainable values, in a step that was counted, and apply their constraints."""
        weights_changed()  # for whoever finds them half changed after an interrupt
        for views in self._views:
            self.update(*views)
        if self._store is not None:
            self._store.constrain()
        weights_changed()

    def end(self) -> None:
        """Take the learning rate of the next step."""
        self._follow_schedule()

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """Change w in place, given its gradient and the slots; `iterations` counts from 1."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A new optimizer from what `get_config` returned."""
        rate = config.get("learning_rate")
        if isinstance(rate, Mapping):
            config = {**config, "learning_rate": schedules.get(rate)}
        return cls(**config)


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for.

    Args:
        learning_rate: the step size, or a schedule of it.
        momentum: how much of the last step is repeated.
        nesterov: look ahead by the momentum (Y. Nesterov, 1983).
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        name: by default `SGD`.
    """

    capturable = True
    _derived = ("slot_names",)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        *,
        name: str = "SGD",
    ) -> None:
        super().__init__(learning_rate, weight_decay, name)
        self.momentum = _share(momentum, "momentum", self)
        self.nesterov = flag(nesterov, "nesterov", self)
        self.slot_names = ("velocity",) if self.momentum else ()

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """velocity = momentum * velocity - learning_rate * g; w += velocity."""
        ops.sgd_update(
            w,
            g,
            slots[0] if slots else None,
            learning_rate=self._rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )


class Adam(Optimizer):
    """Adam (D. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015).

    Args:
        learning_rate: the step size, or a schedule of it.
        beta_1, beta_2: how much of the mean gradient, and of its mean square, stays at each step.
        epsilon: added to the root of the mean square.
        weight_decay: if not 0, AdamW's decoupled decay.
        name: by default `adam`.
    """

    slot_names = ("momentum", "velocity")
    capturable = True

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        weight_decay: float | None = None,
        name: str = "adam",
    ) -> None:
        super().__init__(learning_rate, weight_decay, name)
        self.beta_1 = _share(beta_1, "beta_1", self)
        self.beta_2 = _share(beta_2, "beta_2", self)
        self.epsilon = not_negative(epsilon, "epsilon", self)

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """One step with the bias-corrected moments."""
        ops.adam_update(
            w,
            g,
            slots[0],
            slots[1],
            learning_rate=self._rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            step=self._step,
            weight_decay=self.weight_decay,
        )


class RMSprop(Optimizer):
    """Steps divided by a moving root mean square of the gradients (T. Tieleman, G. Hinton, 2012).

    Args:
        learning_rate: the step size.
        rho: how much of the moving mean of the squared gradients stays at each step.
        momentum: how much of the last step is repeated.
        epsilon: added to the mean square, under the root, as Keras does.
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        name: by default `rmsprop`.
    """

    capturable = True
    _derived = ("slot_names",)

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        *,
        weight_decay: float | None = None,
        name: str = "rmsprop",
    ) -> None:
        super().__init__(learning_rate, weight_decay, name)
        self.rho = _share(rho, "rho", self)
        self.momentum = _share(momentum, "momentum", self)
        self.epsilon = not_negative(epsilon, "epsilon", self)
        self.slot_names = ("velocity", "momentum") if self.momentum else ("velocity",)

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """w -= learning_rate * g / sqrt(velocity + epsilon), with momentum if asked for."""
        ops.rmsprop_update(
            w,
            g,
            slots[0],
            slots[1] if self.momentum else None,
            learning_rate=self._rate,
            rho=self.rho,
            momentum=self.momentum,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (I. Loshchilov and F. Hutter, 2019).

    Args:
        learning_rate: the step size, or a schedule of it.
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        beta_1, beta_2, epsilon: as of `Adam`.
        name: by default `adamw`.
    """

    capturable = True

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        name: str = "adamw",
    ) -> None:
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, weight_decay=weight_decay, name=name
        )


def _share(value: float, what: str, owner: Optimizer) -> float:
    number = not_negative(value, what, owner)
    if number >= 1.0:
        raise ValueError(
            f"{type(owner).__name__}: {what} must be at least 0 and below 1, received {value!r}"
        )
    return number


_BY_NAME: dict[str, Callable[[], Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "sgd": SGD,
}


def get(identifier: str | Optimizer) -> Optimizer:
    """The optimizer of that name, or the object itself; ValueError names the known ones."""
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str) and identifier.lower() in _BY_NAME:
        return _BY_NAME[identifier.lower()]()
    raise unknown("optimizer", identifier, _BY_NAME)
