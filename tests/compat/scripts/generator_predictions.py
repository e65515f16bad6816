"""predict_generator after reset: order of filenames, classes, labels, samples, n, num_classes."""

import numpy as np
import pandas as pd
from keras.layers import Dense, Flatten
from keras.models import Sequential
from keras.preprocessing.image import ImageDataGenerator

generator = ImageDataGenerator(rescale=1.0 / 255).flow_from_directory(
    "images/test",
    target_size=(12, 10),
    color_mode="grayscale",
    batch_size=5,
    class_mode="categorical",
    shuffle=False,
)
model = Sequential([Flatten(input_shape=(12, 10, 1)), Dense(2, activation="softmax")])
model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
next(generator)
generator.reset()
pred = model.predict_generator(generator, steps=len(generator), verbose=1)
assert generator.n == generator.samples == len(generator.filenames) == len(pred)
assert generator.num_classes == 2 and list(generator.labels) == list(generator.classes)
names = {v: k for k, v in generator.class_indices.items()}
frame = pd.DataFrame({"file": generator.filenames, "class": [names[i] for i in pred.argmax(1)]})
assert frame.file.str.startswith("cats").sum() == sum(generator.classes == 0)
by_hand = np.concatenate([model.predict_on_batch(generator[i][0]) for i in range(len(generator))])
assert np.allclose(by_hand, pred, atol=1e-6)
loss, accuracy = model.evaluate_generator(generator, steps=len(generator))
assert np.isclose(accuracy, (pred.argmax(1) == generator.classes).mean())
