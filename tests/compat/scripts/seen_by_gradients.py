"""Patterns: where a network looks (class activation maps by gradients), what changes its answer (the
sign of the gradient by the image), variables that are trained by themselves."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

model = keras.Sequential(
    [
        keras.layers.Conv2D(4, 3, activation="relu", input_shape=(12, 12, 3), name="last_conv"),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dense(5, activation="softmax"),
    ]
)
images = tf.random.uniform((2, 12, 12, 3))
grad_model = keras.models.Model([model.inputs], [model.get_layer("last_conv").output, model.output])
with tf.GradientTape() as tape:
    conv_output, predictions = grad_model(images[:1])
    best = tf.argmax(predictions[0])
    channel = predictions[:, best]
grads = tape.gradient(channel, conv_output)
pooled = tf.reduce_mean(grads, axis=(0, 1, 2))
heatmap = tf.squeeze(conv_output[0] @ pooled[..., tf.newaxis])
heatmap = tf.maximum(heatmap, 0) / tf.math.reduce_max(heatmap)
assert heatmap.numpy().shape == (10, 10)

image = tf.convert_to_tensor(images)
loss_object = keras.losses.CategoricalCrossentropy()
with tf.GradientTape() as tape:
    tape.watch(image)
    loss = loss_object(tf.one_hot([1, 2], 5), model(image))
signed = tf.sign(tape.gradient(loss, image))
worse = tf.clip_by_value(image + 0.05 * signed, 0, 1)
assert loss_object(tf.one_hot([1, 2], 5), model(worse)) > loss.numpy()

weight, bias = tf.Variable(tf.random.normal((1,))), tf.Variable([0.0], name="bias")
xs = np.linspace(-1, 1, 50, dtype="float32")
optimizer = tf.keras.optimizers.SGD(learning_rate=0.5)
for _ in range(100):
    with tf.GradientTape() as tape:
        error = tf.reduce_mean(tf.square(weight * xs + bias - (3 * xs + 2)))
    grads = tape.gradient(error, [weight, bias])
    optimizer.apply_gradients(zip(grads, [weight, bias]))
np.testing.assert_allclose([weight.numpy()[0], bias.numpy()[0]], [3, 2], atol=1e-2)
with tf.GradientTape(persistent=True) as tape:
    cube = weight**3
    other = tf.constant(2.0) * 3
assert tape.gradient(other, weight) is None
np.testing.assert_allclose(tape.gradient(cube, weight), 3 * weight.numpy() ** 2, rtol=1e-5)
weight.assign_sub(0.5 * tape.gradient(cube, weight))
