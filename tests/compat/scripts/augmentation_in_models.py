"""RandomFlip, RandomRotation, RandomZoom and others as a Sequential within models."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers

data_augmentation = keras.Sequential(
    [
        layers.RandomFlip("horizontal", input_shape=(16, 16, 3)),
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.2),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomContrast(0.1),
    ]
)
x, y = np.random.randint(0, 256, (24, 16, 16, 3)), np.arange(24) % 2
inputs = keras.Input(shape=(16, 16, 3))
z = data_augmentation(inputs)
z = layers.Rescaling(1.0 / 255)(z)
z = layers.Conv2D(4, 3, activation="relu")(z)
z = layers.GlobalAveragePooling2D()(z)
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(z))
model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=1, batch_size=8, verbose=0)
chain = keras.Sequential([data_augmentation, layers.Flatten(), layers.Dense(2)])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
chain.compile("adam", loss, metrics=["accuracy"])
chain.fit(x / 255.0, y, epochs=1, verbose=0)
