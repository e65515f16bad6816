"""A trained model inside a Sequential with Softmax; called on arrays; from_logits losses."""

import numpy as np
import tensorflow as tf

(x, y), (x_test, y_test) = tf.keras.datasets.mnist.load_data()
x, x_test = x / 255.0, x_test / 255.0
model = tf.keras.models.Sequential(
    [
        tf.keras.layers.Flatten(input_shape=(28, 28)),
        tf.keras.layers.Dense(8, activation="relu"),
        tf.keras.layers.Dropout(0.2),
        tf.keras.layers.Dense(10),
    ]
)
predictions = model(x[:1]).numpy()
probabilities = tf.nn.softmax(predictions).numpy()
loss_fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer="adam", loss=loss_fn, metrics=["accuracy"])
model.fit(x, y, epochs=1, verbose=0)
model.evaluate(x_test, y_test, verbose=2)
probability_model = tf.keras.Sequential([model, tf.keras.layers.Softmax()])
result = probability_model(x_test[:5])
assert np.allclose(np.sum(result.numpy(), axis=1), 1, atol=1e-5)
single = np.expand_dims(x_test[1], 0)
score = tf.nn.softmax(model.predict(single)[0])
assert np.isclose(100 * np.max(score), 100 * float(tf.reduce_max(score)))
assert np.argmax(probability_model.predict(single)[0]) == np.argmax(score)
