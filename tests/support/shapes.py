"""The shape table: named convolution, pooling and dense problems for every kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from convkit import reference

Shape = tuple[int, int, int, int]
Padding = str | tuple[tuple[int, int], tuple[int, int]]

TAIL_CHANNELS = (1, 2, 3, 5, 15, 16, 17, 31, 33, 48, 65)


@dataclass(frozen=True)
class Conv:
    """One convolution: x (N, H, W, C), w (KH, KW, C // groups, OC) and how they meet."""

    name: str
    x_shape: Shape
    w_shape: Shape
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "valid"
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __str__(self) -> str:
        return self.name

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments that every convolution op takes."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    @property
    def y_shape(self) -> Shape:
        return reference.conv2d_output_shape(self.x_shape, self.w_shape, **self.options)

    @property
    def forward_terms(self) -> int:
        """How many products make one element of y."""
        kh, kw, c, _ = self.w_shape
        return kh * kw * c

    @property
    def backward_input_terms(self) -> int:
        """How many products make one element of dx, at most."""
        kh, kw, _, oc = self.w_shape
        return kh * kw * oc // self.groups

    @property
    def backward_weights_terms(self) -> int:
        """How many products make one element of dw, at most."""
        n, oh, ow, _ = self.y_shape
        return n * oh * ow


@dataclass(frozen=True)
class Pool:
    """One pooling problem on x (N, H, W, C)."""

    name: str
    x_shape: Shape
    pool_size: tuple[int, int] = (2, 2)
    strides: tuple[int, int] | None = None
    padding: Padding = "valid"

    def __str__(self) -> str:
        return self.name

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments that every pooling op takes."""
        return {"strides": self.strides, "padding": self.padding}

    @property
    def y_shape(self) -> Shape:
        return reference.pool2d_output_shape(self.x_shape, self.pool_size, **self.options)

    @property
    def terms(self) -> int:
        return self.pool_size[0] * self.pool_size[1]


@dataclass(frozen=True)
class Merge:
    """Arrays of shapes that are broadcast together."""

    name: str
    shapes: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        return self.name

    @property
    def y_shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(*self.shapes)


@dataclass(frozen=True)
class Dense:
    """One dense problem: x (N, C), w (C, OC)."""

    name: str
    n: int
    c: int
    oc: int

    def __str__(self) -> str:
        return self.name


def _conv_channels() -> Iterator[Conv]:
    for c, oc in zip(TAIL_CHANNELS, reversed(TAIL_CHANNELS), strict=True):
        yield Conv(f"tail-{c}-{oc}", (2, 6, 7, c), (3, 3, c, oc), padding="same")
        yield Conv(f"tail-square-{c}", (1, 5, 5, c), (3, 3, c, c))
        yield Conv(f"tail-1x1-{c}-{oc}", (2, 5, 3, c), (1, 1, c, oc))
    yield Conv("one-channel", (2, 9, 8, 1), (3, 3, 1, 1), padding="same")
    yield Conv("one-to-many", (2, 9, 8, 1), (5, 5, 1, 32), padding="same")
    yield Conv("many-to-one", (2, 9, 8, 32), (3, 3, 32, 1), padding="same")


def _conv_strides_and_dilation() -> Iterator[Conv]:
    yield Conv("stride-2-valid", (2, 9, 11, 6), (3, 3, 6, 20), strides=(2, 2))
    # TensorFlow's rule pads nothing above and one row below here.
    yield Conv("stride-2-same-even", (2, 8, 10, 6), (3, 3, 6, 20), (2, 2), "same")
    yield Conv("stride-2-same-odd", (2, 9, 7, 6), (3, 3, 6, 20), (2, 2), "same")
    yield Conv("stride-3-same", (1, 10, 11, 5), (3, 3, 5, 17), (3, 3), "same")
    yield Conv("stride-2x1", (2, 9, 8, 4), (3, 3, 4, 16), (2, 1), "same")
    yield Conv("stride-1x3", (2, 9, 13, 4), (3, 3, 4, 16), (1, 3))
    yield Conv("stride-2-kernel-1", (2, 8, 7, 16), (1, 1, 16, 32), (2, 2), "same")
    # A stride beyond the kernel leaves pixels that no window sees: their gradient is zero.
    yield Conv("stride-beyond-kernel", (1, 11, 11, 3), (2, 2, 3, 8), (4, 3))
    yield Conv("dilation-2", (2, 9, 10, 6), (3, 3, 6, 18), dilation=(2, 2))
    yield Conv("dilation-2-same", (2, 9, 10, 6), (3, 3, 6, 18), padding="same", dilation=(2, 2))
    yield Conv("dilation-1x3", (1, 6, 12, 4), (3, 3, 4, 16), padding="same", dilation=(1, 3))
    yield Conv("dilation-and-stride", (1, 13, 12, 3), (3, 2, 3, 9), (2, 3), "same", (2, 4))


def _conv_groups() -> Iterator[Conv]:
    yield Conv("groups-2", (2, 6, 7, 8), (3, 3, 4, 12), padding="same", groups=2)
    yield Conv("groups-3-tails", (2, 6, 7, 15), (3, 3, 5, 51), padding="same", groups=3)
    yield Conv("groups-4-stride-2", (2, 9, 8, 64), (3, 3, 16, 64), (2, 2), "same", groups=4)
    yield Conv("groups-1x1", (2, 5, 5, 32), (1, 1, 8, 20), groups=4)


def _conv_depthwise() -> Iterator[Conv]:
    """A group a channel: vectors run along the channels, tiles along the columns."""
    for c in (*TAIL_CHANNELS, 64, 129):
        yield Conv(f"depthwise-{c}", (2, 7, 6, c), (3, 3, 1, c), padding="same", groups=c)
    for c, times in ((1, 2), (3, 2), (2, 20), (5, 3), (16, 2), (17, 4), (33, 8), (48, 2), (20, 7)):
        yield Conv(f"depthwise-{c}-by-{times}", (3, 6, 7, c), (3, 3, 1, times * c), groups=c)
    # Wide enough for tiles of 8, 4 and 1 positions that see no padding.
    for w in (10, 11, 14, 15, 22):
        yield Conv(f"depthwise-width-{w}", (2, 5, w, 19), (3, 3, 1, 19), padding="same", groups=19)
    for kh, kw in ((1, 1), (2, 4), (5, 5), (7, 7), (1, 9), (9, 1)):
        name = f"depthwise-kernel-{kh}x{kw}"
        yield Conv(name, (2, 9, 12, 18), (kh, kw, 1, 18), padding="same", groups=18)
    yield Conv("depthwise-stride-2", (2, 9, 8, 20), (3, 3, 1, 20), (2, 2), "same", groups=20)
    yield Conv("depthwise-stride-2-by-2", (2, 9, 8, 9), (3, 3, 1, 18), (2, 2), "same", groups=9)
    yield Conv("depthwise-stride-2x1", (2, 8, 13, 33), (3, 3, 1, 33), (2, 1), "same", groups=33)
    yield Conv("depthwise-stride-1x3", (2, 5, 31, 17), (3, 3, 1, 17), (1, 3), groups=17)
    yield Conv("depthwise-stride-beyond", (1, 11, 11, 18), (2, 2, 1, 18), (4, 3), groups=18)
    yield Conv("depthwise-dilated", (1, 9, 9, 18), (3, 3, 1, 18), (1, 1), "same", (2, 2), groups=18)
    yield Conv("depthwise-both", (1, 13, 12, 20), (3, 2, 1, 20), (2, 3), "same", (2, 4), groups=20)
    for name, padding in (
        ("asymmetric", ((0, 2), (1, 0))),
        ("beyond", ((5, 4), (0, 7))),
        ("far-left", ((0, 0), (9, 1))),
    ):
        yield Conv(
            f"depthwise-padding-{name}", (2, 6, 7, 21), (3, 3, 1, 21), (1, 2), padding, groups=21
        )
    yield Conv("depthwise-plane-1x1", (3, 1, 1, 24), (5, 5, 1, 24), padding="same", groups=24)
    # Eight images and more, which both gradients together take an image at a time.
    yield Conv("depthwise-batch-8", (8, 6, 11, 40), (3, 3, 1, 40), padding="same", groups=40)
    yield Conv("depthwise-batch-11-by-2", (11, 5, 6, 10), (3, 3, 1, 20), (2, 2), groups=10)
    # Large enough for threads, and for several tasks of rows and of channels.
    yield Conv("depthwise-large", (9, 14, 14, 144), (3, 3, 1, 144), padding="same", groups=144)
    yield Conv("depthwise-large-by-2", (4, 28, 28, 24), (5, 5, 1, 48), padding="same", groups=24)


def _conv_kernels() -> Iterator[Conv]:
    for kh, kw in ((1, 1), (2, 2), (4, 4), (5, 5), (7, 7), (1, 3), (3, 1), (5, 2), (1, 7), (9, 1)):
        yield Conv(f"kernel-{kh}x{kw}-same", (2, 9, 8, 5), (kh, kw, 5, 19), padding="same")
    yield Conv("kernel-5x5", (2, 9, 8, 5), (5, 5, 5, 19))
    yield Conv("kernel-7x7-stride-2", (1, 17, 16, 3), (7, 7, 3, 24), (2, 2), "same")
    yield Conv("kernel-is-the-plane", (3, 6, 5, 7), (6, 5, 7, 10))
    yield Conv("kernel-beyond-the-plane", (1, 2, 3, 4), (5, 7, 4, 6), padding="same")
    yield Conv("asymmetric-padding", (2, 6, 7, 4), (3, 3, 4, 16), padding=((0, 2), (1, 0)))
    yield Conv("asymmetric-stride", (2, 6, 7, 4), (3, 3, 4, 16), (2, 2), ((2, 0), (0, 3)))
    # Some windows see nothing but padding.
    yield Conv("padding-beyond-kernel", (1, 4, 3, 2), (3, 3, 2, 5), padding=((5, 4), (0, 7)))


def _conv_planes() -> Iterator[Conv]:
    planes = ((1, 1), (1, 9), (9, 1), (2, 2), (3, 3), (4, 4), (5, 6), (7, 9), (13, 4), (33, 17))
    for index, (h, w) in enumerate(planes):
        n = (1, 2, 5)[index % 3]
        yield Conv(f"plane-{h}x{w}", (n, h, w, 4), (3, 3, 4, 16), padding="same")
    yield Conv("plane-1x1-kernel-1", (5, 1, 1, 33), (1, 1, 33, 17))
    yield Conv("plane-3x3-to-1x1", (5, 3, 3, 8), (3, 3, 8, 16))


def _conv_tiles() -> Iterator[Conv]:
    """3 x 3, stride 1, many channels: what minimal filtering cuts into tiles of outputs.

    Of each as many images as make it worth while; test_conv2d.py holds them to it.
    """
    for n, h, w in (
        (12, 2, 2),
        (6, 3, 5),
        (13, 4, 4),
        (3, 5, 5),
        (3, 6, 7),
        (5, 8, 9),
        (3, 13, 4),
        (6, 6, 5),
        (6, 5, 7),
        (3, 7, 10),
        (3, 15, 6),
        (2, 33, 17),
    ):
        yield Conv(f"tiles-{h}x{w}", (n, h, w, 20), (3, 3, 20, 18), padding="same")
    for c, oc in ((16, 17), (33, 20), (65, 31), (48, 80)):
        yield Conv(f"tiles-{c}-{oc}", (6, 7, 6, c), (3, 3, c, oc))
    # Few tiles and many output channels, which are then taken some at a time.
    yield Conv("tiles-one-image", (1, 15, 14, 20), (3, 3, 20, 70))
    yield Conv("tiles-two-images", (2, 12, 14, 17), (3, 3, 17, 49), padding="same")
    for name, padding in (
        ("one-side", ((0, 2), (1, 0))),
        ("two", ((2, 2), (2, 2))),
        ("beyond", ((2, 9), (0, 5))),
    ):
        yield Conv(f"tiles-padding-{name}", (3, 5, 6, 16), (3, 3, 16, 24), padding=padding)
    # Tiles would begin outside the image.
    yield Conv("far-beyond", (3, 5, 6, 16), (3, 3, 16, 24), padding=((6, 0), (3, 3)))


def _conv_batches() -> Iterator[Conv]:
    """Eight images and more, which all gradients together take some images at a time."""
    yield Conv("tiles-batch-8", (8, 6, 7, 20), (3, 3, 20, 18), padding="same")
    yield Conv("tiles-batch-17-valid", (17, 5, 7, 16), (3, 3, 16, 33))
    # More input channels than are taken at a time, with fewer left for the last time.
    yield Conv("tiles-batch-10-chunks", (10, 5, 6, 41), (3, 3, 41, 20), padding="same")
    # So large a gradient is summed over fewer pieces of the batch.
    yield Conv("tiles-batch-13-large", (13, 4, 4, 96), (3, 3, 96, 96), padding="same")
    # More weights than every thread transforms for itself.
    yield Conv("tiles-batch-12-huge", (12, 9, 10, 128), (3, 3, 128, 160), padding="same")
    # Pooled, with tiles of 5 on both axes and on one.
    yield Conv("tiles-batch-9-of-5", (9, 10, 14, 20), (3, 3, 20, 18), padding="same")
    yield Conv("tiles-batch-9-of-5-and-4", (9, 10, 8, 20), (3, 3, 20, 18), padding="same")
    # A piece of the batch is more images than are taken at a time.
    yield Conv("tiles-batch-17-plane", (17, 28, 28, 16), (3, 3, 16, 16), padding="same")
    yield Conv("tiles-batch-9-channels", (9, 6, 6, 16), (3, 3, 16, 70), padding="same")
    yield Conv("batch-9-thin", (9, 7, 8, 3), (3, 3, 3, 20), padding="same")
    yield Conv("batch-8-thin-strided", (8, 12, 9, 3), (3, 3, 3, 20), (2, 3), "same", (2, 1))
    yield Conv("batch-11-groups", (11, 5, 6, 8), (3, 3, 4, 40), (2, 1), "same", groups=2)


def _conv_model_layers() -> Iterator[Conv]:
    yield Conv("mnist-1", (2, 28, 28, 1), (3, 3, 1, 32), padding="same")
    yield Conv("mnist-2", (2, 28, 28, 32), (3, 3, 32, 32), padding="same")
    yield Conv("mnist-3", (2, 14, 14, 32), (3, 3, 32, 64), padding="same")
    yield Conv("mnist-4", (3, 14, 14, 64), (3, 3, 64, 64), padding="same")
    yield Conv("cifar10-1", (2, 32, 32, 3), (3, 3, 3, 32), padding="same")
    yield Conv("cifar10-2", (1, 32, 32, 32), (3, 3, 32, 32), padding="same")
    yield Conv("cifar10-3", (2, 16, 16, 32), (3, 3, 32, 64), padding="same")
    yield Conv("cifar10-4", (2, 16, 16, 64), (3, 3, 64, 64))
    yield Conv("cifar10-5", (3, 7, 7, 64), (3, 3, 64, 128), padding="same")
    yield Conv("cifar10-6", (3, 7, 7, 128), (3, 3, 128, 128))


MODEL_LAYERS = tuple(_conv_model_layers())

CONVOLUTIONS = (
    Conv("plain", (2, 8, 8, 16), (3, 3, 16, 16), padding="same"),
    Conv("plain-valid", (2, 8, 8, 16), (3, 3, 16, 32)),
    *_conv_channels(),
    *_conv_strides_and_dilation(),
    *_conv_groups(),
    *_conv_depthwise(),
    *_conv_kernels(),
    *_conv_planes(),
    *_conv_tiles(),
    *_conv_batches(),
    *MODEL_LAYERS,
)

POOLS = (
    Pool("plain", (2, 8, 8, 16)),
    *(Pool(f"tail-{c}", (2, 6, 4, c)) for c in TAIL_CHANNELS),
    *(Pool(f"tail-overlapping-{c}", (1, 5, 7, c), (3, 3), (2, 2), "same") for c in (1, 3, 17, 33)),
    Pool("odd-plane", (2, 7, 9, 6)),
    Pool("odd-plane-same", (2, 7, 9, 6), padding="same"),
    Pool("overlapping", (2, 9, 9, 6), (3, 3), (2, 2)),
    Pool("overlapping-same-even", (2, 8, 8, 6), (3, 3), (2, 2), "same"),
    Pool("stride-1-same", (1, 6, 7, 5), (3, 3), (1, 1), "same"),
    Pool("stride-1-window-2", (1, 6, 7, 5), (2, 2), (1, 1)),
    Pool("rectangular", (2, 7, 12, 4), (2, 3)),
    Pool("rectangular-stride", (2, 9, 12, 4), (3, 2), (1, 3)),
    Pool("stride-beyond-window", (2, 10, 11, 4), (2, 2), (4, 3)),
    Pool("window-1", (2, 3, 4, 5), (1, 1)),
    Pool("window-1-stride-2", (2, 5, 4, 5), (1, 1), (2, 2)),
    Pool("row", (2, 1, 9, 7), (1, 2)),
    Pool("column", (2, 9, 1, 7), (2, 1)),
    Pool("whole-plane", (3, 5, 6, 7), (5, 6)),
    Pool("asymmetric-padding", (2, 6, 7, 4), (3, 3), (2, 2), ((0, 2), (1, 0))),
    Pool("window-beyond-the-plane", (1, 2, 2, 3), (5, 4), (1, 1), "same"),
    # 256 positions are the last that fit in uint8; 17 x 17 needs int32.
    Pool("window-256", (1, 16, 18, 3), (16, 16), (1, 1)),
    Pool("window-257", (1, 2, 260, 3), (1, 257), (1, 1)),
    Pool("window-17x17", (2, 19, 18, 5), (17, 17), (1, 1)),
    Pool("window-17x17-same", (1, 20, 21, 3), (17, 17), (3, 2), "same"),
    Pool("plane-1x1", (5, 1, 1, 9), (1, 1)),
    Pool("plane-33x17", (2, 33, 17, 4)),
    Pool("mnist-1", (2, 28, 28, 32)),
    Pool("mnist-2", (5, 14, 14, 64)),
    Pool("cifar10-3", (5, 5, 5, 128)),
)

DENSES = (
    Dense("one", 1, 1, 1),
    *(
        Dense(f"tail-{c}-{oc}", n, c, oc)
        for n, c, oc in zip(
            (1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17),
            TAIL_CHANNELS,
            reversed(TAIL_CHANNELS),
            strict=True,
        )
    ),
    Dense("one-sample", 1, 300, 37),
    Dense("one-input", 33, 1, 20),
    Dense("one-output", 33, 20, 1),
    Dense("large-batch", 257, 19, 23),
    Dense("several-panels", 70, 300, 61),
    Dense("mnist-1", 32, 3136, 128),
    Dense("mnist-2", 32, 128, 10),
    Dense("mnist-3", 32, 10, 64),
    Dense("cifar10-1", 7, 512, 128),
)


def _merges() -> Iterator[Merge]:
    yield Merge("plain", ((2, 8, 8, 16),) * 2)
    yield Merge("vectors", ((4, 10),) * 2)
    yield Merge("single", ((1, 1, 1, 1),) * 2)
    for c in TAIL_CHANNELS:
        whole = (2, 5, 3, c)
        yield Merge(f"tail-{c}", (whole,) * 2)
        yield Merge(f"tail-channels-{c}", (whole, (2, 1, 1, c)))
        yield Merge(f"tail-pixels-{c}", ((2, 5, 3, 1), whole))
    yield Merge("samples", ((3, 5, 4, 6), (3, 1, 1, 1)))
    yield Merge("columns", ((3, 5, 4, 6), (3, 1, 4, 6)))
    yield Merge("rows", ((3, 5, 1, 6), (3, 5, 4, 6)))
    yield Merge("column-pixels", ((3, 5, 4, 6), (3, 1, 4, 1)))
    yield Merge("row-channels", ((3, 5, 4, 6), (3, 5, 1, 6)))
    yield Merge("outer", ((2, 7, 1), (2, 1, 9)))
    yield Merge("both", ((3, 5, 1, 18), (3, 1, 4, 1)))
    yield Merge("channels-and-pixels", ((2, 1, 1, 17), (2, 6, 5, 1)))
    yield Merge("lower-rank", ((4, 6, 7, 5), (5,)))
    yield Merge("scalar", ((3, 4), ()))
    yield Merge("three", ((2, 5, 3, 7),) * 3)
    yield Merge("three-broadcast", ((2, 1, 1, 7), (2, 5, 3, 1), (2, 5, 3, 7)))
    yield Merge("seven", ((3, 33),) * 7)
    yield Merge("long-channels", ((2, 61, 53, 19), (2, 1, 1, 19)))
    yield Merge("long-samples", ((2, 61, 53, 3), (2, 1, 1, 1)))
    yield Merge("long-rows", ((1, 1, 5000), (1, 3, 1)))
    yield Merge("batch", ((32, 14, 14, 32),) * 2)
    yield Merge("batch-channels", ((32, 14, 14, 32), (32, 1, 1, 32)))
    yield Merge("batch-pixels", ((32, 14, 14, 32), (32, 14, 14, 1)))


MERGES = tuple(_merges())

# Layer normalisation: rows (..., K), few and many, short and long; tails, more columns than a task
# takes, and rows of more than one block of sums in every instruction set.
NORMALISED_ROWS: tuple[Shape | tuple[int, ...], ...] = (
    *((2, 5, 3, c) for c in TAIL_CHANNELS),
    (1, 1),
    (7, 1),
    (3, 4, 5),
    (2, 33, 17, 6),
    (8, 14, 14, 64),
    (3000, 5),
    (700, 40),
    (3, 2500),
    (2, 9001),
)
# Group normalisation: images (N, ..., C) and groups; one, all and some; an image of several blocks,
# and vectors of one position.
NORMALISED_GROUPS: tuple[tuple[tuple[int, ...], int], ...] = (
    *(((2, 5, 3, c), c) for c in TAIL_CHANNELS),
    *(((2, 3, 5, c), 1) for c in TAIL_CHANNELS),
    ((3, 6, 7, 15), 5),
    ((3, 6, 7, 48), 16),
    ((7, 12), 4),
    ((1, 1, 1, 4), 2),
    ((1, 1), 1),
    ((1, 40, 33, 12), 3),
    ((2, 33, 17, 6), 2),
    ((9, 14, 14, 64), 32),
    ((300, 2, 10), 5),
)

# Samples (N, ...) and slopes for them: none shared, each axis shared or not, all shared; tails, one
# channel, several tasks of rows and of columns, long runs that share a slope.
PRELUS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    *(((2, 5, 6, c), (1, 1, c)) for c in TAIL_CHANNELS),
    *(((3, 4, 5, c), (4, 5, c)) for c in (1, 3, 17, 33)),
    *(((3, 4, 5, c), (4, 1, c)) for c in (1, 3, 17, 33)),
    *(((3, 4, 5, c), (4, 5, 1)) for c in (1, 3, 17, 33)),
    ((3, 4, 5, 6), (1, 5, 6)),
    ((3, 4, 5, 6), (1, 5, 1)),
    ((3, 4, 5, 6), (4, 1, 1)),
    ((3, 4, 5, 6), (1, 1, 1)),
    ((2, 3, 4, 5, 6), (3, 1, 5, 1)),
    ((2, 1, 7, 1, 6), (1, 7, 1, 1)),
    ((1, 1), (1,)),
    ((40, 33), (33,)),
    ((40, 33), (1,)),
    ((7,), ()),
    ((70, 3000), (3000,)),
    ((700, 20), (20,)),
    ((5, 30, 31, 24), (1, 1, 24)),
    ((40, 9, 12, 20), (9, 1, 20)),
    ((3, 20, 110, 100), (20, 1, 1)),
    ((2, 200, 300, 3), (1, 1, 1)),
)
