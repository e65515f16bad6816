"""Activations as functions that give tensors, and layers of a model that is being built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import activations, layers
from .functions import _array
from .tensor import as_tensor, is_recorded, is_symbolic, standing

_NAMES = tuple(
    name for name in activations.__all__ if name not in ("deserialize", "get", "serialize")
)

__all__ = [
    *_NAMES,
    "dropout",
    "name_of",
    "sigmoid_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits",
    "sparse_softmax_cross_entropy_with_logits",
]


def __getattr__(name: str) -> Callable[..., Any]:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function = globals()[name] = _wrapped(name)
    return function


def _wrapped(name: str) -> Callable[..., Any]:
    own = getattr(activations, name)

    def activate(x: Any = None, *arguments: Any, **options: Any) -> Any:
        options.pop("name", None)
        x = standing(options.pop("features", options.pop("logits", x)))
        if is_symbolic(x):
            if name == "leaky_relu":
                slope = options.get("alpha", options.get("negative_slope", 0.2))
                return layers.LeakyReLU(negative_slope=slope)(x)
            return layers.Activation(name)(x)
        if "alpha" in options and name == "leaky_relu":
            options["negative_slope"] = options.pop("alpha")
        if is_recorded(x):
            from .recorded import activated

            return activated(own, x, *arguments, **options)
        return as_tensor(own(_array(as_tensor(x)), *arguments, **options))

    activate.__name__ = activate.__qualname__ = name
    activate.__doc__ = own.__doc__
    return activate


def name_of(function: Any) -> Any:
    """The name of an activation that is one of these functions or convkit's; else what it is."""
    name = str(getattr(function, "__name__", ""))
    if name not in _NAMES or isinstance(function, type):
        return function
    known = globals().get(name), getattr(activations, name)
    return name if function in known else function


def dropout(x: Any, rate: Any = 0.5, *ignored: Any, **options: Any) -> Any:
    """A share of the elements 0, the others larger: a layer of a model that is being built."""
    return layers.Dropout(rate)(x) if is_symbolic(x) else as_tensor(x)


def sparse_softmax_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, name: Any = None
) -> Any:
    """The cross-entropy of each sample, (n,)."""
    import numpy as np

    rows = np.asarray(labels)[..., np.newaxis] == np.arange(logits.shape[-1])
    return softmax_cross_entropy_with_logits(rows, logits)


def softmax_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, axis: int = -1, name: Any = None
) -> Any:
    """The cross-entropy of each sample, (n,)."""
    import numpy as np

    y, x = (np.moveaxis(_array(as_tensor(each)), axis, -1) for each in (labels, logits))
    return as_tensor(-(y * _array(__getattr__("log_softmax")(x))).sum(-1))


def sigmoid_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, name: Any = None
) -> Any:
    """The cross-entropy of each element."""
    import numpy as np

    x, y = (_array(as_tensor(each)) for each in (logits, labels))
    return as_tensor(np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x))))
