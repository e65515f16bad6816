"""Imports of all names of a module."""
# ruff: noqa: F405

from keras.callbacks import *
from keras.layers import *
from keras.models import *
from keras.optimizers import *
from keras.preprocessing.image import *
from tensorflow.keras import *

inputs = Input((6, 6, 1))
x = Flatten()(MaxPooling2D()(Conv2D(2, 3)(inputs)))
model = Model(inputs, Dense(2, activation="softmax")(x))
model.compile(Adam(lr=1e-3), "categorical_crossentropy")
assert ImageDataGenerator(rescale=1 / 255).rescale == 1 / 255
assert EarlyStopping(patience=3).patience == 3
assert layers.Dense is Dense
assert utils.to_categorical([0, 1]).shape == (2, 2)
