"""`keras.backend.function`: what a model computes between some of its tensors, as a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .models import Model
from .tensor import is_symbolic

__all__ = ["function"]


def function(
    inputs: Any, outputs: Any, updates: Any = None, name: Any = None, **options: Any
) -> Callable[..., Any]:
    """A function of arrays that gives the values of symbolic tensors.

    Args:
        inputs: the tensors whose values it takes, such as `[model.input]`; a learning phase among
            them is taken and changes nothing: layers do what they do in `predict`.
        outputs: the tensors whose values it gives: one, or a list.

    Returns:
        A function of a list of arrays, each with its batch; it gives a list of arrays, or one array
        where `outputs` is one tensor.

    Raises:
        ValueError: there are updates, or what should be tensors is none.
    """
    several = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    wanted = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    given = [i for i, each in enumerate(several) if is_symbolic(each)]
    if updates or not given or not all(is_symbolic(each) for each in wanted):
        raise ValueError(
            "keras.backend.function gives the outputs of layers, of a model's inputs: gradients "
            "and updates stay inside `fit` and `train_on_batch`"
        )
    model = Model([several[i] for i in given], wanted)

    def compute(values: Any) -> Any:
        arrays = values if isinstance(values, list | tuple) else [values]
        made = model.predict(_one([arrays[i] for i in given]), verbose=0)
        found = list(made) if isinstance(made, list | tuple) else [made]
        return found if isinstance(outputs, list | tuple) else found[0]

    return compute


def _one(arrays: Sequence[Any]) -> Any:
    return arrays[0] if len(arrays) == 1 else list(arrays)
