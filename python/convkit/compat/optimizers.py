"""Optimizers with `lr=`, `decay=` and a learning rate that can be assigned, as in Keras 1 and 2."""

from __future__ import annotations

import functools
import weakref
from typing import Any

from .. import optimizers
from ..core import lazy
from ..optimizers import Optimizer, schedules
from ..optimizers.rate import LearningRate
from . import notes
from .adapted import extended, rename
from .stepping import Stepping
from .tensor import Count

_RENAMED = {"lr": "learning_rate", "beta1": "beta_1", "beta2": "beta_2", "use_nesterov": "nesterov"}
# Arguments of one machine with several devices, or of compilation, which change nothing here.
_HARMLESS = ("jit_compile", "experimental_aggregate_gradients", "use_locking")
_BASES = lazy.classes(optimizers, Optimizer)
_OF_TF1 = {
    "AdamOptimizer": "Adam",
    "AdadeltaOptimizer": "Adadelta",
    "AdagradOptimizer": "Adagrad",
    "GradientDescentOptimizer": "SGD",
    "MomentumOptimizer": "SGD",
    "RMSPropOptimizer": "RMSprop",
}
_LOWER = {name.lower(): name for name in _BASES}

__all__ = ["LossScaleOptimizer", "get", "modern"]
LAZY = (*_BASES, *_OF_TF1, *_LOWER)


def __getattr__(name: str) -> Any:
    base = _BASES.get(_OF_TF1.get(name, _LOWER.get(name, name)))
    if base is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[base.__name__] = globals()[name] = _older(base)
    return made


class _Older(Stepping):
    """What optimizers of Keras 1 and 2 have besides."""

    read_at_replay = Optimizer.read_at_replay | {"lr"}

    @property
    def learning_rate(self) -> LearningRate:
        """The rate of the next step; with `decay`, the one that it decays from."""
        schedule = self.schedule  # type: ignore[attr-defined]
        decays = getattr(self, "_time_decay", 0.0) and schedule is not None
        value = schedule.initial_learning_rate if decays else self._learning_rate  # type: ignore[attr-defined]
        return LearningRate(value, self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        decay = getattr(self, "_time_decay", 0.0)
        if decay and not isinstance(value, schedules.LearningRateSchedule):
            value = schedules.InverseTimeDecay(float(value), 1, decay)
        Optimizer.learning_rate.fset(self, value)  # type: ignore[attr-defined]

    lr = learning_rate

    @property
    def iterations(self) -> Count:
        """How many updates were made."""
        return Count(Optimizer.iterations.fget(self))  # type: ignore[attr-defined]

    @iterations.setter
    def iterations(self, value: Any) -> None:
        Optimizer.iterations.fset(self, int(value))  # type: ignore[attr-defined]

    @property
    def decay(self) -> float:
        """How fast the rate falls: rate / (1 + decay * steps)."""
        return getattr(self, "_time_decay", 0.0)


_made: dict[type[Any], type[Any]] = {}


def _older(base: type[Any]) -> type[Any]:
    """A class of convkit's optimizers that takes old arguments; a file says convkit's own."""
    if base in _made:
        return _made[base]

    @functools.wraps(base.__init__)
    def init(self: Any, *arguments: Any, **options: Any) -> None:
        rename(options, _RENAMED)
        decay = options.pop("decay", None) or 0.0
        for name in _HARMLESS:
            options.pop(name, None)
        if options.get("epsilon", 0) is None:
            del options["epsilon"]
        if decay:
            object.__setattr__(self, "_time_decay", float(decay))
        base.__init__(self, *arguments, **options)

    _made[base] = extended(base, _Older, __init__=init)
    return _made[base]


def modern(identifier: Any) -> Any:
    """The optimizer of a name, or the object itself, with the names of old."""
    if isinstance(identifier, str):
        identifier = optimizers.get(identifier)
    if isinstance(identifier, LossScaleOptimizer):
        identifier = identifier.inner
    if isinstance(identifier, Optimizer) and not isinstance(identifier, _Older):
        older = _older(type(identifier)) if type(identifier) in _BASES.values() else None
        if older is not None:
            identifier.__class__ = older
    return identifier


def own_of(identifier: Any, model: Any) -> Any:
    """The optimizer of that name, or the object; a copy where it is another model's already."""
    found = modern(identifier)
    if not isinstance(found, Optimizer):
        return found
    owner = vars(found).get("_owner")
    if owner is not None and owner() is not model:
        decay = vars(found).get("_time_decay")
        found = type(found).from_config(found.get_config())
        if decay:
            object.__setattr__(found, "_time_decay", decay)
    object.__setattr__(found, "_owner", weakref.ref(model))
    return found


def get(identifier: Any) -> Any:
    """The optimizer of that name or configuration, or the object itself."""
    return modern(optimizers.get(identifier))


class LossScaleOptimizer:
    """What scales losses for half precision; everything is float32 here, and nothing scaled."""

    def __init__(self, inner_optimizer: Any, *arguments: Any, **options: Any) -> None:
        notes.ignored("LossScaleOptimizer", "everything is float32")
        self.inner = inner_optimizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["inner"], name)
