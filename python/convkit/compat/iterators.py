"""Iterators over images, which transform them and make batches; those over arrays."""

# ruff: noqa: NPY002 - scripts seed `numpy.random`, and are to get the numbers that they got before

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator as Passes
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from ..core.parameters import Array

__all__ = ["Images", "Iterator", "NumpyArrayIterator"]

FORMATS = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")


class Iterator:
    """Batches without end, or by their numbers: `next(iterator)` and `iterator[i]`.

    Args:
        n: samples.
        batch_size: of all batches but the last of a pass.
        shuffle: whether each pass has an order of its own.
        seed: of the order and of what is drawn for each batch; None leaves `numpy.random` alone.
    """

    white_list_formats = FORMATS

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: Any) -> None:
        self.n, self.batch_size, self.shuffle, self.seed = n, int(batch_size), shuffle, seed
        self.batch_index = self.total_batches_seen = 0
        self.index_array: Array | None = None
        self.lock = threading.Lock()
        self.index_generator = self._flow_index()

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        with self.lock:
            index_array = next(self.index_generator)
        return self._get_batches_of_transformed_samples(index_array)

    def next(self) -> Any:
        """The next batch."""
        return self.__next__()

    def __getitem__(self, index: int) -> Any:
        return self._get_batches_of_transformed_samples(self._places(index))

    def _places(self, index: int) -> Array:
        """The numbers of the samples of a batch."""
        if not 0 <= index < len(self):
            raise ValueError(f"there are {len(self)} batches, and none with the number {index}")
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)
        self.total_batches_seen += 1
        if self.index_array is None:
            self._set_index_array()
        assert self.index_array is not None
        return self.index_array[self.batch_size * index : self.batch_size * (index + 1)]

    def reset(self) -> None:
        """Let the next batch be the first one."""
        self.batch_index = 0

    def on_epoch_end(self) -> None:
        """Draw another order."""
        self._set_index_array()

    def _set_index_array(self) -> None:
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _flow_index(self) -> Passes[Array]:
        while True:
            if self.seed is not None:
                np.random.seed(self.seed + self.total_batches_seen)
            if self.batch_index == 0 or self.index_array is None:
                self._set_index_array()
            assert self.index_array is not None
            start = (self.batch_index * self.batch_size) % max(self.n, 1)
            self.batch_index = self.batch_index + 1 if self.n > start + self.batch_size else 0
            self.total_batches_seen += 1
            yield self.index_array[start : start + self.batch_size]

    def batches(self) -> Passes[Any]:
        """The batches of a pass in order, made by threads ahead of time.

        What is drawn at random is drawn here, in order, so that the threads' timing does not count.
        """
        workers = max(1, min(8, os.cpu_count() or 1))
        with ThreadPoolExecutor(workers) as pool:
            waiting: deque[Future[Any]] = deque()
            try:
                for index in range(len(self)):
                    places = self._places(index)
                    waiting.append(pool.submit(self._make, places, self._draw(places)))
                    if len(waiting) > workers + 1:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for each in waiting:
                    each.cancel()

    def _get_batches_of_transformed_samples(self, index_array: Array) -> Any:
        return self._make(index_array, self._draw(index_array))

    def _draw(self, places: Array) -> list[Any]:
        """What is drawn at random for some samples, one entry for each."""
        return [None] * len(places)

    def _make(self, places: Array, drawn: list[Any]) -> Any:
        """The batch of some samples, with what was drawn for them."""
        raise NotImplementedError


class Images(Iterator):
    """What iterators over arrays and files share: they transform, standardize and keep pictures."""

    image_data_generator: Any
    image_shape: tuple[int, ...]
    data_format: str
    dtype: Any
    save_to_dir: Any
    save_prefix: str
    save_format: str

    def _draw(self, places: Array) -> list[Any]:
        if self.image_data_generator is None:
            return [None] * len(places)
        return [self.image_data_generator.get_random_transform(self.image_shape) for _ in places]

    def _image(self, place: int) -> Array:
        raise NotImplementedError

    def _pictures(self, places: Array, drawn: list[Any]) -> Array:
        """The images of a batch."""
        batch: Array = np.empty((len(places), *self.image_shape), self.dtype)
        for image, place in zip(batch, places, strict=True):
            image[...] = self._image(place)
        generator = self.image_data_generator
        if generator is not None:
            batch = generator.transform(batch, drawn)
            for i, image in enumerate(batch):
                batch[i] = generator.standardize(image)
        if self.save_to_dir:
            self._save(batch, places)
        return batch

    def _save(self, batch: Array, places: Array) -> None:
        from ..utils import array_to_img

        for image, place in zip(batch, places, strict=True):
            if self.data_format == "channels_first":
                image = np.moveaxis(image, 0, -1)
            name = f"{self.save_prefix}_{place}_{np.random.randint(10**7)}.{self.save_format}"
            array_to_img(image, scale=True).save(os.path.join(self.save_to_dir, name))


class NumpyArrayIterator(Images):
    """Batches of images in an array; see `ImageDataGenerator.flow`."""

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: Any = None,
        data_format: Any = "channels_last",
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: Any = None,
        ignore_class_split: bool = False,
        dtype: Any = np.float32,
    ) -> None:
        more: Any = []
        if isinstance(x, tuple | list) and len(x) == 2 and np.ndim(x[0]) == 4:
            x, more = (
                x[0],
                [np.asarray(each) for each in (x[1] if isinstance(x[1], list) else [x[1]])],
            )
        self.x, self.x_misc = np.asarray(x, dtype), more
        self.y = None if y is None else np.asarray(y)
        self.sample_weight = None if sample_weight is None else np.asarray(sample_weight)
        if self.x.ndim != 4:
            raise ValueError(
                f"flow needs images (n, height, width, channels), received shape {self.x.shape}"
            )
        for what in (*more, *(each for each in (self.y, self.sample_weight) if each is not None)):
            if len(what) != len(self.x):
                raise ValueError(
                    f"flow needs as many targets and weights as images, received {len(what)} for "
                    f"{len(self.x)} images"
                )
        self.image_data_generator, self.dtype = image_data_generator, dtype
        self.data_format, self.save_to_dir = data_format, save_to_dir
        self.save_prefix, self.save_format = save_prefix, save_format
        if subset is not None:
            self._take(subset)
        self.image_shape = self.x.shape[1:]
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _take(self, subset: str) -> None:
        if subset not in ("training", "validation"):
            raise ValueError(f"subset must be 'training' or 'validation', received {subset!r}")
        at = int(len(self.x) * self.image_data_generator._validation_split)
        part = slice(None, at) if subset == "validation" else slice(at, None)
        self.x, self.x_misc = self.x[part], [each[part] for each in self.x_misc]
        self.y = None if self.y is None else self.y[part]
        if self.sample_weight is not None:
            self.sample_weight = self.sample_weight[part]

    def _image(self, place: int) -> Array:
        image: Array = self.x[place]
        return image

    def _make(self, places: Array, drawn: list[Any]) -> Any:
        images = self._pictures(places, drawn)
        x = [images, *(each[places] for each in self.x_misc)] if self.x_misc else images
        if self.y is None:
            return x
        if self.sample_weight is None:
            return x, self.y[places]
        return x, self.y[places], self.sample_weight[places]
