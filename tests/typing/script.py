"""A script as users write it, for a strict type checker: no error, and no type lost."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import convkit
from convkit import layers
from convkit.callbacks import Callback, EarlyStopping, History
from convkit.datasets import digits
from convkit.models import Sequential
from convkit.optimizers import Adam, Optimizer


class Best(Callback):
    def __init__(self) -> None:
        self.accuracy = 0.0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.accuracy = max(self.accuracy, (logs or {})["val_accuracy"])


convkit.utils.set_random_seed(1)
(x_train, y_train), (x_test, y_test) = digits.load_data()
x_train = x_train[..., np.newaxis].astype("float32") / 16
x_test = x_test[..., np.newaxis].astype("float32") / 16
y_train = convkit.utils.to_categorical(y_train, 10)

model = Sequential(
    [
        convkit.Input((8, 8, 1)),
        layers.Conv2D(16, (3, 3), padding="same", activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dropout(0.2),
    ]
)
model.add(layers.Dense(10, activation="softmax"))
model.compile(optimizer=Adam(1e-3), loss="categorical_crossentropy", metrics=["accuracy"])
model.summary()

best = Best()
history = model.fit(
    x_train,
    y_train,
    batch_size=32,
    epochs=3,
    verbose=0,
    validation_split=0.1,
    callbacks=[EarlyStopping(monitor="val_loss", patience=2), best],
)
loss, accuracy = model.evaluate(x_test, convkit.utils.to_categorical(y_test, 10), verbose=0)
print(f"test loss {loss:.3f}, test accuracy {accuracy:.3f}, best so far {best.accuracy:.3f}")
probabilities = model.predict(x_test, verbose=0)
scores = model.evaluate(x_train, y_train, verbose=0, return_dict=True)
wrong = np.flatnonzero(probabilities.argmax(axis=1) != y_test)
kernel, bias = model.layers[0].get_weights()
shapes = [weight.shape for weight in model.weights]

if TYPE_CHECKING:
    from typing_extensions import assert_type

    assert_type(history, History)
    assert_type(history.history, dict[str, list[Any]])
    assert_type(probabilities, NDArray[np.float32])
    assert_type(scores, dict[str, float])
    assert_type(kernel, NDArray[Any])
    assert_type(shapes, list[tuple[int, ...]])
    assert_type(model.count_params(), int)
    assert_type(model.optimizer, Optimizer | None)
    assert_type(model.output_shape, tuple[int | None, ...])
    assert_type(layers.Dense(10).name, str)
    assert_type(layers.Dense(10).units, int)
    assert_type(model.stop_training, bool)
