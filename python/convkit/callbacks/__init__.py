"""Callbacks: what else happens while a model trains, with Keras 3's names and arguments.

Each can give its state as a dictionary and take it back (`state_dict`, `load_state_dict`), so that
a training that goes on from a file goes on with the patience, best value and log it had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy

if TYPE_CHECKING:
    from .backup_and_restore import BackupAndRestore
    from .base import Callback, CallbackList, Logs
    from .csv_logger import CSVLogger
    from .early_stopping import EarlyStopping
    from .history import History
    from .lambda_callback import LambdaCallback
    from .learning_rate import LearningRateScheduler, ReduceLROnPlateau
    from .learning_rate_finder import LearningRateFinder
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
    "LearningRateFinder",
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

_OWNERS = {
    "backup_and_restore": ("BackupAndRestore",),
    "base": ("Callback", "CallbackList", "Logs"),
    "csv_logger": ("CSVLogger",),
    "early_stopping": ("EarlyStopping",),
    "history": ("History",),
    "lambda_callback": ("LambdaCallback",),
    "learning_rate": ("LearningRateScheduler", "ReduceLROnPlateau"),
    "learning_rate_finder": ("LearningRateFinder",),
    "model_checkpoint": ("ModelCheckpoint",),
    "monitor": ("direction",),
    "progbar_logger": ("ProgbarLogger",),
    "swap_ema_weights": ("SwapEMAWeights",),
    "tensorboard": ("TensorBoard",),
    "terminate_on_nan": ("TerminateOnNaN",),
}

if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__, _OWNERS)
