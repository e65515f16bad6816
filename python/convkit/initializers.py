"""Initial values of parameters, with Keras's names, formulas and defaults.

An initializer is called with a shape and returns a float32 array. Without a `seed` of its own it
draws from a new stream for every variable, a function of `utils.set_random_seed` and of how many
variables came before; with a `seed`, every call returns the same values, as in Keras 3.

The scaled initializers follow X. Glorot and Y. Bengio, "Understanding the difficulty of training
deep feedforward neural networks" (2010), K. He et al., "Delving deep into rectifiers" (2015), and
Y. LeCun et al., "Efficient BackProp" (1998).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import random
from .parameters import Array

# The standard deviation of a normal distribution cut off at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer:
    """Base class: `__call__(shape)` returns the initial value of a parameter."""

    def __call__(self, shape: Sequence[int]) -> Array:
        """The initial value, float32, of the given shape."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}


class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape: Sequence[int]) -> Array:
        """Zeros of the given shape."""
        return np.zeros(tuple(shape), np.float32)


class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Sequence[int]) -> Array:
        """Ones of the given shape."""
        return np.ones(tuple(shape), np.float32)


class Constant(Initializer):
    """All elements have the same value.

    Args:
        value: that value.
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = float(value)

    def __call__(self, shape: Sequence[int]) -> Array:
        """The constant in the given shape."""
        return np.full(tuple(shape), self.value, np.float32)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"value": self.value}


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
        minval, maxval: the limits.
        seed: for the same values at every call.
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval, self.maxval = float(minval), float(maxval)

    def __call__(self, shape: Sequence[int]) -> Array:
        """Uniform values of the given shape."""
        drawn = self._generator().uniform(self.minval, self.maxval, tuple(shape))
        return np.asarray(drawn, np.float32)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class RandomNormal(_Random):
    """Normally distributed.

    Args:
        mean, stddev: of the distribution.
        seed: for the same values at every call.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = float(mean), float(stddev)

    def __call__(self, shape: Sequence[int]) -> Array:
        """Normal values of the given shape."""
        return np.asarray(
            self._generator().normal(self.mean, self.stddev, tuple(shape)), np.float32
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class _Scaled(_Random):
    """A variance of `scale / fan`, where fan is what the subclass takes of (fan_in, fan_out)."""

    scale = 1.0
    normal = False

    @staticmethod
    def fan(fan_in: float, fan_out: float) -> float:
        """The denominator of the variance."""
        raise NotImplementedError

    def __call__(self, shape: Sequence[int]) -> Array:
        """Values of the given shape with the variance that the shape calls for."""
        variance = self.scale / max(1.0, self.fan(*compute_fans(shape)))
        generator = self._generator()
        if not self.normal:
            limit = math.sqrt(3.0 * variance)
            return np.asarray(generator.uniform(-limit, limit, tuple(shape)), np.float32)
        stddev = math.sqrt(variance) / _TRUNCATED_STDDEV
        return np.asarray(stddev * _truncated_normal(generator, tuple(shape)), np.float32)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"seed": self.seed}


class GlorotUniform(_Scaled):
    """Uniform within +-sqrt(6 / (fan_in + fan_out)); the default of Conv2D and Dense."""

    @staticmethod
    def fan(fan_in: float, fan_out: float) -> float:
        """The mean of both fans."""
        return (fan_in + fan_out) / 2.0


class GlorotNormal(GlorotUniform):
    """Truncated normal with variance 2 / (fan_in + fan_out)."""

    normal = True


class LecunUniform(_Scaled):
    """Uniform within +-sqrt(3 / fan_in)."""

    @staticmethod
    def fan(fan_in: float, fan_out: float) -> float:
        """The fan in."""
        return fan_in


class LecunNormal(LecunUniform):
    """Truncated normal with variance 1 / fan_in."""

    normal = True


class HeUniform(LecunUniform):
    """Uniform within +-sqrt(6 / fan_in), for layers followed by ReLU."""

    scale = 2.0


class HeNormal(HeUniform):
    """Truncated normal with variance 2 / fan_in, for layers followed by ReLU."""

    normal = True


def compute_fans(shape: Sequence[int]) -> tuple[float, float]:
    """The inputs and outputs of one unit, (fan_in, fan_out), by Keras's rule.

    Of a kernel (KH, KW, C // groups, OC) they are the window's area times its last two sizes.
    """
    sizes = tuple(shape)
    if len(sizes) == 0:
        return 1.0, 1.0
    if len(sizes) == 1:
        return float(sizes[0]), float(sizes[0])
    area = math.prod(sizes[:-2])
    return float(area * sizes[-2]), float(area * sizes[-1])


def _truncated_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Standard normal values, drawn again while they lie beyond two standard deviations."""
    values = generator.standard_normal(math.prod(shape))
    while (outside := np.flatnonzero(np.abs(values) > 2.0)).size:
        values[outside] = generator.standard_normal(outside.size)
    return values.reshape(shape)


_BY_NAME: dict[str, Callable[[], Initializer]] = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "random_uniform": RandomUniform,
    "random_normal": RandomNormal,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
}


def get(identifier: str | Initializer | dict[str, Any]) -> Initializer:
    """The initializer of that name, or the object itself.

    Also takes what `serialize` returns. Raises ValueError for an unknown name, naming the known.
    """
    if isinstance(identifier, Initializer):
        return identifier
    if isinstance(identifier, dict):
        made = type(get(str(identifier.get("class_name"))))
        return made(**identifier.get("config", {}))
    if isinstance(identifier, str) and (make := _BY_NAME.get(_snake(identifier))):
        return make()
    raise ValueError(
        f"unknown initializer {identifier!r}: use one of {', '.join(sorted(_BY_NAME))}, "
        f"or an object of convkit.initializers"
    )


def serialize(initializer: Initializer) -> dict[str, Any]:
    """The initializer as a small JSON-able dictionary, which `get` takes back."""
    return {"class_name": type(initializer).__name__, "config": initializer.get_config()}


def _snake(name: str) -> str:
    """GlorotUniform and glorot_uniform are the same name."""
    return "".join("_" + c.lower() if c.isupper() and i else c for i, c in enumerate(name)).lower()
