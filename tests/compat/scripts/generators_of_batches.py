"""Python generators without end, with steps, for training, validation and prediction."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential


def generate(size):
    while True:
        x = np.random.rand(size, 4)
        yield x, x.sum(axis=1)


model = Sequential([Dense(1, input_dim=4)])
model.compile(optimizer="adam", loss="mean_squared_error", metrics=["mae"])
hist = model.fit_generator(
    generate(8),
    steps_per_epoch=5,
    epochs=2,
    verbose=0,
    validation_data=generate(4),
    validation_steps=3,
)
assert len(hist.history["val_mae"]) == 2
assert model.predict_generator(generate(8), steps=2).shape == (16, 1)
assert len(model.evaluate_generator(generate(8), 2)) == 2
model.fit(generate(8), steps_per_epoch=2, epochs=1, verbose=0)
