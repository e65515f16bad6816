"""Images with their channels first: set_image_dim_ordering("th"), BatchNormalization(axis=1)."""

import warnings

import numpy as np
from keras import backend as K
from keras.datasets import mnist
from keras.layers.convolutional import Conv2D, MaxPooling2D
from keras.layers.core import Activation, Dense, Flatten
from keras.layers.normalization import BatchNormalization
from keras.models import Sequential
from keras.preprocessing.image import ImageDataGenerator

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it says that images are transposed
    K.set_image_dim_ordering("th")
assert K.image_data_format() == "channels_first" and K.image_dim_ordering() == "th"
(x, y), _ = mnist.load_data()
x = x[:, np.newaxis, :, :].astype("float32") / 255
model = Sequential()
model.add(Conv2D(4, kernel_size=5, padding="same", input_shape=(1, 28, 28)))
model.add(BatchNormalization(axis=1))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2), strides=(2, 2)))
model.add(Flatten())
model.add(Dense(10, activation="softmax"))
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(x, y, batch_size=32, epochs=1, validation_split=0.2, verbose=0)
flow = ImageDataGenerator(rotation_range=5, data_format="channels_first").flow(x, y, batch_size=32)
assert next(flow)[0].shape == (32, 1, 28, 28)
model.fit_generator(flow, steps_per_epoch=2, epochs=1, verbose=0, validation_data=(x, y))
assert model.predict(x[:3]).shape == (3, 10)
assert K.image_data_format() == "channels_first"
K.set_image_data_format("channels_last")
