"""What a part of a training step must at least do, and how long the machine must take for it.

Three roofs: the multiply-adds of the algorithm that runs at the peak of the registers; every array
read or written once, at the speed of a pass over as much memory as the whole step goes through, in
whichever cache or memory that lies; and what Winograd's algorithm keeps in a core's second-level
cache, written and read once, at that cache's speed. A part takes at least as long as the slowest.
(Williams, Waterman, Patterson: "Roofline", 2009)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .. import layers, ops
from ..layers.conv2d_max_pool2d import ConvMaxPool
from ..plan import Plan, Step
from .machine import copy_rate, multiply_add_rate, stream_rate

FORWARD, BACKWARD = "forward", "backward"
_FLOAT = 4  # bytes
_L2_BYTES = 256 << 10  # fits into the second-level cache of every core that convkit is for


@dataclass(frozen=True)
class Work:
    """What must be done.

    Attributes:
        direct_flops: operations of the direct method, 2 a multiply-add.
        flops: operations of the algorithm that runs, without its transforms' additions.
        nbytes: all arrays, each once.
        cache_bytes: Winograd's transformed tiles and products, written and read once.
    """

    direct_flops: float = 0.0
    flops: float = 0.0
    nbytes: float = 0.0
    cache_bytes: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.direct_flops + other.direct_flops,
            self.flops + other.flops,
            self.nbytes + other.nbytes,
            self.cache_bytes + other.cache_bytes,
        )


@dataclass(frozen=True)
class Roofs:
    """What the machine reaches: operations and bytes a second, on all threads.

    Attributes:
        peak: of multiply-adds in registers, 2 operations each.
        memory: of one pass over the working set of a step.
        cache: of copies within the cores' second-level caches.
    """

    peak: float
    memory: float
    cache: float

    def seconds(self, work: Work) -> dict[str, float]:
        """The least time under each roof."""
        return {
            "multiply-adds": work.flops / self.peak,
            "memory": work.nbytes / self.memory,
            "L2": work.cache_bytes / self.cache,
        }

    def bound(self, work: Work) -> float:
        """The least time under all of them."""
        return max(self.seconds(work).values())

    def limit(self, work: Work) -> str:
        """The roof that gives it."""
        seconds = self.seconds(work)
        return max(seconds, key=lambda name: seconds[name])


def roofs(working_set: int) -> Roofs:
    """Measure them now, for a step that goes through so many bytes (a tenth of a second)."""
    return Roofs(multiply_add_rate(), stream_rate(working_set), copy_rate(_L2_BYTES))


def step_work(step: Step, n: int, direction: str) -> Work:
    """What one step of a plan must do for n samples, forward or backward."""
    return _products(step, n, direction) + Work(nbytes=_arrays(step, n, direction))


def gather_work(plan: Plan, n: int) -> Work:
    """Float32 images, read and written."""
    return Work(nbytes=2 * _FLOAT * n * sum(math.prod(sizes) for _, sizes in plan.inputs))


def loss_work(plan: Plan, n: int) -> Work:
    """Logits read, probabilities and the gradient written."""
    return Work(nbytes=3 * _FLOAT * n * sum(math.prod(head.sizes) for head in plan.heads))


def update_work(parameters: int, slots: int) -> Work:
    """Gradients read; parameters and the optimizer's slots read and written."""
    return Work(nbytes=_FLOAT * parameters * (3 + 2 * slots))


def _arrays(step: Step, n: int, direction: str) -> float:
    stage = step.stage
    shapes = step.shapes(n)
    inputs = [math.prod(shape) for shape in shapes]
    x, y = sum(inputs), n * math.prod(step.output_sizes)
    given = shapes if stage.merges else shapes[0]
    saved = sum(array.nbytes for array in stage.saved_arrays(given))
    weights = sum(weight.size for weight in stage.trainable_weights)
    if direction == FORWARD:
        return saved + _FLOAT * (x + y + weights)
    floats = y + weights  # dy and the gradients
    if any(step.dx):
        written = sum(size for size, dx in zip(inputs, step.dx, strict=True) if dx is not None)
        floats += written + weights  # dx, and what it is computed from
        floats += inputs[0] if step.add_to_dx else 0  # what it is added to
    # What is written once more, from as much.
    floats += sum(2 * size for size, again in zip(inputs, step.again, strict=True) if again)
    for size, sums in zip(inputs, step.add_to, strict=True):
        floats += 3 * size if sums is not None else 0
    kept = [size for i, size in enumerate(inputs) if i != stage.summand]
    floats += (sum(kept) if stage.keeps_input else 0) + (y if stage.keeps_output else 0)
    return saved + _FLOAT * floats


def _products(step: Step, n: int, direction: str) -> Work:
    """The multiply-adds of a convolution or a matrix product; of anything else none."""
    layer = getattr(step.stage, "layer", step.stage)
    names = ["forward"]
    if direction == BACKWARD:
        names = ["backward_weights"] + ([] if step.dx[0] is None else ["backward_input"])
    if isinstance(layer, layers.Dense):
        flops = 2.0 * n * math.prod(layer.kernel.shape)
        return Work(len(names) * flops, len(names) * flops)
    if isinstance(layer, layers.Conv2D):
        pooled = isinstance(step.stage, ConvMaxPool)
        sizes = step.input_sizes[0] if step.stage.merges else step.input_sizes
        shapes = [_Convolution(layer, sizes, n, name, pooled) for name in names]
        return sum((shape.work() for shape in shapes), Work())
    return Work()


class _Convolution:
    """One direction of a convolution of n images, whose outputs may be max-pooled at once."""

    def __init__(
        self,
        layer: layers.Conv2D,
        input_sizes: Sequence[int],
        n: int,
        direction: str,
        pooled: bool,
    ):
        self.images = n
        self.plane = layer.output_sizes(tuple(input_sizes))[:2]
        self.kernel = layer.kernel.shape
        self.pooled = pooled
        self.direction = direction
        x_shape = (n, *input_sizes)
        self.algorithm = ops.conv2d_algorithm(
            x_shape, self.kernel, direction=direction, **layer.geometry
        )

    def work(self) -> Work:
        """Its multiply-adds, and what Winograd's algorithm keeps in the cache."""
        of_position = 2.0 * self.images * math.prod(self.kernel)
        direct = of_position * math.prod(self.plane)
        # An odd last row or column is in no window.
        plane = [n - n % 2 for n in self.plane] if self.pooled else self.plane
        if self.algorithm != "winograd":
            return Work(direct, of_position * math.prod(plane))
        forward = self.direction == "forward"
        points = self.images * math.prod(winograd_points(n, self.pooled and forward) for n in plane)
        channels = self.kernel[2:]
        flops = 2.0 * points * math.prod(channels)
        return Work(direct, flops, cache_bytes=2.0 * _FLOAT * points * sum(channels))


def winograd_points(outputs: int, pooled: bool = False) -> int:
    """Points along one axis of a plane that is cut into tiles of 5 to 2 outputs.

    A tile of m outputs of a kernel of 3 has m + 2 points, so two axes of four need 36 products in
    place of 144. Tiles of 5 are for planes below 16, and not for outputs that are max-pooled in
    the same step (cpp/ops/winograd_shape.cpp).

        >>> [winograd_points(n) for n in (28, 14, 7, 5)]
        [42, 20, 11, 7]
        >>> winograd_points(14, pooled=True)
        22
    """
    largest = 4 if pooled or outputs >= 16 else 5
    return outputs + 2 * -(-outputs // largest)
