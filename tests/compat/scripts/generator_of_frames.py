"""flow_from_dataframe: classes, raw values, and no targets at all."""

import os

import pandas as pd
from keras.preprocessing.image import ImageDataGenerator
from keras_preprocessing.image import ImageDataGenerator as Other

assert Other is ImageDataGenerator
names = sorted(os.listdir("images/train/cats"))
frame = pd.DataFrame(
    {"id": names, "label": ["a", "b"] * (len(names) // 2), "value": range(len(names))}
)
datagen = ImageDataGenerator(rescale=1.0 / 255)
kept = {"directory": "images/train/cats", "x_col": "id", "target_size": (9, 9), "batch_size": 4}
flow = datagen.flow_from_dataframe(frame, y_col="label", class_mode="binary", **kept)
assert flow.class_indices == {"a": 0, "b": 1} and next(flow)[1].shape == (4,)
flow = datagen.flow_from_dataframe(frame, y_col="label", class_mode="categorical", **kept)
assert next(flow)[1].shape == (4, 2)
flow = datagen.flow_from_dataframe(frame, y_col="value", class_mode="other", shuffle=False, **kept)
assert list(next(flow)[1]) == [0, 1, 2, 3]
flow = datagen.flow_from_dataframe(dataframe=frame, class_mode=None, shuffle=False, **kept)
assert next(flow).shape == (4, 9, 9, 3)
