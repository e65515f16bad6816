"""utils.normalize, sparse labels of shape (n, 1), sigmoid layers, validation by arrays."""

import numpy as np
from keras.datasets import cifar10
from keras.layers import BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.utils import normalize, to_categorical

(x, y), (x_test, y_test) = cifar10.load_data()
x, x_test = normalize(x, axis=1), normalize(x_test, axis=1)
assert np.abs(x).max() <= 1.0
model = Sequential()
model.add(
    Conv2D(
        4,
        3,
        activation="sigmoid",
        padding="same",
        input_shape=(32, 32, 3),
        kernel_initializer="he_uniform",
    )
)
model.add(BatchNormalization())
model.add(MaxPooling2D())
model.add(Flatten())
model.add(Dense(10, activation="softmax"))
model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
model.fit(x, to_categorical(y), epochs=1, validation_data=(x_test, to_categorical(y_test)))
assert y.shape[1:] == (1,)
