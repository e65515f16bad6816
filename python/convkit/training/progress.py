"""Progress: a bar with loss, metrics and images per second, or plain lines without a terminal."""

from __future__ import annotations

import reprlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from ..callbacks import Callback, Logs
from ..core.warn import is_terminal, say

_REFRESH_SECONDS = 0.1


def check_verbose(verbose: str | int) -> int:
    """Return 0 (silent), 1 (a bar, or a line where there is no terminal) or 2 (a line)."""
    if isinstance(verbose, str) and verbose == "auto":
        return 1
    if isinstance(verbose, int) and verbose in (0, 1, 2):
        return int(verbose)
    raise ValueError(f"verbose must be 'auto', 0, 1 or 2, received {verbose!r}")


def bar_factory() -> Callable[..., Any] | None:
    """The tqdm class that suits where the output goes, or None where only lines make sense."""
    if "ipykernel" in sys.modules:
        from importlib.util import find_spec  # here, because only notebooks need it

        if find_spec("ipywidgets") is None:
            return None
        return _tqdm("tqdm.notebook")
    return _tqdm("tqdm") if is_terminal(sys.stdout) else None


def _tqdm(module: str) -> Callable[..., Any]:
    # Imported here and not above, because not every program shows a bar.
    made: Callable[..., Any] = import_module(module).tqdm
    return made


def describe(logs: Logs) -> str:
    """The logs in one line: loss: 0.1234 - accuracy: 0.9876."""
    return " - ".join(f"{key}: {_short(value)}" for key, value in logs.items())


def _short(value: Any) -> str:
    """A number with four digits; whatever else a callback has put into the logs, shortened."""
    try:
        return f"{value:.4f}"
    except Exception:  # whatever the object's own methods raise
        return reprlib.repr(value)


class Meter(Callback):
    """Counts images, keeps the time, and draws the bar or prints the line of one pass.

    Where the number of images is not known, because an iterable yields the batches, it counts
    batches.

    Args:
        verbose: 1 or 2.
    """

    def __init__(self, verbose: int) -> None:
        self._make_bar = bar_factory() if verbose == 1 else None
        self._bar: Any = None

    def _begin(self, title: str) -> None:
        self._title = title
        self._done = 0
        known = self.params["samples"] is not None
        self._unit = "images" if known else "batches"
        self._total = self.params["samples" if known else "steps"]
        self._size = self.params["batch_size"] if known else 1
        self._begun = self._last = self._drawn = time.perf_counter()
        if self._make_bar is not None:
            with self._drawing():
                self._bar = self._make_bar(
                    total=self._total, desc=title, unit=f" {self._unit}", file=sys.stdout
                )

    def _batch(self, logs: Logs | None) -> None:
        left = self._size if self._total is None else self._total - self._done
        count = min(self._size, left)
        self._done += count
        self._last = time.perf_counter()
        if self._bar is None:
            return
        with self._drawing():
            if self._last - self._drawn > _REFRESH_SECONDS:
                self._drawn = self._last
                self._bar.set_postfix_str(describe(logs or {}), refresh=False)
            self._bar.update(count)

    def _end(self, logs: Logs | None) -> None:
        if self._bar is not None:
            with self._drawing():
                self._bar.set_postfix_str(describe(logs or {}))
                self._close()
                return
        seconds = time.perf_counter() - self._begun
        rate = self._done / max(self._last - self._begun, 1e-9)
        parts = [self._title, f"{seconds:.1f}s", f"{rate:,.0f} {self._unit}/s"]
        say(" - ".join([*parts, describe(logs)] if logs else parts))

    def _close(self) -> None:
        if self._bar is not None:
            with self._drawing():
                self._bar.close()
            self._bar = None

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """Draw, and go on without a bar, by lines, where the terminal is gone."""
        try:
            yield
        except Exception:  # of tqdm, and of what it writes to
            self._bar = self._make_bar = None

    def on_train_interrupted(self, error: BaseException) -> None:
        """Leave the terminal in order."""
        self._close()


class TrainingProgress(Meter):
    """One bar, or one line, for each epoch. The rate is that of training, without validation."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Begin the bar."""
        self._begin(f"Epoch {epoch + 1}/{self.params['epochs']}")

    def on_epoch_resumed(self, epoch: int, logs: Logs | None = None) -> None:
        """Begin the bar, for the batches that are left."""
        self.on_epoch_begin(epoch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Count the images."""
        self._batch(logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Draw the last state, validation included."""
        self._end(logs)


class EvaluationProgress(Meter):
    """One bar, or one line, for `evaluate`."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Begin the bar."""
        self._begin("Evaluate")

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Count the images."""
        self._batch(logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Draw the last state."""
        self._end(logs)


class PredictionProgress(Meter):
    """One bar, or one line, for `predict`."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Begin the bar."""
        self._begin("Predict")

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Count the images."""
        self._batch(logs)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Draw the last state."""
        self._end(logs)
