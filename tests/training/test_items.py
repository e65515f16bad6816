"""Sets of samples of other libraries, and frames, train as arrays do."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import convkit
from compare import assert_same_training
from convkit import layers
from loaders import model, samples

# PyTorch.


def torch_set(*arrays: Any) -> Any:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    return torch.utils.data.TensorDataset(*(torch.from_numpy(array) for array in arrays))


def first_alone(data: Any, index: int) -> Any:
    return data.tensors[0][index]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
def test_a_set_of_pytorch(weighted: bool, first: bool) -> None:
    x, y, weights = samples()
    given = np.ascontiguousarray(np.moveaxis(x, -1, 1)) if first else x
    data = torch_set(given, y, weights) if weighted else torch_set(given, y)
    options: dict[str, Any] = {"sample_weight": weights} if weighted else {}
    one, two = model(), model()
    one.fit(x, y, 8, 2, 0, **options)
    two.fit(data, batch_size=8, epochs=2, verbose=0)
    assert_same_training(one, two)
    assert one.evaluate(x, y, 8, 0, **options) == two.evaluate(data, batch_size=8, verbose=0)
    np.testing.assert_array_equal(one.predict(x, 8, 0), two.predict(data, 8, 0))
    alone = two.predict(torch_set(given).tensors[0], 8, 0)
    torch_images = torch_set(given, given)
    torch_images.__class__ = type("Images", (type(torch_images),), {"__getitem__": first_alone})
    np.testing.assert_array_equal(alone, two.predict(torch_images, 8, 0))
    history = two.fit(data, validation_data=data, verbose=0)
    assert "val_loss" in history.history


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
def test_a_loader_of_pytorch() -> None:
    x, y, _ = samples()
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    loader = torch.utils.data.DataLoader(torch_set(np.moveaxis(x, -1, 1).copy(), y), batch_size=8)
    one, two = model(), model()
    one.fit(x, y, 8, 2, 0, shuffle=False)
    two.fit(loader, epochs=2, verbose=0)
    assert_same_training(one, two)


def test_a_set_of_dictionaries_is_refused() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    class Named(torch.utils.data.Dataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            return {"a": 1}

    with pytest.raises(ValueError, match=r"keys \['a'\]; let the set give \(x, y\)"):
        model().fit(Named(), verbose=0)


# Hugging Face.


class Columns:
    """What a data set of theirs is asked for."""

    def __init__(self, **columns: Any) -> None:
        self.columns = self.features = columns
        self.column_names = list(columns)

    def __len__(self) -> int:
        return len(self.columns[self.column_names[0]])

    def __getitem__(self, rows: Sequence[int]) -> dict[str, list[Any]]:
        return {name: [column[row] for row in rows] for name, column in self.columns.items()}


def theirs(**columns: Any) -> Any:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    image = datasets.Image() if not isinstance(columns["image"][0], list) else None
    features = {"label": datasets.Value("int64"), **({"image": image} if image else {})}
    try:
        return datasets.Dataset.from_dict(columns, datasets.Features(features))
    except pickle.PicklingError as error:
        pytest.skip(f"this build of datasets cannot make a set: {error}")


@pytest.mark.parametrize("kind", [Columns, theirs])
@pytest.mark.filterwarnings("ignore::Warning")  # of what Hugging Face's needs
def test_a_set_of_hugging_face(kind: Any) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    _, y, _ = samples()
    x = np.random.default_rng(0).integers(0, 256, (len(y), 6, 6, 1), np.uint8)
    pictures = [image.fromarray(each[..., 0]) for each in x]
    data = kind(image=pictures, label=y.tolist())
    one, two = model(), model()
    one.fit(x, y, 8, 2, 0)
    two.fit(data, batch_size=8, epochs=2, verbose=0)
    assert_same_training(one, two)
    assert one.evaluate(x, y, 8, 0) == two.evaluate(data, batch_size=8, verbose=0)
    np.testing.assert_array_equal(one.predict(x, 8, 0), two.predict(data, 8, 0))


def test_columns_that_are_not_clear_are_named() -> None:
    x, y, _ = samples(4)
    with pytest.raises(ValueError, match=r"\['picture', 'label'\], none may be the images; rename"):
        model().fit(Columns(picture=x, label=y), verbose=0)
    with pytest.raises(ValueError, match="several may be the labels"):
        model().fit(Columns(img=x, label=y, labels=y), verbose=0)
    own = model()
    own.fit(Columns(**{own.input_names[0]: x, "label": y}), verbose=0)


# Frames.


def test_a_frame_of_pixels() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    _, y, _ = samples()
    x = np.random.default_rng(0).integers(0, 256, (len(y), 36))
    frame = pandas.DataFrame(x, columns=[f"pixel{i}" for i in range(36)])
    frame["label"] = y
    pixels = frame.drop(columns="label")
    one, two = model(), model()
    images = x.reshape(-1, 6, 6, 1).astype(np.float32)
    one.fit(images, y, 8, 2, 0, validation_split=0.25)
    two.fit(pixels, frame["label"], 8, 2, 0, validation_split=0.25)
    assert_same_training(one, two)
    np.testing.assert_array_equal(one.predict(images, 8, 0), two.predict(pixels, 8, 0))
    with pytest.raises(ValueError, match=r"received \(30, 35\)"):
        two.fit(pixels.iloc[:, 1:], frame["label"], verbose=0)
    with pytest.raises(ValueError, match=r"numpy\.reshape"):
        convkit.Sequential.fit(model(), x, y, verbose=0)


def test_a_tensor_with_the_channels_in_front_is_turned() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x = torch.rand(4, 6, 5, 2, generator=torch.Generator().manual_seed(1))
    network = convkit.Sequential([layers.Input((6, 5, 2)), layers.Conv2D(3, 3), layers.Flatten()])
    expected = network.predict(x, verbose=0)
    np.testing.assert_array_equal(network.predict(x.permute(0, 3, 1, 2), verbose=0), expected)
    with pytest.raises(ValueError, match="move the channels to the end"):  # arrays have no habit
        network.predict(np.moveaxis(x.numpy(), -1, 1), verbose=0)
