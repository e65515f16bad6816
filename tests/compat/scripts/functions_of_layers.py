"""keras.backend.function of layers, with a learning phase or none; get_source_inputs of tensors."""

import keras.backend as K
import numpy as np
from keras.engine.topology import get_source_inputs
from keras.layers import Conv2D, Dense, Dropout, Flatten, add
from keras.models import Input, Sequential

model = Sequential()
model.add(Conv2D(3, (3, 3), activation="relu", input_shape=(8, 8, 1)))
model.add(Flatten())
model.add(Dropout(0.5))
model.add(Dense(2, activation="softmax"))
images = np.random.rand(2, 8, 8, 1).astype("float32")

first = K.function([model.layers[0].input, K.learning_phase()], [model.layers[0].output])
maps = first([images, 0])[0]
assert maps.shape == (2, 6, 6, 3) and maps.min() >= 0
every = K.function([model.input], [layer.output for layer in model.layers])([images])
assert [each.shape for each in every] == [(2, 6, 6, 3), (2, 108), (2, 108), (2, 2)]
assert np.array_equal(every[0], maps) and np.array_equal(every[1], every[2])
last = K.function(model.input, model.output)
assert np.allclose(last(images), model.predict(images))
try:
    K.function([model.input], [3.0])
    raise SystemExit("a number is no tensor")
except ValueError as error:
    print(error)
one, other = Input(shape=(3,)), Input(shape=(3,))
assert one.shape == (None, 3) and get_source_inputs(one) == [one]
together = Dense(2)(add([Dense(4)(one), Dense(4)(other), Dense(4)(one)]))
sources = get_source_inputs(together)
assert [each is given for each, given in zip(sources, (one, other))] == [True, True]
assert len(sources) == 2

from keras.models import Model

entrance = Input(shape=(8, 8, 1))
graph = Model(entrance, Conv2D(2, 3)(entrance))
assert graph.layers[0].input is graph.layers[0].output is entrance
of_entrance = K.function([graph.layers[0].input], [graph.layers[1].output])
assert np.allclose(of_entrance([images])[0], graph.predict(images))
