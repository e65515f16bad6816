"""History: what `fit` returns."""

from __future__ import annotations

import weakref
from typing import Any

from .base import Callback, Logs, TrainedModel


def as_recorded(value: Any) -> Any:
    """A number, also NumPy's or of another library, as a float; anything else as it is."""
    if isinstance(value, str | bytes) or bool(getattr(value, "ndim", 0)):
        return value
    try:
        return float(value)
    except Exception:  # whatever the object's own method raises
        return value


class History(Callback):
    """Records the logs of every epoch. `fit` adds one and returns it.

    Attributes:
        history: a list of floats for each of `loss`, the metrics, and `val_...`. What a callback
            puts into the logs that is no number is there as it is.
        epoch: the numbers of the epochs.

    A model holds the history of its last training. So the history does not hold the model: both
    would wait for the cyclic garbage collector, with all their buffers.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self._model: weakref.ref[TrainedModel] | None = None

    @property
    def model(self) -> TrainedModel:  # type: ignore[override]
        """The model that was trained, as long as somebody else holds it.

        Raises:
            AttributeError: there was no training yet, or the model is gone.
        """
        model = None if self._model is None else self._model()
        if model is None:
            raise AttributeError(
                "this History has no model: it does not keep the model that it was made with "
                "alive; keep a reference to the model itself"
            )
        return model

    def set_model(self, model: TrainedModel) -> None:
        """Called before everything else."""
        self._model = weakref.ref(model)

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle or a copy holds: the numbers, without the model."""
        return {**vars(self), "_model": None}

    def __repr__(self) -> str:
        return f"<History of {len(self.epoch)} epochs: {', '.join(self.history) or 'nothing'}>"

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Append the logs."""
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(as_recorded(value))

    def state_dict(self) -> dict[str, Any]:
        """The history so far."""
        return {
            "epoch": list(self.epoch),
            "history": {key: list(values) for key, values in self.history.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from an earlier history."""
        self.epoch = list(state["epoch"])
        self.history = {key: list(values) for key, values in state["history"].items()}
