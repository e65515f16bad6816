"""`tf.logging`: Python's own logging, by TensorFlow's names."""

from __future__ import annotations

import logging
from typing import Any

__all__ = [
    "DEBUG",
    "ERROR",
    "FATAL",
    "INFO",
    "WARN",
    "debug",
    "error",
    "fatal",
    "get_logger",
    "get_verbosity",
    "info",
    "set_verbosity",
    "warn",
    "warning",
]
DEBUG, ERROR, FATAL, INFO, WARN = (
    logging.DEBUG,
    logging.ERROR,
    logging.FATAL,
    logging.INFO,
    logging.WARNING,
)
_logger = logging.getLogger("tensorflow")
debug, error, fatal, info = _logger.debug, _logger.error, _logger.critical, _logger.info
warn = warning = _logger.warning


def set_verbosity(level: Any) -> None:
    """What is worth a line."""
    _logger.setLevel(level)


def get_verbosity() -> int:
    """What is worth a line."""
    return _logger.level


def get_logger() -> logging.Logger:
    """The logger of the name "tensorflow"."""
    return _logger
