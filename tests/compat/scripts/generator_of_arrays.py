"""ImageDataGenerator with all its switches, fit, flow, fit_generator with float steps."""

import numpy as np
from keras.layers import Conv2D, Dense, Flatten
from keras.models import Sequential
from keras.preprocessing.image import ImageDataGenerator

x, y = np.random.rand(40, 12, 12, 3), np.eye(2)[np.arange(40) % 2]
datagen = ImageDataGenerator(
    featurewise_center=False,
    samplewise_center=False,
    featurewise_std_normalization=False,
    samplewise_std_normalization=False,
    zca_whitening=False,
    zca_epsilon=1e-06,
    rotation_range=10,
    width_shift_range=0.1,
    height_shift_range=0.1,
    shear_range=0.1,
    zoom_range=0.1,
    channel_shift_range=0.0,
    fill_mode="nearest",
    cval=0.0,
    horizontal_flip=True,
    vertical_flip=False,
    rescale=None,
    preprocessing_function=None,
    data_format=None,
    validation_split=0.0,
)
datagen.fit(x)
model = Sequential([Conv2D(4, 3, activation="relu", input_shape=x.shape[1:]), Flatten(), Dense(2)])
model.compile(loss="mse", optimizer="adam", metrics=["accuracy"])
history = model.fit_generator(
    datagen.flow(x, y, batch_size=16),
    steps_per_epoch=x.shape[0] / 16,
    epochs=2,
    validation_data=(x, y),
    workers=4,
    use_multiprocessing=True,
    verbose=2,
)
assert len(history.history["val_loss"]) == 2
for images, targets in datagen.flow(x, y, batch_size=9):
    assert images.shape == (9, 12, 12, 3) and targets.shape == (9, 2)
    break
