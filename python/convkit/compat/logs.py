"""Logs and histories that answer to the names of old: `acc` for `accuracy`, `lr` for the rate."""

from __future__ import annotations

from typing import Any

from ..callbacks import BackupAndRestore, Callback

_PAIRS = {"acc": "accuracy", "accuracy": "acc", "lr": "learning_rate", "learning_rate": "lr"}


def other_name(key: Any) -> Any:
    """The other name of a value in the logs, or the key itself."""
    if not isinstance(key, str):
        return key
    before, _, last = (
        key.rpartition("_")
        if not key.endswith("learning_rate")
        else (key[: -len("learning_rate")].rstrip("_"), "", "learning_rate")
    )
    found = _PAIRS.get(last)
    return key if found is None else f"{before}_{found}" if before else found


class Logs(dict[Any, Any]):
    """A dictionary that finds a value by either of its names; only one of them is in it."""

    def __missing__(self, key: Any) -> Any:
        other = other_name(key)
        if other != key and dict.__contains__(self, other):
            return dict.__getitem__(self, other)
        raise KeyError(key)

    def __contains__(self, key: Any) -> bool:
        return dict.__contains__(self, key) or dict.__contains__(self, other_name(key))

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of that name, or a default."""
        try:
            return self[key]
        except KeyError:
            return default


_HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class Heard(Callback):
    """A callback that hears logs with both names.

    Args:
        callback: the user's, one of convkit's or any object with the hooks that it needs.
        data: what the callback finds as its `validation_data`, as in Keras 1, or None.
    """

    def __init__(self, callback: Any, data: Any = None) -> None:
        self.callback = callback
        if data is not None and not hasattr(callback, "validation_data"):
            callback.validation_data = data

    def set_model(self, model: Any) -> None:
        """Called before everything else."""
        self.model = model
        self.callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before everything else."""
        self.params = {**params, "nb_epoch": params["epochs"], "nb_sample": params["samples"]}
        self.params["metrics"] = [*getattr(self.model, "metrics_names", ())]
        self.callback.set_params(self.params)

    def state_dict(self) -> dict[str, Any]:
        """What the callback must remember."""
        return self.callback.state_dict() if hasattr(self.callback, "state_dict") else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the callback remember."""
        if hasattr(self.callback, "load_state_dict"):
            self.callback.load_state_dict(state)


def _hook(name: str) -> Any:
    def hear(self: Heard, *moment: Any, **named: Any) -> None:
        function = getattr(self.callback, name, None)
        if function is None:
            return
        given = named.get("logs", moment[-1] if moment else None)
        if not isinstance(given, dict):
            function(*moment, **named)
            return
        logs = Logs(given)
        function(*moment[:-1], logs) if "logs" not in named else function(*moment, logs=logs)
        given.update(logs)

    hear.__name__ = name
    return hear


for _name in _HOOKS:
    setattr(Heard, _name, _hook(_name))


def hearing(callbacks: Any, data: Any = None) -> list[Any]:
    """The callbacks of a training, each hearing logs with both names."""
    if callbacks is None:
        return []
    several = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    flat = [each for one in several for each in (one if isinstance(one, list | tuple) else [one])]
    return [each if isinstance(each, BackupAndRestore) else Heard(each, data) for each in flat]
