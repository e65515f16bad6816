"""Lambda: a standardization at the front of a model, and any function of arrays."""

import numpy as np
from keras.layers import Conv2D, Dense, Flatten, Lambda
from keras.models import Sequential
from tensorflow.keras import layers

x, y = np.random.rand(24, 8, 8, 1).astype("float32") * 255, np.arange(24) % 2
mean_px, std_px = x.mean().astype(np.float32), x.std().astype(np.float32)


def norm_input(images):
    return (images - mean_px) / std_px


model = Sequential()
model.add(Lambda(norm_input, input_shape=(8, 8, 1), output_shape=(8, 8, 1)))
model.add(Conv2D(4, 3, activation="relu"))
model.add(Flatten())
model.add(Dense(2, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=1, verbose=0)
scaled = Sequential([Lambda(lambda z: z / 127.5 - 1.0, input_shape=(8, 8, 1)), Flatten()])
assert np.allclose(scaled.predict(x, verbose=0), x.reshape(24, -1) / 127.5 - 1, atol=1e-5)
invert = layers.Lambda(lambda z: 255 - z)
assert np.allclose(invert(x), 255 - x)
