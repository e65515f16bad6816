"""From what the user has to what a batch needs.

Everything is checked and converted here once, before training. uint8 images stay uint8 until
a batch is gathered into the plan's buffer, which spares three quarters of the memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..core.config import as_number
from ..core.parameters import Array
from ..core.processes import Processes
from ..core.warn import warn
from ..losses import Loss
from ..ops._gate import as_array
from .images import arranged, as_images, check_images

Data = ArrayLike | Iterable[Any]  # what `as_images` takes, or batches of it

_NAMED_CLASSES = 10  # so many are listed in a warning


class Samples:
    """What a model takes and, for training, its targets, ready for the ops.

    Args:
        inputs: one array for each input of the model.
        targets: one array for each output that has a loss; none where nothing is known.
        weights: as many, or None for ones everywhere.

    Attributes:
        inputs: float32 or uint8, each (n, ...), C-contiguous.
        targets: each as its loss has prepared them, (n, ...).
        weights: each float32, the factors of the samples' losses, (n,), or of the positions' of
            every sample, (n, ...); or None for ones.
        whole: the samples of the batch that these are a process's share of; None where they are
            no share.
    """

    __slots__ = ("inputs", "targets", "weights", "whole")

    def __init__(
        self,
        inputs: Sequence[Array],
        targets: Sequence[Array] = (),
        weights: Sequence[Array | None] | None = None,
    ) -> None:
        self.inputs = tuple(inputs)
        self.targets = tuple(targets)
        self.weights = (None,) * len(self.targets) if weights is None else tuple(weights)
        self.whole: int | None = None

    def __len__(self) -> int:
        return len(self.inputs[0])

    def part(self, start: int, stop: int) -> Samples:
        """Some neighbouring samples, without copying."""
        return Samples(
            [array[start:stop] for array in self.inputs],
            [array[start:stop] for array in self.targets],
            [None if array is None else array[start:stop] for array in self.weights],
        )

    def gathered(self, everyone: Processes) -> Samples:
        """The whole batch that these are a share of."""
        whole = self.whole
        assert whole is not None
        own = [array for array in self.weights if array is not None]
        gathered = iter(everyone.gather([*self.inputs, *self.targets, *own], whole))
        inputs, targets = ([next(gathered) for _ in each] for each in (self.inputs, self.targets))
        weights = [None if array is None else next(gathered) for array in self.weights]
        return Samples(inputs, targets, weights)

    def batches(self, batch_size: int, order: Array | None = None) -> Iterator[Array]:
        """The indices of each batch; the last may be smaller."""
        indices = np.arange(len(self), dtype=np.int64) if order is None else order
        for start in range(0, len(indices), batch_size):
            yield indices[start : start + batch_size]


class Expected(NamedTuple):
    """What a model takes.

    Attributes:
        inputs: the sizes of a sample of each input.
        outputs: the loss and the sizes of a sample of each output; without a loss, its targets do
            not count.
        names: of the inputs, where there are several.
        output_names: likewise.
    """

    inputs: Sequence[tuple[int, ...]]
    outputs: Sequence[tuple[Loss | None, tuple[int, ...]]] = ()
    names: Sequence[str] = ()
    output_names: Sequence[str] = ()


def samples(
    inputs: Sequence[Any],
    targets: Sequence[Any] | None,
    expected: Expected,
    sample_weight: Sequence[Any] | None = None,
) -> Samples:
    """Check and convert inputs, targets and weights.

    Args:
        inputs: for each input of the model the samples, (n, ...).
        targets: for each output, or None.
        expected: what the model takes.
        sample_weight: the factors of the samples' losses, as `as_weights` takes them, or None; one
            for each output, or None.

    Raises:
        ValueError: empty, of the wrong shape, of different lengths, labels out of range, or a
            weight that is not finite.
        TypeError: not numbers.
    """
    arrays = []
    for i, (given, sizes) in enumerate(zip(inputs, expected.inputs, strict=True)):
        try:
            arrays.append(arranged(as_images(given), given, sizes))
            check_images(arrays[-1], sizes)
        except (TypeError, ValueError) as error:
            if len(expected.inputs) < 2:
                raise
            raise type(error)(f'input "{expected.names[i]}": {error}') from error
    count = len(arrays[0])
    if any(len(array) != count for array in arrays):
        raise ValueError(
            f"all inputs must have the same number of samples, received {[*map(len, arrays)]}"
        )
    if targets is None or all(loss is None for loss, _ in expected.outputs):
        return Samples(arrays)
    prepared: list[Array] = []
    weights: list[Array | None] = []
    for i, (loss, sizes) in enumerate(expected.outputs):
        if loss is None:
            continue
        try:
            prepared.append(loss.prepare(as_array("y", targets[i]), sizes))
            if len(prepared[-1]) != count:
                raise ValueError(
                    f"x has {count} samples and y has {len(prepared[-1])}: there must be one "
                    f"target for each sample"
                )
            own = None if sample_weight is None else sample_weight[i]
            weights.append(None if own is None else as_weights(own, count, sizes[:-1]))
        except (TypeError, ValueError) as error:
            if len(expected.outputs) < 2:
                raise
            raise type(error)(f'output "{expected.output_names[i]}": {error}') from error
    return Samples(arrays, prepared, weights)


def as_weights(sample_weight: ArrayLike, count: int, positions: tuple[int, ...] = ()) -> Array:
    """Return the weights of `count` samples, or of each of their positions, as float32.

    Args:
        sample_weight: (n,) or (n, 1), or (n, *positions).
        count: n.
        positions: the sizes of the output without its first and last axis, as those of an image.

    Raises:
        TypeError: not real numbers.
        ValueError: of another shape, or not finite.
    """
    array = as_array("sample_weight", sample_weight)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"sample_weight must be numbers, received dtype {array.dtype}")
    shape = array.shape
    if shape == (count, *positions, 1) and positions:
        shape = shape[:-1]
    if shape != (count, *positions):
        if shape[:1] != (count,) or set(shape[1:]) - {1}:
            each = f", or {(count, *positions)}, one for each position" if positions else ""
            raise ValueError(
                f"sample_weight must have shape ({count},), one number for each sample{each}, "
                f"received {array.shape}"
            )
        shape = (count,)
    weights = np.ascontiguousarray(array.reshape(shape), np.float32)
    finite = np.isfinite(weights)
    if not finite.all():
        position = int(finite.argmin())
        raise ValueError(
            f"sample_weight must be finite, received {weights.flat[position]} at position "
            f"{position}"
        )
    return weights


def weighted_by_class(
    samples: Samples, class_weight: Mapping[int, float] | None, classes: int
) -> Samples:
    """Weight each sample by its class, as Keras does: a class that is not named counts 1.

    The class is the label; of one-hot labels it is the place of the largest, of other numbers the
    nearest integer. Where every position of a sample has a class, each has its weight.

    Args:
        samples: with targets.
        class_weight: the weight of each class.
        classes: the width of the model's output: so many classes there are, unless the targets are
            numbers and no labels.

    Raises:
        ValueError: the samples have weights already, a weight is not finite, or there is no such
            class.
        TypeError: no mapping from integers to numbers.
    """
    if class_weight is None:
        return samples
    if any(weight is not None for weight in samples.weights):
        raise ValueError("give class_weight or sample_weight, not both")
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"class_weight must be a dictionary such as {{0: 1.0, 1: 5.0}}, received "
            f"{type(class_weight).__name__}"
        )
    if len(samples.targets) != 1:
        raise ValueError("class_weight is for models with one output; give sample_weight instead")
    (targets,) = samples.targets
    are_labels = targets.dtype.kind in "iu"
    one_hot = not are_labels and targets.ndim > 1 and targets.shape[-1] > 1
    if one_hot:
        labels = targets.argmax(axis=-1)
    else:
        labels = np.rint(targets if are_labels or targets.ndim == 1 else targets[..., 0])
    weights = np.ones(labels.shape, np.float32)
    for label, weight in class_weight.items():
        if isinstance(label, bool | str) or not hasattr(label, "__index__"):
            raise TypeError(f"class_weight must have integers as keys, received {label!r}")
        if not 0 <= label < classes and (are_labels or one_hot):
            raise ValueError(
                f"class_weight names the class {label}, but the model's output has the classes "
                f"0 .. {classes - 1}"
            )
        if not math.isfinite(weight):
            raise ValueError(f"class_weight of class {label} must be finite, received {weight!r}")
        weights[labels == label] = weight
    return Samples(samples.inputs, samples.targets, [weights])


def split_validation(data: Samples, fraction: float) -> tuple[Samples, Samples]:
    """Split off the last samples for validation, before any shuffling, exactly as Keras does.

    The first floor(n * (1 - fraction)) samples stay for training. Warns where a class occurs on
    one side only, as happens when the samples are sorted.

    Raises:
        ValueError: the fraction is not within 0 .. 1, or one side would be empty.
    """
    share = as_number(fraction)
    if share is None or not 0.0 < share < 1.0:
        raise ValueError(
            f"validation_split must lie between 0 and 1, such as 0.2 for a fifth of the samples, "
            f"received {fraction!r}"
        )
    count = len(data)
    split = math.floor(count * (1.0 - fraction))
    if split in (0, count):
        raise ValueError(
            f"validation_split={fraction} of {count} samples leaves {split} for training and "
            f"{count - split} for validation; both need at least one"
        )
    training, validation = data.part(0, split), data.part(split, count)
    _warn_of_missing_classes(training, validation)
    return training, validation


def _warn_of_missing_classes(training: Samples, validation: Samples) -> None:
    one, two = _classes(training), _classes(validation)
    for missing, here, there in (
        (one - two, "the validation split", "the training data"),
        (two - one, "the training data", "the validation split"),
    ):
        if missing:
            names = ", ".join(map(str, sorted(missing)[:_NAMED_CLASSES]))
            more = ", ..." if len(missing) > _NAMED_CLASSES else ""
            warn(
                f"validation_split takes the last samples as they come, and {here} has none of "
                f"the classes {names}{more}, which {there} has; shuffle x and y together before "
                f"fit, or give validation_data"
            )


def _classes(data: Samples) -> set[int]:
    if len(data.targets) != 1:
        return set()
    (targets,) = data.targets
    if targets.dtype.kind in "iu":
        return set(np.unique(targets).tolist())
    if targets.ndim == 2 and targets.shape[1] > 1 and _is_one_hot(targets):
        return set(np.flatnonzero(targets.any(axis=0)).tolist())
    return set()


def _is_one_hot(rows: Array) -> bool:
    return bool(((rows == 0.0) | (rows == 1.0)).all() and (rows.sum(axis=1) == 1.0).all())


def unpack(value: Any, name: str) -> tuple[Any, Any, Any]:
    """Return x, y and sample_weight of a tuple that the user gave; y and weights may be missing.

    As in Keras, a list counts as a tuple, and anything else is x alone. Raises ValueError for a
    tuple of another length.
    """
    if not isinstance(value, list | tuple):
        return value, None, None
    if not 1 <= len(value) <= 3:
        raise ValueError(
            f"{name} must be (x, y) or (x, y, sample_weight), received {len(value)} items"
        )
    return (*value, None, None)[:3]
