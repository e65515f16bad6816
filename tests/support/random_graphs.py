"""Models drawn at random, with forks, merges, shared layers and models in models; and their oracle.

The oracle walks the same graph with PyTorch's operations in float64, whose gradients are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import convkit
from convkit import layers
from convkit.layers.graph import Graph, Tensor
from convkit.layers.step_context import StepContext
from convkit.plan import Plan

SIZES = (6, 5, 3)
MOST_NODES = 30


class Draw:
    """Draws one model; the same numbers give the same model."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.shared: list[layers.Layer] = []

    def choice(self, values: Sequence[Any]) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def model(self, nodes: int = MOST_NODES, depth: int = 0) -> convkit.Model:
        """A model of one or two inputs and up to three outputs."""
        inputs = [convkit.Input(SIZES) for _ in range(1 if depth else int(self.rng.integers(1, 3)))]
        tensors: list[Tensor] = list(inputs)
        for _ in range(int(self.rng.integers(2, max(3, nodes + 1)))):
            tensors.append(self.step(tensors, depth))
        used = {id(t) for tensor in tensors for t in tensor.node.inputs}
        ends = [t for t in tensors if id(t) not in used and t not in inputs]
        outputs = ends[: 1 if depth else 3]
        if depth == 0 and self.rng.random() < 0.3:  # an output that others read, too
            inner = [t for t in tensors if t not in outputs and t not in inputs]
            outputs += [self.choice(inner)] if inner else []
        needed = {id(t) for t in behind(outputs)}
        inputs = [t for t in inputs if id(t) in needed]
        return convkit.Model(inputs if len(inputs) > 1 else inputs[0],
                             outputs if len(outputs) > 1 else outputs[0])  # fmt: skip

    def step(self, tensors: list[Tensor], depth: int) -> Tensor:
        """One more tensor."""
        x = self.choice(tensors[-4:]) if self.rng.random() < 0.6 else self.choice(tensors)
        kind = self.rng.random()
        alike = [t for t in tensors if t.shape == x.shape]
        if kind < 0.25 and len(x.shape) == 4:
            merge = self.choice([layers.Add, layers.Multiply, layers.Average, layers.Subtract,
                                 layers.Concatenate])  # fmt: skip
            return merge()([x, self.choice(alike)])  # type: ignore[no-any-return]
        if kind < 0.4 and self.shared:
            layer = self.choice(self.shared)
            if layer.input_shape is not None and layer.input_shape[1:] == x.shape[1:]:
                return layer(x)  # type: ignore[no-any-return]
        if kind < 0.46 and depth < 2 and x.shape[1:] == SIZES:
            return self.model(5, depth + 1)(x)  # type: ignore[no-any-return]
        if kind < 0.5 and x.shape[-1] is not None and len(x.shape) == 4:
            gate = layers.GlobalAveragePooling2D()(x)
            gate = layers.Dense(x.shape[-1], activation="sigmoid")(gate)
            return layers.Multiply()([x, gate])  # type: ignore[no-any-return]
        if kind < 0.57 and len(x.shape) == 4:
            return self.sum(x, self.choice(alike))
        return self.layer(x)

    def sum(self, x: Tensor, z: Tensor) -> Tensor:
        """A normalised convolution of one tensor, or of two, plus another one."""
        same = {"filters": x.shape[-1], "kernel_size": self.choice([1, 3]), "padding": "same"}
        y = layers.BatchNormalization()(layers.Conv2D(**same)(x))
        if self.rng.random() < 0.3:
            z = layers.BatchNormalization()(layers.Conv2D(**same)(z))
        y = layers.Add()([y, z] if self.rng.random() < 0.5 else [z, y])
        return layers.ReLU()(y) if self.rng.random() < 0.7 else y

    def layer(self, x: Tensor) -> Tensor:
        """A new layer of one input, which may be called again."""
        if len(x.shape) != 4:
            made: layers.Layer = layers.Dense(int(self.rng.integers(1, 6)), activation="tanh")
        else:
            channels = self.choice([3, 3, 4])
            make = {
                "conv": lambda: layers.Conv2D(channels, self.choice([1, 3]), padding="same",
                                              activation=self.choice([None, "relu", "tanh"])),
                "norm": layers.BatchNormalization,
                "relu": layers.ReLU,
                "gelu": lambda: layers.Activation("gelu"),
                "pool": lambda: layers.MaxPooling2D(2, 1, padding="same"),
                "mean": lambda: layers.AveragePooling2D(2, 1, padding="same"),
                "linear": lambda: layers.Activation("linear"),
                "scale": lambda: layers.Rescaling(0.5, 0.25),
            }  # fmt: skip
            made = make[self.choice(list(make))]()
        y: Tensor = made(x)
        self.shared.append(made)
        return y


def behind(outputs: Sequence[Tensor]) -> list[Tensor]:
    """All tensors that some depend on."""
    found: dict[int, Tensor] = {}
    waiting = list(outputs)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) not in found:
            found[id(tensor)] = tensor
            waiting += tensor.node.inputs
    return list(found.values())


# The oracle.


def oracle(
    model: convkit.Model, x: Sequence[np.ndarray], targets: Sequence[np.ndarray],
    weights: Sequence[float],
) -> tuple[list[np.ndarray], list[np.ndarray]]:  # fmt: skip
    """Outputs, and the gradients of the weighted mean squared errors in all trainable weights."""
    import torch

    values = {p: torch.tensor(p.value, dtype=torch.float64, requires_grad=p.trainable)
              for p in model.weights}  # fmt: skip
    given = [torch.tensor(each, dtype=torch.float64) for each in x]
    outputs = _follow(model.graph, given, values)
    loss = sum(
        weight * ((output - torch.tensor(target, dtype=torch.float64)) ** 2).mean()
        for output, target, weight in zip(outputs, targets, weights, strict=True)
    )
    trained = [p for p in model.weights if p.trainable]
    gradients: Any = [None] * len(trained)
    if loss.requires_grad:
        gradients = torch.autograd.grad(loss, [values[p] for p in trained], allow_unused=True)
    found = [
        np.zeros(p.shape) if g is None else g.numpy()
        for p, g in zip(trained, gradients, strict=True)
    ]
    return [output.detach().numpy() for output in outputs], found


def _follow(graph: Graph, given: Sequence[Any], values: Any) -> list[Any]:
    known = {(id(t.node), t.index): v for t, v in zip(graph.inputs, given, strict=True)}
    for node in graph.nodes:
        inputs = [known[id(t.node), t.index] for t in node.inputs]
        inner = node.layer._inner
        made = (
            [_layer(node.layer, inputs, values)]
            if inner is None
            else _follow(inner, inputs, values)
        )
        known.update({(id(node), i): value for i, value in enumerate(made)})
    return [known[id(t.node), t.index] for t in graph.outputs]


def _layer(layer: Any, inputs: list[Any], values: Any) -> Any:
    import torch
    from torch.nn import functional

    x = inputs[0]
    if isinstance(layer, layers.Concatenate):
        return torch.cat(inputs, -1)
    if layer.merges:
        while inputs[1].ndim < x.ndim:  # a gate of each channel
            inputs[1] = inputs[1][:, None]
        z = inputs[1]
        pairs = {"Add": lambda: x + z, "Multiply": lambda: x * z, "Subtract": lambda: x - z,
                 "Average": lambda: (x + z) / 2}  # fmt: skip
        return pairs[type(layer).__name__]()
    if isinstance(layer, layers.Conv2D):
        w, b = (values[p] for p in layer.weights)
        y = functional.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), b, padding="same")
        return _activation(layer.activation, y.permute(0, 2, 3, 1))
    if isinstance(layer, layers.Dense):
        w, b = (values[p] for p in layer.weights)
        return _activation(layer.activation, x @ w + b)
    if isinstance(layer, layers.BatchNormalization):
        gamma, beta = (values[p] for p in layer.weights[:2])
        axes = tuple(range(x.ndim - 1))
        mean, variance = x.mean(axes), x.var(axes, unbiased=False)
        return (x - mean) / torch.sqrt(variance + layer.epsilon) * gamma + beta
    if isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D):
        y = x.permute(0, 3, 1, 2)
        if isinstance(layer, layers.MaxPooling2D):
            y = functional.max_pool2d(functional.pad(y, (0, 1, 0, 1), value=-torch.inf), 2, 1)
        else:
            ones = functional.pad(torch.ones_like(y), (0, 1, 0, 1))
            y = functional.avg_pool2d(functional.pad(y, (0, 1, 0, 1)), 2, 1)
            y = y / functional.avg_pool2d(ones, 2, 1)
        return y.permute(0, 2, 3, 1)
    if isinstance(layer, layers.GlobalAveragePooling2D):
        return x.mean((1, 2))
    if isinstance(layer, layers.Rescaling):
        return x * layer.scale + layer.offset
    return _activation(layer.activation, x)


def _activation(name: str | None, x: Any) -> Any:
    import torch

    functions = {None: lambda a: a, "gelu": torch.nn.functional.gelu}
    return functions.get(name, getattr(torch, name or "", None))(x)


# Runs with memory that nothing may rely on.


def times(plan: Plan) -> list[int]:
    """When each call of a bound plan runs, by the count of `convkit.plan.lowering`."""
    found = [1 + i for i, step in enumerate(plan.steps) if not step.stage.is_view(plan.training)]
    losses = 1 + len(plan.steps)
    for i, head in enumerate(plan.heads):
        calls = 1 + (head.of.weight != 1.0) + (head.add_to is not None)
        found += [losses + i] * calls
    first = losses + len(plan.heads)
    for i, step in enumerate(reversed(plan.steps)):
        found += [first + i] * len(step.backward(1))
    return found


def run_poisoned(plan: Plan, n: int, x: Sequence[np.ndarray], targets: Sequence[np.ndarray],
                 run: StepContext) -> Any:  # fmt: skip
    """Run all calls one by one, with every piece of memory spoilt before and behind its life."""
    bound = plan.bind(n)
    calls = [call for steps in bound.steps for call in steps.runs]
    places = list(dict.fromkeys(slot.place for slot in plan.memory.slots))
    memory = places[0]._memory
    assert memory is not None
    memory[...] = 255  # NaN, and an index outside
    for own, given in zip(bound.inputs, x, strict=True):
        own[...] = given
    bound.take(targets, [None] * len(bound.heads), np.arange(n))
    clock = times(plan)
    assert len(clock) == len(calls)
    former = 0
    for now, call in zip(clock, calls, strict=True):
        if now != former:
            alive = np.zeros(len(memory), bool)
            for place in places:
                if place.start < now <= place.end:  # what begins now is yet to be written
                    alive[place.offset : place.offset + place.nbytes] = True
            memory[~alive] = 255
        former = now
        call(run)
    return bound
