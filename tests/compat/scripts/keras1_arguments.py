"""Keras 1: Convolution2D(n, rows, columns), border_mode, subsample, init, output_dim, nb_epoch."""

import numpy as np
from keras.layers import Activation, Convolution2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.regularizers import l2
from keras.utils import np_utils

np.random.seed(1337)
x = np.random.rand(64, 12, 12, 3).astype("float32")
y = np_utils.to_categorical(np.random.randint(0, 3, 64), nb_classes=3)
model = Sequential()
model.add(
    Convolution2D(
        6,
        3,
        3,
        border_mode="same",
        init="he_normal",
        W_regularizer=l2(1e-4),
        bias=True,
        dim_ordering="tf",
        input_shape=(12, 12, 3),
    )
)
model.add(Activation("relu"))
model.add(Convolution2D(nb_filter=6, nb_row=3, nb_col=3, subsample=(2, 2), border_mode="valid"))
model.add(MaxPooling2D(pool_size=(2, 2), border_mode="same"))
model.add(Dropout(p=0.25))
model.add(Flatten())
model.add(Dense(output_dim=8, init="uniform", activation="relu"))
model.add(Dense(3, init="normal", activation="softmax"))
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(x, y, nb_epoch=2, batch_size=16, validation_split=0.25, verbose=0)
assert len(history.history["val_acc"]) == 2
assert model.layers[0].output_shape == (None, 12, 12, 6)
assert model.layers[2].output_shape == (None, 5, 5, 6)
