"""A Model of all layers' outputs, from model.input, to look at what each layer sees."""

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

model = tf.keras.models.Sequential(
    [
        tf.keras.layers.Conv2D(4, (3, 3), activation="relu", input_shape=(16, 16, 1)),
        tf.keras.layers.MaxPooling2D(2, 2),
        tf.keras.layers.Conv2D(4, (3, 3), activation="relu", name="last"),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(2, activation="softmax"),
    ]
)
outputs = [layer.output for layer in model.layers[1:]]
activations = tf.keras.models.Model(inputs=model.input, outputs=outputs)
maps = activations.predict(np.random.rand(1, 16, 16, 1))
names = [layer.name for layer in model.layers[1:]]
for _name, each in zip(names, maps):
    if len(each.shape) == 4:
        plt.imshow(each[0, :, :, 0], cmap="viridis")
assert len(maps) == 4 and maps[1].shape == (1, 5, 5, 4)
single = tf.keras.Model(model.inputs, model.get_layer("last").output)
assert np.allclose(single(np.zeros((1, 16, 16, 1))).numpy().shape, (1, 5, 5, 4))
several = tf.keras.Model([model.inputs], [model.get_layer("last").output, model.output])
assert len(several(np.zeros((2, 16, 16, 1)))) == 2
weights, bias = model.layers[0].get_weights()
assert weights.shape == (3, 3, 1, 4) and bias.shape == (4,)
