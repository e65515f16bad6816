"""lr=, decay=, optimizer.lr, K.get_value and K.set_value of it, and a callback that sets it."""

import keras
import numpy as np
from keras import backend as K
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import SGD, Adam, RMSprop

x, y = np.random.rand(64, 4), np.random.randint(0, 2, 64)
seen = []


class Halve(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs={}):
        rate = K.get_value(self.model.optimizer.lr)
        seen.append(float(rate))
        K.set_value(self.model.optimizer.lr, rate / 2)


for optimizer in (
    SGD(lr=0.01, decay=1e-2, momentum=0.9, nesterov=True),
    Adam(lr=0.01, beta_1=0.9, beta_2=0.999, epsilon=None, decay=0.0),
    RMSprop(lr=0.01, rho=0.9, epsilon=1e-08, decay=0.0),
):
    model = Sequential([Dense(1, activation="sigmoid", input_dim=4)])
    model.compile(loss="binary_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=[Halve()])
    assert np.isclose(K.get_value(model.optimizer.lr), 0.0025)
    model.optimizer.lr = 0.5
    assert float(model.optimizer.learning_rate.numpy()) == 0.5
assert np.allclose(seen, [0.01, 0.005] * 3)
