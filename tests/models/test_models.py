"""Sequential: building it, what it consists of, and what may change between two trainings."""

from __future__ import annotations

import numpy as np
import pytest

import convkit
from convkit import layers
from some_models import SMALL_IMAGES, small_cnn, stripes

# Building.


def test_add_build_and_pop() -> None:
    convkit.utils.clear_session()
    model = convkit.Sequential(name="mine")
    assert not model.built
    model.add(convkit.Input((6,)))
    model.add(layers.Dense(5, "relu"))
    assert model.output_shape == (None, 5)
    model.add(layers.Dense(3))
    assert model.built
    assert [layer.name for layer in model.layers] == ["dense", "dense_1"]
    assert model.count_params() == 6 * 5 + 5 + 5 * 3 + 3
    assert [w.shape for w in model.weights] == [(6, 5), (5,), (5, 3), (3,)]
    assert model.pop().name == "dense_1"
    assert model.output_shape == (None, 5)
    assert repr(model) == "<Sequential mine, 1 layers>"


def test_the_first_layer_may_have_the_input_shape() -> None:
    model = convkit.Sequential([layers.Conv2D(4, 3, input_shape=(9, 9, 2)), layers.Flatten()])
    assert model.input_shape == (None, 9, 9, 2)
    assert model.output_shape == (None, 7 * 7 * 4)


def test_build_later() -> None:
    model = convkit.Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
    with pytest.raises(ValueError, match=r"not built.*Input\(shape\)"):
        model.count_params()
    with pytest.raises(ValueError, match="not built"):
        _ = model.output_shape
    with pytest.raises(ValueError, match="not built"):
        model.plan()
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "0 (unbuilt)" in lines[0]
    model.build((None, 6, 6, 2))
    assert model.output_shape == (None, 3)
    model.build((None, 6, 6, 2))
    with pytest.raises(ValueError, match=r"takes inputs of shape \(None, 6, 6, 2\)"):
        model.build((None, 7, 7, 2))


def test_data_build_the_model() -> None:
    x, y = stripes(12)
    model = convkit.Sequential([layers.Flatten(), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(x, y, verbose=0)
    assert model.input_shape == (None, *SMALL_IMAGES)
    assert list(history.history) == ["loss"]
    other = convkit.Sequential([layers.Flatten(), layers.Dense(3)])
    assert other.predict(x, verbose=0).shape == (12, 3)


def test_a_failed_build_leaves_the_model_as_it_was() -> None:
    model = convkit.Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
    with pytest.raises(ValueError, match="rank 4"):
        model.build((None, 10))
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        model.build((None, 2, 2, 1))
    assert not model.built
    assert not any(layer.built for layer in model.layers)
    model.build((None, 5, 5, 1))
    started = convkit.Sequential([convkit.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="rank 4"):
        started.add(layers.Conv2D(4, 3))
    assert len(started.layers) == 1
    started.add(layers.Dense(3))


def test_layers_that_cannot_be_added() -> None:
    layer = layers.Dense(2, name="once")
    model = convkit.Sequential([convkit.Input((4,)), layer])
    with pytest.raises(ValueError, match="already in this model"):
        model.add(layer)
    with pytest.raises(ValueError, match="already has a layer of this name"):
        model.add(layers.Dense(2, name="once"))
    with pytest.raises(ValueError, match="Input must come before"):
        model.add(convkit.Input((4,)))
    with pytest.raises(TypeError, match=r"received the class Dense; write Dense\(...\)"):
        model.add(layers.Dense)
    with pytest.raises(ValueError, match="has no layers"):
        model.add(convkit.Sequential())
    with pytest.raises(ValueError, match="cannot be a layer of itself"):
        model.add(model)
    with pytest.raises(TypeError, match="received a symbolic tensor"):
        model.add(layers.Flatten()(convkit.Input((4,))))
    with pytest.raises(TypeError, match=r"objects of convkit\.layers, received 'relu'"):
        model.add("relu")
    with pytest.raises(ValueError, match="has no layer to remove"):
        convkit.Sequential().pop()
    with pytest.raises(ValueError, match="has no layers; give it some"):
        convkit.Sequential([convkit.Input((4,))]).predict(np.zeros((1, 4)))


def test_summary() -> None:
    convkit.utils.clear_session()
    lines: list[str] = []
    small_cnn(compiled=False).summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert text.splitlines()[0] == 'Model: "sequential"'
    assert "conv2d (Conv2D)" in text
    assert "(None, 8, 8, 6)" in text
    total = 9 * 6 + 6 + 24 + 9 * 6 * 8 + 8 + 2 * 2 * 8 * 10 + 10 + 33
    assert f"Total params: {total} ({4 * total / 1024:.2f} KB)" in text
    assert f"Trainable params: {total - 12} " in text
    assert "Non-trainable params: 12 (48.00 B)" in text


def test_summary_prints(capsys: pytest.CaptureFixture[str]) -> None:
    small_cnn(compiled=False).summary()
    assert "Total params: " in capsys.readouterr().out


def test_set_weights_is_checked() -> None:
    model = small_cnn()
    weights = model.get_weights()
    weights[0][:] = 2.0
    model.set_weights(weights)
    assert (model.layers[0].get_weights()[0] == 2.0).all()
    with pytest.raises(ValueError, match=f"expected {len(weights)} weights"):
        model.set_weights(weights[:-1])
    with pytest.raises(ValueError, match=r'model "sequential.*kernel has shape \(3, 3, 1, 6\)'):
        model.set_weights([weights[1], *weights[1:]])


# What may change between two trainings.


def test_frozen_layers_stay_and_can_be_released() -> None:
    model = small_cnn()
    x, y = stripes(20)
    for layer in model.layers[:5]:
        layer.trainable = False
    before = model.get_weights()
    frozen = sum(len(layer.weights) for layer in model.layers[:5])
    model.fit(x, y, epochs=2, verbose=0)
    same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert same == [True] * frozen + [False] * (len(before) - frozen)
    for layer in model.layers:
        layer.trainable = True
    model.fit(x, y, epochs=1, verbose=0)
    assert not any(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_layers_shared_by_two_models_follow_both() -> None:
    base = small_cnn()
    x, y = stripes(20)
    base.fit(x, y, verbose=0)
    kernel = base.layers[0].get_weights()[0]
    head = convkit.Sequential(
        [
            convkit.Input(SMALL_IMAGES),
            *base.layers[:-1],
            layers.Dense(3, "softmax", name="new_head"),
        ]
    )
    head.compile("adam", "sparse_categorical_crossentropy")
    head.fit(x, y, verbose=0)
    shared = base.layers[0].get_weights()[0]
    assert not np.array_equal(shared, kernel)
    assert base.layers[0] is head.layers[0]
    base.fit(x, y, verbose=0)
    assert not np.array_equal(base.layers[0].get_weights()[0], shared)
    np.testing.assert_array_equal(base.layers[0].get_weights()[0], head.layers[0].get_weights()[0])


def test_layers_can_be_exchanged_after_training() -> None:
    model = small_cnn()
    x, y = stripes(20)
    model.fit(x, y, verbose=0)
    kept = model.get_weights()[:-2]
    model.pop()
    model.add(layers.Dense(4, "softmax", name="other"))
    for a, b in zip(kept, model.get_weights(), strict=False):
        np.testing.assert_array_equal(a, b)
    model.fit(x, y, verbose=0)
    assert model.predict(x, verbose=0).shape == (20, 4)
    assert model.optimizer is not None
    assert model.optimizer.iterations == 1


def test_compiling_again_changes_the_loss() -> None:
    model = small_cnn()
    x, y = stripes(20)
    model.fit(x, y, verbose=0)
    model.compile("sgd", "mse")
    model.fit(x, convkit.utils.to_categorical(y), verbose=0)
    assert model.loss is not None
    assert model.loss.name == "mean_squared_error"


def test_an_optimizer_cannot_serve_two_models() -> None:
    optimizer = convkit.optimizers.Adam()
    x, y = stripes(8)
    one, two = small_cnn(), small_cnn()
    one.compile(optimizer, "sparse_categorical_crossentropy")
    two.compile(optimizer, "sparse_categorical_crossentropy")
    one.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="already belongs to another model"):
        two.fit(x, y, verbose=0)


def test_a_shape_to_build_for_that_is_none() -> None:
    for wrong in (8, (8,), "(8, 8, 1)"):
        with pytest.raises(ValueError, match=r"with the batch in front|must be a positive integer"):
            convkit.Sequential([layers.Flatten()]).build(wrong)  # type: ignore[arg-type]


def test_what_is_no_list_of_layers() -> None:
    for wrong in (layers.Flatten(), layers.Flatten, 3):
        with pytest.raises(TypeError, match="layers must be a list of layers"):
            convkit.Sequential(wrong)  # type: ignore[arg-type]
