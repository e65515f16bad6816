"""Functions of tensors as layers: `Lambda`, those of `tf` within models, calls that need numbers.

A plan runs them as any layer. In training the function is called on `Recorded` numbers, which give
the gradients of its inputs, and of the weights that it uses.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from ..core.custom import register_keras_serializable
from ..core.parameters import Array, Parameter
from ..core.processes import current_share
from ..layers import Layer
from ..layers.graph import Tensor as Symbolic
from ..layers.merge import MergeLayer
from ..layers.step_context import StepContext
from .recorded import Recorded, gradients, numbers
from .records import loss_of_a_script
from .tape import GradientTape
from .tensor import as_tensor, is_recorded
from .variables import Variable

_functions: dict[str, Callable[..., Any]] = {}  # of this process, by what its files call them
_titles = count()
_MOST_RECORDS = 16  # of forward passes whose backward pass is to come


class _Applies(Layer):
    """A layer that applies a function.

    Args:
        function: of a tensor, or of a list of several; or what a file of this process calls it.
        weights: that it uses.
    """

    keeps_input = keeps_output = True
    operation = "function"

    def __init__(self, function: Any, weights: Sequence[Parameter] = (), **options: Any) -> None:
        super().__init__(**options)
        if isinstance(function, str):
            if function not in _functions:
                raise self.error(
                    "the file holds no functions, and was written by another process: build the "
                    "model in Python, and load its weights by load_weights"
                )
            self.function = function
            function = _functions[function]
        else:
            self.function = f"{next(_titles)}"
            if not inspect.ismethod(function):  # that of a layer would keep its weights for ever
                _functions[self.function] = function
        self.compute: Callable[..., Any] = function
        self._parameters = list(weights)
        self.phased = "training" in _named(function)
        self._known_shapes: dict[Any, Any] = {}
        self._records: OrderedDict[int, Any] = OrderedDict()

    def get_config(self) -> dict[str, Any]:
        """What a file of this process holds of it.

        Raises:
            ValueError: it has weights of its own, which a file would not hold.
        """
        if self._parameters:
            raise self.error(
                "its weights are those of a layer of your own, whose call works on numbers: such a "
                "model cannot be saved or copied as a whole; use save_weights and load_weights"
            )
        return {"function": self.function, "name": self.name}

    def __call__(self, inputs: Any, training: Any = None) -> Any:
        """The function's result: of symbolic tensors one, of numbers numbers."""
        several = inputs if isinstance(inputs, list | tuple) else [inputs]
        if not any(isinstance(each, Symbolic) for each in several):
            given = (
                [as_tensor(each) for each in several] if several is inputs else as_tensor(inputs)
            )
            return as_tensor(self.compute(given))
        if several is inputs and not isinstance(self, MergeLayer):
            name: str = self.name
            return Functions(self.compute, self._parameters, name=name)(inputs)
        return super().__call__(inputs)

    def take(self, weights: Sequence[Parameter]) -> None:
        """Have those weights."""
        self._parameters = list(weights)

    def _applied(self, arrays: Sequence[Any], training: bool = False) -> Any:
        options = {"training": training} if self.phased else {}
        given = list(arrays) if isinstance(self, MergeLayer) else arrays[0]
        return self.compute(given, **options)

    def _shape_of(self, shapes: Sequence[Any]) -> tuple[int | None, ...]:
        """The shape of the output, which the function tells of a batch of two."""
        key = tuple(tuple(shape)[1:] for shape in shapes)
        if key not in self._known_shapes:
            given = [as_tensor(np.full((2, *sizes), 0.5, np.float32)) for sizes in key]
            try:
                made = np.asarray(self._applied(given))
            except Exception as error:
                raise self.error(
                    f"its function fails for inputs of shape {key}: {error}"
                ) from error
            if not made.ndim or made.shape[0] != 2 or made.dtype.kind not in "fiub":
                raise self.error(
                    f"its function must give one array with a row for each sample; for two samples "
                    f"it gave one of shape {made.shape}"
                )
            self._known_shapes[key] = made.shape[1:]
        return (None, *self._known_shapes[key])

    def forward(self, x: Any, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = function(x); in training it is remembered how."""
        arrays, own = _whole(x if isinstance(self, MergeLayer) else (x,))
        if context.training:
            try:
                record = self._record(arrays, True)
            except TypeError:  # there is no derivative, and perhaps none is needed
                record = None
            if record is not None:
                self._records[y.ctypes.data] = record
                while len(self._records) > _MOST_RECORDS:
                    self._records.popitem(last=False)
                y[...] = numbers(record[1])[own]
                return
        y[...] = np.asarray(self._applied([as_tensor(each) for each in arrays]))[own]

    def _record(self, arrays: Sequence[Array], training: bool) -> Any:
        inputs = [Recorded(each) for each in arrays]
        with GradientTape() as tape, loss_of_a_script():
            result = self._applied(inputs, training)
        return inputs, result, tape

    def backward(
        self, x: Any, y: Array, dy: Array, dx: Any, saved: tuple[Array, ...], context: StepContext
    ) -> None:
        """The gradients of the inputs and of the weights."""
        is_one = not isinstance(self, MergeLayer)
        record = self._records.pop(y.ctypes.data, None)
        (dy,), own = _whole((dy,))
        if record is None:
            record = self._record(_whole((x,) if is_one else x)[0], context.training)
        inputs, result, tape = record
        slopes = gradients([(result, dy)]) if is_recorded(result) else {}
        for each, out in zip(inputs, (dx,) if is_one else dx, strict=True):
            if out is not None:
                out[...] = slopes[each.serial][own] if each.serial in slopes else 0.0
        for weight in self.trainable_weights:
            leaf = tape.known(weight)
            weight.gradient[...] = 0.0 if leaf is None else slopes.get(leaf.serial, 0.0)


@register_keras_serializable("convkit.compat")
class Function(_Applies):
    """A function of one tensor."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As the function says."""
        return self._shape_of([self._whole_shape(input_shape)])

    def build(self, input_shape: Any) -> None:
        """Fix the shapes; the weights are there."""
        kept = self._parameters
        super().build(input_shape)
        self._parameters = kept


@register_keras_serializable("convkit.compat")
class Functions(_Applies, MergeLayer):
    """A function of a list of tensors."""

    def compute_output_shape(self, input_shapes: Any) -> Any:
        """As the function says."""
        return self._shape_of(input_shapes)


def _whole(arrays: Sequence[Array]) -> tuple[Sequence[Array], slice]:
    """The whole batch's rows, where processes that share it shall have one's bits; and their own.

    A function may do anything with a batch, and its weights' gradients are sums over all of it.
    """
    share = current_share()
    if share is None or not share.exact:
        return arrays, slice(None)
    return share.gather(arrays), share.rows


def _named(function: Any) -> Any:
    """The names of a function's arguments."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # of some of NumPy's
        return ()


def on_symbolic(function: Callable[..., Any], *given: Any, **options: Any) -> Any:
    """What a function of arrays gives, as part of a model: of arguments with symbolic tensors.

    Raises:
        TypeError: there are weights among the arguments, which the model would not know of.
    """
    if any(isinstance(each, Parameter | Variable) for each in given):
        raise TypeError("weights of a layer's own are used in its call, on numbers")
    tensors: list[Symbolic] = []
    _gather((given, options), tensors)

    def compute(values: Any) -> Any:
        several = values if isinstance(values, list) else [values]
        known = {id(tensor): value for tensor, value in zip(tensors, several, strict=True)}
        inner, named = _replaced((given, options), known)
        return function(*inner, **named)

    name = getattr(function, "__name__", "function").strip("_<>") or "function"
    if len(tensors) == 1:
        return Function(compute, name=_unique(name))(tensors[0])
    return Functions(compute, name=_unique(name))(tensors)


def _unique(name: str) -> str:
    from ..layers.naming import layer_name

    return layer_name(None, name)


def _gather(tree: Any, found: list[Symbolic]) -> None:
    if isinstance(tree, Symbolic):
        if not any(each is tree for each in found):
            found.append(tree)
    elif isinstance(tree, list | tuple):
        for each in tree:
            _gather(each, found)
    elif isinstance(tree, dict):
        _gather(list(tree.values()), found)


def _replaced(tree: Any, known: dict[int, Any]) -> Any:
    if isinstance(tree, Symbolic):
        return known[id(tree)]
    if isinstance(tree, list | tuple):
        return type(tree)(_replaced(each, known) for each in tree)
    if isinstance(tree, dict):
        return {key: _replaced(each, known) for key, each in tree.items()}
    return tree
