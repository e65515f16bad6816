"""Patterns: names that NumPy, SciPy and scikit-learn had when a script was written: np.int, imresize ..."""

import numpy as np
import scipy.misc
from keras.layers import Dense
from keras.models import Sequential
from scipy.misc import imread, imresize, imsave

x = np.arange(48, dtype=float).reshape(4, 12)
y = np.zeros(4, dtype=int)
assert np.bool(True) and np.nan != np.nan and np.prod([2, 3]) == 6
model = Sequential([Dense(2, activation="softmax", input_dim=12)])
model.compile("sgd", "sparse_categorical_crossentropy")
model.fit(x / 48, y, epochs=1, verbose=0)
assert model.layers[0].trainable_variables[0].shape == (12, 2)

image = np.random.randint(0, 255, (20, 30, 3)).astype(np.uint8)
assert imresize(image, (10, 15)).shape == (10, 15, 3)
assert imresize(image, 50).shape == scipy.misc.imresize(image, 0.5).shape == (10, 15, 3)
assert imresize(image[..., 0], (40, 60), interp="nearest").dtype == np.uint8
stretched = imresize(np.float32([[0.0, 0.5], [0.25, 1.0]]), (2, 2))
assert stretched.tolist() == [[0, 128], [64, 255]]
imsave("small.png", image)
assert np.array_equal(imread("small.png"), image)
assert imread("small.png", mode="L").shape == (20, 30)
assert imread("small.png", flatten=True).dtype == np.float32

pairs = np.array([[image, 0], [image, 1]])  # once an array of objects
assert pairs.shape == (2, 2) and pairs[1][1] == 1
pixels, labels = zip(*pairs)
assert np.array(pixels).shape == (2, 20, 30, 3)
