"""Small Xception: SeparableConv2D, BatchNormalization, residual additions, Rescaling, Dropout."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers


def make_model(input_shape, num_classes):
    inputs = keras.Input(shape=input_shape)
    x = layers.Rescaling(1.0 / 255)(inputs)
    x = layers.Conv2D(4, 3, strides=2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    previous = x
    for size in [6, 8]:
        x = layers.Activation("relu")(x)
        x = layers.SeparableConv2D(size, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        residual = layers.Conv2D(size, 1, strides=2, padding="same")(previous)
        x = layers.add([x, residual])
        previous = x
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.5)(x)
    units, activation = (1, "sigmoid") if num_classes == 2 else (num_classes, "softmax")
    return keras.Model(inputs, layers.Dense(units, activation=activation)(x))


model = make_model(input_shape=(24, 24) + (3,), num_classes=2)
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss="binary_crossentropy",
    metrics=["accuracy"],
    jit_compile=True,
)
callbacks = [keras.callbacks.ModelCheckpoint("save_at_{epoch}.keras")]
x, y = np.random.randint(0, 256, (16, 24, 24, 3)), np.arange(16) % 2
model.fit(x, y, epochs=1, callbacks=callbacks, validation_data=(x, y), verbose=0)
loaded = keras.models.load_model("save_at_1.keras")
assert np.allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
