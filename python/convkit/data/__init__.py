"""Data as a stream: elements that are read, changed and put into batches while a model trains.

    >>> dataset = convkit.utils.image_dataset_from_directory("flowers", image_size=(64, 64))
    >>> dataset = dataset.map(lambda images, labels: (images / 255.0, labels)).prefetch(2)
    >>> model.fit(dataset, epochs=10)

`Dataset` has the methods of TensorFlow's `tf.data.Dataset` that scripts use, on NumPy arrays.
"""

from __future__ import annotations

from .dataset import Dataset

__all__ = ["Dataset"]


def __dir__() -> list[str]:
    return __all__
