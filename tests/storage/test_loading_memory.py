"""Loading any file takes no more memory than ten times its size and 50 MB, and ends soon."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convkit import storage
from mutations import raw
from some_models import few_weights, saved_line

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(),
    reason="a process's peak of memory is asked of Linux",
)

FACTOR, EXTRA = 10, 50_000_000  # bytes
SECONDS = 20.0  # a few, on a machine that does nothing else

# Each file in a process of its own, in which everything is imported already.
CHILD = textwrap.dedent(
    """
    import os, sys, time
    import convkit, convkit.storage.file
    if sys.argv[1] == "onnx":
        import convkit.onnx.importer
        try:
            import onnxruntime  # which compares; its own memory is no file's fault
        except ImportError:
            pass
        load = convkit.onnx.load
    else:
        load = convkit.models.load_model

    def memory(key):
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

    for path in sys.argv[2:]:
        if os.fork() == 0:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")  # the peak begins anew
            before, start = memory("VmRSS"), time.perf_counter()
            try:
                load(path)
                outcome = "loaded"
            except ValueError as error:
                outcome = "refused"
                assert path in str(error)
            print(outcome, memory("VmHWM") - before, time.perf_counter() - start, flush=True)
            os._exit(0)
        _, status = os.wait()
        assert status == 0
    """
)


def assert_bounded(kind: str, paths: dict[str, Path]) -> dict[str, str]:
    """Load files; return by their names what came of it."""
    run = subprocess.run(
        [sys.executable, "-c", CHILD, kind, *paths.values()],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=SECONDS * 10,
    )
    outcomes = {}
    for name, line in zip(paths, run.stdout.splitlines(), strict=True):
        outcomes[name], grown, seconds = line.split()
        allowed = FACTOR * paths[name].stat().st_size + EXTRA
        assert int(grown) < allowed, f"{name}: {int(grown):,} bytes, allowed are {allowed:,}"
        assert float(seconds) < SECONDS, name
    return outcomes


def layer(kind: str, **config: Any) -> dict[str, Any]:
    return {"module": "convkit.layers", "class_name": kind, "config": config}


def document(*layers: dict[str, Any], **compiled: Any) -> dict[str, Any]:
    model = {
        "module": "convkit.models",
        "class_name": "Sequential",
        "config": {"name": "s", "layers": list(layers)},
    }
    training = {"steps": 0, "seed": None, "iterations": 0, "slots": []}
    optimizer = {"module": "convkit.optimizers", "class_name": "SGD", "config": {}}
    settings = {"optimizer": optimizer, "loss": None, "metrics": [], **compiled}
    return {"version": 1, "weights": [], "model": model, "compile": settings, "training": training}


def metrics(count: int) -> list[dict[str, Any]]:
    kind = {"module": "convkit.metrics", "class_name": "MeanSquaredError"}
    return [{**kind, "config": {"name": f"m{index}"}} for index in range(count)]


IMAGES = layer("InputLayer", shape=[1, 1, 2**31 - 1])
NESTED = '{"":' * 400 + "0" + "}" * 400

# Headers, and documents in a sound header: as much of a small thing as there may be, and more.
HEADERS = {
    "empty lists": "[" + "[]," * 90_000 + "0]",
    "empty objects": "[" + "{}," * 90_000 + "0]",
    "objects": "[" + '{"":0},' * 90_000 + "0]",
    "nested objects": "[" + f"{NESTED}," * 490 + "0]",
    "short strings": "[" + '"aa",' * 190_000 + "0]",
    "short numbers": "[" + "999," * 190_000 + "0]",
    "short fractions": "[" + "0.5," * 190_000 + "0]",
    "keys": "{" + ",".join(f'"{i:x}":0' for i in range(190_000)) + "}",
    "too many values": "[" + "[]," * 3_000_000 + "0]",
    "a long text": '{"a":"' + "\U0001f600" * 1_900_000 + '"}',
    "a long text with escapes": '{"a":"' + "\U0001f600\\n" * 1_300_000 + '"}',
    "a long integer": '{"a":' + "9" * 4_000 + "}",
}
DOCUMENTS: dict[str, Callable[[], Any]] = {
    "layers": lambda: document(*[layer("Flatten")] * 9_999),
    "layers with arguments": lambda: document(*[layer("Conv2D", filters=1, kernel_size=1)] * 9_999),
    "metrics": lambda: document(IMAGES, metrics=metrics(30_000)),
    "metrics that there may be": lambda: document(IMAGES, metrics=metrics(1_000)),
    "a shape of many sizes": lambda: document(layer("InputLayer", shape=[1] * 190_000)),
    "a target of many sizes": lambda: document(
        layer("InputLayer", shape=[1]), *[layer("Reshape", target_shape=[1] * 1_900)] * 100
    ),
    "a factor for many channels": lambda: document(IMAGES, layer("Rescaling", scale=2.0)),
    "a long name": lambda: document(
        IMAGES, layer("BatchNormalization", name="\U0001f600" * 600_000)
    ),
    "a long unknown key": lambda: {**document(IMAGES), "\x01" * 1_000_000: 1},
}


def files_of_headers() -> Iterator[tuple[str, bytes]]:
    for name, text in HEADERS.items():
        yield f"header: {name}", raw(text.encode())
        held = json.dumps({"__metadata__": {"convkit": text}}, ensure_ascii=False)
        yield f"document: {name}", raw(held.encode())
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in "[" + "{}," * 300_000 + "0]")
    yield "escaped", raw(f'{{"__metadata__":{{"convkit":"{escaped[:7_000_000]}"}}}}'.encode())
    for name, make in DOCUMENTS.items():
        text = json.dumps(make())
        yield name, raw({"__metadata__": {"convkit": text}})


def test_headers_and_documents(tmp_path: Path) -> None:
    paths = {}
    for name, data in files_of_headers():
        paths[name] = tmp_path / str(len(paths))
        paths[name].write_bytes(data)
    outcomes = assert_bounded("model", paths)
    loaded = {name for name, outcome in outcomes.items() if outcome == "loaded"}
    assert loaded == {
        "layers",
        "layers with arguments",
        "metrics that there may be",
        "a factor for many channels",
    }


def test_changed_files(tmp_path: Path) -> None:
    """Numbers grow, lists and names are repeated, bytes are others."""
    _, data = saved_line(tmp_path)
    rng = np.random.default_rng(2)
    paths = {}
    for index in range(60):
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(8, len(changed)))
            some = changed[at : at + int(rng.integers(1, 80))]
            changed[at : at + int(rng.integers(2))] = [
                bytes(some) * int(rng.integers(1, 2_000)),
                b"9" * int(rng.integers(1, 30)),
                rng.bytes(3),
            ][int(rng.integers(3))]
        length = int.from_bytes(data[:8], "little") + len(changed) - len(data)
        changed[:8] = max(length, 0).to_bytes(8, "little")
        paths[f"change {index}"] = tmp_path / str(index)
        paths[f"change {index}"].write_bytes(changed)
    assert_bounded("model", paths)


def test_large_weights_are_held_twice_at_most(tmp_path: Path) -> None:
    """In the file's array and, when training starts, in the model's own memory."""
    model = few_weights()
    document, _ = storage.describe(model)
    document["model"]["config"]["layers"][0]["config"]["shape"] = [800, 800, 2]
    shape = 800 * 800 * 3, 3  # of the dense layer behind the images
    arrays = {p.path: p.value for p in model.weights[:-2]}
    names = [p.path for p in model.weights]
    arrays |= {names[-2]: np.zeros(shape, np.float32), names[-1]: np.zeros(3, np.float32)}
    storage.write(tmp_path / "m", document, arrays)
    size = (tmp_path / "m").stat().st_size
    assert size > 20_000_000
    assert assert_bounded("model", {"m": tmp_path / "m"}) == {"m": "loaded"}


def test_onnx_files(tmp_path: Path) -> None:
    from onnx_graphs import dense

    def nodes(proto: Any) -> None:
        for index in range(4_000):
            proto.graph.node.add(op_type="Relu", input=[str(index)], output=[str(index + 1)])
        proto.graph.node[1].input[0] = "y"
        proto.graph.output[0].name = "4000"

    changes: dict[str, Callable[[Any], Any]] = {
        "nodes": lambda proto: [proto.graph.node.add() for _ in range(59_000)],
        "a long chain": nodes,
        "weights": lambda proto: [proto.graph.initializer.add() for _ in range(59_000)],
        "values": lambda proto: [proto.graph.value_info.add() for _ in range(59_000)],
        "attributes": lambda proto: [proto.graph.node[0].attribute.add() for _ in range(59_000)],
        "functions": lambda proto: [proto.functions.add() for _ in range(59_000)],
        "far too many": lambda proto: [proto.graph.node.add() for _ in range(2_000_000)],
        "dimensions": lambda proto: proto.graph.initializer[0].dims.extend([0] * 5_000_000),
        "integers": lambda proto: proto.graph.initializer[0].int64_data.extend([0] * 5_000_000),
        "numbers": lambda proto: proto.graph.initializer[0].float_data.extend([0.0] * 5_000_000),
    }
    paths = {}
    for name, change in changes.items():
        proto = dense()
        change(proto)
        paths[name] = tmp_path / f"{len(paths)}.onnx"
        paths[name].write_bytes(proto.SerializeToString())
    outcomes = assert_bounded("onnx", paths)
    assert outcomes.pop("values") == "loaded"
    assert set(outcomes.values()) == {"refused"}
