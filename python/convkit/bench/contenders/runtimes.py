"""The same models in runtimes for prediction: each reads the ONNX file that convkit exports.

Each is set to float32, so many threads, and the least time for a batch. All take NumPy images
(N, H, W, C) and give a NumPy array of probabilities (N, K). They run in processes of their own
(`convkit.bench.isolated`), and are imported where they take part.
"""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ... import onnx
from ...models import Model
from ..shapes import Array, PredictStep
from ..train import sample_shape


@contextmanager
def _exported(model: Model) -> Iterator[Path]:
    """The model's ONNX file, in a folder that may be written into."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.export(model, path, verify=False)  # the answers are compared anyway
        yield path


def onnxruntime_step(model: Model, batch_size: int, threads: int) -> PredictStep:
    """ONNX Runtime, on its provider for CPUs."""
    import onnxruntime

    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    with _exported(model) as path:
        session: Any = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    return lambda x: np.asarray(session.run(None, {"input": x})[0])


def openvino_step(model: Model, batch_size: int, threads: int) -> PredictStep:
    """OpenVINO, compiled for the shape of the batch; without its hint it may take bfloat16."""
    import openvino

    core: Any = openvino.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }
    with _exported(model) as path:
        network = core.read_model(str(path))
        network.reshape([batch_size, *sample_shape(model)])
        request = core.compile_model(network, "CPU", settings).create_infer_request()
    return lambda x: np.asarray(request.infer({0: x}, share_inputs=True)[0])


def ncnn_step(model: Model, batch_size: int, threads: int) -> PredictStep:
    """ncnn, given the whole batch at once, with all that rounds to 16 bits switched off."""
    import ncnn

    network: Any = ncnn.Net()
    network.opt.num_threads = threads
    network.opt.use_vulkan_compute = False
    for name in dir(network.opt):
        if name.startswith(("use_fp16_", "use_bf16_")):
            setattr(network.opt, name, False)
    with _exported(model) as path:
        parameters, weights = _converted_by_pnnx(path, (1, *sample_shape(model)))
        if network.load_param(str(parameters)) != 0 or network.load_model(str(weights)) != 0:
            raise ValueError("ncnn cannot load what pnnx has converted")

    def step(x: Array) -> Array:
        extractor = network.create_extractor()
        extractor.input("in0", ncnn.Mat(x, batch_index=0))
        status, output = extractor.extract("out0")
        if status != 0:
            raise ValueError(f"ncnn failed with status {status}")
        return np.array(output.numpy(batch_index=0))

    return step


def _converted_by_pnnx(path: Path, shape: tuple[int, ...]) -> tuple[Path, Path]:
    """ncnn's two files of an ONNX file, by pnnx's program: its Python module imports PyTorch."""
    spec = importlib.util.find_spec("pnnx")
    if spec is None or spec.origin is None:
        raise ImportError("pnnx is not installed")
    program = Path(spec.origin).with_name("pnnx")
    sizes = ",".join(map(str, shape))
    command = [str(program), path.name, f"inputshape=[{sizes}]", "fp16=0"]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(f"pnnx cannot convert the model: {done.stderr.strip() or done.stdout}")
    return path.with_suffix(".ncnn.param"), path.with_suffix(".ncnn.bin")


def mnn_step(model: Model, batch_size: int, threads: int) -> PredictStep:
    """MNN, by its modules; at another precision than "high" it may take bfloat16.

    The converter is called below MNN's own command `mnnconvert`, which installs a package and
    reports to a server whenever it is used.
    """
    import _tools
    import MNN

    settings = {"backend": "CPU", "precision": "high", "numThread": threads}
    manager = MNN.nn.create_runtime_manager((settings,))
    with _exported(model) as path:
        converted = path.with_suffix(".mnn")
        files = ["--modelFile", str(path), "--MNNModel", str(converted)]
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *files, "--bizCode", "convkit"])
        network: Any = MNN.nn.load_module_from_file(
            str(converted), ["input"], ["output"], runtime_manager=manager, shape_mutable=False
        )

    def step(x: Array) -> Array:
        # Not NHWC: the file itself turns the axes, and takes its input as it lies.
        images = MNN.expr.const(x, list(x.shape), MNN.expr.NCHW, MNN.expr.float)
        return np.array(network.onForward([images])[0].read())

    return step
