"""Each layer shape of the three models, direction by direction: convkit's kernels against others.

Every side gets the same arrays and does the same work: a forward pass includes bias and ReLU where
the layer has them, `backward_weights` the bias's gradient. convkit and NumPy write into arrays of
their own that exist beforehand; PyTorch allocates its results, as it does for its users.

The peak of multiply-adds is measured in every round, for it changes: with the processor's clock,
and where two cores of a virtual machine are now two cores, now two threads of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from .contenders.convkit_kernels import convkit_calls
from .contenders.numpy_kernels import numpy_calls
from .machine import sustained_multiply_add_rate
from .measure import CONVKIT, Case, Facts, Result
from .shapes import Calls, LayerArrays, LayerShape

Side = Callable[[LayerShape, LayerArrays], Calls]

NUMPY: Mapping[str, Side] = {"numpy, tuned": numpy_calls}


def kernel_cases(shapes: Iterable[LayerShape], sides: Mapping[str, Side] = NUMPY) -> Iterator[Case]:
    """A case for each direction of each shape; a shape's arrays are made when its turn comes.

    Args:
        shapes: the shapes.
        sides: whom convkit meets; one that lacks a direction of a shape is left out there.
    """
    for shape in shapes:
        arrays = LayerArrays(shape)
        calls = {
            name: side(shape, arrays) for name, side in {CONVKIT: convkit_calls, **sides}.items()
        }
        for direction in calls[CONVKIT]:
            by_side = {
                name: directions[direction]
                for name, directions in calls.items()
                if direction in directions
            }
            facts = Facts(flops=shape.flops, nbytes=shape.nbytes, images=shape.x_shape[0])
            yield Case(shape.name, direction, by_side, facts, sustained_multiply_add_rate)


def with_best(results: Sequence[Result], name: str) -> list[Result]:
    """The results with all contenders whose names begin so replaced by the fastest of them.

    PyTorch thus stands there once, with the better of its memory formats for each shape.
    """
    merged = []
    for result in results:
        group = [contender for contender in result.values if contender.startswith(name)]
        values = {key: value for key, value in result.values.items() if key not in group}
        if group:
            best = min(group, key=lambda contender: result.value(contender).median)
            values[name] = result.values[best]
        merged.append(replace(result, values=values))
    return merged
