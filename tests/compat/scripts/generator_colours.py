"""brightness_range, channel_shift_range, preprocessing_function, fill modes and vertical_flip."""

import numpy as np
from keras.preprocessing.image import ImageDataGenerator

x = np.random.randint(0, 256, (6, 14, 12, 3)).astype("float32")


def noisy(image):
    return np.clip(image + np.random.normal(0, 5, image.shape), 0.0, 255.0)


for mode in ("constant", "nearest", "reflect", "wrap"):
    datagen = ImageDataGenerator(
        brightness_range=[0.5, 1.5],
        channel_shift_range=20,
        preprocessing_function=noisy,
        vertical_flip=True,
        rotation_range=90,
        width_shift_range=[-3, 3],
        fill_mode=mode,
        cval=7,
    )
    images = next(datagen.flow(x, batch_size=6, seed=1))
    assert images.shape == x.shape and np.isfinite(images).all()
parameters = datagen.get_random_transform(x.shape[1:], seed=3)
assert set(parameters) >= {"theta", "tx", "ty", "shear", "zx", "zy", "brightness"}
assert datagen.apply_transform(x[0], {"theta": 40, "flip_horizontal": True}).shape == x[0].shape
assert datagen.random_transform(x[0], seed=1).shape == x[0].shape
