"""Operators that arrange or join tensors, as layers."""

from __future__ import annotations

from dataclasses import replace

from .. import layers
from .assembly import Assembly, Value
from .functions import product
from .operator import Operator, order_is_one, to_channels_first
from .window_layers import reshaped


def flatten(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """Rows of all values of a sample; those of images behind which a dense layer comes as ours."""
    pools = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
    if x.is_by(*pools) and x.rank == 4:
        assert x.maker is not None
        config = {**x.maker.layer.get_config(), "keepdims": False}
        return replace(assembly.replace(x, operator, type(x.maker.layer), **config), first=False)
    if x.rank == 2:
        return x
    name, source = assembly.name(operator), x
    plane = None
    if x.first and not order_is_one(x.sizes):
        if operator.output in assembly.leads_to_dense:
            plane = x.sizes
        else:
            x = assembly.as_is(x)
    return assembly.add(operator, layers.Flatten(name=name), x, plane=plane, origin=source)


def reshape(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """Other sizes, in the order of the operators' tensor."""
    return reshaped(assembly, operator, x, tuple(operator.attributes["sizes"]))


def transpose(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """Between channels-first and channels-last images only the view of them changes."""
    perm, rank = tuple(operator.attributes["perm"]), x.rank
    if sorted(perm) != list(range(rank)) or perm[0] != 0:
        raise operator.error(
            f"the batch must stay where it is, received perm {perm} of {x.described()}"
        )
    ours = to_channels_first(rank) if x.first else tuple(range(rank))  # where their axes are here
    order = tuple(ours[axis] for axis in perm)  # of our axes
    for first in (True, False):
        wanted = to_channels_first(rank) if first else tuple(range(rank))
        if rank > 2 and order == wanted:
            return replace(x, first=first, origin=None, _views={})
    if order == tuple(range(rank)):
        return x
    layer = layers.Permute(order[1:], name=assembly.name(operator))
    return assembly.add(operator, layer, x, first=False, plane=None)


def _alike(assembly: Assembly, operator: Operator, x: tuple[Value, ...]) -> list[Value]:
    """All values in one layout."""
    if len({value.rank for value in x}) > 1:
        raise operator.error(
            f"convkit joins tensors of the same number of axes, received "
            f"{', '.join(value.described() for value in x)}; reshape them before"
        )
    if any(value.first and value.rank > 2 for value in x):
        return [assembly.as_first(value) for value in x]
    return list(x)


def concat(assembly: Assembly, operator: Operator, *x: Value) -> Value:
    """Tensors side by side."""
    values = _alike(assembly, operator, x)
    rank, axis = values[0].rank, operator.attributes["axis"]
    axis += rank if axis < 0 else 0
    if not 1 <= axis < rank:
        raise operator.error(
            f"axis must be one behind the batch, received {operator.attributes['axis']} of "
            f"{x[0].described()}"
        )
    if values[0].first and rank > 2:
        axis = to_channels_first(rank)[axis]
    axis = -1 if axis == rank - 1 else axis
    layer = layers.Concatenate(axis, name=assembly.name(operator))
    return assembly.add(operator, layer, values)


_MERGES: dict[str, type[layers.Layer]] = {
    "Add": layers.Add,
    "Max": layers.Maximum,
    "Mean": layers.Average,
    "Min": layers.Minimum,
    "Mul": layers.Multiply,
    "Sub": layers.Subtract,
    "Sum": layers.Add,
}


def merge(assembly: Assembly, operator: Operator, *x: Value) -> Value:
    """The sum, product ... of tensors, or a function that is spelt out with one."""
    if operator.op == "Mul" and (found := product(assembly, operator, *x)) is not None:
        return found
    values = _alike(assembly, operator, x)
    layer = _MERGES[operator.op](name=assembly.name(operator))
    return assembly.add(operator, layer, values)


def dropout(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """A Dropout."""
    layer = layers.Dropout(operator.attributes["ratio"], name=assembly.name(operator))
    return assembly.add(operator, layer, x)


def spatial_dropout2d(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """A SpatialDropout2D."""
    ratio = operator.attributes["ratio"]
    layer = layers.SpatialDropout2D(ratio, name=assembly.name(operator))
    return assembly.add(operator, layer, assembly.as_first(x))
