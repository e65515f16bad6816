"""Initial values that are drawn at random.

Without a `seed` of its own an initializer draws from a new stream for every variable, a function of
`utils.set_random_seed` and of how many variables came before; with a `seed`, every call returns the
same values, as in Keras 3.

The scaled initializers follow X. Glorot and Y. Bengio, "Understanding the difficulty of training
deep feedforward neural networks" (2010), K. He et al., "Delving deep into rectifiers" (2015), and
Y. LeCun et al., "Efficient BackProp" (1998).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from ..core import random
from ..core.config import as_number, real
from ..core.parameters import Array
from .base import Initializer, as_shape, compute_fans

# The standard deviation of a normal distribution cut off at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class _Random(Initializer):
    """What the random initializers share: where their generator comes from."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else random.check_seed(seed)

    def _generator(self) -> np.random.Generator:
        if self.seed is not None:
            return random.generator(self.seed, random.Stream.INITIALIZER)
        return random.generator(
            random.seed(), random.Stream.INITIALIZER, 1 + random.next_variable()
        )


class RandomUniform(_Random):
    """Uniform between two limits.

    Args:
        minval, maxval: the limits, finite numbers.
        seed: for the same values at every call.
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval = real(minval, "minval", self)
        self.maxval = real(maxval, "maxval", self)
        if not math.isfinite(self.maxval - self.minval):
            raise ValueError(
                f"RandomUniform: minval and maxval must be finite, and so must what lies between "
                f"them, received {minval!r} and {maxval!r}"
            )

    def __call__(self, shape: Sequence[int]) -> Array:
        """Uniform values of the given shape."""
        drawn = self._generator().uniform(self.minval, self.maxval, as_shape(shape))
        return np.asarray(drawn, np.float32)


class _Normal(_Random):
    """What the normal distributions share: their parameters."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = real(mean, "mean", self), real(stddev, "stddev", self)


class RandomNormal(_Normal):
    """Normally distributed.

    Args:
        mean, stddev: of the distribution.
        seed: for the same values at every call.
    """

    def __call__(self, shape: Sequence[int]) -> Array:
        """Normal values of the given shape."""
        return np.asarray(
            self._generator().normal(self.mean, self.stddev, as_shape(shape)), np.float32
        )


class TruncatedNormal(_Normal):
    """Normally distributed, drawn again while beyond two standard deviations.

    Args:
        mean, stddev: of the distribution before it is cut off.
        seed: for the same values at every call.
    """

    def __call__(self, shape: Sequence[int]) -> Array:
        """Truncated normal values of the given shape."""
        drawn = _truncated_normal(self._generator(), as_shape(shape))
        return np.asarray(self.mean + self.stddev * drawn, np.float32)


class VarianceScaling(_Random):
    """A variance of scale / n, where n depends on the shape.

    Args:
        scale: a positive factor.
        mode: "fan_in" for n = the inputs of a unit, "fan_out" for its outputs, "fan_avg" for the
            mean of both; see `compute_fans`.
        distribution: "truncated_normal" (also "normal"), "untruncated_normal" or "uniform".
        seed: for the same values at every call.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        number = as_number(scale)
        if number is None or not 0.0 < number < math.inf:
            raise ValueError(f"VarianceScaling: scale must be positive, received {scale!r}")
        if isinstance(distribution, str) and distribution == "normal":
            distribution = "truncated_normal"
        for what, value, known in (
            ("mode", mode, ("fan_in", "fan_out", "fan_avg")),
            ("distribution", distribution, ("truncated_normal", "untruncated_normal", "uniform")),
        ):
            if not isinstance(value, str) or value not in known:
                raise ValueError(
                    f"VarianceScaling: {what} must be one of {', '.join(known)}, received {value!r}"
                )
        self.scale, self.mode, self.distribution = number, mode, distribution

    def __call__(self, shape: Sequence[int]) -> Array:
        """Values of the given shape with the variance that the shape calls for."""
        sizes = as_shape(shape)
        fan_in, fan_out = compute_fans(sizes)
        fan = {"fan_in": fan_in, "fan_out": fan_out}.get(self.mode, (fan_in + fan_out) / 2.0)
        variance = self.scale / max(1.0, fan)
        generator = self._generator()
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return np.asarray(generator.uniform(-limit, limit, sizes), np.float32)
        if self.distribution == "untruncated_normal":
            return np.asarray(generator.normal(0.0, math.sqrt(variance), sizes), np.float32)
        stddev = math.sqrt(variance) / _TRUNCATED_STDDEV
        return np.asarray(stddev * _truncated_normal(generator, sizes), np.float32)


class _Scaled(VarianceScaling):
    """A VarianceScaling that has a name of its own, and nothing to choose but the seed."""

    fixed: tuple[float, str, str]
    _unsettable: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("scale", "mode", "distribution"), "use VarianceScaling"
    )

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.fixed, seed)


class GlorotUniform(_Scaled):
    """Uniform within +-sqrt(6 / (fan_in + fan_out)); the default of Conv2D and Dense."""

    fixed = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal with variance 2 / (fan_in + fan_out)."""

    fixed = (1.0, "fan_avg", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform within +-sqrt(3 / fan_in)."""

    fixed = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal with variance 1 / fan_in."""

    fixed = (1.0, "fan_in", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform within +-sqrt(6 / fan_in), for layers followed by ReLU."""

    fixed = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal with variance 2 / fan_in, for layers followed by ReLU."""

    fixed = (2.0, "fan_in", "truncated_normal")


class Orthogonal(_Random):
    """A random matrix with orthogonal columns of length `gain`, or rows where they are fewer.

    All axes but the last are the rows. (A. Saxe et al., "Exact solutions to the nonlinear dynamics
    of learning in deep linear neural networks", 2014.)

    Args:
        gain: the length of the columns, or rows.
        seed: for the same values at every call.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = real(gain, "gain", self)

    def __call__(self, shape: Sequence[int]) -> Array:
        """Orthogonal values of the given shape, which needs two axes or more."""
        shape = as_shape(shape)
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: a shape needs two axes or more, received {tuple(shape)}")
        columns, rows = shape[-1], math.prod(shape[:-1])
        matrix = self._generator().standard_normal((min(rows, columns), max(rows, columns)))
        # Gram and Schmidt's method, row by row. A QR decomposition by LAPACK would do the same, but
        # its bits depend on the number of threads.
        for i, row in enumerate(matrix):
            row /= np.sqrt(np.square(row).sum())
            rest = matrix[i + 1 :]
            rest -= (rest * row).sum(axis=1, keepdims=True) * row
        if rows > columns:
            matrix = matrix.T
        return np.ascontiguousarray(self.gain * matrix, np.float32).reshape(shape)


def _truncated_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Standard normal values, drawn again while they lie beyond two standard deviations."""
    values = generator.standard_normal(math.prod(shape))
    while (outside := np.flatnonzero(np.abs(values) > 2.0)).size:
        values[outside] = generator.standard_normal(outside.size)
    return values.reshape(shape)
