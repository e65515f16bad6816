"""Layers that are given their first weights, in a chain and in a graph."""

import numpy as np
from keras.layers import BatchNormalization, Conv2D, Dense, Flatten, Input
from keras.models import Model, Sequential

kernel, bias = np.random.rand(3, 3, 2, 4), np.arange(4.0)
model = Sequential()
model.add(Conv2D(4, (3, 3), input_shape=(5, 5, 2), weights=[kernel, bias]))
model.add(BatchNormalization(weights=[2 * np.ones(4), bias, np.zeros(4), np.ones(4)]))
model.add(Flatten())
model.add(Dense(2, use_bias=False, weights=[np.eye(36)[:, :2]], trainable=False))
first, scale, last = (model.layers[i].get_weights() for i in (0, 1, 3))
assert np.allclose(first[0], kernel)
assert np.array_equal(first[1], bias)
assert np.array_equal(scale[0], [2, 2, 2, 2])
assert np.array_equal(scale[1], bias)
assert np.array_equal(last[0], np.eye(36)[:, :2])

inputs = Input((3,))
graph = Model(inputs, Dense(3, weights=(np.eye(3), np.ones(3)))(inputs))
x = np.random.rand(2, 3)
assert np.allclose(graph.predict(x), x + 1, atol=1e-6)
