"""From the user's arrays to batches: conversions, checks, splits."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from convkit import losses
from convkit.training import data, images
from convkit.training.data import Samples

LOSS = losses.SparseCategoricalCrossentropy()


def test_float32_and_uint8_are_used_as_they_are() -> None:
    for dtype in (np.float32, np.uint8):
        x = np.ones((4, 3, 3, 1), dtype)
        assert images.as_images(x) is x
        assert data.Samples([x]).part(1, 3).inputs[0].base is x


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.astype(np.float64),
        lambda x: x.astype(np.int64),
        lambda x: x.astype(np.float16),
        lambda x: x.astype(">f4"),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=2)[:, :, ::2],
        lambda x: x[::-1][::-1],
        lambda x: x.tolist(),
        list,
    ],
)
def test_other_arrays_are_converted_once(make: Any) -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4, 1)
    converted = images.as_images(make(x))
    np.testing.assert_array_equal(converted, x)
    assert converted.dtype == np.float32
    assert converted.dtype.isnative
    assert converted.flags.c_contiguous
    assert images.as_images(converted) is converted


def test_booleans_and_strided_bytes() -> None:
    flags = np.array([[True, False]])
    assert images.as_images(flags).dtype == np.float32
    sliced = np.arange(24, dtype=np.uint8).reshape(2, 12)[:, ::2]
    converted = images.as_images(sliced)
    assert converted.dtype == np.uint8
    assert converted.flags.c_contiguous
    np.testing.assert_array_equal(converted, sliced)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((0, 3, 3, 1)), ValueError, r"at least one sample, received shape \(0, 3, 3, 1\)"),
        ([], ValueError, "at least one sample"),
        (3.0, ValueError, "at least one sample"),
        (["a", "b"], TypeError, "real numbers"),
        (np.zeros((2, 2), complex), TypeError, "complex"),
        (np.zeros(2, object), TypeError, "object"),
        (None, TypeError, "NoneType"),
        ("a.png", TypeError, "read the files first"),
        (["a.png", "b.png"], TypeError, "read the files first"),
        ({"x": np.zeros((2, 2))}, TypeError, r"give one of its arrays: x\['x'\]"),
        (lambda: iter(()), TypeError, "call the generator function"),
        (np.array([np.zeros(2), np.zeros(3)], object), TypeError, r"one size.*numpy.stack\(x\)"),
        ([np.zeros((2, 2)), np.zeros((3, 2))], ValueError, "cannot become one array"),
    ],
)
def test_what_cannot_be_images(x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        images.as_images(x)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((5, 28, 28), r"x\[..., numpy.newaxis\]"),
        ((28, 28, 1), r"x\[numpy.newaxis\]"),
        ((5, 1, 28, 28), r"numpy.moveaxis\(x, 1, -1\)"),
        ((5, 784), r"numpy.reshape\(x, \(-1, 28, 28, 1\)\)"),
        ((28, 28), r"x\[numpy.newaxis, ..., numpy.newaxis\]"),
        ((5, 28, 28, 3), "for 1 channels, use x.mean"),
        ((5, 28, 28, 2), "change the images, or the input shape"),
        ((5, 20, 28, 3), "change the images, or the input shape"),
        ((5,), "change the images"),
    ],
)
def test_wrong_shapes_come_with_a_remedy(shape: tuple[int, ...], hint: str) -> None:
    with pytest.raises(ValueError, match=rf"\(N, 28, 28, 1\).*received .*{hint}"):
        images.check_images(np.zeros(shape, np.float32), (28, 28, 1))


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="x has 3 samples and y has 2"):
        data.samples([np.zeros((3, 4))], [[0, 1]], data.Expected([(4,)], [(LOSS, (2,))]))


def test_batches_cover_every_sample_once() -> None:
    samples = Samples([np.zeros((10, 1), np.float32)])
    sizes = [len(batch) for batch in samples.batches(4)]
    assert sizes == [4, 4, 2]
    order = np.random.default_rng(0).permutation(10)
    np.testing.assert_array_equal(np.concatenate(list(samples.batches(3, order))), order)


@pytest.mark.parametrize(
    ("count", "fraction", "kept"),
    [(10, 0.3, 7), (60000, 0.3, 42000), (50000, 0.3, 35000), (7, 0.5, 3), (3, 0.1, 2)],
)
def test_the_split_is_the_tail_as_in_keras(count: int, fraction: float, kept: int) -> None:
    samples = Samples([np.arange(count, dtype=np.float32)[:, None]], [np.zeros(count, np.int64)])
    training, validation = data.split_validation(samples, fraction)
    assert (len(training), len(validation)) == (kept, count - kept)
    np.testing.assert_array_equal(training.inputs[0][:, 0], np.arange(kept))
    np.testing.assert_array_equal(validation.inputs[0][:, 0], np.arange(kept, count))
    assert np.shares_memory(training.inputs[0], samples.inputs[0]), "a split copies nothing"


@pytest.mark.parametrize("fraction", [1.0, -0.1, 1.5, float("nan"), True, "0.2"])
def test_a_fraction_out_of_range(fraction: Any) -> None:
    with pytest.raises(ValueError, match="validation_split must lie between 0 and 1"):
        data.split_validation(Samples([np.zeros((4, 1))]), fraction)


def test_an_empty_side() -> None:
    with pytest.raises(ValueError, match="leaves 0 for training and 1"):
        data.split_validation(Samples([np.zeros((1, 1))]), 0.3)


def test_a_class_that_one_side_lacks_is_named() -> None:
    y = np.sort(np.arange(10) % 5)
    samples = Samples([np.zeros((10, 1))], [y])
    with pytest.warns(UserWarning, match="the last samples") as record:
        data.split_validation(samples, 0.3)
    texts = [str(warning.message) for warning in record]
    assert len(texts) == 2
    assert "the validation split has none of the classes 0, 1, 2, which the training" in texts[0]
    assert "the training data has none of the classes 4, which the validation split" in texts[1]
    one_hot = Samples([np.zeros((10, 1))], [np.eye(5, dtype=np.float32)[y]])
    with pytest.warns(UserWarning, match="the last samples") as record:
        data.split_validation(one_hot, 0.3)
    assert [str(warning.message) for warning in record] == texts


def test_many_missing_classes_are_abridged() -> None:
    samples = Samples([np.zeros((40, 1))], [np.arange(40)])
    with pytest.warns(UserWarning, match="the last samples") as record:
        data.split_validation(samples, 0.5)
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..., which" in str(record[0].message)


def test_no_warning_for_mixed_labels_or_numbers() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.split_validation(Samples([np.zeros((10, 1))], [np.arange(10) % 3]), 0.4)
        targets = np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32)
        data.split_validation(Samples([np.zeros((10, 1))], [targets]), 0.4)


def test_tuples_are_unpacked_as_in_keras() -> None:
    x, y, w = np.zeros(3), np.ones(3), np.full(3, 2.0)
    assert data.unpack(x, "a batch") == (x, None, None)
    assert data.unpack((x,), "a batch") == (x, None, None)
    assert data.unpack([x, y], "a batch") == (x, y, None)
    assert data.unpack((x, y, w), "a batch") == (x, y, w)
    for value in ((), (1, 2, 3, 4)):
        with pytest.raises(ValueError, match=rf"a batch must be \(x, y\) .*received {len(value)}"):
            data.unpack(value, "a batch")
