"""image_dataset_from_directory: class_names, take, map, cache and prefetch, in fit."""

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from tensorflow.keras.utils import image_dataset_from_directory

kept = {"validation_split": 0.25, "seed": 123, "image_size": (20, 24), "batch_size": 8}
train_ds = tf.keras.preprocessing.image_dataset_from_directory(
    "images/train", subset="training", **kept
)
val_ds = image_dataset_from_directory("images/train", subset="validation", **kept)
class_names = train_ds.class_names
plt.figure(figsize=(4, 4))
for images, labels in train_ds.take(1):
    for i in range(3):
        plt.subplot(1, 3, i + 1)
        plt.imshow(images[i].numpy().astype("uint8"))
        plt.title(class_names[labels[i]])
AUTOTUNE = tf.data.AUTOTUNE
train_ds = train_ds.cache().shuffle(1000).prefetch(buffer_size=AUTOTUNE)
scaling = tf.keras.layers.Rescaling(1.0 / 255)
normalized = val_ds.map(lambda x, y: (scaling(x), y))
image_batch, labels_batch = next(iter(normalized))
assert np.max(image_batch[0].numpy()) <= 1.0
model = tf.keras.Sequential(
    [
        tf.keras.layers.Rescaling(1.0 / 255, input_shape=(20, 24, 3)),
        tf.keras.layers.Conv2D(4, 3, activation="relu"),
        tf.keras.layers.MaxPooling2D(),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(len(class_names)),
    ]
)
loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss, metrics=["accuracy"])
history = model.fit(train_ds, validation_data=val_ds, epochs=2, verbose=0)
assert len(history.history["val_accuracy"]) == 2
