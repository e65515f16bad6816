"""What the recipes share: the network and the regime of airbench94, for images of any data set.

K. Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (2024,
https://arxiv.org/abs/2404.00498), in Keras's words, without a residual in it. Whitened patches,
filters that begin as the identity, Nesterov's momentum with a learning rate that rises and falls,
biases that learn many times as fast, Lookahead, smoothed labels, images flipped in alternation, and
predictions of several views of each test image. All training images are trained on; the test images
are looked at once, at the end.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

import convkit
import study
from convkit import initializers, layers, optimizers, utils, zoo
from convkit.regularizers import L2

WARMUP, FIRST, LAST = 0.23, 0.2, 0.07  # the share of the steps, and the learning rate's factors
MOMENTUM = 0.85
RATE = 1.5  # of batches of 1,024, and of the mean loss: 11.5 / (1 + 1 / (1 - MOMENTUM))
DECAY = 1.33e-3  # what is added to the gradient of each weight, times the weight
BIAS_SCALE = 64.0
WHITENING_EPOCHS = 3  # the bias behind the whitening learns for so long, its kernel never


class Recipe(NamedTuple):
    """What the recipes differ in.

    Attributes:
        widths: of the network's three blocks.
        flips: whether left and right mean the same.
        shift: by how many pixels images are moved at most.
        border: what is around a moved image, as `RandomTranslation` has it.
    """

    widths: tuple[int, ...]
    flips: bool = True
    shift: int = 2
    border: str = "reflect"


class Triangle(optimizers.schedules.LearningRateSchedule):
    """From a share of the peak up to it and down to another share, along straight lines."""

    def __init__(self, peak: float, steps: int) -> None:
        self.peak, self.steps = peak, steps

    def __call__(self, step: int) -> float:
        turns = [0, int(WARMUP * self.steps), self.steps]
        return self.peak * float(np.interp(step, turns, [FIRST, 1.0, LAST]))


class SlowStep(optimizers.schedules.LearningRateSchedule):
    """How far the slow weights go: all the way at first, and a good fifth in the end."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __call__(self, step: int) -> float:
        return 1.0 - 0.95**5 * (step / self.steps) ** 3


class Regime(convkit.callbacks.Callback):
    """Stops the whitening layer's bias after some epochs, and the training after so many steps."""

    def __init__(self, bias: Any, steps: int) -> None:
        self.bias, self.steps = bias, steps

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.bias.trainable = epoch < WHITENING_EPOCHS

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.model.optimizer.iterations >= self.steps:
            self.model.stop_training = True


def build(recipe: Recipe, x_train: np.ndarray, batch_size: int) -> convkit.Sequential:
    """The network behind its augmentation, with whitening filters of the first training images."""
    height, width, channels = x_train.shape[1:]
    pixels = x_train.reshape(-1, channels)
    mean = pixels.mean(axis=0, dtype=float).round(2)
    stddev = pixels.std(axis=0, dtype=float).round(2)
    normalize = layers.Normalization(mean=mean, variance=np.square(stddev), name="normalization")
    augmentation: list[Any] = []
    if recipe.flips:
        augmentation.append(layers.RandomFlip("horizontal", alternating=True))
    if recipe.shift:  # by whole pixels, each number of them as likely as the others
        down, right = ((recipe.shift + 0.5) / side for side in (height, width))
        augmentation.append(layers.RandomTranslation(down, right, recipe.border, "nearest"))
    large = batch_size / 1024  # the moving statistics are to forget as fast by images
    network = zoo.airbench(recipe.widths, x_train.shape[1:], bn_momentum=0.6**large)
    front = [layers.Input(x_train.shape[1:]), *augmentation, normalize]
    model = convkit.Sequential([*front, *network.layers])

    whitening = model.get_layer("whitening")
    whitening.kernel.value = initializers.whitening_kernel(normalize(x_train[:5000]), 2, 5e-4)
    whitening.kernel.trainable = False
    whitening.bias_regularizer = L2(DECAY / 2)  # whose gradient is DECAY * w
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.beta.learning_rate_multiplier = BIAS_SCALE
            layer.beta_regularizer = L2(DECAY / 2 / BIAS_SCALE)
        elif isinstance(layer, layers.Conv2D | layers.Dense) and layer is not whitening:
            layer.kernel_regularizer = L2(DECAY / 2)
    return model


def compile_for(model: convkit.Sequential, steps: int, batch_size: int) -> None:
    """The optimizer and the loss of a training of so many steps."""
    rate = Triangle(RATE * batch_size / 1024, steps)
    optimizer = optimizers.Lookahead(
        optimizers.SGD(rate, MOMENTUM, nesterov=True),
        sync_period=max(1, round(5 * 1024 / batch_size)),
        slow_step_size=SlowStep(steps),
    )
    loss = convkit.losses.SparseCategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    model.compile(optimizer, loss, metrics=["accuracy"])


def operations(model: convkit.Sequential) -> int:
    """Of one image in training: two for each multiply-add, forward and twice backward."""
    multiply_adds = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.Dense):
            assert layer.output_shape is not None
            places = math.prod(size for size in layer.output_shape[1:-1] if size is not None)
            multiply_adds += places * layer.kernel.size
    return 6 * multiply_adds


class Images(NamedTuple):
    """A data set: training and test images, with the axis of channels, and their labels."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: Sequence[str]


def images(data_set: ModuleType) -> Images:
    """Those of a module of `convkit.datasets`."""
    (x_train, y_train), (x_test, y_test) = data_set.load_data()
    shape = (*x_train.shape[1:], 1)[:3]
    x_train, x_test = x_train.reshape(-1, *shape), x_test.reshape(-1, *shape)
    return Images(x_train, y_train, x_test, y_test, data_set.CLASS_NAMES)


def run(recipe: Recipe, data_set: ModuleType, epochs: float, options: argparse.Namespace) -> None:
    """Build the network, and train it for so many epochs."""
    data = images(data_set)
    steps = math.ceil(epochs * len(data.x_train) / options.batch_size)
    train(build(recipe, data.x_train, options.batch_size), recipe, data, steps, options)


def train(
    model: convkit.Sequential, recipe: Recipe, data: Images, steps: int, options: argparse.Namespace
) -> None:
    """Print the plan, train for so many steps, look at the test images once, and report."""
    compile_for(model, steps, options.batch_size)
    study.say(model.plan(options.batch_size))
    work = operations(model) * steps * options.batch_size
    study.say(f"{steps} steps, {work:.3g} operations by the direct method")

    start = time.perf_counter()
    history = model.fit(
        data.x_train,
        data.y_train,
        batch_size=options.batch_size,
        epochs=math.ceil(steps * options.batch_size / len(data.x_train)),
        callbacks=[Regime(model.get_layer("whitening").bias, steps)],
    )
    seconds = time.perf_counter() - start

    x_test, y_test = data.x_test, data.y_test
    logits = utils.predict_views(model, x_test, flip=recipe.flips)
    probabilities = convkit.activations.softmax(logits)
    accuracy = float(np.mean(logits.argmax(axis=1) == y_test.ravel()))
    plain = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    views = "six" if recipe.flips else "three"
    study.say(f"\ntest accuracy {accuracy:.2%} by {views} views, {plain['accuracy']:.2%} by one")
    metrics = {
        "test_accuracy": accuracy,
        "test_accuracy_of_one_view": plain["accuracy"],
        "steps": steps,
        "batch_size": options.batch_size,
        "images_per_second": round(steps * options.batch_size / seconds, 1),
        "operations": work,
        "operations_per_second": round(work / seconds),
    }
    names = data.class_names
    study.report(model, history, x_test, y_test, probabilities, names, seconds, metrics, options)
