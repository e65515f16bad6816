"""ModelCheckpoint and EarlyStopping that watch val_acc, with {acc:.3f} in the file's name, period."""

import os

import numpy as np
from keras.callbacks import EarlyStopping, ModelCheckpoint
from keras.layers import Dense
from keras.models import Sequential, load_model

x, y = np.random.rand(60, 5), np.random.randint(0, 2, 60)
model = Sequential()
model.add(Dense(4, input_dim=5, activation="relu"))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
name = "saved/weights-{epoch:02d}-{acc:.3f}-{val_acc:.3f}.hdf5"
best = ModelCheckpoint(name, monitor="val_acc", verbose=1, save_best_only=True, mode="max")
every = ModelCheckpoint("last.h5", save_weights_only=True, period=2)
stop = EarlyStopping(monitor="val_acc", patience=3, min_delta=0)
model.fit(x, y, validation_split=0.3, epochs=2, verbose=0, callbacks=[best, every, stop])
(first, *_) = sorted(os.listdir("saved"))
assert first.startswith("weights-01-0.") and os.path.exists("last.h5")
load_model(os.path.join("saved", first)).evaluate(x, y, verbose=0)
