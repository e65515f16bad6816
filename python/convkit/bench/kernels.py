"""Each layer shape of the three models, direction by direction: convkit's kernels against NumPy's.

Every side gets the same arrays, writes into arrays of its own that exist beforehand, and does the
same work: a forward pass includes bias and ReLU where the layer has them, `backward_weights` the
bias's gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from .contenders.convkit_kernels import convkit_calls
from .contenders.numpy_kernels import numpy_calls
from .measure import CONVKIT, Case
from .shapes import Calls, LayerArrays, LayerShape

Side = Callable[[LayerShape, LayerArrays], Calls]

SIDES: Mapping[str, Side] = {CONVKIT: convkit_calls, "numpy": numpy_calls}


def kernel_cases(shapes: Iterable[LayerShape], sides: Mapping[str, Side] = SIDES) -> Iterator[Case]:
    """A case for each direction of each shape; a shape's arrays are made when its turn comes."""
    for shape in shapes:
        arrays = LayerArrays(shape)
        calls = {name: side(shape, arrays) for name, side in sides.items()}
        for direction in calls[CONVKIT]:
            by_side = {name: directions[direction] for name, directions in calls.items()}
            yield Case(shape.name, direction, by_side, shape.flops, images=shape.x_shape[0])
