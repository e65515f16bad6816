"""`keras.wrappers.scikit_learn`: what builds a model, as an estimator of scikit-learn."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.parameters import Array
from ..utils import to_categorical
from .model_methods import Older

if TYPE_CHECKING:

    class BaseEstimator:
        """scikit-learn's."""

    class ClassifierMixin:
        """scikit-learn's."""

    class RegressorMixin:
        """scikit-learn's."""
else:
    try:
        from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    except ImportError:  # then scripts use nothing of it but these methods
        BaseEstimator, ClassifierMixin, RegressorMixin = (type(f"_{i}", (), {}) for i in range(3))

__all__ = ["BaseWrapper", "KerasClassifier", "KerasRegressor"]

_OLD = {"nb_epoch"}


def _arguments(function: Any) -> set[str]:
    """The names of a function's arguments."""
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = inspect.signature(function).parameters.values()
    return {each.name for each in found if each.kind not in kinds} - {"self"}


class BaseWrapper(BaseEstimator):
    """What both estimators share.

    Args:
        build_fn: returns a compiled model; by default the estimator's own `__call__`.
        sk_params: arguments of `build_fn`, and of the model's `fit`, `predict` and `evaluate`.

    Attributes:
        model: the one that was trained last.
    """

    def __init__(self, build_fn: Any = None, **sk_params: Any) -> None:
        self.build_fn, self.sk_params = build_fn, sk_params
        self._check(sk_params)

    @property
    def _builder(self) -> Any:
        return self.build_fn if self.build_fn is not None else self.__call__  # type: ignore[operator]

    def _check(self, parameters: Any) -> None:
        methods = (Older.fit, Older.predict, Older.evaluate)
        known = _OLD.union(_arguments(self._builder), *map(_arguments, methods))
        for name in parameters:
            if name not in known:
                raise ValueError(f"{name} is not a legal parameter")

    def _filtered(self, function: Any, given: Any = None) -> dict[str, Any]:
        """Those of the parameters that a function takes, and others that are given."""
        known = _arguments(function) | (_OLD if function is Older.fit else set())
        return {**{k: v for k, v in self.sk_params.items() if k in known}, **(given or {})}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All parameters, `build_fn` among them."""
        return {**self.sk_params, "build_fn": self.build_fn}

    def set_params(self, **params: Any) -> Any:
        """Set some parameters, and return the estimator.

        Raises:
            ValueError: neither `build_fn` nor a method of models takes one.
        """
        self.build_fn = params.pop("build_fn", self.build_fn)
        self._check(params)
        self.sk_params.update(params)
        return self

    def _fit(self, x: Any, y: Array, options: dict[str, Any]) -> Any:
        self.model = self._builder(**self._filtered(self._builder))
        if y.ndim == 1 and getattr(self.model.loss, "name", "") == "categorical_crossentropy":
            y = to_categorical(y, self.model.output_shape[-1])
        return self.model.fit(x, y, **self._filtered(Older.fit, options))

    def _outputs(self, x: Any, options: dict[str, Any]) -> Array:
        given = {"verbose": 0, **self._filtered(Older.predict, options)}
        outputs: Array = np.asarray(self.model.predict(x, **given))
        return outputs

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model")


class KerasClassifier(ClassifierMixin, BaseWrapper):
    """A classifier.

    Attributes:
        classes_: the labels, sorted; of one-hot rows 0, 1, 2 ...
        n_classes_: how many.
    """

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Build a model and train it; returns the history."""
        labels = np.array(y)
        if labels.ndim == 2 and labels.shape[1] > 1:
            self.classes_ = np.arange(labels.shape[1])
        else:
            self.classes_, labels = np.unique(labels.reshape(-1), return_inverse=True)
        self.n_classes_ = len(self.classes_)
        return self._fit(x, labels, kwargs)

    def predict(self, x: Any, **kwargs: Any) -> Any:
        """The label of each sample, (n,)."""
        return self.classes_[self.predict_proba(x, **kwargs).argmax(axis=-1)]

    def predict_proba(self, x: Any, **kwargs: Any) -> Any:
        """The probability of each class, (n, K), of two also where the model has one output."""
        outputs = self._outputs(x, kwargs)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The share of labels that are right."""
        labels = np.array(y)
        if labels.ndim == 2 and labels.shape[1] > 1:
            labels = self.classes_[labels.argmax(axis=1)]
        return float((self.predict(x, **kwargs) == labels.reshape(-1)).mean())


class KerasRegressor(RegressorMixin, BaseWrapper):
    """A regressor."""

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Build a model and train it; returns the history."""
        return self._fit(x, np.asarray(y, np.float32), kwargs)

    def predict(self, x: Any, **kwargs: Any) -> Any:
        """The outputs, (n,) of a model with one."""
        outputs = self._outputs(x, kwargs)
        return outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The loss with the other sign, as Keras 2 has it."""
        given = {"verbose": 0, **self._filtered(Older.evaluate, kwargs)}
        found = self.model.evaluate(x, np.asarray(y, np.float32), **given)
        return -float(found[0] if isinstance(found, list) else found)
