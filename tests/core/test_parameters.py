"""The flat buffers: where parameters live, who owns them, and what may be trained."""

from __future__ import annotations

import numpy as np
import pytest

import convkit
from convkit import layers, optimizers
from convkit.core.memory import ALIGNMENT, aligned_empty
from convkit.core.parameters import Parameter, ParameterStore


def some() -> list[Parameter]:
    return [
        Parameter("kernel", np.arange(6.0).reshape(2, 3)),
        Parameter("bias", np.full(3, 7.0)),
        Parameter("moving", np.full(5, 9.0), trainable=False),
        Parameter("scalar", np.array(4.0)),
        Parameter("wide", np.arange(17.0)),
    ]


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


@pytest.mark.parametrize("size", [0, 1, 15, 16, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int32])
def test_aligned_memory(size: int, dtype: type) -> None:
    array = aligned_empty(size, dtype)
    assert array.shape == (size,)
    assert array.dtype == dtype
    assert size == 0 or address(array) % ALIGNMENT == 0


def test_parameters_become_views_and_keep_their_values() -> None:
    parameters = some()
    before = [p.numpy() for p in parameters]
    store = ParameterStore(parameters)
    for parameter, value in zip(parameters, before, strict=True):
        np.testing.assert_array_equal(parameter.value, value)
        assert parameter.value.dtype == np.float32
        home = store.values if parameter.has_gradient else store.state
        assert np.shares_memory(parameter.value, home)
        assert address(parameter.value) % ALIGNMENT == 0
        if parameter.has_gradient:
            assert parameter.gradient.shape == parameter.shape
            offset = address(parameter.value) - address(store.values)
            assert address(parameter.gradient) - address(store.gradients) == offset
    store.values[...] = 1.0
    assert (parameters[0].value == 1.0).all()
    assert store.values.shape == store.gradients.shape == (16 * 3 + 32,)
    assert store.state.shape == (16,)


def test_padding_is_zero_and_stays_zero_under_every_optimizer() -> None:
    for optimizer in (
        optimizers.SGD(0.1, 0.9, nesterov=True, weight_decay=0.1),
        optimizers.Adam(0.1),
        optimizers.AdamW(0.1, 0.1),
    ):
        parameters = some()
        store = ParameterStore(parameters)
        used = np.zeros(store.values.size, bool)
        for parameter in parameters:
            if parameter.has_gradient:
                start = (address(parameter.value) - address(store.values)) // 4
                used[start : start + parameter.size] = True
                parameter.gradient[...] = 3.0
        before = store.values.copy()
        for _ in range(3):
            optimizer.apply(store)
        assert (store.values[used] != before[used]).all()
        assert not store.values[~used].any()
        assert not any(slot[~used].any() for slot in optimizer.slots.values())


def test_trainable_ranges_merge_neighbours_and_leave_out_the_frozen() -> None:
    parameters = some()
    store = ParameterStore(parameters)
    assert store.trainable_ranges() == (slice(0, 80),)
    assert store.trainable_ranges() is store.trainable_ranges()
    parameters[1].frozen = True
    assert store.trainable_ranges() == (slice(0, 16), slice(32, 80))
    parameters[0].frozen = True
    assert store.trainable_ranges() == (slice(32, 80),)
    parameters[0].frozen = parameters[1].frozen = False
    assert store.trainable_ranges() == (slice(0, 80),)


def test_a_second_store_takes_shared_parameters_and_gives_them_back() -> None:
    parameters = some()
    first = ParameterStore(parameters)
    second = ParameterStore(parameters[:2])
    assert second.is_current
    assert not first.is_current
    parameters[0].value[...] = 5.0
    first.bind_storage()
    assert first.is_current
    assert not second.is_current
    assert np.shares_memory(parameters[0].value, first.values)
    assert (parameters[0].value == 5.0).all(), "the newest value must come along"


def test_what_was_frozen_under_another_owner_is_noticed() -> None:
    parameters = some()
    first = ParameterStore(parameters)
    assert first.trainable_ranges() == (slice(0, 80),)
    ParameterStore(parameters[:1])
    parameters[0].frozen = True
    first.bind_storage()
    assert first.trainable_ranges() == (slice(16, 80),)


def test_a_parameter_is_readable_as_an_array() -> None:
    parameter = Parameter("bias", np.arange(3), path="dense/bias")
    copy = np.array(parameter)
    copy[:] = 9
    np.testing.assert_array_equal(parameter.numpy(), [0, 1, 2])
    assert np.asarray(parameter, np.float64).dtype == np.float64
    assert repr(parameter) == "<Parameter dense/bias (3,)>"
    assert parameter.size == 3


def test_a_value_that_is_set_stays_in_the_memory_of_training() -> None:
    x, y = np.ones((4, 3), np.float32), [0, 1, 0, 1]
    model = convkit.Sequential([layers.Dense(2, activation="softmax", input_shape=(3,))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    kernel = model.layers[0].weights[0]
    home = kernel.value
    kernel.value = np.zeros((3, 2))  # as a callback does that clips weights
    kernel.value += 1
    assert kernel.value is home
    assert (model.get_weights()[0] == 1).all()
    model.fit(x, [0] * 4, verbose=0)
    assert (model.get_weights()[0] != 1).all(), "training goes on with what was set"
    for wrong, error in ((3, ValueError), (np.ones(3), ValueError), ([["a", "b"]] * 3, TypeError)):
        with pytest.raises(error, match=r"the weight dense.*/kernel"):
            kernel.value = wrong


def test_layers_make_parameters_that_a_store_can_take() -> None:
    layer = layers.BatchNormalization()
    layer.build((None, 4))
    store = ParameterStore(layer.weights)
    assert store.nbytes == 2 * 32 * 4 + 32 * 4
    assert np.shares_memory(layer.moving_mean.value, store.state)
