"""`keras.backend`: settings, single values, and functions of arrays by Keras's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import utils
from ..core.parameters import Parameter
from ..optimizers.rate import LearningRate
from . import activations, algebra, functions, layout, notes, shaping
from .layout import image_data_format, set_image_data_format
from .random import normal, truncated_normal, uniform
from .system.session import get_session, set_session
from .tensor import Tensor, as_tensor, dtype_of, is_symbolic

_epsilon = 1e-7
_ACTIVATIONS = ("elu", "hard_sigmoid", "relu", "sigmoid", "softmax", "softplus", "softsign", "tanh")
# Functions of arrays whose names are others than TensorFlow's.
_FUNCTIONS = {
    "arange": "range",
    "clip": "clip_by_value",
    "dot": "matmul",
    "permute_dimensions": "transpose",
    "repeat_elements": "repeat",
    "l2_normalize": "l2_normalize",
}

__all__ = [
    "argmax",
    "argmin",
    "backend",
    "batch_flatten",
    "batch_get_value",
    "batch_set_value",
    "binary_crossentropy",
    "cast_to_floatx",
    "categorical_crossentropy",
    "clear_session",
    "concatenate",
    "constant",
    "count_params",
    "ctc_batch_cost",
    "dtype",
    "epsilon",
    "eval",
    "flatten",
    "floatx",
    "get_session",
    "get_uid",
    "get_value",
    "get_variable_shape",
    "get_variable_value",
    "image_data_format",
    "image_dim_ordering",
    "in_train_phase",
    "int_shape",
    "is_keras_tensor",
    "is_tensor",
    "learning_phase",
    "manual_variable_initialization",
    "mean_squared_error",
    "ndim",
    "normal",
    "not_equal",
    "print_tensor",
    "random_normal",
    "random_normal_variable",
    "random_uniform",
    "reset_uids",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_image_dim_ordering",
    "set_learning_phase",
    "set_session",
    "set_value",
    "shape",
    "sparse_categorical_crossentropy",
    "switch",
    "truncated_normal",
    "variable",
]
LAZY = (*_ACTIVATIONS, *_FUNCTIONS, "tensorflow_backend")
shape, not_equal = functions.shape, functions._elementwise("not_equal", np.not_equal)
is_tensor = functions.is_tensor


def __getattr__(name: str) -> Any:
    if name in _ACTIVATIONS:
        return getattr(activations, name)
    if name in _FUNCTIONS:
        known = _FUNCTIONS[name]
        owners = (algebra, shaping, functions)
        return getattr(next(each for each in owners if hasattr(each, known)), known)
    if name == "tensorflow_backend":
        from .tree import space

        return space("keras.backend")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Settings.


def backend() -> str:
    """ "tensorflow": scripts that ask do something else for others."""
    return "tensorflow"


def floatx() -> str:
    """ "float32"."""
    return "float32"


def set_floatx(value: str) -> None:
    """Everything is float32; another type is noted."""
    if value != "float32":
        notes.ignored(f"set_floatx({value!r})", "everything is float32")


def epsilon() -> float:
    """The small number that keeps logarithms finite in a script's own functions."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Set what `epsilon` gives."""
    global _epsilon
    _epsilon = float(value)


def image_dim_ordering() -> str:
    """ "tf" or "th": where images have their channels, in Keras 1's words."""
    return "th" if layout.dimensions_first() else "tf"


def set_image_dim_ordering(dim_ordering: str) -> None:
    """As `set_image_data_format`, for "tf" and "th"."""
    set_image_data_format({"tf": "channels_last", "th": "channels_first"}.get(dim_ordering, "none"))


def clear_session(free_memory: bool = True) -> None:
    """Begin again with automatic names."""
    utils.clear_session()


def reset_uids() -> None:
    """Begin again with automatic names."""
    utils.clear_session()


_uids: dict[str, int] = {}


def get_uid(prefix: str = "") -> int:
    """How often a prefix was asked for."""
    _uids[prefix] = _uids.get(prefix, 0) + 1
    return _uids[prefix]


def learning_phase() -> int:
    """0: `fit` trains, everything else does not."""
    return 0


def set_learning_phase(value: Any) -> None:
    """Nothing: `fit` trains, everything else does not."""


def manual_variable_initialization(value: Any) -> None:
    """Nothing: weights have their values when they are made."""


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """x in training, else the other."""
    chosen = x if training else alt
    return chosen() if callable(chosen) else chosen


# Single values.


def get_value(x: Any) -> Any:
    """The numbers of a weight, a learning rate or a tensor."""
    if isinstance(x, Parameter | Tensor):
        return x.numpy()
    return float(x) if isinstance(x, float) else np.asarray(x)[()]


eval = get_variable_value = get_value


def set_value(x: Any, value: Any) -> None:
    """Set a weight or a learning rate."""
    if isinstance(x, LearningRate):
        x.assign(value)
    elif isinstance(x, Parameter):
        x.value = np.asarray(value, np.float32)
    elif isinstance(x, np.ndarray):
        x[...] = value
    else:
        raise TypeError(
            f"set_value sets a learning rate, as model.optimizer.learning_rate, or a weight of a "
            f"layer, received {x!r}; of another attribute set the attribute itself"
        )


def batch_get_value(tensors: Any) -> list[Any]:
    """The numbers of several weights."""
    return [get_value(each) for each in tensors]


def batch_set_value(tuples: Any) -> None:
    """Set several weights."""
    for each, value in tuples:
        set_value(each, value)


def variable(value: Any, dtype: Any = None, name: Any = None, constraint: Any = None) -> Any:
    """Numbers as a tensor of their own, which `set_value` sets."""
    return as_tensor(np.array(value, dtype_of(dtype or "float32")))


def constant(value: Any, dtype: Any = None, shape: Any = None, name: Any = None) -> Any:
    """Numbers as a tensor."""
    return functions.constant(value, dtype, shape)


def count_params(x: Any) -> int:
    """The number of elements."""
    return int(np.size(x))


def int_shape(x: Any) -> Any:
    """The sizes, with None for the batch of a model that is being built."""
    return tuple(x.shape)


get_variable_shape = int_shape


def ndim(x: Any) -> int:
    """The number of axes."""
    return len(x.shape)


def dtype(x: Any) -> str:
    """The name of the numbers' type."""
    return "float32" if is_symbolic(x) else str(np.asarray(x).dtype)


def is_keras_tensor(x: Any) -> bool:
    """Whether it is a tensor of a model that is being built."""
    return is_symbolic(x)


def cast_to_floatx(x: Any) -> Any:
    """The numbers as float32."""
    return as_tensor(x, np.float32)


def print_tensor(x: Any, message: str = "") -> Any:
    """Print a tensor."""
    print(message, x)
    return x


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two, by elements; a condition of fewer axes is of the first ones."""
    then, other = (
        each() if callable(each) else each for each in (then_expression, else_expression)
    )
    condition = as_tensor(condition)
    more = max(np.ndim(then), np.ndim(other)) - condition.ndim if condition.ndim else 0
    return shaping.where(condition.reshape(condition.shape + (1,) * more), then, other)


# Functions of arrays.


def argmax(x: Any, axis: int = -1) -> Any:
    """The place of the largest element along an axis."""
    return functions.argmax(x, axis)


def argmin(x: Any, axis: int = -1) -> Any:
    """The place of the smallest element along an axis."""
    return functions.argmin(x, axis)


def concatenate(tensors: Any, axis: int = -1) -> Any:
    """Several tensors along an axis."""
    return shaping.concat(tensors, axis)


def flatten(x: Any) -> Any:
    """The elements in one axis."""
    return as_tensor(np.ravel(x))


def batch_flatten(x: Any) -> Any:
    """The elements of each sample in one axis."""
    return as_tensor(np.reshape(x, (len(x), -1)))


def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Numbers of a normal distribution."""
    return normal(shape, mean, stddev, dtype or np.float32, seed)


random_normal_variable = random_normal


def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Numbers from `minval` to below `maxval`."""
    return uniform(shape, minval, maxval, dtype or np.float32, seed)


def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """The cross-entropy of each sample."""
    y, p = (functions._array(as_tensor(each)) for each in (target, output))
    p = activations.softmax(p) if from_logits else p / p.sum(axis, keepdims=True)
    return as_tensor(-(y * np.log(np.clip(p, _epsilon, 1 - _epsilon))).sum(axis))


def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """The cross-entropy of each sample, from labels."""
    rows = functions.one_hot(np.asarray(target).reshape(output.shape[:-1]), output.shape[-1])
    return categorical_crossentropy(rows, output, from_logits)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """The cross-entropy of each element."""
    y, p = (functions._array(as_tensor(each)) for each in (target, output))
    p = np.clip(activations.sigmoid(p) if from_logits else p, _epsilon, 1 - _epsilon)
    return as_tensor(-(y * np.log(p) + (1 - y) * np.log(1 - p)))


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """The mean square of the differences along the last axis."""
    return as_tensor(np.square(np.subtract(y_pred, y_true)).mean(-1))


def ctc_batch_cost(*arguments: Any, **options: Any) -> Any:
    """The loss of sequences of text."""
    raise ValueError("ctc_batch_cost is of sequences, and convkit is for images")
