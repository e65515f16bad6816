"""LeakyReLU(alpha=), PReLU, ELU, ThresholdedReLU, and a layer as the argument activation=."""

import keras
import numpy as np
from keras.layers import ELU, Activation, Conv2D, Dense, Flatten, LeakyReLU, PReLU, ReLU
from keras.models import Sequential

model = Sequential()
model.add(Conv2D(4, 3, input_shape=(8, 8, 1), padding="Same", activation=LeakyReLU(alpha=0.05)))
model.add(Conv2D(4, 3, activation="linear"))
model.add(LeakyReLU(alpha=0.3))
model.add(Conv2D(4, 1))
model.add(PReLU())
model.add(ELU(alpha=1.0))
model.add(ReLU(max_value=6.0))
model.add(Flatten())
model.add(Dense(6, activation=keras.activations.selu, kernel_initializer="lecun_normal"))
model.add(keras.layers.ThresholdedReLU(theta=0.5))
model.add(Dense(2))
model.add(Activation(keras.activations.softmax))
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["acc"])
model.fit(np.random.rand(16, 8, 8, 1), np.arange(16) % 2, epochs=1, verbose=0)
assert isinstance(model.layers[2], LeakyReLU) and isinstance(model.layers[1], Conv2D)
