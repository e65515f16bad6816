"""list_files, tf.io.read_file, tf.image.decode_jpeg, tf.strings.split, py_function."""

import os
import pathlib

import numpy as np
import tensorflow as tf

root = pathlib.Path("images/train")
class_names = np.array(sorted(item.name for item in root.glob("*")))
list_ds = tf.data.Dataset.list_files(str(root / "*/*"), shuffle=False)


def get_label(path):
    parts = tf.strings.split(path, os.path.sep)
    return tf.argmax(parts[-2] == class_names.astype("S"))


def process(path):
    image = tf.io.read_file(path)
    image = tf.image.decode_jpeg(image, channels=3)
    image = tf.image.convert_image_dtype(image, tf.float32)
    return tf.image.resize(image, (10, 12)), get_label(path)


for image, label in list_ds.map(process).take(2):
    assert image.shape == (10, 12, 3) and float(tf.reduce_max(image)) <= 1.0
    assert class_names[label] == "cats"
picture = tf.image.decode_image(tf.io.read_file(next(iter(list_ds))))
assert tf.image.decode_png(tf.io.encode_png(picture)).shape == picture.shape
assert tf.io.gfile.exists("images") and len(tf.io.gfile.glob("images/*")) == 2
