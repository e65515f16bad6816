"""featurewise and samplewise standardization, and ZCA whitening, after fit."""

import numpy as np
from keras.preprocessing.image import ImageDataGenerator

x = np.random.rand(30, 6, 6, 3).astype("float32") * 255
datagen = ImageDataGenerator(featurewise_center=True, featurewise_std_normalization=True)
datagen.fit(x)
images = next(datagen.flow(x, batch_size=30, shuffle=False))
assert np.allclose(images.mean((0, 1, 2)), 0, atol=1e-4)
assert np.allclose(images.std((0, 1, 2)), 1, atol=1e-3)
datagen = ImageDataGenerator(samplewise_center=True, samplewise_std_normalization=True)
images = next(datagen.flow(x, batch_size=30))
assert np.allclose(images.mean((1, 2, 3)), 0, atol=1e-4)
datagen = ImageDataGenerator(zca_whitening=True)
datagen.fit(x, augment=True, rounds=2, seed=0)
assert datagen.zca_whitening_matrix.shape == (108, 108)
assert next(datagen.flow(x, batch_size=3)).shape == (3, 6, 6, 3)
assert np.allclose(datagen.standardize(np.copy(x[:2])).shape, (2, 6, 6, 3))
