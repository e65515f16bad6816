"""What changes when an attribute of a layer is set: what a plan was lowered from, or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .base import Layer


def lowered_from(layer: Layer) -> list[Any]:
    """What `convkit.plan.lowering` reads of a built layer, besides shapes, as something to compare."""
    sizes = tuple(size for size in (layer.input_shape or ())[1:] if size is not None)
    found: list[Any] = [[p.regularizer is None for p in layer.weights]]
    for stage in layer.stages():
        views = [stage.is_view(training) for training in (False, True)]
        flags = (stage.keeps_input, stage.keeps_output, stage.in_place, stage.dx_over_x)
        saved = [(each.shape, each.dtype) for each in stage.saved_arrays((1, *sizes))]
        kind = (type(stage), getattr(stage, "activation", None), stage.repeats)
        found.append((kind, views, flags, saved, stage.trainable))
        sizes = stage.output_sizes(sizes)
    return found


def are_same(one: Any, other: Any) -> bool:
    """Whether two arguments are the same."""
    return one is other or (type(one) is type(other) and bool(np.all(one == other)))
