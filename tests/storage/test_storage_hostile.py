"""Files that were made to do harm: headers, documents and JSON that no model wrote."""

from __future__ import annotations

import copy
import json
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

from compare import assert_same_weights
from convkit import storage
from convkit.models import load_model
from mutations import Document, raw
from some_models import assert_refused, few_weights, saved_line

pytestmark = pytest.mark.usefixtures("one_thread")

ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (raw({"a": {**ONE, "shape": [2**32, 2**32]}}, b"1234"), "has 4 bytes and needs 7"),
        (raw({"a": {**ONE, "shape": [2**40], "data_offsets": [0, 2**42]}}, b"1234"), ""),
        (raw({"a": {**ONE, "shape": [-1]}}, b"1234"), ""),
        (raw({"a": {**ONE, "shape": [1.5]}}, b"1234"), ""),
        (raw({"a": {**ONE, "data_offsets": [4, 0]}}, b"1234"), ""),
        (raw({"a": {**ONE, "data_offsets": [0, 8]}}, b"12345678"), ""),
        (raw({"a": ONE, "b": ONE}, b"1234"), "begins at byte 0 of the arrays, where 4"),
        (raw({"a": ONE}, b"12345"), ""),
        (raw({"a": {**ONE, "dtype": "F64", "data_offsets": [0, 8]}}, b"12345678"), "must be F32"),
        (raw({"a": {**ONE, "dtype": "PICKLE"}}, b"1234"), ""),
        (raw({"a": {**ONE, "dtype": 3}}, b"1234"), ""),
        (raw({"a": 1}), ""),
        (raw({"__metadata__": {"convkit": 1}}), ""),
        (raw({"__metadata__": []}), ""),
        (raw(b"[" * 100_000), ""),
        (raw(b'{"a":' * 100_000), ""),
        (raw(b"\xff\xfe{}"), ""),
        (raw(b'{"a": NaN}'), ""),
        (raw(b"[]"), ""),
        (
            raw(b'{"a":%b,"a":%b}' % ((json.dumps(ONE).encode(),) * 2), b"1234"),
            "the same key twice",
        ),
        (raw(b'{"__metadata__":{"convkit":"{}","convkit":"{}"}}'), "the same key twice"),
        (struct.pack("<Q", 2**63) + b"{}", "no safetensors file"),
        (struct.pack("<Q", 1) + b"{", "no safetensors file"),
    ],
)
def test_hostile_headers(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(data)
    assert_refused(tmp_path / "bad", few_weights(), message)


def change(document: Document, where: str, value: Any) -> Document:
    """A copy of the document with one entry, `a.0.b`, changed, or deleted by `...`."""
    changed = copy.deepcopy(document)
    *path, last = where.split(".")
    place: Any = changed
    for step in path:
        place = place[int(step) if step.isdigit() else step]
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return changed


DENSE = "model.config.layers.1.config"


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("version", 2, "version 2 of the format.*install the newest convkit"),
        ("version", True, "'version' is missing or of the wrong type"),
        ("version", ..., "'version'"),
        ("extra", 1, "its document has entries that convkit does not know: 'extra'"),
        ("model.extra", 1, "its model has entries that convkit does not know: 'extra'"),
        ("model.config.extra", 1, "its model has entries"),
        ("model.config.layers.1.extra", 1, r"more than its module, class_name and .*'extra'"),
        (f"{DENSE}.kernel_initializer.extra", 1, "more than its module"),
        (f"{DENSE}.kernel_initializer.config.extra", 1, "extra"),
        ("compile.extra", 1, "its compile has entries"),
        ("compile.optimizer.extra", 1, "more than its module"),
        ("compile.optimizer.config.extra", 1, "extra"),
        ("compile.loss.config.extra", 1, "extra"),
        ("training.extra", 1, "its training state has entries"),
        ("model", [], "'model'"),
        ("model.class_name", "Own", "no Sequential and no Model of convkit"),
        ("model.config", None, "'config'"),
        ("model.config.name", 3, "'name'"),
        ("model.config.layers", {}, "its layers are no list"),
        ("model.config.layers", [], "has no layers"),
        ("model.config.layers.1", 5, "must be described"),
        ("model.config.layers.1.class_name", "system", r"no class 'convkit\.layers\.system'"),
        ("model.config.layers.1.module", "os", "no class 'os.Dense'"),
        ("model.config.layers.0.config.shape", [3], r"has shape \(2, 1\), the model needs \(3, 1"),
        ("model.config.layers.0.config.shape", [-1], "must be a positive integer"),
        ("model.config.layers.0.config.shape", [2**31], "must be a positive integer"),
        ("model.config.layers.0.config.shape", "ab", "must be a tuple"),
        ("model.config.layers.0.config.shape", 2, "must be a tuple"),
        (f"{DENSE}.units", 2**31 - 1, r"has shape \(2, 1\), the model needs \(2, 2147483647\)"),
        (f"{DENSE}.units", 2.0, "units must be a positive integer"),
        (f"{DENSE}.units", ..., "units"),
        (f"{DENSE}.name", "other", "has no array 'other/kernel'"),
        (f"{DENSE}.name", "a/b", "without '/'"),
        (f"{DENSE}.name", ["d"], "must be a non-empty string"),
        (f"{DENSE}.activation", "system", "unknown activation"),
        (f"{DENSE}.activation", {"class_name": "x"}, "must be described"),
        (f"{DENSE}.extra", 1, "extra"),
        (f"{DENSE}.kernel_initializer.class_name", "eval", "no class"),
        (f"{DENSE}.kernel_initializer.config", {"seed": -1}, "a seed must lie"),
        ("compile", 1, "'compile'"),
        ("compile.optimizer", None, "must be described"),
        ("compile.optimizer.class_name", "Adam", "momentum"),
        ("compile.optimizer.config.learning_rate", -1, "learning_rate must be"),
        ("compile.optimizer.config.learning_rate", "1", "learning_rate must be"),
        ("compile.optimizer.config.momentum", 0, r"its slots \['velocity'\] are not those of SGD"),
        ("compile.loss", 5, "must be described"),
        ("compile.loss.module", "convkit.metrics", "expected a Loss, found a MeanSquaredError"),
        ("compile.metrics", {}, "'metrics'"),
        ("training.steps", -1, "'steps' must lie in"),
        ("training.steps", 2**60, "'steps' must lie in"),
        ("training.steps", 1.0, "'steps'"),
        ("training.seed", 2**64, "a seed must lie"),
        ("training.iterations", ..., "'iterations'"),
        ("training.slots", ["velocity", "velocity"], "its slots"),
        ("training.slots", [], "has no place for: 'optimizer/velocity"),
    ],
)
def test_hostile_documents(where: str, value: Any, message: str, tmp_path: Path) -> None:
    model, data = saved_line(tmp_path)
    arrays = safetensors.numpy.load(data)
    with safe_open(tmp_path / "small", "numpy") as opened:
        document = json.loads(opened.metadata()["convkit"])
    path = tmp_path / "bad"
    storage.write(path, document, arrays)
    assert_same_weights(model, load_model(path))
    storage.write(path, change(document, where, value), arrays)
    with pytest.raises(ValueError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("weights", ..., "'weights'"),
        ("weights", ["d/kernel"], "has 1 weights and the model has 2"),
        ("weights", ["d/kernel", 3], "has the weight 3 where the model has 'd/bias'"),
        ("weights", ["d/kernel", "e/bias"], "has no array 'e/bias'"),
        ("weights", ["d/bias", "d/kernel"], "has the weight 'd/bias' where"),
        ("version", 0, "version 0"),
    ],
)
def test_hostile_documents_of_weights(where: str, value: Any, message: str, tmp_path: Path) -> None:
    model, data = saved_line(tmp_path)
    with safe_open(tmp_path / "small", "numpy") as opened:
        document = json.loads(opened.metadata()["convkit"])
    path = tmp_path / "bad"
    storage.write(path, change(document, where, value), safetensors.numpy.load(data))
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.load_weights(path)
    for mine, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", ""),
        ("[]", "no JSON object"),
        ('{"version": 1, "version": 1}', "the same key twice"),
        ('{"version": NaN}', "the number NaN"),
        ('{"version": -Infinity}', "the number -Infinity"),
        ('{"version": 1e999}', "the number 1e999, which is too large"),
        ('{"version": ' + "9" * 5000 + "}", ""),
        ("[" * 100_000, ""),
        ('{"a":' * 100_000, ""),
        ("", ""),
    ],
)
def test_hostile_json(text: str, message: str, tmp_path: Path) -> None:
    data = safetensors.numpy.save({"a": np.zeros(1, np.float32)}, {"convkit": text})
    (tmp_path / "bad").write_bytes(data)
    assert_refused(tmp_path / "bad", few_weights(), message)


def test_a_hostile_file_gets_no_memory(tmp_path: Path) -> None:
    """The layers ask for 8 GB each; the limit on the address space is 2 GB above what is used."""
    script = textwrap.dedent(
        """
        import resource, sys
        import convkit
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2 * 10**9, used + 2 * 10**9))
        for path in sys.argv[1:]:
            try:
                convkit.models.load_model(path)
            except ValueError as error:
                assert path in str(error)
                print("refused")
        """
    )
    _, data = saved_line(tmp_path)
    with safe_open(tmp_path / "small", "numpy") as opened:
        document = json.loads(opened.metadata()["convkit"])
    paths = []
    for kind, shape, config in [
        ("Dense", [2], {"units": 2**31 - 1}),
        ("BatchNormalization", [1, 1, 2**31 - 1], {"center": False, "scale": False}),
        ("BatchNormalization", [1, 1, 2**31 - 1], {}),
        ("Conv2D", [1, 1, 2**31 - 1], {"filters": 1, "kernel_size": 1}),
        ("Rescaling", [1, 1, 2**31 - 1], {"scale": 2.0}),
        ("Normalization", [1, 1, 2**31 - 1], {"mean": 0.5, "variance": 2.0}),
        ("Normalization", [1, 1, 2**31 - 1], {}),
        ("LayerNormalization", [1, 1, 2**31 - 1], {"center": False, "scale": False}),
        ("GroupNormalization", [1, 1, 2**31 - 1], {"groups": -1}),
        ("Conv2DTranspose", [1, 1, 2**31 - 1], {"filters": 1, "kernel_size": 1}),
        ("SeparableConv2D", [1, 1, 2**31 - 1], {"filters": 1, "kernel_size": 1}),
    ]:
        layer = {"module": "convkit.layers", "class_name": kind, "config": config}
        hostile = change(document, "model.config.layers.1", layer)
        hostile = change(hostile, "model.config.layers.0.config.shape", shape)
        paths.append(tmp_path / f"{len(paths)}")
        storage.write(paths[-1], hostile, safetensors.numpy.load(data))
    run = subprocess.run(
        [sys.executable, "-c", script, *paths], check=True, capture_output=True, text=True
    )
    assert run.stdout.split() == ["refused"] * len(paths)


def test_as_many_layers_as_a_file_likes(tmp_path: Path) -> None:
    _, data = saved_line(tmp_path)
    with safe_open(tmp_path / "small", "numpy") as opened:
        document = json.loads(opened.metadata()["convkit"])
    arrays = safetensors.numpy.load(data)
    flatten = {"module": "convkit.layers", "class_name": "Flatten", "config": {}}
    hostile = change(document, "model.config.layers", [flatten] * 10_001)
    storage.write(tmp_path / "bad", hostile, arrays)
    with pytest.raises(ValueError, match="10001 layers, more than the 10000"):
        load_model(tmp_path / "bad")
    hostile = change(document, "compile.metrics", [document["compile"]["loss"]] * 1_001)
    storage.write(tmp_path / "bad", hostile, arrays)
    with pytest.raises(ValueError, match="1001 metrics, more than the 1000"):
        load_model(tmp_path / "bad")
    named = {**flatten, "config": {"name": "f"}}
    storage.write(tmp_path / "bad", change(document, "model.config.layers", [named] * 2), arrays)
    with pytest.raises(ValueError, match=r'"f".*the model already has a layer of this name'):
        load_model(tmp_path / "bad")


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    for document in ({"a": "x" * 8_000_000}, {"a": [[]] * 100_000}):
        with pytest.raises(ValueError, match="the model is too large for one file, because its"):
            storage.write(tmp_path / "m", document, {})
    assert not (tmp_path / "m").exists()


def test_an_array_is_handed_out_once(tmp_path: Path) -> None:
    value = np.ones(2, np.float32)
    storage.write(tmp_path / "m", {}, {"d/kernel": value})
    with storage.reading(tmp_path / "m") as (_, arrays):
        np.testing.assert_array_equal(arrays.take("d/kernel", (2,)), value)
        with pytest.raises(ValueError, match="'d/kernel' is asked for twice"):
            arrays.take("d/kernel", (2,))
    with pytest.raises(TypeError, match="'d/kernel' is float64 and must be float32"):
        storage.write(tmp_path / "m", {}, {"d/kernel": value.astype(np.float64)})
