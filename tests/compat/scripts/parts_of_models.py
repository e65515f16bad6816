"""get_layer, pop, layers[i].output, a frozen base in a new model, trainable of parts."""

import numpy as np
from keras.layers import Conv2D, Dense, Flatten, GlobalAveragePooling2D, Input
from keras.models import Model, Sequential

base = Sequential(
    [
        Conv2D(4, 3, activation="relu", input_shape=(10, 10, 3), name="features"),
        Conv2D(4, 3, name="more"),
        Flatten(),
        Dense(5),
    ]
)
base.pop()
base.pop()
for layer in base.layers[:-1]:
    layer.trainable = False
x = base.get_layer("more").output
x = GlobalAveragePooling2D()(x)
model = Model(inputs=base.input, outputs=Dense(2, activation="softmax")(x))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(np.random.rand(8, 10, 10, 3), np.arange(8) % 2, epochs=1, verbose=0)
base.trainable = False
inputs = Input(shape=(10, 10, 3))
head = Model(inputs, Dense(1)(Flatten()(base(inputs, training=False))))
assert len(head.trainable_weights) == 2 and base.layers[0].name == "features"
assert model.layers[1].get_config()["name"] == "features"
