"""Layers of several inputs: sums, products, means, extremes, and arrays side by side.

Inputs are broadcast as Keras does it: those with fewer axes get axes of size 1 behind the batch,
and sizes of 1 repeat. So (N, C) or (N, 1, 1, C) scales the channels of (N, H, W, C).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import ops
from ..core.parameters import Array, Shape
from .base import Layer, LayerOptions
from .step_context import SavedArray, StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack

MOST_INPUTS = 64  # what the operations take at a time


class MergeLayer(Layer):
    """Base class of the layers that take several inputs. Whoever runs one hands it tuples.

    Shapes, sizes and arrays of inputs come as a list or tuple, one each: `build([(None, 8),
    (None, 8)])`, `forward((x, z), y, saved, context)`. The same array may stand several times; each
    has a gradient of its own.

    Attributes:
        merges: that it is one of these.
        least_inputs, most_inputs: how many it takes; None for any number.
        in_place: `forward` may write y over any x of its shape, and `backward` one dx of that shape
            over dy; all other dx are arrays of their own.
    """

    merges: bool = True
    least_inputs: ClassVar[int] = 1
    most_inputs: ClassVar[int | None] = MOST_INPUTS

    def compute_output_shape(  # type: ignore[override]
        self, input_shapes: Sequence[Shape]
    ) -> Shape:
        """The shape that all inputs are broadcast to.

        Raises:
            ValueError: that is no list of shapes, they are too few or too many, or do not fit.
        """
        shapes = self._shapes(input_shapes)
        return (_batch(self, shapes), *self._merged_sizes(shapes))

    def build(self, input_shapes: Sequence[Shape]) -> None:  # type: ignore[override]
        """Fix the shapes; nothing happens the second time.

        Raises:
            ValueError: the layer cannot take such inputs, or was built for others before.
        """
        output_shape = self.compute_output_shape(input_shapes)
        shapes = self._shapes(input_shapes)
        if self.built:
            built_for: Any = self.input_shape
            if [shape[1:] for shape in built_for] != [shape[1:] for shape in shapes]:
                raise self.error(
                    f"it was built for inputs of shapes {listed(built_for)} and cannot take "
                    f"{listed(shapes)}; use a new layer"
                )
            return
        self.__dict__.update(input_shape=shapes, output_shape=output_shape)
        self.in_place = self._can_be_in_place(shapes, output_shape)
        self.trainable = self._trainable
        self.built = True

    def output_sizes(  # type: ignore[override]
        self, input_sizes: Sequence[tuple[int, ...]]
    ) -> tuple[int, ...]:
        """The shape of one output sample, given those of the input samples."""
        shape = self.compute_output_shape([(None, *sizes) for sizes in input_sizes])[1:]
        return tuple(size for size in shape if size is not None)

    def saved_arrays(  # type: ignore[override]
        self, input_shapes: Sequence[tuple[int, ...]]
    ) -> tuple[SavedArray, ...]:
        """The arrays that `forward` writes for `backward`, besides y."""
        return ()

    def describe(  # type: ignore[override]
        self, input_shapes: Sequence[tuple[int, ...]], training: bool
    ) -> str:
        """The operation that runs, and how many inputs it has."""
        return f"{self.operation} of {len(input_shapes)}"

    def forward(  # type: ignore[override]
        self, x: tuple[Array, ...], y: Array, saved: tuple[Array, ...], context: StepContext
    ) -> None:
        """Compute y from all x; write what `saved_arrays` declares."""
        if len(x) == 1:
            ops.concatenate(x, out=y)
        else:
            self._merge([_aligned(each, y.ndim) for each in x], y, saved)

    def backward(  # type: ignore[override]
        self,
        x: tuple[Array, ...],
        y: Array,
        dy: Array,
        dx: tuple[Array | None, ...],
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """Write every dx that is not None. That which is dy comes last."""
        for index, each in sorted(enumerate(dx), key=lambda one: _is_same(one[1], dy)):
            if each is None:
                continue
            if len(dx) == 1:
                ops.add_backward(dy, each.shape, out=each)
            else:
                self._gradient(index, x, dy, _aligned(each, dy.ndim), saved)

    def _merge(self, x: list[Array], y: Array, saved: tuple[Array, ...]) -> None:
        """Compute y from two inputs or more, of its rank."""
        raise NotImplementedError

    def _gradient(
        self,
        index: int,
        x: tuple[Array, ...],
        dy: Array,
        dx: Array,
        saved: tuple[Array, ...],
    ) -> None:
        """Write dx, of dy's rank, of the input of that number; x only if `keeps_input`."""
        raise NotImplementedError

    def _merged_sizes(self, shapes: tuple[Shape, ...]) -> tuple[int, ...]:
        """The shape of a sample that all are broadcast to."""
        sizes = [self._sample_sizes(shape) for shape in shapes]
        rank = max(map(len, sizes))
        merged = []
        for axis in range(-rank, 0):
            found = {each[axis] for each in sizes if len(each) >= -axis} - {1}
            if len(found) > 1:
                raise self.error(
                    f"inputs of shapes {listed(shapes)} do not fit: axis {axis} must have one "
                    f"size in all of them, or 1, received {listed(sorted(found))}; make them "
                    f"alike, for example with a Conv2D of so many filters or a stride before it"
                )
            merged.append(found.pop() if found else 1)
        return tuple(merged)

    def _shapes(self, input_shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        """One shape for each input, with the batch in front, checked."""
        shapes: Any = input_shapes
        if not isinstance(shapes, list | tuple) or not all(
            isinstance(shape, list | tuple) for shape in shapes
        ):
            raise self.error(
                f"it takes a list of inputs, and of their shapes, such as [(None, 8), (None, 8)], "
                f"received {input_shapes!r}"
            )
        least, most = self.least_inputs, self.most_inputs or len(shapes)
        if not least <= len(shapes) <= most:
            wanted = f"exactly {most}" if least == most else f"{least} to {most}"
            if self.most_inputs is None:
                wanted = f"at least {least}"
            raise self.error(
                f"it takes a list of {wanted} inputs, received {len(shapes)}: {listed(shapes)}"
            )
        found = tuple(self._whole_shape(shape) for shape in shapes)
        for shape in found:
            if not shape:
                raise self.error(f"inputs need the batch in front, received shape {shape}")
            self._sample_sizes(shape)
        return found

    def _can_be_in_place(self, shapes: tuple[Shape, ...], output_shape: Shape) -> bool:
        return any(shape[1:] == output_shape[1:] for shape in shapes)


def _batch(layer: Layer, shapes: tuple[Shape, ...]) -> int | None:
    """The size of the batch, None where no shape says it."""
    found = {shape[0] for shape in shapes} - {None}
    if len(found) > 1:
        raise layer.error(f"all inputs must have the same batch, received shapes {listed(shapes)}")
    return found.pop() if found else None


def listed(values: Sequence[Any]) -> str:
    """Shapes or sizes in a sentence, not too many."""
    shown = [str(value) for value in values[:4]]
    return " and ".join(shown) + (f" and {len(values) - 4} more" if len(values) > 4 else "")


def _is_same(one: Array | None, other: Array) -> bool:
    """Whether two arrays begin at the same place."""
    return one is not None and one.ctypes.data == other.ctypes.data


def _aligned(array: Array, rank: int) -> Array:
    """The same numbers with axes of size 1 behind the batch."""
    missing = rank - array.ndim
    if not missing:
        return array
    return array.reshape(array.shape[0], *(1,) * missing, *array.shape[1:])


class Add(MergeLayer):
    """The sum of all inputs.

    Input: a list of 1 to 64 arrays (N, ...), which are broadcast. Output: their sum.

    Example:
        >>> convkit.layers.Add()([x, convkit.layers.Conv2D(8, 3, padding="same")(x)])
    """

    operation = "add"
    capturable = True

    def _merge(self, x: list[Array], y: Array, saved: tuple[Array, ...]) -> None:
        ops.add(*x, out=y)

    def _gradient(
        self, index: int, x: tuple[Array, ...], dy: Array, dx: Array, saved: tuple[Array, ...]
    ) -> None:
        ops.add_backward(dy, dx.shape, out=dx)


class Subtract(MergeLayer):
    """The first input less the second.

    Input: a list of two arrays (N, ...), which are broadcast. Output: their difference.

    Example:
        >>> convkit.layers.Subtract()([x, z])
    """

    operation = "subtract"
    capturable = True
    least_inputs = most_inputs = 2

    def _merge(self, x: list[Array], y: Array, saved: tuple[Array, ...]) -> None:
        ops.subtract(x[0], x[1], out=y)

    def _gradient(
        self, index: int, x: tuple[Array, ...], dy: Array, dx: Array, saved: tuple[Array, ...]
    ) -> None:
        ops.add_backward(dy, dx.shape, divisor=-1.0 if index else 1.0, out=dx)


class Multiply(MergeLayer):
    """The product of all inputs.

    Input: a list of 1 to 64 arrays (N, ...), which are broadcast. Output: their product.

    Example:
        >>> gate = convkit.layers.Dense(8, activation="sigmoid")(pooled)  # (N, 8)
        >>> convkit.layers.Multiply()([images, gate])  # (N, H, W, 8)
    """

    operation = "multiply"
    capturable = True
    keeps_input = True

    def _merge(self, x: list[Array], y: Array, saved: tuple[Array, ...]) -> None:
        ops.multiply(*x, out=y)

    def _gradient(
        self, index: int, x: tuple[Array, ...], dy: Array, dx: Array, saved: tuple[Array, ...]
    ) -> None:
        others = [_aligned(each, dy.ndim) for k, each in enumerate(x) if k != index]
        ops.multiply_backward(dy, dx.shape, *others, out=dx)


class Average(MergeLayer):
    """The mean of all inputs, element by element.

    Input: a list of 1 to 64 arrays (N, ...), which are broadcast. Output: their mean.

    Example:
        >>> convkit.layers.Average()([x, z])
    """

    operation = "average"
    capturable = True

    def _merge(self, x: list[Array], y: Array, saved: tuple[Array, ...]) -> None:
        ops.average(*x, out=y)

    def _gradient(
        self, index: int, x: tuple[Array, ...], dy: Array, dx: Array, saved: tuple[Array, ...]
    ) -> None:
        ops.add_backward(dy, dx.shape, divisor=float(len(x)), out=dx)


class _Extreme(MergeLayer):
    """Base class of the layers that take one input's number at every position."""

    def saved_arrays(  # type: ignore[override]
        self, input_shapes: Sequence[tuple[int, ...]]
    ) -> tuple[SavedArray, ...]:
        """The number of the input that each element is from."""
        if len(input_shapes) == 1:
            return ()
        sizes = self.output_sizes([shape[1:] for shape in input_shapes])
        return (SavedArray((input_shapes[0][0], *sizes), np.uint8),)

    def _gradient(
        self, index: int, x: tuple[Array, ...], dy: Array, dx: Array, saved: tuple[Array, ...]
    ) -> None:
        ops.maximum_backward(dy, saved[0], index, dx.shape, out=dx)


class Maximum(_Extreme):
    """The largest of all inputs, element by element.

    Where several are largest, the gradient goes to the first of them, as in Keras on TensorFlow;
    Keras on PyTorch or JAX shares it out.

    Input: a list of 1 to 64 arrays (N, ...), which are broadcast. Output: their maximum.

    Example:
        >>> convkit.layers.Maximum()([x, z])
    """

    operation = "maximum"
    capturable = True

    def _merge(self, x: list[Array], y: Array, saved: tuple[Array, ...]) -> None:
        ops.maximum(*x, out=y, indices=saved[0])


class Minimum(_Extreme):
    """The smallest of all inputs, element by element.

    Where several are smallest, the gradient goes to the first of them, as in Keras on TensorFlow;
    Keras on PyTorch or JAX shares it out.

    Input: a list of 1 to 64 arrays (N, ...), which are broadcast. Output: their minimum.

    Example:
        >>> convkit.layers.Minimum()([x, z])
    """

    operation = "minimum"
    capturable = True

    def _merge(self, x: list[Array], y: Array, saved: tuple[Array, ...]) -> None:
        ops.minimum(*x, out=y, indices=saved[0])


def add(inputs: Sequence[Any], **options: Unpack[LayerOptions]) -> Any:
    """`Add(**options)(inputs)`."""
    return Add(**options)(inputs)


def subtract(inputs: Sequence[Any], **options: Unpack[LayerOptions]) -> Any:
    """`Subtract(**options)(inputs)`."""
    return Subtract(**options)(inputs)


def multiply(inputs: Sequence[Any], **options: Unpack[LayerOptions]) -> Any:
    """`Multiply(**options)(inputs)`."""
    return Multiply(**options)(inputs)


def average(inputs: Sequence[Any], **options: Unpack[LayerOptions]) -> Any:
    """`Average(**options)(inputs)`."""
    return Average(**options)(inputs)


def maximum(inputs: Sequence[Any], **options: Unpack[LayerOptions]) -> Any:
    """`Maximum(**options)(inputs)`."""
    return Maximum(**options)(inputs)


def minimum(inputs: Sequence[Any], **options: Unpack[LayerOptions]) -> Any:
    """`Minimum(**options)(inputs)`."""
    return Minimum(**options)(inputs)
