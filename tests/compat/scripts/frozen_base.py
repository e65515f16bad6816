"""A base with BatchNormalization, frozen and called with training=False, below a new head."""

import keras
import numpy as np

base = keras.Sequential(
    [
        keras.layers.Conv2D(4, 3, input_shape=(8, 8, 1)),
        keras.layers.BatchNormalization(),
        keras.layers.GlobalAveragePooling2D(),
    ]
)
base.trainable = False
image = keras.Input((8, 8, 1))
model = keras.Model(image, keras.layers.Dense(2)(base(image, training=False)))
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
before = [each.copy() for each in base.get_weights()]
model.fit(np.random.rand(16, 8, 8, 1) + 5, np.arange(16) % 2, epochs=2, verbose=0)
for old, new in zip(before, base.get_weights()):
    assert np.array_equal(old, new)
assert len(model.trainable_weights) == 2
