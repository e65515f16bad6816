"""Named parameters, and the flat buffers that a model's parameters live in.

A layer makes its parameters with arrays of their own. When a model starts to train, its
`ParameterStore` moves them into three flat float32 buffers, and every parameter becomes a view:

- `values`: everything that can be trained, one parameter after the other;
- `gradients`: the same layout, so that an optimizer is one call over two arrays, and data-parallel
  training one reduction of one array;
- `state`: what is not trained by gradient, such as the moving statistics of BatchNormalization.

Each parameter starts on a cache line; the padding between parameters is zero and stays zero under
every optimizer, because its gradient is zero.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import changes
from .config import as_number, flag
from .memory import ALIGNMENT, aligned_zeros
from .rules import ParameterConstraint, ParameterRegularizer

Array = NDArray[Any]
Shape = tuple[int | None, ...]
_FLOATS = ALIGNMENT // 4


class Parameter:
    """One array of a layer: its value, its gradient, and whether an optimizer may change it.

    Args:
        name: the role in the layer, such as "kernel"; `path` adds the layer's name.
        value: the initial value, taken over as contiguous float32.
        trainable: False for state that only the layer itself updates.
        regularizer: the penalty on its size that training adds to the loss, or None.
        constraint: what it must be after each of the optimizer's steps, or None.

    Attributes:
        generation: see `convkit.core.changes`.
        has_gradient: False for state that only the layer itself updates.
        is_handed_out: whether somebody has `value`, and may write into it at any time.

    A frozen parameter keeps its place in the flat buffer, but the optimizer passes over it.
    """

    __slots__ = (
        "_constraint",
        "_frozen",
        "_gradient",
        "_held",
        "_learning_rate_multiplier",
        "_regularizer",
        "_store",
        "_value",
        "generation",
        "has_gradient",
        "is_handed_out",
        "name",
        "path",
    )

    def __init__(
        self,
        name: str,
        value: Array,
        *,
        path: str = "",
        trainable: bool = True,
        regularizer: ParameterRegularizer | None = None,
        constraint: ParameterConstraint | None = None,
    ) -> None:
        self.name = name
        self.path = path or name
        self.generation = 0
        self.is_handed_out = False
        self.has_gradient = trainable
        self._regularizer = regularizer
        self._constraint = constraint
        self._frozen = self._held = False
        self._learning_rate_multiplier = 1.0
        self._value: Array = np.asarray(value, np.float32, order="C")
        self._gradient: Array = np.zeros(value.shape if trainable else (0,), np.float32)
        self._store: weakref.ref[ParameterStore] | None = None

    @property
    def value(self) -> Array:
        """The numbers, float32, in the memory that training works on.

        Setting it copies into that memory, as does `value[...] = x`. A model whose arrays somebody
        has predicts one image up to a tenth slower, for it cannot know when they are written into;
        `numpy` gives a copy.

        Raises:
            ValueError: set to an array of another shape.
            TypeError: set to what is no array of numbers.
        """
        if not self.is_handed_out:
            self.is_handed_out = True
            changes.invalidate(self)
        return self._value

    @value.setter
    def value(self, value: ArrayLike) -> None:
        assign([self], [np.asarray(value)], "Parameter")

    @property
    def array(self) -> Array:
        """`value` for those who say so when they have written into it.

        Outside of a training step that is `write`, in one it is `ops._calls.weights_changed`.
        """
        return self._value

    def write(self, array: Array) -> None:
        """Copy numbers of the same shape into the value, unchecked."""
        # Once before, for a copy that is interrupted.
        changes.invalidate(self)
        np.copyto(self._value, array, casting="unsafe")
        changes.invalidate(self)

    @property
    def store(self) -> ParameterStore | None:
        """The flat buffers that it lives in, None before training or without a model.

        The store holds its parameters, and a parameter not its store: a dropped model is to be
        freed by reference counting. The memory itself lives as long as `value` does.
        """
        return None if self._store is None else self._store()

    @store.setter
    def store(self, value: ParameterStore) -> None:
        self._store = weakref.ref(value)

    @property
    def gradient(self) -> Array:
        """The gradient, in the memory that training works on; empty if not trainable."""
        return self._gradient

    @staticmethod
    @contextmanager
    def gradients_in(places: Sequence[tuple[Parameter, Array]]) -> Iterator[None]:
        """Have the gradients of some parameters written elsewhere meanwhile."""
        own = [parameter._gradient for parameter, _ in places]
        try:
            for parameter, array in places:
                parameter._gradient = array
            yield
        finally:
            for (parameter, _), array in zip(places, own, strict=True):
                parameter._gradient = array

    @property
    def trainable(self) -> bool:
        """Whether training changes it by its gradient.

        Set to False, it stays as it is from the next step on while the rest of its layer learns.
        The layer's own `trainable` must be True as well.

        Raises:
            ValueError: set to True, of state that only the layer itself updates.
        """
        return self.has_gradient and not self.frozen

    @trainable.setter
    def trainable(self, value: bool) -> None:
        wanted = flag(value, "trainable", self)
        if wanted and not self.has_gradient:
            raise ValueError(
                f"{self.path} is state that the layer itself updates: it has no gradient"
            )
        self._held = not wanted
        self._training_changed()

    @property
    def held(self) -> bool:
        """Whether its own `trainable` was set to False."""
        return self._held

    @property
    def learning_rate_multiplier(self) -> float:
        """The factor of the optimizer's learning rate for this parameter, 1 unless it is set.

        It is a finite number above 0, else a ValueError, takes effect with the next step, and also
        multiplies what the optimizer's `weight_decay` takes. (Caffe's `lr_mult`; Y. Jia, 2014.)
        """
        return self._learning_rate_multiplier

    @learning_rate_multiplier.setter
    def learning_rate_multiplier(self, value: float) -> None:
        number = as_number(value)
        if number is None or not 0.0 < number < math.inf:
            raise ValueError(f"{self.path}: a learning_rate_multiplier is above 0, not {value!r}")
        self._learning_rate_multiplier = number
        self._training_changed()

    @property
    def regularizer(self) -> ParameterRegularizer | None:
        """The penalty on its size, or None. To set it, set the layer's, `kernel_regularizer`."""
        return self._regularizer

    def penalize(self, regularizer: ParameterRegularizer | None) -> None:
        """Have another penalty; the layer says so that has the parameter."""
        self._regularizer = regularizer

    @property
    def constraint(self) -> ParameterConstraint | None:
        """What it must be after a step. To set it, set the layer's, such as `kernel_constraint`."""
        return self._constraint

    def constrain(self, constraint: ParameterConstraint | None) -> None:
        """Have another constraint; the layer says so that has the parameter."""
        self._constraint = constraint

    def move(self, storage: Array) -> None:
        """Live in other memory from now on, with the same numbers."""
        np.copyto(storage, self._value)
        self._value = storage

    @property
    def frozen(self) -> bool:
        """Whether its layer, which sets this, or itself is not trainable."""
        return self._frozen or self._held

    @frozen.setter
    def frozen(self, value: bool) -> None:
        self._frozen = value
        self._training_changed()

    def _training_changed(self) -> None:
        changes.invalidate(self)
        if (store := self.store) is not None:
            store.trainable_changed()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self._value.shape

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._value.size

    def numpy(self) -> Array:
        """A copy of the value."""
        return np.array(self._value)

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        """What a copy or a pickle of it holds, which lives in no store."""
        state = {name: getattr(self, name) for name in self.__slots__}
        return None, {**state, "_store": None, "is_handed_out": False}

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.value if copy is False else np.array(self._value, dtype)

    def __repr__(self) -> str:
        kind = "" if self.has_gradient else ", not trainable"
        return f"<Parameter {self.path} {self.shape}{kind}>"


class ParameterStore:
    """The flat buffers of one model, and who lives where in them.

    Args:
        parameters: in the order of the model's layers; a parameter may occur only once.

    Attributes:
        is_current: whether every parameter still lives here. Another model that shares a layer
            takes its parameters along when it trains; `bind_storage` takes them back.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = tuple(parameters)
        self._places: list[slice] = []
        sizes = {True: 0, False: 0}
        for parameter in self.parameters:
            start = sizes[parameter.has_gradient]
            self._places.append(slice(start, start + parameter.size))
            sizes[parameter.has_gradient] = start + _padded(parameter.size)
        self.values = aligned_zeros(sizes[True])
        self.gradients = aligned_zeros(sizes[True])
        self.state = aligned_zeros(sizes[False])
        self.is_current = False
        self._ranges: tuple[slice, ...] | None = None
        self.bind_storage()

    @property
    def nbytes(self) -> int:
        """The memory of the three buffers."""
        return self.values.nbytes + self.gradients.nbytes + self.state.nbytes

    def bind_storage(self) -> None:
        """Copy every parameter's value into its place and make the parameter a view of it."""
        for parameter, place in zip(self.parameters, self._places, strict=True):
            if (other := parameter.store) is self:
                continue
            if other is not None:
                other.is_current = False
            shape = parameter.shape
            storage = (self.values if parameter.has_gradient else self.state)[place].reshape(shape)
            parameter.move(storage)
            if parameter.has_gradient:
                parameter._gradient = self.gradients[place].reshape(shape)
            parameter.store = self
            changes.invalidate(parameter)
        self.is_current = True
        self._ranges = None  # the other owner alone was told what was frozen meanwhile

    def split(self, array: Array, *, state: bool = False) -> dict[Parameter, Array]:
        """Cut an array in the layout of `values`, or of `state`, into views, by parameter."""
        return {
            parameter: array[place].reshape(parameter.shape)
            for parameter, place in zip(self.parameters, self._places, strict=True)
            if parameter.has_gradient != state
        }

    def constrain(self) -> None:
        """Make every parameter that an optimizer may change what its constraint says."""
        for parameter in self.parameters:
            if (constraint := parameter.constraint) is not None and not parameter.frozen:
                constraint.apply(parameter.array)

    def trainable_changed(self) -> None:
        """A parameter was frozen or released, or learns at another rate."""
        self._ranges = None

    def trainable_ranges(self) -> tuple[slice, ...]:
        """The contiguous runs of `values` that an optimizer may change, padding included.

        The same tuple object is returned until `trainable_changed` is called.
        """
        if self._ranges is None:
            self._ranges = tuple(run for _, run, _ in self.runs(lambda parameter: None))
        return self._ranges

    def places(self, parameters: Iterable[Parameter]) -> list[slice]:
        """The contiguous runs of `gradients` that hold those of some parameters."""
        wanted = set(parameters)
        found: list[slice] = []
        for parameter, place in zip(self.parameters, self._places, strict=True):
            if not parameter.trainable or parameter not in wanted:
                continue
            stop = place.start + _padded(parameter.size)
            if found and found[-1].stop == place.start:
                found[-1] = slice(found[-1].start, stop)
            else:
                found.append(slice(place.start, stop))
        return found

    def runs(self, kind: Callable[[Parameter], Any]) -> list[tuple[Any, slice, list[Parameter]]]:
        """The contiguous runs of `values` that an optimizer may change, of one kind each.

        Args:
            kind: of a parameter; neighbours of equal kinds are in one run.

        Returns:
            Of each run its kind, its place, padding included, and its parameters.
        """
        found: list[tuple[Any, slice, list[Parameter]]] = []
        for parameter, place in zip(self.parameters, self._places, strict=True):
            if not parameter.trainable:
                continue
            own, stop = kind(parameter), place.start + _padded(parameter.size)
            if found and found[-1][0] == own and found[-1][1].stop == place.start:
                _, run, parameters = found[-1]
                parameters.append(parameter)
                found[-1] = own, slice(run.start, stop), parameters
            else:
                found.append((own, slice(place.start, stop), [parameter]))
        return found


def _padded(size: int) -> int:
    return math.ceil(size / _FLOATS) * _FLOATS


def assign(
    parameters: Sequence[Parameter], weights: Sequence[Array], owner: str, built: bool = True
) -> None:
    """Copy `weights` into `parameters`, all or none; ValueError names what does not fit."""
    if not built:
        raise ValueError(f"{owner}: it has no weights yet; build the model first")
    if not hasattr(weights, "__iter__"):
        raise TypeError(f"{owner}: weights must be a list of arrays, received {weights!r}")
    try:
        arrays = [np.asarray(weight) for weight in weights]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{owner}: weights must be a list of arrays: {error}") from error
    if len(arrays) != len(parameters):
        raise ValueError(
            f"{owner}: expected {len(parameters)} weights "
            f"({', '.join(p.path for p in parameters) or 'none'}), received {len(arrays)}"
        )
    for parameter, array in zip(parameters, arrays, strict=True):
        if array.shape != parameter.shape:
            raise ValueError(
                f"{owner}: the weight {parameter.path} has shape {parameter.shape}, "
                f"received {array.shape}"
            )
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"{owner}: the weight {parameter.path} must be numbers, "
                f"received dtype {array.dtype}"
            )
    for parameter, array in zip(parameters, arrays, strict=True):
        parameter.write(array)
