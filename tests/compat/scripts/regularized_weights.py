"""maxnorm, regularizers, initializers "uniform" and "normal", BatchInput shapes, frozen layers."""

import numpy as np
from keras import initializers, regularizers
from keras.constraints import max_norm, maxnorm
from keras.layers import Conv2D, Dense, Dropout, Flatten
from keras.models import Sequential

model = Sequential()
model.add(
    Conv2D(
        4,
        (3, 3),
        batch_input_shape=(None, 8, 8, 1),
        kernel_constraint=maxnorm(3),
        kernel_regularizer=regularizers.l2(0.01),
        data_format="channels_last",
    )
)
model.add(Dropout(0.2, input_shape=(6, 6, 4)))
model.add(Flatten(data_format="channels_last"))
model.add(Dense(4, kernel_initializer="uniform", activation="relu", kernel_constraint=max_norm(2)))
model.add(Dense(3, kernel_initializer="normal", bias_initializer=initializers.Constant(0.1)))
model.add(Dense(1, kernel_initializer=initializers.RandomNormal(stddev=0.01), dtype="float32"))
model.layers[0].trainable = False
model.compile("adam", "mse")
before = model.layers[0].get_weights()[0]
model.fit(np.random.rand(8, 8, 8, 1), np.random.rand(8), epochs=1, verbose=0)
assert np.array_equal(before, model.layers[0].get_weights()[0])
assert len(model.trainable_variables) == 6 and len(model.non_trainable_variables) == 2
