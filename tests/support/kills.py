"""Kill a training at random moments, start it again, and compare its end with an undisturbed one.

`python kills.py --kills 1000 --seed 0` kills a thousand times. With `--by checkpoint` the
training is resumed by hand from what ModelCheckpoint saved; with `--by backup` the same script is
run again, and BackupAndRestore does the rest, in the middle of an epoch as well. Trainings are
forked from this process, which computes nothing itself: a start takes no time, so that the kills
fall on training and saving, not on imports.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import convkit
from convkit import callbacks
from some_models import small_cnn, stripes

EPOCHS, SAMPLES, BATCH = 12, 96, 8
_LONGEST = 60.0  # seconds that an undisturbed training may take


def by_checkpoint(folder: Path) -> None:
    """Train from the last file on, if there is one; ModelCheckpoint writes one an epoch."""
    path, epoch = folder / "model", 0
    x, y = stripes(SAMPLES)
    if path.exists():
        model = convkit.models.load_model(path)
        assert model.optimizer is not None
        epoch = model.optimizer.iterations // (SAMPLES // BATCH)
    else:
        model = small_cnn(seed=3)
    model.fit(
        x, y, batch_size=BATCH, epochs=EPOCHS, initial_epoch=epoch, verbose=0,
        validation_split=0.0, callbacks=[callbacks.ModelCheckpoint(path)],
    )  # fmt: skip
    model.save(folder / "end")


def by_backup(folder: Path) -> None:
    """The same script at every start, with callbacks that have states of their own."""
    x, y = stripes(SAMPLES)
    model = small_cnn(seed=3)
    history = model.fit(
        x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, validation_data=(x[:20], y[:20]),
        callbacks=[
            callbacks.CSVLogger(folder / "log.csv"),
            callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1),
            callbacks.EarlyStopping("val_loss", patience=50, restore_best_weights=True),
            callbacks.BackupAndRestore(folder / "backup", save_freq=5),
        ],
    )  # fmt: skip
    model.save(folder / "end")
    (folder / "end.json").write_text(json.dumps(history.history, sort_keys=True))


WAYS: dict[str, Callable[[Path], None]] = {"checkpoint": by_checkpoint, "backup": by_backup}


def start(train: Callable[[Path], None], folder: Path) -> int:
    """Train in a forked child; returns its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        train(folder)
        status = 0
    except BaseException:
        with open(folder / "errors", "a") as errors:
            traceback.print_exc(file=errors)
    finally:
        os._exit(status)


def finished(child: int, seconds: float) -> int | None:
    """Wait so long; the exit status, or None if the child still works."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        left = end - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(left, 0.0005))


def results(folder: Path) -> dict[str, bytes]:
    """What a training leaves that must be the same, byte by byte."""
    names = ("end", "end.json", "log.csv")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


def _errors(folder: Path) -> str:
    path = folder / "errors"
    return path.read_text() if path.exists() else "no word"


def killed(train: Callable[[Path], None], folder: Path, rng: random.Random, length: float) -> int:
    """Train to the end through kills at random moments; returns how many there were.

    Raises:
        AssertionError: a start failed, which does not happen without kills.
    """
    kills = 0
    while True:
        child = start(train, folder)
        # So early that several are needed, and so late that each can get somewhere.
        status = finished(child, rng.uniform(0, 0.6) * length)
        if status is None:
            os.kill(child, signal.SIGKILL)
            kills += 1
            status = finished(child, _LONGEST)
            if status == -signal.SIGKILL:
                continue
        assert status == 0, f"after {kills} kills a start ended with {status}: {_errors(folder)}"
        return kills


def trial(
    train: Callable[[Path], None], wanted: dict[str, bytes], rng: random.Random, length: float
) -> tuple[int, str]:
    """One training with kills: how many, and what differs from the undisturbed one."""
    with tempfile.TemporaryDirectory(prefix="convkit-kills-") as name:
        try:
            kills = killed(train, Path(name), rng, length)
        except AssertionError as error:
            return 1, str(error)
        got = results(Path(name))
        differ = [key for key in wanted if got.get(key) != wanted[key]]
        left = {each for each in os.listdir(name) if each.endswith(".tmp")}
        if differ:
            return kills, f"after {kills} kills {differ} differ"
        return kills, f"left behind: {left}" if len(left) > kills else ""


def undisturbed(train: Callable[[Path], None]) -> tuple[dict[str, bytes], float]:
    """What it leaves, and how long it takes in seconds."""
    with tempfile.TemporaryDirectory(prefix="convkit-kills-") as name:
        folder, begin = Path(name), time.monotonic()
        status = finished(start(train, folder), _LONGEST)
        length = time.monotonic() - begin
        if status != 0:
            raise RuntimeError(f"it ends with {status}: {_errors(folder)}")
        return results(folder), length


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill so often; 1 if a training did not come to the same end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--by", choices=list(WAYS), default="checkpoint")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    options = parser.parse_args(arguments)
    convkit.runtime.set_num_threads(1)
    rng, train = random.Random(options.seed), WAYS[options.by]
    wanted, length = undisturbed(train)
    kills, trials, wrong, begin = 0, 0, 0, time.monotonic()
    while kills < options.kills and time.monotonic() - begin < options.seconds:
        more, problem = trial(train, wanted, rng, length)
        kills, trials = kills + more, trials + 1
        if problem:
            wrong += 1
            print(f"training {trials} of seed {options.seed}: {problem}", flush=True)
    print(
        f"{kills} kills of {trials} trainings by {options.by} in {time.monotonic() - begin:.0f} s, "
        f"{wrong} without the same end"
    )
    return 1 if wrong or not kills else 0


if __name__ == "__main__":
    sys.exit(main())
