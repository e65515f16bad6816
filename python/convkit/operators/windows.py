"""Sliding windows whose padding is said in numbers, and the word that convkit has for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..ops._window import resolve
from .operator import Operator, Pads

NO_PADS: Pads = (0, 0, 0, 0)


class Windows(NamedTuple):
    """The windows of a convolution or a pool, as ONNX describes them.

    Attributes:
        size, strides, dilation: (rows, columns).
        pads: (top, left, bottom, right).
        ceil_mode: whether a last window may hang over the padded image.
    """

    size: tuple[int, int]
    strides: tuple[int, int]
    pads: Pads
    dilation: tuple[int, int] = (1, 1)
    ceil_mode: bool = False

    def padding(self, plane: tuple[int, int]) -> str | None:
        """ "valid" or "same" where that means the same windows over a plane (H, W), else None."""
        counts = (self._count(0, plane[0]), self._count(1, plane[1]))
        for padding in ("valid", "same"):
            try:
                window = resolve(plane, self.size, self.strides, padding, self.dilation)
            except ValueError:  # larger than the plane
                continue
            if window.size == counts and (window.pads[0], window.pads[2]) == self.pads[:2]:
                return padding
        return None

    def _count(self, axis: int, size: int) -> int:
        """How many windows there are along an axis, by ONNX's and PyTorch's rule."""
        before, after, stride = self.pads[axis], self.pads[axis + 2], self.strides[axis]
        window = (self.size[axis] - 1) * self.dilation[axis] + 1
        steps, rest = divmod(size + before + after - window, stride)
        # A window that hangs over may not begin behind the image.
        if self.ceil_mode and rest and (steps + 1) * stride < size + before:
            steps += 1
        return steps + 1


def windows_of(operator: Operator, size: Sequence[int]) -> Windows:
    """The windows of a Conv, MaxPool or AveragePool; ValueError for values out of range."""
    given = operator.attributes
    return Windows(
        _pair(operator, "kernel_shape", size),
        _pair(operator, "strides", given["strides"]),
        check_pads(operator),
        _pair(operator, "dilations", given.get("dilations", (1, 1))),
        bool(given.get("ceil_mode")),
    )


def add_pads(a: Pads, b: Pads) -> Pads:
    """The pads of two paddings after one another."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


def check_pads(operator: Operator) -> Pads:
    """The four pads; ValueError unless none is negative."""
    pads = signed_pads(operator)
    if min(pads) < 0:
        raise operator.error(
            f"pads must be four numbers (top, left, bottom, right) of at least 0, received {pads}"
        )
    return pads


def signed_pads(operator: Operator) -> Pads:
    """The four pads of a Pad, which may be negative."""
    pads = tuple(operator.attributes["pads"])
    if len(pads) != 4:
        raise operator.error(
            f"pads must be four numbers (top, left, bottom, right), received {pads}"
        )
    return pads[0], pads[1], pads[2], pads[3]


def _pair(operator: Operator, name: str, values: Sequence[int]) -> tuple[int, int]:
    pair = tuple(values)
    if len(pair) != 2 or min(pair) < 1:
        raise operator.error(f"{name} must be two positive integers, received {pair}")
    return pair[0], pair[1]
