"""validation_split with subset="training" and "validation", of a folder and of arrays."""

import numpy as np
from tensorflow.keras.preprocessing.image import ImageDataGenerator

datagen = ImageDataGenerator(rescale=1 / 255.0, validation_split=0.25)
common = {"target_size": (10, 10), "batch_size": 4, "class_mode": "sparse", "seed": 42}
train = datagen.flow_from_directory("images/train", subset="training", **common)
held = datagen.flow_from_directory("images/train", subset="validation", **common)
assert not set(train.filenames) & set(held.filenames)
assert held.samples * 3 == train.samples
x, y = np.random.rand(20, 8, 8, 1), np.arange(20) % 2
parts = [
    datagen.flow(x, y, batch_size=20, shuffle=False, subset=s) for s in ("training", "validation")
]
assert [part.n for part in parts] == [15, 5]
assert np.allclose(next(parts[1])[0], x[:5] / 255)
