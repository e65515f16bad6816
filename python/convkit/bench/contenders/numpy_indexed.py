"""The convolution that most NumPy CNNs on the web descend from: index arrays and `np.add.at`.

After the im2col of assignment 2 of CS231n, "Convolutional Neural Networks for Visual Recognition"
(Stanford), in words of our own. Integer arrays say which pixel stands where in the columns; they
gather the padded image, and `np.add.at` adds the gradient up again at the same places. All else is
the textbook contender's.

One thing differs, since images are NHWC here: an index names image, row and column and takes the
pixel's channels as one run, where the course's names channel, row and column. The columns then come
out in the order that the product needs; the additions cost much the same either way. They would
cost a seventh or less with one flat index array into `dx.reshape(-1)`, for which NumPy (2.4) has a
loop of its own; but that is tuning, and not the form that people have.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from . import numpy_plain as plain
from .numpy_layers import Array, Shape


class Conv2D(plain.Conv2D):
    """A stride-1 convolution whose im2col and col2im go through index arrays."""

    def _im2col(self, x: Array) -> Array:
        return x[_window_pixels(x.shape, self.parameters[0].shape)]

    def _col2im(self, taps: Array, dx: Array) -> None:
        np.add.at(dx, _window_pixels(dx.shape, self.parameters[0].shape), taps)


@cache
def _window_pixels(x_shape: Shape, w_shape: Shape) -> tuple[NDArray[np.intp], ...]:
    """Image, row and column of every window's pixels, to be broadcast to (N, OH, OW, KH, KW)."""
    n, h, width, _ = x_shape
    kh, kw, _, _ = w_shape
    sizes = (n, h - kh + 1, width - kw + 1, kh, kw)
    image, top, left, i, j = np.indices(sizes, sparse=True)
    return image, top + i, left + j
