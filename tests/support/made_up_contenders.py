"""Contenders that need no package, for `convkit.bench.isolated`: each makes a step in a child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from convkit import Model
from convkit.bench.shapes import Array, Labels, PredictStep, TrainStep


def right(model: Model, batch_size: int, threads: int) -> PredictStep:
    """As convkit, with words on both streams as libraries have them."""
    print("a made-up library prints", flush=True)
    os.system("echo and so do its programs")
    return model.predict_on_batch


def wrong(model: Model, batch_size: int, threads: int, off: float) -> PredictStep:
    return lambda x: np.asarray(model.predict_on_batch(x)) + np.float32(off)


def of_another_shape(model: Model, batch_size: int, threads: int) -> PredictStep:
    return lambda x: np.asarray(model.predict_on_batch(x))[:, :1]


def training(model: Model, batch_size: int, threads: int, optimizer: str = "adam") -> TrainStep:
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=[])

    def step(x: Array, labels: Labels) -> float:
        return float(np.ravel(np.asarray(model.train_on_batch(x, labels)))[0])

    return step


def losing_itself(model: Model, batch_size: int, threads: int) -> TrainStep:
    return lambda x, labels: float("nan")


def failing(model: Model, batch_size: int, threads: int) -> PredictStep:
    raise ValueError("this library has no convolutions")


def dying(model: Model, batch_size: int, threads: int, calls: int, by: int = 0) -> PredictStep:
    """Right for some calls; then it ends the process with its last words, or by a signal."""
    left = [calls]

    def step(x: Array) -> Array:
        left[0] -= 1
        if left[0] < 0:
            print("cannot go on", file=sys.stderr, flush=True)
            if by:
                os.kill(os.getpid(), by)
            os._exit(3)
        return np.asarray(model.predict_on_batch(x))

    return step


def counting(model: Model, batch_size: int, threads: int) -> Callable[..., int]:
    """Says how often it has been called, this time included."""
    calls = [0]

    def step(x: Array) -> int:
        calls[0] += 1
        return calls[0]

    return step


def sleeping(model: Model, batch_size: int, threads: int, seconds: float) -> Callable[..., None]:
    return lambda *_: time.sleep(seconds)


def with_a_program(model: Model, batch_size: int, threads: int) -> Callable[..., int]:
    """Never ends by itself; its first call gives the process that it has started."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    started: list[subprocess.Popen[bytes]] = []

    def step(*_: Any) -> int:
        if started:
            time.sleep(600)
        started.append(subprocess.Popen(["sleep", "600"]))
        return started[0].pid

    return step


def summing(model: Model, batch_size: int, threads: int) -> Callable[..., float]:
    """The sum of what it is given."""
    return lambda *arrays: float(sum(np.sum(array, dtype=np.float64) for array in arrays))


def telling(model: Model, batch_size: int, threads: int, word: str) -> Callable[..., list[Any]]:
    """What it has been made with, and the process."""
    made = [batch_size, threads, word, os.environ.get("MADE_UP"), os.getpid()]
    return lambda *_: made
