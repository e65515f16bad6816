"""convkit as a scikit-learn estimator: `ConvClassifier`.

    >>> from convkit.sklearn import ConvClassifier
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_score
    >>> X, y = load_digits(return_X_y=True)
    >>> cross_val_score(ConvClassifier(image_shape=(8, 8), random_state=0), X / 16, y)

Needs scikit-learn 1.6 or later: `pip install "convkit[sklearn]"`.
"""

from __future__ import annotations

import copy
import math
import operator
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "convkit.sklearn needs scikit-learn 1.6 or later, which is not installed; install it "
        'with: pip install "convkit[sklearn]"'
    ) from error

from . import optimizers, runtime
from .callbacks import EarlyStopping
from .core import random
from .core.parameters import Array
from .layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    MaxPooling2D,
)
from .models import Sequential
from .training.arguments import integer

__all__ = ["ConvClassifier", "default_cnn"]


def __dir__() -> list[str]:
    return __all__


ImageShape = tuple[int, int, int]
Builder = Callable[[ImageShape, int], Sequential]

_SMALL = 4  # pixels: images whose longer side is not above are not halved again
_MOST_FILTERS = 128
_EPOCHS, _MOST_EPOCHS, _STEPS = 8, 100, 1000  # more epochs where these are fewer steps
_PEAK, _OWN_PEAK = 0.005, 0.002  # of the learning rate; the latter for networks of the user


def default_cnn(image_shape: ImageShape, n_classes: int) -> Sequential:
    """The network of a `ConvClassifier` that is given no `model`.

    Blocks of two 3x3 convolutions with 32, 64, 128, 128 ... filters, each with batch normalisation
    and ReLU, and a 2x2 max-pool behind the first of the two, until the longer side is at most 4
    pixels; then dropout of one half and a dense layer with softmax. A side of one pixel is not
    pooled.

    Args:
        image_shape: (h, w, c).
        n_classes: K.

    Returns:
        A new, uncompiled model from (n, h, w, c) to probabilities (n, K).
    """
    height, width, _ = image_shape
    model = Sequential([Input(image_shape)])
    filters = 32
    while True:
        window = min(2, height), min(2, width)
        for pools in (window != (1, 1), False):
            model.add(Conv2D(filters, 3, padding="same", use_bias=False))
            if pools:
                model.add(MaxPooling2D(window))
            model.add(BatchNormalization(momentum=0.7))  # a few steps must suffice
            model.add(Activation("relu"))
        height, width = height // window[0], width // window[1]
        if max(height, width) <= _SMALL:
            break
        filters = min(2 * filters, _MOST_FILTERS)
    for layer in (Flatten(), Dropout(0.5), Dense(n_classes, activation="softmax")):
        model.add(layer)
    return model


class ConvClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A convolutional network that classifies images, as a scikit-learn estimator.

    Images are taken as they are; scale them to about 0 .. 1 before, for example in a pipeline.
    Training runs on the threads of `convkit.runtime`; estimators that work at the same time, as
    with `n_jobs=2`, share them. The same `random_state` gives the same bits, for any number of
    threads and jobs.

    Args:
        model: a function that takes the image shape (h, w, c) and the number of classes K and
            returns a new `convkit.Sequential` that ends in a softmax over K classes. The estimator
            compiles it. By default `default_cnn`.
        image_shape: (h, w) or (h, w, c) of the images in a flat X. Without it, a flat X of s * s
            features is taken for square images (s, s, 1), and any other for one row of pixels,
            (1, features, 1).
        epochs: passes over the training data, at most. By default 8; of data that this gives fewer
            than 1,000 steps, as many as give them, up to 100.
        batch_size: images a training step.
        optimizer: the name of a convkit optimizer, or an object, of which every `fit` uses a fresh
            copy. By default Adam.
        learning_rate: of the optimizer, for the whole training. By default what a given optimizer
            has; without one, a `OneCycle` that rises to 0.005 and falls to 0 over all `epochs`. It
            rises to 0.002 for a `model`, which may be without batch normalisation.
        early_stopping: whether to keep a part of the training data apart, to stop when the loss on
            it has not improved for some epochs, and to go back to the best weights.
        validation_fraction: the part that is kept apart, stratified; only with `early_stopping`.
        n_iter_no_change: how many epochs; only with `early_stopping`.
        verbose: 0 silent, 1 a progress bar, 2 a line an epoch.
        random_state: an int for repeatable results, a `RandomState`, or None.

    A pickle or a copy of a fitted estimator holds the network that was fitted, whatever `model` is
    by then: its architecture and weights, and what it was compiled with, but not the memory of its
    optimizer. Where `model` cannot be pickled, such as a lambda, what builds networks of the same
    architecture stands there in its place. A `fit` that fails leaves the estimator unfitted.

    Attributes:
        classes_: the labels, sorted, (K,).
        n_features_in_: the numbers in an image, h * w * c.
        feature_names_in_: the columns, if X was a table whose columns have names.
        image_shape_: (h, w, c).
        model_: the trained `convkit.Sequential`; compile it anew to train it further.
        history_: the loss and the accuracy of every epoch, a dictionary of lists, as
            `convkit.plots.history` draws it.

    Example:
        >>> pipeline = make_pipeline(MinMaxScaler(), ConvClassifier(image_shape=(8, 8)))
        >>> pipeline.fit(X_train, y_train).score(X_test, y_test)
    """

    def __init__(
        self,
        model: Builder | None = None,
        *,
        image_shape: Sequence[int] | None = None,
        epochs: int | None = None,
        batch_size: int = 32,
        optimizer: str | optimizers.Optimizer | None = None,
        learning_rate: float | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.image_shape = image_shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> ConvClassifier:
        """Train a new network.

        Args:
            X: images (n, h, w, c), (n, h, w) or flat (n, features), finite numbers; uint8 is used
                as it is, everything else becomes float32.
            y: labels (n,) of at least two classes, of any type that can be sorted.

        Returns:
            The estimator itself.

        Raises:
            ValueError: X, y or a parameter is not what is described here, or `model` returned a
                network that does not fit.
            TypeError: `model` is no function that returns a `Sequential`.
        """
        for name in ("model_", "_builder"):  # they do not fit what follows, should that fail
            self.__dict__.pop(name, None)
        sizes, flat = _flattened(X)
        flat, y = validate_data(self, flat, y, dtype=(np.float32, np.uint8))
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"ConvClassifier needs at least two classes, but y has the one class "
                f"{self.classes_[0]!r}"
            )
        self.image_shape_ = self._find_image_shape(sizes, flat.shape[1])
        images = flat.reshape(-1, *self.image_shape_)
        source = check_random_state(self.random_state)
        seed = int(source.randint(2**31 - 1))
        settings: dict[str, Any] = {}
        if self.early_stopping:
            images, held_out, codes, held_out_codes = train_test_split(
                images,
                codes,
                test_size=self.validation_fraction,
                stratify=codes,
                random_state=source,
            )
            settings["validation_data"] = (held_out, held_out_codes)
            settings["callbacks"] = EarlyStopping(
                "val_loss", patience=self.n_iter_no_change, restore_best_weights=True
            )
        batches = math.ceil(len(images) / integer(self.batch_size, "batch_size"))
        epochs = self.epochs
        if epochs is None:
            epochs = min(max(_EPOCHS, math.ceil(_STEPS / batches)), _MOST_EPOCHS)
        self._steps = integer(epochs, "epochs") * batches
        runtime.one_thread_in_a_pool()
        with random.seeded(seed):
            builder = self.model
            model = self._make_model(builder)
            model.seed = seed
            self._compile(model)
            history = model.fit(images, codes, self.batch_size, epochs, self.verbose, **settings)
        self.model_, self._builder, self.history_ = model, builder, history.history
        return self

    def predict_proba(self, X: Any) -> Array:
        """The probabilities of the classes, float32 (n, K), in the order of `classes_`.

        Raises:
            ValueError: X has other images than those of `fit`.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self, "model_")
        sizes, flat = _flattened(X)
        flat = validate_data(self, flat, reset=False, dtype=(np.float32, np.uint8))
        if sizes is not None and _with_channels(sizes, "X") != self.image_shape_:
            raise ValueError(
                f"X must have images of shape {self.image_shape_}, as in fit, received {sizes}"
            )
        images = flat.reshape(-1, *self.image_shape_)
        runtime.one_thread_in_a_pool()
        probabilities: Array = self.model_.predict(images, verbose=0)
        return probabilities

    def predict(self, X: Any) -> Array:
        """The most probable label of each image, (n,); raises what `predict_proba` raises."""
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def _find_image_shape(self, sizes: tuple[int, ...] | None, features: int) -> ImageShape:
        if self.image_shape is not None:
            shape = _with_channels(self.image_shape, "image_shape")
            if sizes is not None and _with_channels(sizes, "X") != shape:
                raise ValueError(f"X has images of shape {sizes}, but image_shape={shape}")
            if math.prod(shape) != features:
                raise ValueError(
                    f"image_shape={shape} needs {math.prod(shape)} features, X has {features}"
                )
            return shape
        if sizes is not None:
            return _with_channels(sizes, "X")
        side = math.isqrt(features)
        return (side, side, 1) if side * side == features else (1, features, 1)

    def _make_model(self, builder: Builder | None) -> Sequential:
        builder = default_cnn if builder is None else builder
        if not callable(builder) or isinstance(builder, Sequential):
            raise TypeError(
                f"model must be a function of (image_shape, n_classes) that returns a new "
                f"Sequential, received {builder!r}"
            )
        model = builder(self.image_shape_, len(self.classes_))
        if not isinstance(model, Sequential):
            raise TypeError(f"model must return a convkit.Sequential, returned {model!r}")
        if not model.built:
            model.build((None, *self.image_shape_))
        expected = (None, *self.image_shape_), (None, len(self.classes_))
        if (model.input_shape, model.output_shape) != expected:
            raise ValueError(
                f"model must return a network from {expected[0]} to {expected[1]}, returned one "
                f"from {model.input_shape} to {model.output_shape}"
            )
        last = model.layers[-1].stages()[-1]
        if not (isinstance(last, Activation) and last.activation == "softmax"):
            raise ValueError(
                f"model must return a network that ends in softmax, so that its outputs are "
                f'probabilities; its last layer is "{last.name}"'
            )
        return model

    def _compile(self, model: Sequential) -> None:
        given = self.optimizer
        rate: float | optimizers.schedules.LearningRateSchedule | None = self.learning_rate
        optimizer = optimizers.get("adam" if given is None else copy.deepcopy(given))
        if given is None and rate is None:
            peak = _PEAK if self.model is None else _OWN_PEAK
            rate = optimizers.schedules.OneCycle(peak, max(2, self._steps))
        if rate is not None:
            optimizer.learning_rate = rate
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = self._state()
        fitted = state.get("model_")
        builder = state.get("_builder")
        if isinstance(fitted, _Fitted) and not _can_be_pickled(builder):
            # The network itself says best what that function builds.
            state["_builder"] = _Rebuild(fitted.state["document"]["model"]["config"])
            if self.model is builder:
                state["model"] = state["_builder"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        fitted = state.get("model_")
        if isinstance(fitted, _Fitted):
            self.model_ = fitted.model()
        elif fitted is not None:
            with random.seeded(0):  # the weights come from elsewhere: draw nobody else's numbers
                self.model_ = self._make_model(self._builder)
            self.model_.set_weights(fitted)
            self._compile(self.model_)

    def __deepcopy__(self, memo: dict[int, Any]) -> ConvClassifier:
        twin = memo[id(self)] = type(self).__new__(type(self))
        twin.__setstate__(copy.deepcopy(self._state(), memo))
        return twin

    def _state(self) -> dict[str, Any]:
        """The attributes, where the fitted network stands without buffers and lock."""
        state = dict(super().__getstate__())
        model = state.get("model_")
        if model is not None:
            try:
                state["model_"] = _Fitted(model)
            except ValueError:  # it has parts that are not convkit's own: they must be built again
                state["model_"] = model.get_weights()
        return state


class _Fitted:
    """What there is to pickle of a fitted network; training begins with a fresh optimizer."""

    def __init__(self, model: Sequential) -> None:
        self.state = model.__getstate__()
        document, arrays = self.state["document"], self.state["arrays"]
        if "slots" in document["training"]:
            document["training"].update(slots=[], iterations=0)
        self.state["arrays"] = {path: arrays[path] for path in document["weights"]}

    def model(self) -> Sequential:
        """The network, compiled as it was."""
        model = Sequential.__new__(Sequential)
        model.__setstate__(self.state)
        return model


class _Rebuild:
    """Builds new networks of one architecture: what a `model` that cannot be pickled leaves."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def __call__(self, image_shape: ImageShape, n_classes: int) -> Sequential:
        return Sequential.from_config(self.config)


def _can_be_pickled(builder: Builder | None) -> bool:
    try:
        pickle.dumps(builder)
    except Exception:  # whatever a method of its own raises, pickle raises as it is
        return False
    return True


def _flattened(X: Any) -> tuple[tuple[int, ...] | None, Any]:
    """The shape of an image, if X has more than two axes, and X with two, for scikit-learn."""
    if isinstance(X, list | tuple):
        X = np.asarray(X)
    if getattr(X, "ndim", 2) <= 2:
        return None, X
    array = np.asarray(X)
    sizes = array.shape[1:]
    return sizes, array.reshape(len(array), math.prod(sizes))


def _with_channels(shape: Any, name: str) -> ImageShape:
    """(h, w, c) of (h, w) or (h, w, c)."""
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = ()
    if len(sizes) not in (2, 3) or min(sizes) < 1:
        raise ValueError(
            f"{name}: expected images of shape (height, width) or (height, width, channels), "
            f"received {shape!r}"
        )
    height, width, *channels = sizes
    return height, width, channels[0] if channels else 1
