"""preprocess_input of applications, of pixels and within a model; img_to_array, expand_dims."""

import numpy as np
from keras.applications.mobilenet_v2 import preprocess_input as mobile
from keras.applications.vgg16 import preprocess_input
from keras.layers import GlobalAveragePooling2D, Input
from keras.models import Model

x = np.random.randint(0, 256, (2, 8, 8, 3)).astype("float32")
caffe = preprocess_input(x.copy())
assert np.allclose(caffe[..., 0], x[..., 2] - 103.939)
assert mobile(x).numpy().min() >= -1
inputs = Input(shape=(8, 8, 3))
for function in (preprocess_input, mobile):
    model = Model(inputs, GlobalAveragePooling2D()(function(inputs)))
    assert np.allclose(model.predict(x), np.mean(function(x), axis=(1, 2)), atol=1e-4)
