"""Symbolic tensors, and the graph of layers that they make.

A layer called on tensors gives a tensor and remembers nothing else: a `Node` says which layer was
called on what, and tensors lead from a model's outputs to its inputs. Layers know their nodes
weakly, so that a graph is freed with the last of its tensors.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from ..core.parameters import Shape

if TYPE_CHECKING:
    from typing_extensions import Self

    from .base import Layer


class Tensor:
    """The output of a layer in a model that is being described; it holds no numbers.

    Attributes:
        shape: with the batch in front, such as (None, 28, 28, 1).
        node: the call that makes it.
        index: which of that call's outputs it is.
        sizes: the shape of one sample.
        shape_type: the class of shapes; `convkit.compat` has one with the methods of old.
    """

    __slots__ = ("__weakref__", "index", "node", "shape", "sizes")
    shape_type: ClassVar[type[Shape]] = tuple
    __array_ufunc__ = None  # numpy.add(array, tensor) is a TypeError, not an array of objects

    def __init__(self, shape: Shape, node: Node, index: int = 0) -> None:
        self.shape: Shape = self.shape_type(shape)
        self.sizes = tuple(size for size in shape[1:] if size is not None)
        self.node = node
        self.index = index

    @property
    def layer(self) -> Layer:
        """The layer that makes it."""
        return self.node.layer

    @property
    def name(self) -> str:
        """The name of the layer that makes it."""
        return self.node.layer.name

    @property
    def dtype(self) -> str:
        """Always "float32"."""
        return "float32"

    @property
    def ndim(self) -> int:
        """The number of its dimensions, the batch among them."""
        return len(self.shape)

    def __add__(self, other: Any) -> Tensor:
        return _merge("Add", self, other) if _is(other) else _rescale(self, 1.0, other)

    def __radd__(self, other: Any) -> Tensor:
        return _rescale(self, 1.0, other)

    def __sub__(self, other: Any) -> Tensor:
        return _merge("Subtract", self, other) if _is(other) else _rescale(self, 1.0, -other)

    def __rsub__(self, other: Any) -> Tensor:
        return _rescale(self, -1.0, other)

    def __mul__(self, other: Any) -> Tensor:
        return _merge("Multiply", self, other) if _is(other) else _rescale(self, other, 0.0)

    def __rmul__(self, other: Any) -> Tensor:
        return _rescale(self, other, 0.0)

    def __truediv__(self, other: Any) -> Tensor:
        if _is(other):
            raise TypeError("a symbolic tensor cannot be divided by another one")
        return _rescale(self, 1.0 / other, 0.0)

    def __neg__(self) -> Tensor:
        return _rescale(self, -1.0, 0.0)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise TypeError(
            f"{self!r} holds no numbers: make a Model of it, and give the model arrays; for what a "
            f"layer lacks, write a layer of your own"
        )

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} is neither true nor false: it holds no numbers")

    def __iter__(self) -> NoReturn:
        raise TypeError(f"{self!r} cannot be taken apart: it holds no numbers")

    def __repr__(self) -> str:
        return f"<Tensor of {self.node.layer.name}, shape {self.shape}>"


def _is(value: Any) -> bool:
    return isinstance(value, Tensor)


def _merge(kind: str, *tensors: Tensor) -> Tensor:
    from .. import layers  # here, for they know this module

    made: Tensor = getattr(layers, kind)()(list(tensors))
    return made


def _rescale(tensor: Tensor, scale: Any, offset: Any) -> Tensor:
    from .rescaling import Rescaling  # here, for it knows this module

    try:
        made: Tensor = Rescaling(float(scale), float(offset))(tensor)
    except (TypeError, ValueError):
        raise TypeError(
            f"a symbolic tensor can be added to, or multiplied by, another one or a number, "
            f"received {scale!r} and {offset!r}"
        ) from None
    return made


_ticks = count(1)


def tick() -> int:
    """A number greater than all before: what was made or set first has the smaller one."""
    return next(_ticks)


class Node:
    """One call of a layer.

    Attributes:
        layer: that was called, a layer or a model; the node of an `Input` has no inputs.
        inputs: what it was called on.
        outputs: what it made: one tensor, or several of a model with several outputs.
    """

    __slots__ = ("__weakref__", "_shapes", "_tensors", "inputs", "layer")

    def __init__(self, layer: Any, inputs: Sequence[Tensor], shapes: Sequence[Shape]) -> None:
        self.layer: Layer = layer
        self.inputs = tuple(inputs)
        self._shapes = tuple(shapes)
        self._tensors: list[weakref.ref[Tensor] | None] = [None] * len(self._shapes)
        layer._inbound_nodes.append(weakref.ref(self))

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The tensors, which hold the node and not the other way round."""
        return tuple(self._output(index) for index in range(len(self._shapes)))

    def _output(self, index: int) -> Tensor:
        reference = self._tensors[index]
        tensor = None if reference is None else reference()
        if tensor is None:
            tensor = Tensor(self._shapes[index], self, index)
            self._tensors[index] = weakref.ref(tensor)
        return tensor


class Operation:
    """What can be called on tensors, as a part of a model.

    Attributes:
        merges: whether it takes several tensors.
    """

    name: str
    _inbound_nodes: list[weakref.ref[Node]]  # its calls, while a model or a tensor holds them
    _inner: Graph | None = None  # what it is made of, where that is other layers
    _made_at: int  # which of two was made first
    merges: bool = False

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        made = super().__new__(cls)
        object.__setattr__(made, "_made_at", tick())
        return made

    def _calls(self) -> list[Node]:
        """The nodes that are still there, in their order."""
        found = [
            node for node in (reference() for reference in self._inbound_nodes) if node is not None
        ]
        self._inbound_nodes[:] = [weakref.ref(node) for node in found]
        return found

    @property
    def input(self) -> Any:
        """The tensor, or tensors, that it was called on.

        Raises:
            ValueError: it was not called yet. Called several times, the first one counts.
        """
        return one_or_all(self._call("input").inputs)

    @property
    def output(self) -> Any:
        """The tensor that it gave when it was called.

        Raises:
            ValueError: it was not called yet. Called several times, the first one counts.
        """
        return one_or_all(self._call("output").outputs)

    def _call(self, what: str) -> Node:
        calls = self._calls()
        if not calls:
            raise ValueError(
                f'layer "{self.name}" has no {what}: it was not called on a symbolic tensor yet, '
                f"and is in no model that is built"
            )
        return calls[0]


def one_or_all(values: Sequence[Any]) -> Any:
    """The only one, or a list of several."""
    return values[0] if len(values) == 1 else list(values)


class Graph:
    """The layers between some tensors, in an order in which they can be computed.

    Args:
        inputs: made by Input, or by other layers, whose values are given then.
        outputs: that depend on nothing but the inputs.

    Attributes:
        nodes: without those of the inputs, each behind those that it depends on.
        layers: of the nodes, each once.

    Raises:
        ValueError: an output depends on an `Input` that is not among the inputs.
    """

    def __init__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.nodes = topological(self.outputs, self.inputs)
        self.layers = _by_depth(self)

    def all_layers(self) -> list[Layer]:
        """The layers that compute, each once; those of a model that is a layer in its place."""
        found: dict[Layer, None] = {}
        for layer in self.layers:
            found.update(
                dict.fromkeys([layer] if layer._inner is None else layer._inner.all_layers())
            )
        return list(found)

    def number_layers(self) -> None:
        """Give every layer an index of its own, so that no two draw the same random numbers.

        Layers keep what they have, as long as none before them has it.
        """
        used: set[int] = set()
        free = 0  # no smaller index is
        for layer in self.all_layers():
            if layer._inbound_nodes and not any(node.inputs for node in layer._calls()):
                continue  # an Input
            if layer.index in used:
                while free in used:
                    free += 1
                layer.index = free
            used.add(layer.index)

    def as_chain(self) -> list[Layer] | None:
        """The layers if each reads nothing but the one before it, those of inner models too."""
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            return None
        found: list[Layer] = []
        last = self.inputs[0]
        for node in self.nodes:
            if node.inputs != (last,):
                return None
            inner = [node.layer] if node.layer._inner is None else node.layer._inner.as_chain()
            if inner is None:
                return None
            found += inner
            last = node.outputs[0]
        is_whole = last is self.outputs[0] and len(set(found)) == len(found)
        return found if is_whole else None


def topological(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Node]:
    """The nodes that outputs depend on, each behind its own inputs'; those of a chain in order.

    What is nearer to the first output's first inputs comes first. No recursion, for a chain may be
    longer than Python's stack.
    """
    known = {id(tensor.node) for tensor in inputs}
    order: list[Node] = []
    for output in outputs:
        waiting = [(output.node, False)]
        while waiting:
            node, is_ready = waiting.pop()
            if is_ready:
                order.append(node)
            elif id(node) not in known:
                if not node.inputs:
                    raise ValueError(
                        f'the outputs depend on the Input "{node.layer.name}", which is not among '
                        f"the inputs"
                    )
                known.add(id(node))
                waiting.append((node, True))
                waiting += [(tensor.node, False) for tensor in reversed(node.inputs)]
    return order


def _by_depth(graph: Graph) -> list[Layer]:
    """The layers, those of the inputs too, in Keras's order.

    What is further from the outputs comes first; then what is met first on the way from them.
    """
    depths: dict[int, int] = {}
    for node in (*reversed(graph.nodes), *(tensor.node for tensor in graph.inputs)):
        depth = depths.setdefault(id(node), 0)
        for tensor in node.inputs:
            key = id(tensor.node)
            depths[key] = max(depths.get(key, 0), depth + 1)
    own = {id(node) for node in graph.nodes}
    met: dict[Layer, int] = {}
    seen: set[int] = set()
    waiting = [tensor.node for tensor in reversed(graph.outputs)]
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen.add(id(node))
            met.setdefault(node.layer, len(met))
            if id(node) in own:
                waiting += [tensor.node for tensor in reversed(node.inputs)]
    for tensor in graph.inputs:
        if tensor.node.inputs:  # of another model, whose layers are not this one's
            if not any(node.layer is tensor.layer for node in graph.nodes):
                met.pop(tensor.layer, None)
        else:
            met.setdefault(tensor.layer, -1)  # one that nothing reads comes before what is as far
    furthest = dict.fromkeys(met, 0)
    for node in (*graph.nodes, *(tensor.node for tensor in graph.inputs)):
        if node.layer not in met:
            continue
        furthest[node.layer] = max(furthest[node.layer], depths[id(node)])
    return sorted(met, key=lambda layer: (-furthest[layer], met[layer]))


def symbolic(inputs: Any) -> list[Tensor] | None:
    """The tensors that a layer is called on, one or several; None if it is something else."""
    if isinstance(inputs, Tensor):
        return [inputs]
    if isinstance(inputs, list | tuple) and any(map(_is, inputs)):
        others = [each for each in inputs if not _is(each)]
        if others:
            raise TypeError(
                f"a layer is called on symbolic tensors or on arrays, not on both: "
                f"received {others[0]!r} beside tensors"
            )
        return list(inputs)
    return None
