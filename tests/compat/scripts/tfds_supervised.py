"""tfds.load with splits, as_supervised and with_info, in the pipeline of TensorFlow's tutorial."""

import tensorflow as tf
import tensorflow_datasets as tfds

(ds_train, ds_test), ds_info = tfds.load(
    "mnist", split=["train", "test"], shuffle_files=True, as_supervised=True, with_info=True
)


def normalize_img(image, label):
    return tf.cast(image, tf.float32) / 255.0, label


ds_train = ds_train.map(normalize_img, num_parallel_calls=tf.data.AUTOTUNE)
ds_train = ds_train.cache().shuffle(ds_info.splits["train"].num_examples).batch(64).prefetch(2)
ds_test = ds_test.map(normalize_img).batch(64).cache()
assert ds_info.features["label"].num_classes == 10
model = tf.keras.models.Sequential(
    [tf.keras.layers.Flatten(input_shape=(28, 28, 1)), tf.keras.layers.Dense(10)]
)
model.compile(
    optimizer=tf.keras.optimizers.Adam(0.001),
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[tf.keras.metrics.SparseCategoricalAccuracy()],
)
model.fit(ds_train, epochs=1, validation_data=ds_test, verbose=0)
