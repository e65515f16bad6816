"""One image, augmented again and again: a loop that breaks, save_to_dir, and array_to_img."""

import os

import matplotlib.pyplot as plt
from keras.preprocessing.image import ImageDataGenerator, array_to_img, img_to_array, load_img

path = os.path.join("images", "train", "cats", sorted(os.listdir("images/train/cats"))[0])
x = img_to_array(load_img(path))
x = x.reshape((1,) + x.shape)
os.makedirs("preview", exist_ok=True)
datagen = ImageDataGenerator(rotation_range=40, width_shift_range=0.2, fill_mode="nearest")
i = 0
for batch in datagen.flow(
    x, batch_size=1, save_to_dir="preview", save_prefix="cat", save_format="jpeg"
):
    plt.imshow(array_to_img(batch[0]))
    plt.imshow(batch[0].astype("uint8"))
    i += 1
    if i % 4 == 0:
        break
assert len(os.listdir("preview")) == 4
