"""Images behind transforms against the reference, and what must be exact."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from compare import (
    Array,
    assert_out_is_used,
    assert_same_bits,
    assert_threads_agree,
    random_array,
)
from convkit import ops, reference, runtime
from convkit.ops._image_steps import (
    FILL_MODES,
    INTERPOLATIONS,
    Adjust,
    Affine,
    Colors,
    Erase,
    Gray,
    Resample,
    Scale,
    fused,
)
from convkit.ops.transform_images import resample, resample_each

SHAPES = ((3, 7, 9, 3), (2, 16, 16, 1), (2, 5, 33, 2), (1, 1, 1, 3), (2, 1, 6, 5), (2, 40, 3, 17))
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_mode = pytest.mark.parametrize("fill_mode", FILL_MODES)
every_interpolation = pytest.mark.parametrize("interpolation", INTERPOLATIONS)


@pytest.fixture
def own_isa() -> Iterator[None]:
    former = runtime.isa()
    yield
    runtime.set_isa(former)


def as_bytes(shape: tuple[int, ...]) -> Array:
    return (random_array("bytes", shape) * 4000).astype(np.int64).astype(np.uint8)


def matrices(count: int, reach: float, seed: int = 0) -> Array:
    """Turned, zoomed and shifted images, some only shifted or mirrored."""
    rng = np.random.default_rng(seed)
    found = np.empty((count, 6))
    for i in range(count):
        angle, zoom = rng.uniform(-4, 4), rng.uniform(0.3, 2.5)
        cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
        x, y = rng.uniform(-reach, reach, 2)
        found[i] = cosine, -sine, x, sine, cosine, y
        if i % 3 == 1:
            found[i, [0, 1, 3, 4]] = rng.choice([-1.0, 1.0]), 0.0, 0.0, rng.choice([-1.0, 1.0])
    return found.astype(np.float32)


@every_shape
@every_mode
@every_interpolation
@pytest.mark.usefixtures("isa")
def test_affine_transforms(shape: tuple[int, ...], fill_mode: str, interpolation: str) -> None:
    rng = np.random.default_rng(3)
    for seed, reach in ((0, 4.0), (1, 200.0)):
        at = rng.integers(0, shape[0], 6)
        given = matrices(6, reach, seed)
        fill = rng.uniform(-2, 2, shape[3]).astype(np.float32)
        options: dict[str, Any] = {
            "interpolation": interpolation,
            "fill_mode": fill_mode,
            "fill_value": fill,
            "size": (shape[1] + 3, shape[2] + 5),
            "indices": at,
        }
        x = random_array("x", shape)
        wanted = reference.affine_transform(x.astype(np.float64), given, **options)
        y = ops.affine_transform(x, given, **options)
        # Coordinates are rounded to 2**-24 of their size, and differences of pixels are below 10.
        furthest = reach + 2.5 * (sum(shape[1:3]) + 8)
        np.testing.assert_allclose(y, wanted, rtol=0, atol=20 * furthest * 2.0**-24)
        pixels = as_bytes(shape)
        assert_same_bits(
            ops.affine_transform(pixels, given, **options),
            ops.affine_transform(pixels.astype(np.float32), given, **options),
        )


@every_shape
@every_interpolation
@pytest.mark.usefixtures("isa")
def test_pixels_that_are_only_moved_are_copied(shape: tuple[int, ...], interpolation: str) -> None:
    x = random_array("x", shape)
    n, height, width, _ = shape
    flips = {
        (1, 1): x,
        (-1, 1): x[:, :, ::-1],
        (1, -1): x[:, ::-1],
        (-1, -1): x[:, ::-1, ::-1],
    }
    for (across, down), wanted in flips.items():
        matrix = [
            across, 0, 0 if across > 0 else width - 1, 0, down, 0 if down > 0 else height - 1,
        ]  # fmt: skip
        made = ops.affine_transform(x, [matrix] * n, interpolation)
        assert_same_bits(made, np.ascontiguousarray(wanted))
    shifted = ops.affine_transform(
        x, [[1, 0, -2, 0, 1, 1]] * n, interpolation, "constant", 7.0, size=(height, width + 3)
    )
    padded = np.pad(x, ((0, 0), (0, 2), (2, 3), (0, 0)), constant_values=np.float32(7.0))
    assert_same_bits(shifted, np.ascontiguousarray(padded[:, 1 : height + 1, : width + 3]))
    modes = (("wrap", "wrap"), ("reflect", "symmetric"), ("nearest", "edge"))
    for fill_mode, mode in modes:
        there = [[1, 0, -11, 0, 1, -13]] * n
        size = (height + 20, width + 19)
        padded = np.pad(x, ((0, 0), (13, 7), (11, 8), (0, 0)), mode=mode)  # type: ignore[call-overload]
        made = ops.affine_transform(x, there, interpolation, fill_mode, size=size)
        assert_same_bits(made, np.ascontiguousarray(padded))


@pytest.mark.usefixtures("own_isa")
def test_all_instruction_sets_give_the_same_bits() -> None:
    x = random_array("x", (4, 21, 19, 3))
    found = []
    for name in runtime.available_isas():
        runtime.set_isa(name)
        found.append(
            [
                ops.affine_transform(x, matrices(4, 9.0), interpolation, fill_mode)
                for interpolation, fill_mode in product(INTERPOLATIONS, FILL_MODES)
            ]
            + [ops.transform_images(x, [step]) for step in color_steps(4)]
            + [ops.uniform(1001, seed=5), *(ops.resize(x, (9, 30), kind) for kind in KINDS)]
        )
    for each in found[1:]:
        for one, other in zip(each, found[0], strict=True):
            assert_same_bits(one, other)


KINDS = ("nearest", "bilinear", "bicubic")


@pytest.mark.parametrize("size", [(1, 1), (4, 20), (14, 18), (31, 5)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("antialias", [False, True])
@every_shape
@pytest.mark.usefixtures("isa")
def test_resize(shape: tuple[int, ...], size: tuple[int, int], kind: str, antialias: bool) -> None:
    x = random_array("x", shape)
    wanted = reference.resize(x.astype(np.float64), size, kind, antialias)
    np.testing.assert_allclose(ops.resize(x, size, kind, antialias), wanted, rtol=0, atol=3e-6)
    pixels = as_bytes(shape)
    assert_same_bits(
        ops.resize(pixels, size, kind, antialias),
        ops.resize(pixels.astype(np.float32), size, kind, antialias),
    )


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.usefixtures("isa")
def test_images_of_different_sizes(channels: int) -> None:
    """Each becomes what it would become alone, and nothing behind the last one is written."""
    sizes = ((7, 9), (5, 4), (1, 1), (30, 2), (6, 40))
    for size, kind in product(((5, 4), (1, 1), (11, 3)), ("nearest", "bilinear", "bicubic")):
        images = [as_bytes((*each, channels)) for each in sizes]
        images[0] = random_array("x", images[0].shape)
        images[3] = np.repeat(images[3], 2, axis=1)[:, ::2]  # no array in C order
        steps = [None if each == size else resample(each, size, kind, False) for each in sizes]
        room = np.full((len(sizes) + 1, *size, channels), 0.5, np.float32)
        resample_each(images, steps, room[:-1])
        for image, row in zip(images, room[:-1], strict=True):
            assert_same_bits(row, ops.resize(image[None], size, kind)[0])
        assert (room[-1] == 0.5).all()


def test_images_of_different_sizes_that_are_refused() -> None:
    from convkit import _core

    image, out = as_bytes((4, 5, 2)), np.zeros((1, 3, 7, 2), np.float32)
    step = resample((4, 5), (3, 7), "bilinear", False)
    resample_each([], [], out[:0])
    for images, steps, room, words in (
        ([image], [None], out, r"out must have shape \(1, 4, 5, 2\)"),
        ([image[:2]], [step], out, "outside the image"),
        ([image, image], [step, step], out, r"out must have shape \(2, 3, 7, 2\)"),
        ([image], [step], out[0], "out must have 4 dimensions"),
        ([image[..., :1]], [step], out, r"out must have shape \(1, 3, 7, 1\)"),
        ([image[:0]], [step], out, "empty"),
        ([image], [step, step], out, "argument 2 is longer"),
    ):
        with pytest.raises(ValueError, match=words):
            resample_each(images, steps, room)
    with pytest.raises(TypeError, match="uint8 or float32"):
        resample_each([image.astype(np.float64)], [step], out)
    for wrong in ([()], [image], [(None,)], [(image, None)], [(image, ())], (image,), None):
        with pytest.raises(TypeError):
            _core.transform_each(wrong, out)  # type: ignore[arg-type]
    assert not out.any()


def some_steps(count: int, shape: tuple[int, ...], seed: int = 0) -> list[Any]:
    """One of each kind, pixels moved in between."""
    rng = np.random.default_rng(seed)
    _, height, width, channels = shape
    boxes = np.sort(rng.integers(0, min(height, width) + 1, (count, 2, 2)), axis=2).reshape(-1, 4)
    factors = rng.uniform(0.5, 1.5, (6, channels)).astype(np.float32)
    positions = rng.uniform(0.5, 1.5, (3, 8 * 11 * channels)).astype(np.float32)
    pair = rng.uniform(-1, 1, (2, count, channels)).astype(np.float32)
    return [
        Scale(*factors[:3]),
        Erase(boxes, factors[3]),
        Adjust(*pair, -0.5, 0.75, True),
        Affine(matrices(count, 3.0, seed), height, width, "bilinear", "nearest"),
        Erase(boxes, None, 0.5, 2**64 - 1, 77, -0.6, 1.0),
        resample((height, width), (8, 11), "bilinear", False),
        Scale(*positions),
        Adjust(*pair),
    ]


@every_shape
@pytest.mark.usefixtures("isa")
def test_steps(shape: tuple[int, ...]) -> None:
    x, at = random_array("x", shape), np.arange(5) % shape[0]
    steps = some_steps(5, shape)
    for count in range(len(steps) + 1):
        wanted = reference.transform_images(x.astype(np.float64), steps[:count], indices=at)
        y = ops.transform_images(x, steps[:count], indices=at)
        np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-4)
    backwards = steps[:5][::-1]
    wanted = reference.transform_images(x.astype(np.float64), backwards, indices=at)
    np.testing.assert_allclose(
        ops.transform_images(x, backwards, indices=at), wanted, rtol=0, atol=1e-4
    )


def color_steps(count: int, seed: int = 0) -> list[Any]:
    """Some of each kind for images of three channels."""
    rng = np.random.default_rng(seed)
    turns = rng.uniform(-2.5, 2.5, count).astype(np.float32)
    factors = rng.uniform(0, 2, count).astype(np.float32)
    return [
        Colors(turns, np.ones_like(factors), low=-2.0, high=3.0, clips=True),
        Gray(rng.random(count) < 0.5),
        Colors(np.zeros_like(turns), factors, 0.25, 1.5),
        Colors(turns[::-1].copy(), factors, -1.0, 0.75, 0.0, 2.0),
    ]


@pytest.mark.parametrize("width", [1, 3, 8, 17])
@pytest.mark.usefixtures("isa")
def test_colors(width: int) -> None:
    x = random_array("x", (2, 5, width, 3))
    at = np.arange(6) % 2
    x[0, 0, :, 1] = x[0, 0, :, 0]
    x[0, 1, :, 2] = x[0, 1, :, 1]
    x[1, 0] = x[1, 0, :, :1]
    x[1, 1] = 0.0
    for step in color_steps(6):
        wanted = reference.transform_images(x.astype(np.float64), [step], indices=at)
        y = ops.transform_images(x, [step], indices=at)
        np.testing.assert_allclose(y, wanted, rtol=0, atol=2e-5)


def test_colors_by_hand() -> None:
    """A third of a turn makes red green; half the saturation is half way to the value."""
    x = np.float32([[[[4, 1, 1], [2, 4, 0], [3, 3, 3], [0, 0, 0]]]])
    third, one, half = np.float32([1 / 3]), np.float32([1]), np.float32([0.5])
    turned = ops.transform_images(x, [Colors(third, one, high=8.0)])
    wanted = [[1, 4, 1], [0, 2, 4], [3, 3, 3], [0, 0, 0]]
    np.testing.assert_allclose(turned[0, 0], wanted, atol=2e-6)
    paler = ops.transform_images(x, [Colors(0 * one, half)])
    wanted = [[4, 2.5, 2.5], [3, 4, 2], [3, 3, 3], [0, 0, 0]]
    np.testing.assert_allclose(paler[0, 0], wanted, atol=2e-6)
    clipped = ops.transform_images(x, [Colors(0 * one, one, high=3.0, clips=True)])
    np.testing.assert_allclose(clipped, np.minimum(x, 3), atol=2e-6)
    gray = ops.transform_images(x, [Gray(np.array([True]))])
    np.testing.assert_allclose(gray[0, 0, 1], [0.5978 + 2.348] * 3, atol=1e-6)


def test_transforms_become_one() -> None:
    x, n = random_array("x", (4, 12, 10, 3)), 4
    flip = Affine(np.tile([-1.0, 0, 9, 0, 1, 0], (n, 1)), 12, 10, is_within=True, is_flip=True)
    turn = Affine(matrices(n, 2.0), 12, 10, "bilinear", "constant", 0.25)
    cut = Affine(np.tile([1.0, 0, 2, 0, 1, 3], (n, 1)), 7, 6, is_within=True)
    scale = Scale(*np.float32([[0.5, 0.25, 0.125], [2, 4, 8], [1, 2, 3]]))
    for steps, count in (
        ([flip, turn], 1),
        ([turn, flip], 1),
        ([turn, cut], 1),
        ([flip, scale, turn, flip, cut], 2),
        ([cut, turn._replace(height=7, width=6)], 2),
        ([scale, turn, scale], 3),
        ([resample((12, 10), (12, 10), "bilinear", False), flip], 2),
    ):
        made = fused(list(steps), 3)
        assert len(made) == count
        np.testing.assert_allclose(
            ops.transform_images(x, made),
            reference.transform_images(x.astype(np.float64), steps),
            rtol=0,
            atol=1e-4,
        )
    # Two that blend pixels become one that blends once: their product.
    both = fused([turn, turn], 3)
    (only,) = both
    assert isinstance(only, Affine)
    whole = [np.vstack([each.reshape(2, 3), [0, 0, 1]]) for each in turn.matrices]
    np.testing.assert_allclose(
        only.matrices, [(each @ each)[:2].reshape(-1) for each in whole], atol=1e-5
    )


def test_threads_and_out() -> None:
    x = random_array("x", (40, 30, 31, 3))
    steps = [*some_steps(40, x.shape), *color_steps(40)]
    for threads_of in (
        lambda: ops.transform_images(x, steps),
        lambda: ops.uniform(100_003, seed=9, step=2),
    ):
        assert_threads_agree(lambda f=threads_of: (f(),))
    assert_out_is_used(lambda **k: ops.transform_images(x, steps, **k), ["out"])
    assert_out_is_used(lambda **k: ops.affine_transform(x, [IDENTITY] * 40, **k), ["out"])
    assert_out_is_used(lambda **k: ops.resize(x, (4, 5), **k), ["out"])
    assert_out_is_used(lambda **k: ops.uniform(7, seed=1, **k), ["out"])
    with pytest.raises(ValueError, match="must not be the memory"):
        ops.affine_transform(x, [IDENTITY] * 40, out=x)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 63, 64, 65, 1000])
@pytest.mark.usefixtures("isa")
def test_uniform_numbers(count: int) -> None:
    for seed, offset in ((0, 0), (2**64 - 1, 2**64 - 1), (12345, 3 << 48)):
        made = ops.uniform(count, seed=seed, step=7, offset=offset)
        assert_same_bits(made, reference.uniform(count, seed=seed, step=7, offset=offset))


def test_the_numbers_are_uniform() -> None:
    u = np.sort(ops.uniform(1_000_000, seed=3).astype(np.float64))
    assert u[0] >= 0.0
    assert u[-1] < 1.0
    # Kolmogorov and Smirnov: further away once in a thousand.
    assert np.abs(u - np.arange(len(u)) / len(u)).max() < 1.95 / np.sqrt(len(u))


def test_a_nan_stays_one_and_bounds_hold() -> None:
    x = np.float32([[[[np.nan], [np.inf], [-np.inf], [0.5]]]])
    one = np.ones((1, 1), np.float32)
    y = ops.transform_images(x, [Adjust(one, 0 * one, -1.0, 1.0)])
    np.testing.assert_array_equal(y.ravel(), np.float32([np.nan, 1.0, -1.0, 0.5]))
    x = np.float32([[[np.roll([np.nan, 0.25, 0.5], k) for k in range(3)]]])
    for step in color_steps(1):
        assert np.isnan(ops.transform_images(x, [step])).all() or isinstance(step, Gray)


def test_wrong_arguments() -> None:
    x = random_array("x", (2, 4, 5, 3))
    for module in (ops, reference):
        for wrong in ([IDENTITY], [[*IDENTITY[:5]]] * 2, [[np.nan, 0, 0, 0, 1, 0]] * 2):
            with pytest.raises(ValueError, match="transform"):
                module.affine_transform(x, wrong)
        with pytest.raises(ValueError, match="perspective"):
            module.affine_transform(x, [[*IDENTITY, 0.1, 0]] * 2)
        for option in ({"interpolation": "cubic"}, {"fill_mode": "mirror"}, {"size": (0, 3)}):
            with pytest.raises(ValueError, match=next(iter(option))):
                module.affine_transform(x, [IDENTITY] * 2, **option)
        with pytest.raises(ValueError, match="fill_value"):
            module.affine_transform(x, [IDENTITY] * 2, fill_value=(1.0, 2.0))
        for at in ([2], [-1], [0.5], [[0]]):
            with pytest.raises((ValueError, TypeError)):
                module.affine_transform(x, [IDENTITY], indices=at)
        with pytest.raises(ValueError, match="interpolation"):
            module.resize(x, (2, 2), "lanczos3")
        with pytest.raises(ValueError, match="images"):
            module.resize(x[0], (2, 2))
        with pytest.raises(ValueError, match=r"size|count"):
            module.resize(x, (2, -1))
    boxes = np.int64([[0, 1, 0, 6]] * 2)
    for step, words in (
        (Erase(boxes, np.zeros(3, np.float32)), "outside"),
        (Scale(*np.zeros((3, 4), np.float32)), "one a channel"),
        (Adjust(*np.ones((2, 2, 2), np.float32)), "shape"),
        (Gray(np.ones(3, bool)), "shape"),
        (Colors(*np.ones((2, 3), np.float32)), "shape"),
        (Colors(*np.ones((2, 2), np.float32), low=1.0), "lowest value"),
        (Resample((np.int32([[4]]), np.ones((1, 1), np.float32)), ...), "outside"),  # type: ignore[arg-type]
    ):
        if isinstance(step, Resample):
            step = Resample(step.rows, step.rows)
        with pytest.raises(ValueError, match=words):
            ops.transform_images(x, [step])
    for step in (Gray(np.ones(2, bool)), Colors(*np.ones((2, 2), np.float32))):
        with pytest.raises(ValueError, match="3 channels"):
            ops.transform_images(x[..., :2], [step])
    with pytest.raises(TypeError, match="step"):
        ops.transform_images(x, [("affine",)])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        ops.uniform(1.5, seed=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="-1"):
        ops.uniform(-1, seed=0)


@pytest.mark.parametrize("place", range(12))
def test_native_steps_that_are_spoilt(place: int) -> None:
    """The native function refuses by itself what would read or write outside of an array."""
    from convkit import _core
    from convkit.ops.transform_images import _native

    x = random_array("x", (3, 12, 13, 3))
    step = [*some_steps(3, x.shape), *color_steps(3)][place]
    sizes = (8, 11) if place in (6, 7) else (12, 13)
    images = np.ascontiguousarray(x[:, : sizes[0], : sizes[1]])
    valid = _native(step, 3)
    shape = (3, 8, 11, 3) if place in (5, 6, 7) else x.shape
    out = np.empty(shape, np.float32)
    _core.transform_images(images, None, [valid], out)
    for at, value in enumerate(valid):
        wrong: list[Any] = [None, "1", object(), (), np.ones(1, np.complex64)]
        if isinstance(value, np.ndarray):
            wrong += [value[None], value.ravel()[:-1], value[..., ::2], value[:0]]
            wrong += [value.astype(np.float64), value.astype(np.int16), value + 100]
            if value.dtype in (np.float32, np.uint8):
                wrong.pop()
        elif isinstance(value, int) and not isinstance(value, bool) and valid[0] == "affine":
            wrong += [-1, 0 if at < 4 else 4, 2**31, 2**63, 2**70]
        for each in wrong:
            fits = valid[0] == "erase" and at == 2 and each is None
            if isinstance(value, bool) or fits:
                continue
            with pytest.raises((ValueError, TypeError)):
                _core.transform_images(images, None, [(*valid[:at], each, *valid[at + 1 :])], out)
    for short in range(len(valid)):
        with pytest.raises((ValueError, TypeError)):
            _core.transform_images(images, None, [valid[:short]], out)
