"""A convkit model, made of operators on channels-first images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..models import Model
from . import functions, row_layers, shape_layers, window_layers
from .assembly import Assembly, Value
from .operator import Operator


class Source(NamedTuple):
    """An input: its name, the sizes of one sample as the operators see it, and its layout."""

    name: str
    sizes: tuple[int, ...]
    channels_last: bool = False


class Assembled(NamedTuple):
    """A model, and of each output whether the operators' tensor is channels-first."""

    model: Model
    firsts: list[bool]


def assemble(
    operators: Iterable[Operator],
    inputs: Sequence[Source],
    outputs: Sequence[str] = (),
    *,
    give_last: bool = False,
) -> Assembled:
    """A model that computes what the operators compute, and can be trained further.

    It takes and gives channels-last images, whatever the layout of the operators' own. It is a
    Sequential where each layer follows the one before it.

    Args:
        operators: each behind those whose results it reads; those that name no inputs are fed by
            the one before them.
        inputs: what the first of them read.
        outputs: the names of the tensors that the model gives; none for that of the last operator.
        give_last: whether what the operators give is taken for channels-first, whatever it was
            made of, and the model gives it channels-last.

    Raises:
        ValueError: an operator, or a setting of one, has no counterpart in convkit, or arrays do
            not fit. Everything is checked before memory is taken, and none is taken but for
            layers that need the arrays that are there.
    """
    named = [*_named(operators, inputs[0].name)]
    ends = list(outputs) or [named[-1].output if named else inputs[0].name]
    uses = Counter(name for operator in named for name in operator.inputs)
    uses.update(ends)
    assembly = Assembly(_leading_to_dense(named, ends))
    values: dict[str, Value] = {}
    for source in inputs:
        first = len(source.sizes) > 1 and not source.channels_last
        sizes = (*source.sizes[1:], source.sizes[0]) if first else source.sizes
        values[source.name] = Value(sizes, first, name=source.name, uses=uses[source.name])
    given = list(values.values())
    for operator in named:
        build = _builder(operator)
        value = _build(build, assembly, operator, [values[name] for name in operator.inputs])
        values[operator.output] = replace(value, uses=max(value.uses, uses[operator.output]))
    results = [values[name] for name in ends]
    results = [assembly.as_first(value) if give_last else value for value in results]
    model = assembly.finish(given, results)
    return Assembled(model, [value.first and value.rank > 2 for value in results])


def _named(operators: Iterable[Operator], first: str) -> Iterable[Operator]:
    """The operators with the names of what they read and make."""
    last = first
    for index, operator in enumerate(operators):
        output = operator.output or f"#{index}"
        yield replace(operator, inputs=operator.inputs or (last,), output=output)
        last = output


def _builder(operator: Operator) -> Callable[..., Value]:
    build = _BUILDERS.get(operator.op)
    if operator.op in _MERGED and not operator.arrays:
        return shape_layers.merge
    if build is None:
        raise operator.error(
            "a convkit model has no counterpart for this operator; it has some for "
            f"{', '.join(sorted({*_BUILDERS, *_MERGED}))}"
        )
    return build


def _build(
    build: Callable[..., Value], assembly: Assembly, operator: Operator, given: Sequence[Value]
) -> Value:
    """Let a builder work; what a layer has against its arguments is the operator's error."""
    try:
        return build(assembly, operator, *given)
    except ValueError as error:
        if str(error).startswith('layer "'):
            raise operator.error(str(error)) from None
        raise


def _leading_to_dense(operators: Sequence[Operator], outputs: Sequence[str]) -> set[str]:
    """The tensors behind which nothing could tell the order of a row before a Gemm."""
    read: dict[str, bool] = dict.fromkeys(outputs, False)
    for operator in reversed(operators):
        constant = operator.op in ("Add", "Mul") and bool(operator.arrays)
        blind = constant or operator.op in _BLIND
        good = operator.op == "Gemm" or (blind and read.get(operator.output, False))
        for name in operator.inputs:
            read[name] = read.get(name, True) and good
    return {name for name, good in read.items() if good}


# The table: an operator with a counterpart among the layers has one function, and its way back in
# `layer_operators`.
_BUILDERS: dict[str, Callable[..., Value]] = {
    **dict.fromkeys(functions.NAMES, functions.activation),
    "Add": row_layers.add,
    "AveragePool": window_layers.pool,
    "BatchNormalization": row_layers.batchnorm,
    "Clip": functions.clip,
    "Concat": shape_layers.concat,
    "Conv": window_layers.conv,
    "ConvTranspose": window_layers.conv_transpose,
    "Dropout": shape_layers.dropout,
    "Erf": functions.erf,
    "Flatten": shape_layers.flatten,
    "Gemm": row_layers.gemm,
    "GlobalAveragePool": window_layers.global_pool,
    "GlobalMaxPool": window_layers.global_pool,
    "GroupNormalization": window_layers.group_norm,
    "Identity": lambda assembly, operator, x: x,
    "InstanceNormalization": window_layers.group_norm,
    "LayerNormalization": row_layers.layernorm,
    "MatMul": row_layers.gemm,
    "MaxPool": window_layers.pool,
    "Mul": row_layers.mul,
    "PRelu": row_layers.prelu,
    "Pad": window_layers.pad,
    "Reshape": shape_layers.reshape,
    "Resize": window_layers.resize,
    "SpatialDropout2D": shape_layers.spatial_dropout2d,
    "ThresholdedRelu": functions.thresholded_relu,
    "Transpose": shape_layers.transpose,
}
_MERGED = frozenset({"Add", "Max", "Mean", "Min", "Mul", "Sub", "Sum"})
# Operators on rows whose weights, if they have some, are put in the order of the rows.
_BLIND = frozenset(
    {
        *functions.NAMES,
        *("BatchNormalization", "Clip", "Dropout", "Erf", "Flatten", "PRelu", "ThresholdedRelu"),
    }
)
