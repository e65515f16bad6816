"""Callbacks: what else happens while a model trains, with Keras 3's names and arguments.

Each can give its state as a dictionary and take it back (`state_dict`, `load_state_dict`), so that
a training that goes on from a file goes on with the patience, best value and log it had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .backup_and_restore import BackupAndRestore
from .base import Callback, CallbackList, Logs
from .csv_logger import CSVLogger
from .early_stopping import EarlyStopping
from .history import History
from .lambda_callback import LambdaCallback
from .learning_rate import LearningRateScheduler, ReduceLROnPlateau
from .model_checkpoint import ModelCheckpoint
from .monitor import direction
from .progbar_logger import ProgbarLogger
from .swap_ema_weights import SwapEMAWeights
from .tensorboard import TensorBoard
from .terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "Logs",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "direction",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # to type checkers, every name would be there

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):  # asked for by Python's own imports
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from convkit.absent import missing  # here: only for an error

        missing(__name__, name)
