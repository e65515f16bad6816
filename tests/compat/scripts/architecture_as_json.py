"""to_json and model_from_json, save_weights and load_weights in a .h5 file."""

import numpy as np
from keras.layers import Conv2D, Dense, Flatten
from keras.models import Sequential, model_from_json

model = Sequential()
model.add(Conv2D(4, (3, 3), activation="relu", input_shape=(10, 10, 1)))
model.add(Flatten())
model.add(Dense(2, activation="softmax"))
with open("model.json", "w") as json_file:
    json_file.write(model.to_json())
model.save_weights("model.h5", overwrite=True)
with open("model.json") as json_file:
    loaded = model_from_json(json_file.read())
loaded.load_weights("model.h5")
loaded.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
x = np.random.rand(3, 10, 10, 1)
assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
assert loaded.predict_classes(x).shape == (3,)
