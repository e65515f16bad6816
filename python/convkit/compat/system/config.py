"""`tf.config`, `tf.test` and what lists devices: the CPU alone, and its threads."""

from __future__ import annotations

import os
from typing import Any

from ... import runtime

__all__ = [
    "LogicalDevice",
    "LogicalDeviceConfiguration",
    "PhysicalDevice",
    "TestCase",
    "VirtualDeviceConfiguration",
    "compute_capability",
    "enable_op_determinism",
    "experimental_connect_to_cluster",
    "experimental_run_functions_eagerly",
    "functions_run_eagerly",
    "get_build_info",
    "get_compile_flags",
    "get_inter_op_parallelism_threads",
    "get_intra_op_parallelism_threads",
    "get_lib",
    "get_logical_device_configuration",
    "get_memory_growth",
    "get_memory_info",
    "get_soft_device_placement",
    "get_visible_devices",
    "gpu_device_name",
    "is_built_with_cuda",
    "is_built_with_gpu_support",
    "is_built_with_rocm",
    "is_built_with_xla",
    "is_gpu_available",
    "list_local_devices",
    "list_logical_devices",
    "list_physical_devices",
    "run_functions_eagerly",
    "set_inter_op_parallelism_threads",
    "set_intra_op_parallelism_threads",
    "set_jit",
    "set_logical_device_configuration",
    "set_memory_growth",
    "set_soft_device_placement",
    "set_synchronous_execution",
    "set_virtual_device_configuration",
    "set_visible_devices",
]


class PhysicalDevice:
    """A device: a name and a kind."""

    def __init__(self, name: str = "/physical_device:CPU:0", device_type: str = "CPU") -> None:
        self.name, self.device_type = name, device_type
        self.physical_device_desc, self.memory_limit, self.locality = "", 0, None

    def __repr__(self) -> str:
        return f"PhysicalDevice(name={self.name!r}, device_type={self.device_type!r})"


LogicalDevice = PhysicalDevice


class LogicalDeviceConfiguration:
    """How much of a device is used; there is none that has it."""

    def __init__(self, memory_limit: Any = None, **options: Any) -> None:
        self.memory_limit = memory_limit


VirtualDeviceConfiguration = LogicalDeviceConfiguration


class TestCase:
    """TensorFlow's class for its own tests, which has nothing here."""

    __test__ = False


def list_physical_devices(device_type: Any = None) -> list[PhysicalDevice]:
    """The CPU, where all devices or those of its kind are asked for; no others."""
    return [PhysicalDevice()] if device_type in (None, "CPU") else []


list_logical_devices = get_visible_devices = list_physical_devices


def list_local_devices(*arguments: Any) -> list[PhysicalDevice]:
    """The CPU."""
    return [PhysicalDevice("/device:CPU:0")]


def set_intra_op_parallelism_threads(num_threads: int) -> None:
    """Compute with so many threads; 0 for one a core."""
    runtime.set_num_threads(int(num_threads) or (os.cpu_count() or 1))


def get_intra_op_parallelism_threads() -> int:
    """How many threads compute."""
    return runtime.get_num_threads()


def set_inter_op_parallelism_threads(num_threads: int) -> None:
    """Nothing: one operation runs after the other, each with all threads."""


def get_inter_op_parallelism_threads() -> int:
    """1: one operation runs after the other."""
    return 1


def gpu_device_name() -> str:
    """No device."""
    return ""


def is_gpu_available(*arguments: Any, **options: Any) -> bool:
    """False."""
    return False


is_built_with_cuda = is_built_with_gpu_support = is_gpu_available
is_built_with_rocm = is_built_with_xla = functions_run_eagerly = is_gpu_available


def get_build_info() -> dict[str, Any]:
    """What TensorFlow was built with: no accelerator."""
    return {"is_cuda_build": False, "is_rocm_build": False, "cuda_version": "", "cudnn_version": ""}


def get_memory_info(device: Any) -> dict[str, int]:
    """The memory of an accelerator: none."""
    return {"current": 0, "peak": 0}


def get_soft_device_placement() -> bool:
    """True: everything runs where it can."""
    return True


def _nothing(*arguments: Any, **options: Any) -> None:
    """Nothing: there is no device that it is about."""


set_memory_growth = set_visible_devices = set_logical_device_configuration = _nothing
set_virtual_device_configuration = set_soft_device_placement = set_synchronous_execution = _nothing
run_functions_eagerly = experimental_run_functions_eagerly = enable_op_determinism = set_jit = (
    _nothing
)
get_memory_growth = get_logical_device_configuration = experimental_connect_to_cluster = _nothing
compute_capability = get_compile_flags = get_lib = _nothing
