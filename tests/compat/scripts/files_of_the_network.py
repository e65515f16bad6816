"""get_file of an archive that is there already, read as a folder of classes."""

import os
import pathlib
import tarfile

import tensorflow as tf

os.makedirs("datasets", exist_ok=True)
with tarfile.open("datasets/flowers_archive", "w:gz") as archive:
    archive.add("images/train", "flowers")
url = "https://example.com/flowers.tgz"
data_dir = tf.keras.utils.get_file("flowers", origin=url, cache_dir=".", untar=True)
data_dir = pathlib.Path(data_dir)
assert len(list(data_dir.glob("*/*.jpg"))) == len(list(data_dir.glob("cats/*"))) * 2
with tarfile.open("datasets/pets.tgz", "w:gz") as archive:
    archive.add("images/train", "pets_filtered")
path = tf.keras.utils.get_file(
    "pets.tgz", "https://example.com/pets.tgz", extract=True, cache_dir="."
)
assert os.path.isdir(os.path.join(os.path.dirname(path), "pets_filtered", "dogs"))
