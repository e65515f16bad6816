"""LearningRateFinder: the loss against a learning rate that grows from step to step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.config import as_number, not_negative
from .base import Callback, Logs


class LearningRateFinder(Callback):
    """Find a learning rate: let it grow from step to step, and see how the loss goes.

    The rate grows by the same factor at each step until it has reached its end or the loss has
    become much larger than it was; then `fit` ends, and the model, its optimizer and its counter of
    steps are as they were before, so that a training comes out as if nobody had looked. (L. Smith,
    "Cyclical learning rates for training neural networks", 2017, section 3.3; the form is
    fastai's.) `plots.learning_rate_finder` draws it. Keras has no such callback.

    Args:
        min_learning_rate: of the first step, above 0.
        max_learning_rate: of the last step, above the first.
        steps: how many; at least 2. Give `fit` enough epochs for them.
        smoothing: how much of the mean loss stays at each step, at least 0 and below 1.
        stop_factor: end where the mean loss is so many times the smallest; above 1.

    Attributes:
        learning_rates: of the steps that were made.
        losses: the moving mean of the loss at each, without its bias towards 0.

    Raises:
        ValueError: a wrong argument.
        TypeError: in `fit`, if the optimizer's learning rate follows a schedule.

    Example:
        >>> finder = convkit.callbacks.LearningRateFinder()
        >>> model.fit(x_train, y_train, epochs=5, callbacks=[finder], verbose=0)
        >>> convkit.plots.learning_rate_finder(finder).savefig("learning_rates.png")
        >>> model.optimizer.learning_rate = finder.suggestion
    """

    def __init__(
        self,
        min_learning_rate: float = 1e-6,
        max_learning_rate: float = 10.0,
        steps: int = 100,
        smoothing: float = 0.9,
        stop_factor: float = 4.0,
    ) -> None:
        given = {"min_learning_rate": min_learning_rate, "max_learning_rate": max_learning_rate}
        first, last = (not_negative(value, name, self) for name, value in given.items())  # type: ignore[arg-type]
        if not 0.0 < first < last:
            raise ValueError(
                f"LearningRateFinder: learning rates must grow from above 0, received {given}"
            )
        count = as_number(steps)
        if count is None or not count.is_integer() or not 2 <= count < 2**31:
            raise ValueError(f"steps must be an integer of at least 2, received {steps!r}")
        share, factor = as_number(smoothing), as_number(stop_factor)
        if share is None or not 0.0 <= share < 1.0:
            raise ValueError(f"smoothing must be at least 0 and below 1, received {smoothing!r}")
        if factor is None or not factor > 1.0:
            raise ValueError(f"stop_factor must be above 1, received {stop_factor!r}")
        self.min_learning_rate, self.max_learning_rate = first, last
        self.steps, self.smoothing, self.stop_factor = int(count), share, factor
        self.learning_rates: list[float] = []
        self.losses: list[float] = []
        self._before: Any = None  # what the model and its optimizer are to be again
        self._mean = 0.0
        self._seen = (0.0, 0)  # the sum of the losses of the epoch's samples, and their number

    @property
    def suggestion(self) -> float:
        """The rate around which the mean loss fell fastest, over a tenth of the steps.

        Raises:
            ValueError: the loss has not fallen for so long.
        """
        half = max(1, self.steps // 20)
        end = int(np.argmin(self.losses)) + 1 if self.losses else 0
        if end <= 2 * half:
            raise ValueError(
                f"LearningRateFinder: the loss fell for {end} of {len(self.losses)} steps, which "
                f"says nothing; begin with a smaller learning rate"
            )
        losses = np.array(self.losses[:end])
        return self.learning_rates[half + int(np.argmin(losses[2 * half :] - losses[: -2 * half]))]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Remember how everything is."""
        model: Any = self.model
        self.learning_rates, self.losses, self._mean = [], [], 0.0
        rate = float(model.optimizer.learning_rate)
        model.optimizer.learning_rate = self.min_learning_rate
        memory = [each.numpy() for each in model.optimizer.variables]
        made = int(model.optimizer.steps_made[0])
        self._before = (model.get_weights(), memory, made, rate, model._steps)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """The means begin anew."""
        self._seen = (0.0, 0)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Set the learning rate of the step."""
        share = min(len(self.losses) / (self.steps - 1), 1.0)
        growth = self.max_learning_rate / self.min_learning_rate
        rate = self.min_learning_rate * growth**share
        self.model.optimizer.learning_rate = rate
        self.learning_rates.append(rate)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Note the loss, and see whether this was the last step."""
        size, samples = self.params.get("batch_size") or 1, self.params.get("samples")
        total, count = self._seen
        own = min(size, samples - count) if samples else size
        now = (logs or {})["loss"] * (count + own)  # the logs have the mean of the epoch so far
        self._seen = (now, count + own)
        loss = (now - total) / own
        self._mean = self.smoothing * self._mean + (1.0 - self.smoothing) * loss
        self.losses.append(self._mean / (1.0 - self.smoothing ** (len(self.losses) + 1)))
        last = self.losses[-1]
        if not math.isfinite(last):
            del self.losses[-1], self.learning_rates[-1]
        is_over = not math.isfinite(last) or last > self.stop_factor * min(self.losses)
        if is_over or len(self.losses) >= self.steps:
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Let everything be as it was."""
        if self._before is None:
            return
        weights, memory, made, rate, steps = self._before
        model: Any = self.model
        optimizer, self._before = model.optimizer, None
        model.set_weights(weights)
        if memory:
            for each, value in zip(optimizer.variables, memory, strict=True):
                np.copyto(each.array, value)
        else:
            optimizer.unbind(optimizer._store)
        optimizer.count_from(made)
        optimizer.learning_rate = rate
        model._steps = steps

    def on_train_interrupted(self, error: BaseException) -> None:
        """Likewise."""
        self.on_train_end()
