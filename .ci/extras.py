"""Use what an extra brings: `python .ci/extras.py NAME`, where convkit[NAME] alone is installed.

Without a name, print the names: all extras that users install for what they do with convkit.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np

import convkit
from convkit import layers


def diagrams() -> None:
    model = convkit.zoo.resnet20()
    text = convkit.utils.model_to_dot(model, show_shapes=True).to_string()
    assert text.count("->") == len(model.layers) - 1 + 9  # a second arrow into each sum
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.svg"
        if shutil.which("dot"):  # which is no package of Python's
            convkit.utils.plot_model(model, path)
            assert path.stat().st_size > 1000
            return
        try:
            convkit.utils.plot_model(model, path)
        except ImportError as error:
            message = str(error)
    assert "apt-get install graphviz" in message


def examples() -> None:
    history, matrix = {"loss": [1.0, 0.5]}, ([0, 1], [0, 1])
    for picture in (convkit.plots.history(history), convkit.plots.confusion_matrix(*matrix)):
        with tempfile.TemporaryFile() as file:
            picture.savefig(file)
            assert file.tell() > 1000
    assert convkit.datasets.digits.load_data()[0][0].shape == (1442, 8, 8)


def images() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for label in ("bright", "dark"):
            Path(folder, label).mkdir()
            for i in range(3):
                pixels = np.full((6, 5, 3), 250 if label == "bright" else 5 * i, np.uint8)
                convkit.utils.save_img(Path(folder, label, f"{i}.png"), pixels, scale=False)
        read = convkit.utils.image_dataset_from_directory(
            folder, image_size=(6, 5), batch_size=6, shuffle=False, verbose=False
        )
        assert read.class_names == ["bright", "dark"]
        ((x, y),) = read
        assert importlib.util.find_spec("simplejpeg")  # which decodes this one
        grey = np.full((8, 8, 1), 77, np.uint8)
        convkit.utils.save_img(Path(folder, "dark", "3.jpg"), grey, scale=False)
        ((jpeg, _),) = convkit.utils.image_dataset_from_directory(
            folder, image_size=(8, 8), class_names=["dark"], shuffle=False, verbose=False
        )
    assert x.shape == (6, 6, 5, 3)
    assert (x[np.asarray(y) == 0] == 250).all()
    assert (jpeg[3] == 77).all()


def keras() -> None:
    import h5py

    dense = {"name": "dense", "units": 2, "activation": "linear", "use_bias": True}
    start = {"name": "input", "batch_input_shape": [None, 3], "dtype": "float32"}
    described = (("InputLayer", start), ("Dense", dense))
    stack = [{"class_name": kind, "config": config} for kind, config in described]
    config = {"class_name": "Sequential", "config": {"name": "model", "layers": stack}}
    kernel, bias = np.arange(6.0, dtype=np.float32).reshape(3, 2), np.ones(2, np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"  # as Keras 2 writes it
        with h5py.File(path, "w") as file:
            file.attrs.update(
                {"keras_version": "2.15.0", "backend": "jax", "model_config": json.dumps(config)}
            )
            weights = file.create_group("model_weights")
            weights.attrs["layer_names"] = [b"dense"]
            group = weights.create_group("dense")
            group.attrs["weight_names"] = [b"dense/kernel:0", b"dense/bias:0"]
            group["dense/kernel:0"], group["dense/bias:0"] = kernel, bias
        model = convkit.models.load_model(path)
    np.testing.assert_allclose(model.predict_on_batch(np.eye(3)), kernel + bias)


def mpi() -> None:
    # MPI itself is the machine's; where there is none, the error says so.
    try:
        here = convkit.distribution.DataParallel()
    except ImportError as error:
        if "there is no MPI on this machine" not in str(error):
            raise
    else:
        assert (here.rank, here.size) == (0, 1)


def onnx() -> None:
    model = convkit.Sequential(
        [convkit.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)]
    )
    x = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        convkit.onnx.export(model, path)
        copy = convkit.onnx.load(path)
    np.testing.assert_array_equal(copy.predict(x, verbose=0), model.predict(x, verbose=0))


def sklearn() -> None:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import cross_val_score

    x, y = load_digits(return_X_y=True)
    classifier = convkit.sklearn.ConvClassifier(image_shape=(8, 8), epochs=3, random_state=0)
    scores = cross_val_score(classifier, x / 16, y, cv=2, n_jobs=2)
    assert scores.min() > 0.8, scores


def tensorboard() -> None:
    model = convkit.Sequential([convkit.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    with tempfile.TemporaryDirectory() as folder:
        board = convkit.callbacks.TensorBoard(folder)
        model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0, callbacks=[board])
        (events,) = Path(folder, "train").iterdir()
        assert events.stat().st_size > 100


USES = {
    "diagrams": diagrams,
    "examples": examples,
    "images": images,
    "keras": keras,
    "mpi": mpi,
    "onnx": onnx,
    "sklearn": sklearn,
    "tensorboard": tensorboard,
}
# What no extra brings, so that none of them needs it.
ELSEWHERE = ("keras", "onnxruntime", "torch")

if __name__ == "__main__":
    extras = set(metadata.metadata("convkit").get_all("Provides-Extra")) - {"dev", "docs", "test"}
    if len(sys.argv) == 1:
        print(*sorted(extras))
    elif sys.argv[1] in USES:
        here = [name for name in ELSEWHERE if importlib.util.find_spec(name)]
        assert not here, f"{here} are installed"
        USES[sys.argv[1]]()
    else:
        sys.exit(f"say in USES what the extra {sys.argv[1]} brings")
