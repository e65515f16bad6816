"""A node of an ONNX file: what it reads, and its attributes until they are understood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

from ..core.parameters import Array
from ..operators.operator import Operator
from .constants import constant_array

Sizes = tuple[int | str | None, ...]


class Node:
    """A node that reads tensors and constants.

    Args:
        proto: ONNX's own object.
        opset: the version of the operators.
        input_sizes: of the first tensor, as far as ONNX could tell; None for an unknown rank.
        output_sizes: likewise of the results.
        inputs: the names of the tensors that are no constants.
        constants: the other inputs in order, None where there is none.
        array: what makes a constant an array.

    Attributes:
        first: whether the first input is a tensor.
        outputs: how many it has.
        results: their names.
    """

    def __init__(
        self,
        proto: onnx.NodeProto,
        opset: int,
        input_sizes: Sizes | None,
        output_sizes: Sequence[Sizes | None],
        inputs: Sequence[str] = (),
        constants: Sequence[onnx.TensorProto | None] = (),
        array: Callable[[onnx.TensorProto], Array] = constant_array,
    ) -> None:
        self.op, self.name, self.opset = proto.op_type, proto.name, opset
        self.input_sizes = input_sizes
        self.output_sizes = output_sizes[0] if output_sizes else None
        self.all_output_sizes = output_sizes
        self.inputs, self.constants = tuple(inputs), list(constants)
        self._array = array
        self.first = bool(inputs) and proto.input[0] == inputs[0]
        self.results = list(proto.output)
        self.outputs = sum(map(bool, proto.output))
        self._attributes: dict[str, Any] = {}
        for each in proto.attribute:
            if each.name in self._attributes:
                raise self.error(f"it has the attribute {each.name} twice")
            self._attributes[each.name] = onnx.helper.get_attribute_value(each)

    def error(self, message: str) -> ValueError:
        """A ValueError that names this node."""
        return Operator(self.op, name=self.name).error(message)

    def take(self, name: str, default: Any) -> Any:
        """An attribute, which is understood thereby; bytes as a string."""
        value = self._attributes.pop(name, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def expect(self, name: str, *allowed: Any) -> None:
        """ValueError unless an attribute is absent or has one of these values."""
        value = self.take(name, allowed[0])
        if value not in allowed:
            raise self.error(f"convkit needs {name}={allowed[0]!r}, received {value!r}")

    def constant(self, index: int, attribute: str | None = None) -> Array | None:
        """The constant input of that index, not counting the tensor.

        Where older versions of the operator have an attribute instead, that.
        """
        if attribute is not None and attribute in self._attributes:
            return np.asarray(self._attributes.pop(attribute))
        tensor = self.constants[index] if index < len(self.constants) else None
        return None if tensor is None else self._array(tensor)

    def weights(self, *required: bool) -> tuple[Array, ...]:
        """The float32 constants; each argument says whether there must be one."""
        arrays = []
        for index, needed in enumerate(required):
            array = self.constant(index)
            if array is None and needed:
                raise self.error(f"input {index + 1} is missing; it must be a constant")
            if array is not None:
                if array.dtype != np.float32:
                    raise self.error(f"input {index + 1} must be float32, received {array.dtype}")
                arrays.append(array)
        return tuple(arrays)

    def finish(self) -> None:
        """ValueError if an attribute was not understood."""
        if self._attributes:
            raise self.error(
                f"convkit does not know its attributes {', '.join(sorted(self._attributes))}"
            )


def decimal(number: float) -> float:
    """The shortest decimal number that is this float32: 0.1 for 0.10000000149."""
    return float(str(np.float32(number)))
