"""MixUp and CutMix: batches whose images and labels are mixed with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..core import random
from ..core.parameters import Array
from ..ops._gate import as_floats
from .base import LayerOptions
from .image_layer import RandomImageLayer

if TYPE_CHECKING:
    from typing_extensions import Unpack


class _Mixing(RandomImageLayer):
    """What mixes the images of a batch, and their labels; it is called on batches alone."""

    def compute_output_shape(self, input_shape: Any) -> NoReturn:
        """Never: a layer of a model would not see the labels."""
        raise self.error(
            "it mixes labels as well, and is no part of a model: call it on the batches that fit "
            'is given, as layer({"images": x, "labels": y}), with labels in one-hot form'
        )

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """Mix a batch.

        Args:
            inputs: a dictionary of "images", (N, H, W, C), and "labels", (N, K) in one-hot form; or
                images alone.
            training: False leaves them as they are.

        Returns:
            The same, float32. Each call draws other random numbers.

        Raises:
            ValueError: of other shapes, or a symbolic tensor.
        """
        if hasattr(inputs, "node"):
            self.compute_output_shape(None)
        given = dict(inputs) if isinstance(inputs, Mapping) else {"images": inputs}
        if "images" not in given or not given.keys() <= {"images", "labels"}:
            raise self.error(f'it takes "images" and "labels", received {[*given]}')
        found = {name: as_floats(name, value) for name, value in given.items()}
        images = found["images"]
        if images.ndim != 4 or images.size == 0:
            raise self.error(f"images must have shape (N, H, W, C), received {images.shape}")
        if "labels" in found and (found["labels"].ndim != 2 or len(found["labels"]) != len(images)):
            raise self.error(
                f"labels must be one-hot, ({len(images)}, K), for they are mixed, received shape "
                f"{found['labels'].shape}; use utils.to_categorical"
            )
        if training is None or training:
            found = self.mix(found, self.parameters(images.shape))
        return found if isinstance(inputs, Mapping) else found["images"]

    def parameters(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """The random parameters of a batch of images."""
        raise NotImplementedError

    def mix(self, batch: Mapping[str, Array], parameters: Mapping[str, Any]) -> dict[str, Array]:
        """A batch mixed with such parameters."""
        raise NotImplementedError

    def generator(self) -> np.random.Generator:
        """The random numbers of a call."""
        seed = random.seed() if self.seed is None else self.seed
        return random.generator(seed, random.Stream.MIXING, self.next_step(), self.index)


def _mixed_labels(batch: Mapping[str, Array], parameters: Mapping[str, Any]) -> dict[str, Array]:
    if "labels" not in batch:
        return {}
    labels, weight = batch["labels"], np.reshape(parameters["mix_weight"], (-1, 1))
    others = labels[parameters["permutation_order"]]
    return {"labels": (weight * labels + (1.0 - weight) * others).astype(np.float32)}


class MixUp(_Mixing):
    """Blend each image, and its label, with another one of the batch.

    (H. Zhang et al., "mixup: beyond empirical risk minimization", 2017.)

    Args:
        alpha: the weight of an image is drawn from the distribution Beta(alpha, alpha).
        data_format: None or "channels_last", the only layout there is.
        seed: of the random numbers; by default the seed of the process.

    Example:
        >>> mix = convkit.layers.MixUp()
        >>> batch = mix({"images": x, "labels": convkit.utils.to_categorical(y)})
    """

    def __init__(
        self,
        alpha: float = 0.2,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(data_format=data_format, seed=seed, **options)
        self.alpha = self.check_number(alpha, "alpha")
        if self.alpha <= 0.0:
            raise self.error(f"alpha must be positive, received {alpha!r}")

    def parameters(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """`mix_weight` and `permutation_order`, (n,) each."""
        generator = self.generator()
        order = generator.permutation(shape[0])
        weight = generator.beta(self.alpha, self.alpha, shape[0])
        return {"permutation_order": order, "mix_weight": weight}

    def mix(self, batch: Mapping[str, Array], parameters: Mapping[str, Any]) -> dict[str, Array]:
        """A batch blended with itself in another order."""
        images = batch["images"]
        weight = np.float32(parameters["mix_weight"]).reshape(-1, 1, 1, 1)
        others = images[parameters["permutation_order"]]
        mixed = weight * images + (np.float32(1.0) - weight) * others
        return {"images": mixed, **_mixed_labels(batch, parameters)}


class CutMix(_Mixing):
    """Put a part of another image of the batch into each, and mix the labels by its area.

    (S. Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable
    features", 2019.)

    Args:
        factor: the share of an image that stays is drawn from the distribution Beta(a, a), with a
            drawn between two numbers for each batch, or from 0 to one, at most 1.
        seed: of the random numbers; by default the seed of the process.
        data_format: None or "channels_last", the only layout there is.
    """

    def __init__(
        self,
        factor: float | Sequence[float] = 1.0,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        self.factor = self.check_range(factor, "factor", 0.0, 1.0)

    def parameters(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """`boxes`, top, bottom, left and right, (n, 4); `mix_weight`; `permutation_order`."""
        generator, (n, *sides, _) = self.generator(), shape
        alpha = generator.uniform(*self.factor) + 1e-6
        part = np.sqrt(1.0 - generator.beta(alpha, alpha, n))
        edges, area = [], np.ones(n)
        for side in sides:
            length = part * side
            begin = generator.random(n) * (side - length)
            edges += [np.ceil(begin), np.ceil(begin + length)]
            area *= length / side
        return {
            "boxes": np.stack(edges, axis=-1).astype(np.int64),
            "mix_weight": 1.0 - area,
            "permutation_order": generator.permutation(n),
        }

    def mix(self, batch: Mapping[str, Array], parameters: Mapping[str, Any]) -> dict[str, Array]:
        """A batch with boxes of itself in another order."""
        images = batch["images"].copy()
        order = parameters["permutation_order"]
        for i, (top, bottom, left, right) in enumerate(parameters["boxes"]):
            images[i, top:bottom, left:right] = batch["images"][order[i], top:bottom, left:right]
        return {"images": images, **_mixed_labels(batch, parameters)}
