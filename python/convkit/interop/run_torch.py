"""What a PyTorch network makes of its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ..core.packages import package
from ..core.parameters import Array
from ..layers.graph import one_or_all


def run(network: Any, x: Any) -> Any:
    """The results for channels-last arrays, one or a list, likewise; see `compute`."""
    given = [np.moveaxis(each, -1, 1) for each in (x if isinstance(x, list) else [x])]
    return one_or_all([np.moveaxis(each, 1, -1) for each in compute(network, given)])


def compute(network: Any, inputs: Sequence[Array]) -> list[Array]:
    """The results in evaluation mode, in float32 on the CPU wherever the network is.

    On a GPU PyTorch may round products to TF32. The modes of all modules are as before afterwards.

    Args:
        network: an nn.Module.
        inputs: in its own layout.

    Raises:
        ValueError: the network refuses such inputs, or gives something else than tensors.
    """
    torch = package("torch")
    # Copies: the first module may work in place.
    tensors = [torch.from_numpy(np.array(x, order="C")) for x in inputs]
    own = dict((*network.named_parameters(), *network.named_buffers()))
    try:
        with evaluating(network):
            if all(tensor.device.type == "cpu" for tensor in own.values()):
                y = network(*tensors)
            else:
                here = {name: tensor.detach().cpu() for name, tensor in own.items()}
                y = torch.func.functional_call(network, here, tuple(tensors))
    except (RuntimeError, ValueError, IndexError) as error:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise ValueError(f"PyTorch does not take images of shape {shapes}: {error}") from error
    results = list(y) if isinstance(y, tuple | list) else [y]
    if not all(isinstance(each, torch.Tensor) for each in results):
        raise ValueError(f"the PyTorch module must give tensors, received {type(y).__name__}")
    return [each.detach().numpy() for each in results]


@contextmanager
def evaluating(network: Any) -> Iterator[None]:
    """Evaluation mode, without gradients, compilation or shortened products."""
    torch = package("torch")
    modes = [(module, module.training) for module in network.modules()]
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.autocast("cpu", enabled=False))
        if any(module._compiled_call_impl is not None for module, _ in modes):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        if torch.get_float32_matmul_precision() != "highest":  # oneDNN may round to bfloat16
            precision = torch.get_float32_matmul_precision()
            stack.callback(torch.set_float32_matmul_precision, precision)
            torch.set_float32_matmul_precision("highest")
        try:
            for module, _ in modes:
                module.training = False
            yield
        finally:
            for module, training in modes:
                module.training = training
