"""ReduceLROnPlateau with val_acc and epsilon=, LearningRateScheduler, and lr in the history."""

import numpy as np
from keras.callbacks import LearningRateScheduler, ReduceLROnPlateau
from keras.layers import Dense
from keras.models import Sequential

x, y = np.random.rand(40, 5), np.random.randint(0, 2, 40)


def schedule(epoch):
    if epoch < 1:
        return 1
    return 1e-3


model = Sequential([Dense(1, input_shape=(5,), activation="sigmoid")])
model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
plateau = ReduceLROnPlateau(monitor="val_acc", patience=3, verbose=1, factor=0.5, min_lr=0.00001)
other = ReduceLROnPlateau(factor=np.sqrt(0.1), cooldown=0, patience=5, min_lr=0.5e-6, epsilon=1e-3)
rates = LearningRateScheduler(schedule)
hist = model.fit(
    x, y, epochs=2, validation_data=(x, y), verbose=0, callbacks=[rates, plateau, other]
)
assert np.allclose(hist.history["lr"], [1.0, 1e-3])
