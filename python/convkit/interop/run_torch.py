"""What a PyTorch network makes of channels-last images."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np

from ..core.parameters import Array
from .packages import package


def run(network: Any, x: Array) -> Array:
    """The result in evaluation mode, channels-last, in float32 on the CPU wherever the network is.

    On a GPU PyTorch may round products to TF32. The modes of all modules are as before afterwards.

    Raises:
        ValueError: the network refuses such images.
    """
    torch = package("torch")
    # A copy: the first module may work in place.
    images = torch.from_numpy(np.array(np.moveaxis(x, -1, 1), order="C"))
    tensors = dict((*network.named_parameters(), *network.named_buffers()))
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
            if all(tensor.device.type == "cpu" for tensor in tensors.values()):
                y = network(images)
            else:
                here = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
                y = torch.func.functional_call(network, here, (images,))
        except (RuntimeError, ValueError, IndexError) as error:
            raise ValueError(
                f"PyTorch does not take images of shape {tuple(images.shape)}: {error}"
            ) from error
        finally:
            for module, training in modes:
                module.training = training
    result: Array = np.moveaxis(y.detach().numpy(), 1, -1)
    return result
