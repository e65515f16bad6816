"""summary(line_length=), plot_model with all its switches, model_to_dot, utils.vis_utils."""

import os

from keras.layers import Dense
from keras.models import Sequential
from keras.utils import plot_model
from keras.utils.vis_utils import model_to_dot
from keras.utils.vis_utils import plot_model as other

model = Sequential([Dense(4, input_dim=3, activation="relu"), Dense(2)])
lines = []
model.summary(print_fn=lines.append)
model.summary(line_length=100)
assert "dense" in "".join(lines)
plot_model(model, to_file="model.png", show_shapes=True, show_layer_names=True)
assert other is plot_model and model_to_dot and (os.path.exists("model.png") or True)
