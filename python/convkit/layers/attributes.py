"""What changes when an attribute of a layer is set: what a plan was lowered from, or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..constraints import Constraint
    from ..core.parameters import Shape
    from .base import Layer


def lowered_from(layer: Layer) -> list[Any]:
    """What `convkit.plan` reads of a built layer, besides shapes, as something to compare."""
    several = layer.merges
    shapes: Any = layer.input_shape or ()
    sizes: Any = [_sample_sizes(each) for each in shapes] if several else _sample_sizes(shapes)
    found: list[Any] = [[p.regularizer is None for p in layer.weights]]
    for stage in layer.stages():
        views = [stage.is_view(training) for training in (False, True)]
        flags = (stage.keeps_input, stage.keeps_output, stage.in_place, stage.dx_over_x)
        inputs: Any = [(1, *each) for each in sizes] if several else (1, *sizes)
        saved = [(each.shape, each.dtype) for each in stage.saved_arrays(inputs)]
        kind = (type(stage), getattr(stage, "activation", None), stage.capturable)
        found.append((kind, views, flags, saved, stage.trainable))
        sizes, several = stage.output_sizes(sizes), False
    return found


def _sample_sizes(shape: Shape) -> tuple[int, ...]:
    return tuple(size for size in shape[1:] if size is not None)


def are_same(one: Any, other: Any) -> bool:
    """Whether two arguments are the same."""
    return one is other or (type(one) is type(other) and bool(np.all(one == other)))


def pass_on(layer: Layer, name: str) -> None:
    """Tell the parameters of a built layer of a regularizer or a constraint that was set."""
    for parameter in layer.weights:
        if name == layer.argument_of(parameter, "regularizer"):
            parameter.penalize(getattr(layer, name))
        elif name == layer.argument_of(parameter, "constraint"):
            parameter.constrain(getattr(layer, name))


def check_constraints(layer: Layer, name: str, value: Any) -> None:
    """ValueError if what is to be set is a constraint that its parameter cannot have."""
    for parameter in layer.weights:
        if name == layer.argument_of(parameter, "constraint"):
            check_constraint(layer, parameter.name, value, parameter.shape)


def check_constraint(
    layer: Layer, name: str, constraint: Constraint | None, shape: tuple[int, ...]
) -> None:
    """ValueError, which names layer and parameter, if a shape cannot have a constraint."""
    if constraint is None:
        return
    try:
        constraint.check(shape)
    except ValueError as error:
        raise layer.error(f"the constraint of the {name}: {error}") from None
