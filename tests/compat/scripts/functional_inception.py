"""Branches that are concatenated, GlobalAveragePooling2D, several inputs and outputs by name."""

import numpy as np
from tensorflow.keras import Input, Model, layers

image = Input(shape=(12, 12, 3), name="image")
extra = Input(shape=(4,), name="extra")
tower_1 = layers.Conv2D(4, (1, 1), padding="same", activation="relu")(image)
tower_1 = layers.Conv2D(4, (3, 3), padding="same", activation="relu")(tower_1)
tower_2 = layers.MaxPooling2D((3, 3), strides=(1, 1), padding="same")(image)
merged = layers.concatenate([tower_1, tower_2], axis=3)
features = layers.concatenate([layers.GlobalAveragePooling2D()(merged), extra])
label = layers.Dense(3, activation="softmax", name="label")(features)
size = layers.Dense(1, name="size")(features)
model = Model(inputs=[image, extra], outputs=[label, size])
model.compile(
    optimizer="adam",
    loss={"label": "sparse_categorical_crossentropy", "size": "mse"},
    loss_weights={"label": 1.0, "size": 0.5},
    metrics={"label": "accuracy"},
)
x, more = np.random.rand(20, 12, 12, 3), np.random.rand(20, 4)
targets = {"label": np.arange(20) % 3, "size": np.random.rand(20)}
model.fit({"image": x, "extra": more}, targets, epochs=1, batch_size=5, verbose=0)
first, second = model.predict([x, more], verbose=0)
assert first.shape == (20, 3) and second.shape == (20, 1)
