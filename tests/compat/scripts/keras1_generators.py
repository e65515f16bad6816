"""Keras 1: samples_per_epoch, nb_val_samples, predict_generator(val_samples=), merge."""

import numpy as np
from keras.layers import Convolution2D, Dense, Flatten, Input, merge
from keras.models import Model
from keras.preprocessing.image import ImageDataGenerator

x = np.random.rand(48, 10, 10, 3)
y = (np.arange(48) % 2).astype("float32")
inputs = Input(shape=(10, 10, 3))
left = Convolution2D(4, 3, 3, border_mode="same")(inputs)
right = Convolution2D(4, 1, 1, border_mode="same")(inputs)
both = merge([left, right], mode="sum")
wide = merge([both, left], mode="concat", concat_axis=-1)
outputs = Dense(1, activation="sigmoid")(Flatten()(wide))
model = Model(input=inputs, output=outputs)
model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
flow = ImageDataGenerator(horizontal_flip=True).flow(x, y, batch_size=16)
model.fit_generator(
    flow,
    samples_per_epoch=48,
    nb_epoch=2,
    validation_data=flow,
    nb_val_samples=32,
    max_q_size=4,
    nb_worker=1,
    pickle_safe=False,
    verbose=0,
)
assert model.predict_generator(flow, val_samples=48).shape == (48, 1)
assert len(model.evaluate_generator(flow, val_samples=48)) == 2
