"""Nodes with windows over images, and those that cut, pad and enlarge them, as operators."""

from __future__ import annotations

from typing import Any

from ..operators.operator import Operator, Pads, to_channels_first, to_channels_last
from ..ops._window import resolve
from .node import Node, Sizes


def conv(node: Node) -> list[Operator]:
    """A convolution or a transposed one; of signals, which are images of one row."""
    kernel, *bias = node.weights(True, False)
    size = tuple(kernel.shape[2:])
    node.expect("kernel_shape", list(size))
    attributes = _windows(node, size)
    kernel = kernel[:, :, None] if len(size) == 1 else kernel
    if node.op == "ConvTranspose":
        more = tuple(node.take("output_padding", (0,) * len(size)))
        attributes["output_padding"] = (0, *more) if len(size) == 1 else more
    return [Operator(node.op, (kernel, *bias), attributes, node.name)]


def pool(node: Node) -> list[Operator]:
    """A pool, likewise."""
    attributes = _windows(node, tuple(node.take("kernel_shape", ())))
    attributes["ceil_mode"] = node.take("ceil_mode", 0)
    attributes["count_include_pad"] = node.take("count_include_pad", 0)
    node.take("storage_order", 0)  # of a second output, which nobody reads
    return [Operator(node.op, (), attributes, node.name)]


def _windows(node: Node, size: tuple[int, ...]) -> dict[str, Any]:
    """The attributes that convolutions and pools share, with the pads in numbers.

    Windows of one dimension are those of images of one row.
    """
    if len(size) not in (1, 2):
        raise node.error(
            f"convkit has windows of one or two dimensions, received {len(size)}: {size}"
        )
    row = len(size) == 1

    def pair(name: str) -> tuple[int, ...]:
        values = tuple(node.take(name, (1,) * len(size)))
        return (1, *values) if row else values

    strides, dilations = pair("strides"), pair("dilations")
    size = (1, *size) if row else size
    attributes = {"kernel_shape": size, "strides": strides, "dilations": dilations}
    if node.op in ("Conv", "ConvTranspose"):
        attributes["group"] = node.take("group", 1)
    given = tuple(node.take("pads", (0,) * (2 if row else 4)))
    pads = (0, given[0], 0, given[1]) if row and len(given) == 2 else given
    automatic = node.take("auto_pad", "NOTSET")
    wanted = tuple(node.take("output_shape", ())) if node.op == "ConvTranspose" else ()
    if automatic in ("SAME_UPPER", "SAME_LOWER") or wanted:
        lower = automatic == "SAME_LOWER" or (bool(wanted) and automatic != "SAME_UPPER")
        same = _transposed_pads if node.op == "ConvTranspose" else _same_pads
        pads = same(node, size, strides, dilations, lower)
    elif automatic == "VALID":
        pads = (0, 0, 0, 0)
    elif automatic != "NOTSET":
        raise node.error(f"unknown auto_pad {automatic!r}")
    return {**attributes, "pads": pads}


def _plane(node: Node, sizes: Sizes | None) -> tuple[int, int]:
    """(H, W) of images, or (1, W) of signals; ValueError if they are not known."""
    plane = (sizes or ())[2:]
    numbers = [size for size in plane if isinstance(size, int)]
    if len(numbers) != len(plane) or len(numbers) not in (1, 2):
        raise node.error(f"auto_pad needs the sizes of the images, received {sizes}")
    return (1, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


def _same_pads(
    node: Node,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    lower: bool,
) -> Pads:
    plane = _plane(node, node.input_sizes)
    window = resolve(plane, (size[0], size[1]), strides, "same", dilations)
    top, bottom, left, right = window.pads  # the larger half comes last
    return (bottom, right, top, left) if lower else (top, left, bottom, right)


def _transposed_pads(
    node: Node,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    lower: bool,
) -> Pads:
    """What is cut off so that the results have the size that they have."""
    given, made = _plane(node, node.input_sizes), _plane(node, node.output_sizes)
    before, after = [], []
    for axis in (0, 1):
        extent = (size[axis] - 1) * dilations[axis] + 1
        cut = (given[axis] - 1) * strides[axis] + extent - made[axis]
        if cut < 0:
            raise node.error(f"its results are larger than its windows reach: {made}")
        halves = cut // 2, cut - cut // 2
        before.append(halves[1] if lower else halves[0])
        after.append(halves[0] if lower else halves[1])
    return (before[0], before[1], after[0], after[1])


def pad(node: Node) -> list[Operator]:
    """Zeros around images, or what is cut off them."""
    node.expect("mode", "constant")
    pads, value = node.constant(0, "pads"), node.constant(1, "value")
    numbers = [] if pads is None else [int(each) for each in pads.reshape(-1)]
    if len(numbers) != 8 or any(numbers[:2] + numbers[4:6]) or node.constant(2) is not None:
        raise node.error(f"convkit pads the rows and columns of (N, C, H, W) alone: {numbers}")
    if value is not None and value.any():
        raise node.error(f"convkit pads with zeros alone, received {value.tolist()}")
    return [Operator(node.op, (), {"pads": (*numbers[2:4], *numbers[6:8])}, node.name)]


def cut(node: Node) -> list[Operator]:
    """A Slice of neighbouring rows and columns."""
    starts, ends = node.constant(0, "starts"), node.constant(1, "ends")
    axes, steps = node.constant(2, "axes"), node.constant(3)
    sizes = node.input_sizes or ()
    if starts is None or ends is None:
        raise node.error("its starts and ends must be constants")
    count = starts.size
    places = range(count) if axes is None else [int(axis) for axis in axes.reshape(-1)]
    strides = [1] * count if steps is None else [int(step) for step in steps.reshape(-1)]
    if not count == ends.size == len(places) == len(strides):
        raise node.error("its starts, ends, axes and steps must be as many")
    pads = [0] * 4
    begins, stops = (each.reshape(-1).tolist() for each in (starts, ends))
    for axis, begin, end, step in zip(places, begins, stops, strides, strict=True):
        axis += len(sizes) if axis < 0 else 0
        size = sizes[axis] if 0 <= axis < len(sizes) else None
        if step == 1 and begin == 0 and end >= 2**31 - 1:
            continue  # all of it, however much
        if step != 1 or not isinstance(size, int):
            raise _uncut(node, axis, step)
        first = min(max(begin + size if begin < 0 else begin, 0), size)
        last = min(max(end + size if end < 0 else end, 0), size)
        if (first, last) == (0, size):
            continue
        if len(sizes) != 4 or axis < 2 or first >= last:
            raise _uncut(node, axis, step)
        pads[axis - 2], pads[axis] = -first, last - size
    return [Operator("Pad", (), {"pads": tuple(pads)}, node.name)] if any(pads) else []


def _uncut(node: Node, axis: int, step: int) -> ValueError:
    return node.error(
        f"convkit cuts rows and columns off images (N, C, H, W), step 1, and leaves some; received "
        f"axis {axis} and step {step} of {node.input_sizes}"
    )


def split(node: Node) -> list[Operator]:
    """Parts of the rows or columns, each of which is all of them less the others."""
    sizes, axis = node.input_sizes or (), node.take("axis", 0)
    axis += len(sizes) if axis < 0 else 0
    node.take("num_outputs", None)
    node.constant(0, "split")
    whole = sizes[axis] if len(sizes) == 4 and axis in (2, 3) else None
    parts = [(each or ())[axis : axis + 1] for each in node.all_output_sizes]
    counts = [part[0] for part in parts if part and isinstance(part[0], int)]
    if not isinstance(whole, int) or len(counts) != len(node.results) or sum(counts) != whole:
        raise node.error(
            f"convkit splits rows and columns of images (N, C, H, W) alone, received axis {axis} "
            f"of {node.input_sizes}; take the parts out of the weights that come before, or after"
        )
    operators, begin = [], 0
    for count, name in zip(counts, node.results, strict=True):
        ends = (-begin, begin + count - whole)
        pads = (ends[0], 0, ends[1], 0) if axis == 2 else (0, ends[0], 0, ends[1])
        begin += count
        operators.append(
            Operator("Pad", (), {"pads": pads}, node.name, inputs=node.inputs, output=name)
        )
    return operators


# How a position in the larger image becomes one in the smaller: those that convkit has, too.
_HALF_PIXEL = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")


def resize(node: Node) -> list[Operator]:
    """A Resize, or an older Upsample, to whole multiples of the rows and columns."""
    old = node.op == "Upsample" or node.opset < 11
    factors = _factors(node, node.constant(0 if old else 1, "scales"))
    mode = node.take("mode", "nearest")
    how = node.take("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    rounding = node.take("nearest_mode", "floor" if old else "round_prefer_floor")
    node.expect("antialias", 0)
    for name in ("cubic_coeff_a", "exclude_outside", "extrapolation_value"):
        node.take(name, None)  # of other modes, or of smaller images
    node.take("keep_aspect_ratio_policy", None)
    if mode == "nearest":
        right = (how in _HALF_PIXEL and rounding.startswith("round_prefer")) or (
            how == "asymmetric" and rounding == "floor"
        )
        right |= how == "asymmetric" and rounding == "round_prefer_floor" and max(factors) <= 2
    else:
        right = mode == "linear" and how in _HALF_PIXEL
    if not right and max(factors) > 1:
        raise node.error(
            f"convkit repeats pixels, or interpolates linearly between their middles: mode "
            f"'nearest' or 'linear' with 'half_pixel'; received mode {mode!r}, {how!r}, "
            f"{rounding!r}"
        )
    attributes = {"factors": factors, "mode": "nearest" if mode == "nearest" else "linear"}
    return [Operator("Resize", (), attributes, node.name)]


def _is_whole(number: float) -> bool:
    return 1.0 <= number < 2.0**31 and number == int(number)


def _factors(node: Node, scales: Any) -> tuple[int, int]:
    """How many rows, and columns, become of one."""
    given, made = node.input_sizes or (), node.output_sizes or ()
    axes = node.constant(99, "axes")
    if scales is not None and scales.size and axes is None:
        found = [float(scale) for scale in scales.reshape(-1)]
    elif len(given) == len(made) == 4 and all(isinstance(n, int) for n in (*given[1:], *made[1:])):
        found = [1.0, *(b / a for a, b in zip(given[1:], made[1:], strict=True))]  # type: ignore[operator]
        if scales is not None and scales.size:
            exact = {round(float(scale), 6) for scale in scales.reshape(-1)}
            found = found if exact == {round(each, 6) for each in found[2:]} else []
    else:
        found = []
    if len(found) != 4 or found[:2] != [1.0, 1.0] or not all(map(_is_whole, found)):
        by = "" if scales is None else f" by {scales.tolist()}"
        raise node.error(
            f"convkit makes images (N, C, H, W) larger by whole factors, received "
            f"{node.input_sizes} to {node.output_sizes}{by}"
        )
    return int(found[2]), int(found[3])


def reduce(node: Node) -> list[Operator]:
    """A mean or maximum over the rows and columns, wherever they are."""
    axes = node.constant(0, "axes")
    node.take("noop_with_empty_axes", 0)
    keepdims = node.take("keepdims", 1)
    rank = len(node.input_sizes or ())
    found = None if axes is None else sorted(int(axis) % max(rank, 1) for axis in axes.reshape(-1))
    op = "GlobalAveragePool" if node.op == "ReduceMean" else "GlobalMaxPool"
    pooled = [Operator(op, (), {}, node.name)]
    flat = [] if keepdims else [Operator("Flatten", (), {}, node.name)]
    if rank in (3, 4) and found == list(range(2, rank)):
        return pooled + flat
    if rank in (3, 4) and found == list(range(1, rank - 1)):  # of channels-last images
        before = Operator("Transpose", (), {"perm": to_channels_first(rank)}, node.name)
        behind = Operator("Transpose", (), {"perm": to_channels_last(rank)}, node.name)
        return [before, *pooled, *(flat or [behind])]
    what = "means" if node.op == "ReduceMean" else "maxima"
    raise node.error(
        f"convkit has {what} over the rows and columns of (N, C, H, W) alone, received axes "
        f"{None if axes is None else axes.tolist()} of {node.input_sizes}"
    )
