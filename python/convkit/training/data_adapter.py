"""From the user's data to a model's batches: which kind they are, checks, conversion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..core.parameters import Array
from ..core.warn import warn
from ..layers.graph import Graph
from ..layers.structure import Structure
from ..losses import BinaryCrossentropy, BinaryFocalCrossentropy, Loss
from . import data
from .batches import (
    DEFAULT_BATCH_SIZE,
    ArrayBatches,
    Batches,
    IterableBatches,
    is_iterable_of_batches,
)
from .data import Expected, Samples
from .images import arranged, as_images, check_images
from .items import as_item_batches

_PROBABILITIES = ("softmax", "sigmoid")
_BINARY = (BinaryCrossentropy, BinaryFocalCrossentropy)


class TakesData(Protocol):
    """What data are made fit for: a model, of which this much is asked."""

    @property
    def built(self) -> bool:
        """Whether the shapes are known."""

    @property
    def graph(self) -> Graph:
        """The layers and how they are connected."""

    @property
    def input_names(self) -> list[str]:
        """What the inputs are called."""

    @property
    def output_names(self) -> list[str]:
        """What the outputs are called."""

    def _structure(self, which: int) -> Structure:
        """How inputs (0) and outputs (1) are given."""

    def _build_for(self, images: Sequence[Array]) -> Graph:
        """The graph; a Sequential is built for the images if need be."""


class DataAdapter:
    """Makes batches of arrays, or of what yields batches, as a model's layers and losses need them.

    Args:
        model: that is to take them.
        graph: the model's, once it is connected.
        losses: of its outputs, which say what targets look like; none before `compile`.
    """

    __slots__ = ("_graph", "_losses", "_model")

    def __init__(
        self, model: TakesData, graph: Graph | None, losses: Sequence[Loss | None]
    ) -> None:
        self._model, self._graph, self._losses = model, graph, losses

    def batches(
        self,
        what: str,
        x: Any,
        y: Any,
        sample_weight: Any,
        batch_size: int | None,
        steps: int | None,
        *,
        class_weight: Mapping[int, float] | None = None,
        order: Callable[[int, int, int], Array] | None = None,
        seed: int | None = None,
    ) -> Batches:
        """Batches of arrays, of `Samples` or of an iterable.

        `what` is who asks: it needs targets unless it is empty. `seed` is that of the order of an
        iterable which leaves it to the model.
        """

        def convert(x: Any, y: Any, sample_weight: Any) -> Samples:
            if not what:
                return self.samples(x)
            samples = x if isinstance(x, Samples) else self.samples(x, y, sample_weight, what)
            return self.weighted(samples, class_weight)

        if y is None and sample_weight is None:
            names = self._model.input_names if self._model.built else ()
            items = as_item_batches(x, batch_size or DEFAULT_BATCH_SIZE, names, bool(what))
            x = x if items is None else items
        if callable(x) and not is_iterable_of_batches(x) and not hasattr(x, "__array__"):
            name = getattr(x, "__name__", type(x).__name__)
            kind = "class" if isinstance(x, type) else "function"
            raise TypeError(
                f"{what or 'predict'}: x must be arrays or an iterable of batches, received the "
                f"{kind} {name}; call it, as {name}(...), and give what it returns"
            )
        if not is_iterable_of_batches(x, y, with_targets=bool(what)):
            return ArrayBatches(convert(x, y, sample_weight), batch_size, steps, order)
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(
                    f"{what}: x is an iterable of batches, so {name} must not be given; let each "
                    f"batch be (x, y) or (x, y, sample_weight)"
                )
        return IterableBatches(x, convert, steps, seed, order)

    def weighted(self, samples: Samples, class_weight: Mapping[int, float] | None) -> Samples:
        """The samples with weights by their classes, if those are given."""
        return data.weighted_by_class(samples, class_weight, self._model.graph.outputs[0].sizes[-1])

    def validation(self, value: Any, batch_size: int | None, steps: int | None) -> Batches:
        x, y, sample_weight = value, None, None
        given = isinstance(value, tuple) and not self._is_single()
        if given or not is_iterable_of_batches(value):
            if not isinstance(value, list | tuple) and not callable(value):
                raise ValueError(
                    f"validation_data must be (x, y), (x, y, sample_weight) or an iterable of "
                    f"batches, received {type(value).__name__}"
                )
            x, y, sample_weight = data.unpack(value, "validation_data")
        try:
            return self.batches("validation_data", x, y, sample_weight, batch_size, steps)
        except (TypeError, ValueError) as error:
            raise type(error)(f"in validation_data: {error}") from error

    def split(self, x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[Samples, Samples]:
        """Samples to train on and samples to validate with."""
        if is_iterable_of_batches(x, y):
            raise ValueError(
                "validation_split needs arrays; with an iterable of batches, give validation_data"
            )
        return data.split_validation(self.samples(x, y, sample_weight, "fit"), fraction)

    def samples(self, x: Any, y: Any = None, sample_weight: Any = None, what: str = "") -> Samples:
        if what and y is None:
            pair = isinstance(x, tuple) and len(x) in (2, 3)
            hint = f"; x is a tuple: write {what}(x, y)" if pair else ""
            raise ValueError(
                f"{what} needs y, the targets; an iterable must give batches (x, y){hint}"
            )
        if self._is_single():
            return self._samples_of_one(x, y, sample_weight)
        graph, inputs = self._model.graph, self._model._structure(0)
        expected = Expected(
            [tensor.sizes for tensor in graph.inputs],
            list(zip(self._losses, (tensor.sizes for tensor in graph.outputs), strict=False)),
            self._model.input_names,
            self._model.output_names,
        )
        given = inputs.flatten(x, "x", leaf=np.ndarray)
        outputs, targets, weights = self._model._structure(1), None, None
        if y is not None and self._losses:
            targets = outputs.flatten(y, "y", leaf=np.ndarray)
            if isinstance(sample_weight, list | tuple | Mapping):
                weights = outputs.flatten(sample_weight, "sample_weight", leaf=np.ndarray)
            else:
                weights = [sample_weight] * len(targets)
        return data.samples(given, targets, expected, weights)

    def _samples_of_one(self, x: Any, y: Any, sample_weight: Any) -> Samples:
        """Those of a model with one input and one output."""
        if type(x) is not np.ndarray:
            if isinstance(x, Mapping) and list(x) == self._model.input_names:
                x = x[self._model.input_names[0]]
            if isinstance(x, list | tuple) and len(x) == 1 and self._is_batch(x[0]):
                x = x[0]  # as Keras takes the inputs of a model, of which there is one
        if isinstance(y, Mapping) and list(y) == self._model.output_names:
            y = y[self._model.output_names[0]]
        images = as_images(x)
        if isinstance(y, list | tuple) and len(y) == 1 and np.shape(y[0])[:1] == images.shape[:1]:
            y = y[0]  # the only output's
        graph = self._graph or self._model._build_for([images])
        sizes = graph.inputs[0].sizes
        images = arranged(images, x, sizes)
        if y is None:
            check_images(images, sizes)
            return Samples([images])
        loss = self._losses[0] if self._losses else None
        expected = Expected([sizes], [(loss, graph.outputs[0].sizes)])
        return data.samples([images], [y], expected, [sample_weight])

    def _is_single(self) -> bool:
        """Whether it has one input and one output; a Sequential has before it is built."""
        graph = self._graph
        if graph is None:
            if not self._model.built:
                return True
            graph = self._model.graph
        return len(graph.inputs) == len(graph.outputs) == 1

    def _is_batch(self, value: Any) -> bool:
        """Whether a value has the rank of a batch of this model's input, once that is built."""
        rank = len(getattr(value, "shape", ()))
        return self._model.built and rank == len(self._model.graph.inputs[0].shape)


def check_ends(
    losses: Sequence[Loss | None], ends: Sequence[tuple[str | None, int | None]]
) -> None:
    """Warn where a loss is given what it does not expect, which trains badly.

    `ends` are the activations of the outputs, and the sizes of their last axes, None if not known.
    """
    for loss, (end, width) in zip(losses, ends, strict=True):
        if loss is not None:
            _check_end(loss, end, width)


def _check_end(loss: Loss, end: str | None, width: int | None) -> None:
    if end == "softmax" and width == 1:
        warn(
            "the model ends with a softmax over a single value, which is always 1: give its last "
            "layer activation='sigmoid' and take loss='binary_crossentropy', or give it a unit for "
            "each class"
        )
        return
    from_logits = getattr(loss, "from_logits", None)
    if from_logits is None or end is None:
        return
    kind, binary = type(loss).__name__, isinstance(loss, _BINARY)
    if from_logits and end in _PROBABILITIES:
        warn(
            f"{kind}(from_logits=True) expects an output without softmax or sigmoid, and the "
            f"model ends with {end}: leave one of the two out"
        )
    elif not from_logits and end not in _PROBABILITIES:
        fitting = "sigmoid" if binary else "softmax"
        warn(
            f"{kind} expects probabilities, and the model ends with the activation {end!r}: "
            f"give its last layer activation={fitting!r}, or the loss as "
            f"{kind}(from_logits=True)"
        )
    elif not from_logits and end == "sigmoid" and not binary:
        warn(
            f"{kind} expects probabilities that add up to 1, and the model ends with the "
            f"activation 'sigmoid': give its last layer activation='softmax', or, where "
            f"several classes may be right at once, take loss='binary_crossentropy'"
        )
