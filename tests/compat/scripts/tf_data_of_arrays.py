"""tf.data: from_tensor_slices, shuffle, batch, prefetch, cache, repeat, take, skip, AUTOTUNE."""

import tensorflow as tf

(x, y), _ = tf.keras.datasets.mnist.load_data()
x = x[..., tf.newaxis].astype("float32") / 255.0
train_ds = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(1000).batch(32)
train_ds = train_ds.cache().prefetch(buffer_size=tf.data.experimental.AUTOTUNE)
for images, labels in train_ds.take(1):
    print(images.shape, labels.numpy(), images[0].numpy().max())
    assert labels[0].numpy() in range(10) and int(labels[0]) in range(10)
images, labels = next(iter(train_ds))
size = len(train_ds)
held, train = train_ds.take(1), train_ds.skip(1)
model = tf.keras.Sequential(
    [
        tf.keras.layers.Conv2D(4, 3, activation="relu", input_shape=(28, 28, 1)),
        tf.keras.layers.GlobalAveragePooling2D(),
        tf.keras.layers.Dense(10),
    ]
)
loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
model.fit(train.repeat(), epochs=2, steps_per_epoch=size - 1, validation_data=held, verbose=0)
assert model.predict(held, verbose=0).shape == (32, 10)
assert len(model.evaluate(held, verbose=0)) == 2
