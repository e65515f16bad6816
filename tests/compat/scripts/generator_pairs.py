"""Two generators with one seed, zipped: images and masks change alike."""

import numpy as np
from keras.layers import Conv2D
from keras.models import Sequential
from keras.preprocessing.image import ImageDataGenerator

x = np.random.rand(16, 12, 12, 1).astype("float32")
arguments = {"rotation_range": 20, "horizontal_flip": True, "zoom_range": 0.1}
images = ImageDataGenerator(**arguments).flow(x, batch_size=8, seed=7)
masks = ImageDataGenerator(**arguments).flow(x, batch_size=8, seed=7)


def pairs():
    for image, mask in zip(images, masks):
        yield image, mask


one, other = next(pairs())
assert np.array_equal(one, other)
model = Sequential([Conv2D(1, 3, padding="same", activation="sigmoid", input_shape=(12, 12, 1))])
model.compile("adam", "binary_crossentropy")
model.fit_generator(pairs(), steps_per_epoch=2, epochs=2, verbose=0)
