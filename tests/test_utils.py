"""Seeds, one-hot labels, and the random numbers everything is drawn from."""

from __future__ import annotations

import random as python_random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from inspect import isclass, ismodule
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import utils
from convkit.core import random


def test_the_seed_reaches_python_and_numpy() -> None:
    def draw() -> tuple[float, float]:
        utils.set_random_seed(7)
        return python_random.random(), float(np.random.rand())  # noqa: NPY002

    assert draw() == draw()
    assert random.seed() == 7


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range(seed: int) -> None:
    with pytest.raises(ValueError, match="seed must lie in"):
        utils.set_random_seed(seed)


@pytest.mark.parametrize("seed", [1.5, "1", None])
def test_a_seed_that_is_no_integer(seed: Any) -> None:
    with pytest.raises(TypeError, match="a seed must be an integer"):
        utils.set_random_seed(seed)


def test_to_categorical() -> None:
    expected = np.eye(4, dtype=np.float32)[[0, 3, 1]]
    for labels in ([0, 3, 1], [[0], [3], [1]], np.array([0, 3, 1], np.uint8)):
        rows = utils.to_categorical(labels)
        np.testing.assert_array_equal(rows, expected)
        assert rows.dtype == np.float32
    assert utils.to_categorical([0, 1], 5).shape == (2, 5)
    with pytest.raises(ValueError, match=r"0 .. 1, received 3"):
        utils.to_categorical([0, 3], 2)
    with pytest.raises(ValueError, match="received -1"):
        utils.to_categorical([0, -1])
    with pytest.raises(ValueError, match="must be whole numbers"):
        utils.to_categorical([0.5])


def test_a_permutation_is_a_function_of_seed_epoch_and_step() -> None:
    base = random.permutation(1000, 1, 2, 3)
    np.testing.assert_array_equal(np.sort(base), np.arange(1000))
    np.testing.assert_array_equal(base, random.permutation(1000, 1, 2, 3))
    for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert (random.permutation(1000, *other) != base).mean() > 0.9


def test_dropout_offsets_never_meet() -> None:
    offsets = {step + random.dropout_offset(layer) for step in range(50) for layer in range(50)}
    assert len(offsets) == 2500
    assert 2**40 + random.dropout_offset(60000) < 2**64


def test_seeded_replaces_the_seed_in_its_own_thread_only() -> None:
    def kernel() -> np.ndarray:
        return convkit.initializers.GlorotUniform()((3, 4))

    utils.set_random_seed(5)
    expected = [kernel(), kernel()]
    utils.set_random_seed(5)
    first = kernel()
    with random.seeded(9):
        inside = kernel(), kernel()
        assert random.seed() == 9
        with ThreadPoolExecutor(1) as other_thread:
            second = other_thread.submit(kernel).result()
    np.testing.assert_array_equal([first, second], expected)
    utils.set_random_seed(9)
    np.testing.assert_array_equal(inside, (kernel(), kernel()))
    assert not np.array_equal(*inside)
    with pytest.raises(ValueError, match="a seed must lie in"), random.seeded(-1):
        pass


def test_without_a_seed_two_processes_differ() -> None:
    code = "from convkit.core import random; print(random.seed())"
    seeds = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    }
    assert len(seeds) == 2


def test_import_is_light() -> None:
    # Of other packages NumPy alone; of the standard library nothing that takes long to import and
    # that NumPy does without. A dataclass takes as long to make as four modules to import, because
    # its methods are compiled then: what every import needs is a NamedTuple or a plain class.
    heavy = {
        *("PIL", "keras", "matplotlib", "onnx", "pandas", "pooch", "safetensors", "scipy"),
        *("sklearn", "torch", "tqdm"),
        *("asyncio", "concurrent", "csv", "dataclasses", "importlib.util", "ipaddress", "json"),
        *("logging", "multiprocessing", "pathlib", "random", "shutil", "socket", "subprocess"),
        *("tempfile", "unittest", "urllib", "zipfile"),
        *("convkit.absent", "convkit.bench", "convkit.data", "convkit.datasets"),
        *("convkit.diagram", "convkit.interop", "convkit.onnx", "convkit.plots"),
        *("convkit.reference", "convkit.sklearn", "convkit.utils", "convkit.zoo"),
        *("convkit.storage.document", "convkit.storage.file", "convkit.storage.registry"),
        *("html",),
    }
    # Of the packages whose names are imported when they are asked for, what every model needs, and
    # the plan's fusions.
    needed = {
        "callbacks": {"backup_and_restore", "base", "history"},
        "layers": {
            *("activation", "attributes", "base", "batchnorm", "calling", "checks", "composite"),
            *("concatenate", "conv2d", "conv2d_batchnorm", "conv2d_max_pool2d", "dense"),
            *("depthwise_conv2d", "dropout", "epilogue", "flatten", "global_pool2d", "graph"),
            *("image_layer", "input", "merge", "naming", "pool2d", "reshape", "step_context"),
            *("structure", "view_layer"),
        },
        "losses": {"crossentropy", "loss", "targets"},
        "metrics": {"accuracy", "means", "metric", "names"},
        "optimizers": {"arguments", "clipping", "names", "optimizer", "rate", "schedules"},
    }
    code = (
        "import sys, threading, numpy\n"
        "threads, before = threading.active_count(), set(sys.modules)\n"
        "import convkit\n"
        "print(threading.active_count() - threads, *set(sys.modules) - before)"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    threads, *modules = run.stdout.split()
    assert threads == "0"
    assert "convkit.models" in modules
    assert heavy.isdisjoint(modules), sorted(heavy.intersection(modules))
    for package, few in needed.items():
        prefix = f"convkit.{package}."
        assert {name.removeprefix(prefix) for name in modules if name.startswith(prefix)} <= few


def test_public_names_are_there() -> None:
    for name in convkit.__all__:
        if name not in ("bench", "plots", "sklearn"):  # these need packages beyond the core
            assert getattr(convkit, name) is not None
    assert set(convkit.__all__) <= set(dir(convkit))
    assert convkit.models.Sequential is convkit.Sequential
    assert convkit.layers.Input is convkit.Input
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        convkit.nothing  # noqa: B018


def test_completion_proposes_what_is_public() -> None:
    names = set(convkit.__all__) - {"bench", "plots", "sklearn"}  # these need further packages
    modules = [value for name in names if ismodule(value := getattr(convkit, name))]
    for module in (*modules, convkit.optimizers.schedules, convkit.datasets.digits):
        assert sorted(dir(module)) == sorted(module.__all__), module.__name__
        assert all(hasattr(module, name) for name in module.__all__)
        own = {
            name
            for name, value in vars(module).items()
            if isclass(value) and value.__module__ == module.__name__ and not name.startswith("_")
        }
        assert own <= set(module.__all__), module.__name__


def test_version_is_known_from_source_too() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.?\w+)?", convkit.__version__)
    try:
        installed = metadata.version("convkit")
    except metadata.PackageNotFoundError:
        return  # there is no second one that could differ
    assert installed == convkit.__version__


def test_large_seeds_are_seeds_of_their_own() -> None:
    """Floating-point numbers would round them, and have no place for the largest."""
    seeds = [2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1]
    drawn = [random.generator(seed, random.Stream.SHUFFLE, 1).integers(2**62) for seed in seeds]
    assert len(set(drawn)) == len(seeds)
