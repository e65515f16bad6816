"""Filters that are not drawn: those that pass channels on, and those that whiten images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core.config import as_number
from ..core.parameters import Array
from .base import Initializer, as_shape

_BLOCK = 256  # images whose patches are in memory together
_SWEEPS = 60  # far more than matrices of this size need


class Dirac(Initializer):
    """Filters that each pass one input channel on; beyond the input channels, other ones.

    The first filters of a convolution's kernel (KH, KW, C, OC), as many as there are input
    channels, have a 1 in the middle of their own channel and zeros elsewhere, so that a deep
    network begins near the identity. (S. Zagoruyko and N. Komodakis, "DiracNets", 2017; as K.
    Jordan has it, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", 2024.) Keras has no such
    initializer for convolutions.

    Args:
        others: the initializer of the remaining filters, a name or an object.

    Example:
        >>> convkit.layers.Conv2D(64, 3, padding="same", kernel_initializer="dirac")
    """

    def __init__(self, others: str | Initializer | dict[str, Any] = "glorot_uniform") -> None:
        get = import_module(".names", __package__).get  # which knows this class
        self.others: Initializer = get(others)

    def __call__(self, shape: Sequence[int]) -> Array:
        """Such filters; ValueError unless the shape is (KH, KW, C, OC)."""
        sizes = as_shape(shape)
        if len(sizes) != 4 or 0 in sizes:
            raise ValueError(
                f"Dirac: a kernel has the shape (KH, KW, C, OC), received {tuple(sizes)}"
            )
        kernel = np.array(self.others(sizes), np.float32)
        height, width, channels, filters = sizes
        own = np.arange(min(channels, filters))
        kernel[..., own] = 0.0
        kernel[height // 2, width // 2, own, own] = 1.0
        return kernel


def whitening_kernel(
    images: ArrayLike, kernel_size: int | Sequence[int] = 2, epsilon: float = 5e-4
) -> Array:
    """The kernel of a first convolution that whitens patches of images, and its negative.

    Its filters are the eigenvectors v of the patches' second moments P^T P / n (which are not
    centred) over sqrt(eigenvalue + epsilon), from the largest eigenvalue on, and then -v likewise;
    in each v the largest value is positive. What they give is uncorrelated and of one size. (D.
    Page, "How to train your ResNet", 2019, and K. Jordan, "94 % on CIFAR-10 in 3.29 seconds on a
    single GPU", 2024, where a bias is learnt and the kernel is not.) The bits do not depend on
    threads.

    Args:
        images: (N, H, W, C), as the convolution is to take them; a few thousand are enough.
        kernel_size: (KH, KW), or one integer for both.
        epsilon: added to the eigenvalues, above 0.

    Returns:
        float32 (KH, KW, C, 2 * KH * KW * C), to be set as `layer.kernel.value`.

    Raises:
        ValueError: the images are not such an array, or smaller than the kernel; or epsilon is not
            above 0.

    Example:
        >>> model.layers[0].kernel.value = convkit.initializers.whitening_kernel(x_train[:5000])
        >>> model.layers[0].kernel.trainable = False
    """
    array, height, width = _checked(images, kernel_size)
    number = as_number(epsilon)
    if number is None or not 0.0 < number < math.inf:
        raise ValueError(f"epsilon must be a finite number above 0, received {epsilon!r}")
    values, vectors = _eigen(_second_moments(array, height, width))
    largest = np.abs(vectors).argmax(axis=0)
    vectors *= np.sign(vectors[largest, np.arange(len(values))])
    order = np.argsort(-values, kind="stable")
    filters = (vectors / np.sqrt(np.maximum(values, 0.0) + number))[:, order]
    kernel = np.concatenate([filters, -filters], axis=1)
    return np.asarray(kernel.reshape(height, width, array.shape[3], -1), np.float32)


def _checked(images: ArrayLike, kernel_size: int | Sequence[int]) -> tuple[Array, int, int]:
    """The images as an array, and the sizes of the kernel; ValueError unless both fit."""
    try:
        array = np.asarray(images)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 4 or array.dtype.kind not in "fiu" or array.size == 0:
        raise ValueError(f"images must be an array of numbers (N, H, W, C), received {array.shape}")
    given = kernel_size if isinstance(kernel_size, Sequence) else (kernel_size, kernel_size)
    height, width = [as_number(each) or 0.0 for each in given] if len(given) == 2 else (0.0, 0.0)
    if height not in range(1, array.shape[1] + 1) or width not in range(1, array.shape[2] + 1):
        raise ValueError(
            f"kernel_size must be one or two integers that fit images of {array.shape[1:]}, "
            f"received {kernel_size!r}"
        )
    return array, int(height), int(width)


def _second_moments(images: Array, height: int, width: int) -> Array:
    """P^T P / n of all patches, in float64 and without BLAS, whose sums depend on threads."""
    size = height * width * images.shape[3]
    total, count = np.zeros((size, size)), 0
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK].astype(np.float64)
        windows = np.lib.stride_tricks.sliding_window_view(block, (height, width), axis=(1, 2))
        patches = np.moveaxis(windows, 3, -1).reshape(-1, size)  # (n, KH * KW * C)
        columns = np.ascontiguousarray(patches.T)
        for i, column in enumerate(columns):
            total[i, i:] += (columns[i:] * column).sum(axis=1)
        count += len(patches)
    return np.asarray((total + np.triu(total, 1).T) / count)


def _eigen(matrix: Array) -> tuple[Array, Array]:
    """The eigenvalues and eigenvectors, in columns, of a symmetric matrix, by Jacobi's rotations.

    (C. G. J. Jacobi, 1846; in cyclic order.) LAPACK is faster, and its bits depend on threads.
    """
    a, vectors = matrix.copy(), np.eye(len(matrix))
    least = np.finfo(np.float64).eps * np.abs(matrix).max()
    for _ in range(_SWEEPS):
        if np.abs(np.triu(a, 1)).max(initial=0.0) <= least:
            break
        for p in range(len(a) - 1):
            for q in range(p + 1, len(a)):
                if a[p, q] == 0.0:
                    continue
                ratio = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
                tangent = math.copysign(1.0, ratio) / (abs(ratio) + math.hypot(ratio, 1.0))
                cosine = 1.0 / math.hypot(tangent, 1.0)
                sine = tangent * cosine
                for array in (a, a.T, vectors.T):
                    one, two = array[p].copy(), array[q].copy()
                    array[p], array[q] = cosine * one - sine * two, sine * one + cosine * two
    return np.diag(a).copy(), vectors
