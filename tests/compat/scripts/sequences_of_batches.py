"""A subclass of utils.Sequence in fit, evaluate_generator and predict_generator."""

import math

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import Sequence


class Batches(Sequence):
    def __init__(self, x, y, batch_size):
        self.x, self.y, self.batch_size, self.passes = x, y, batch_size, 0

    def __len__(self):
        return math.ceil(len(self.x) / self.batch_size)

    def __getitem__(self, idx):
        part = slice(idx * self.batch_size, (idx + 1) * self.batch_size)
        return self.x[part], self.y[part]

    def on_epoch_end(self):
        self.passes += 1


batches = Batches(np.random.rand(30, 4), np.random.rand(30), 8)
model = Sequential([Dense(1, input_dim=4)])
model.compile("adam", "mse")
model.fit_generator(
    generator=batches,
    validation_data=batches,
    epochs=2,
    verbose=0,
    use_multiprocessing=True,
    workers=6,
    max_queue_size=10,
)
assert batches.passes >= 2
assert model.predict_generator(batches).shape == (30, 1)
model.evaluate_generator(batches, steps=2)
