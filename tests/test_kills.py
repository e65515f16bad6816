"""Trainings that are killed and started again; `kills.py` does it any number of times."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

import kills
from convkit import callbacks
from convkit.models import load_model
from some_models import stripes

KILLS = int(os.environ.get("CONVKIT_KILLS", "15"))

pytestmark = [
    # From Python 3.12 on a fork warns where threads are; those of OpenMP compute nothing meanwhile.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks and kills as on Linux"),
    pytest.mark.usefixtures("one_thread"),
]


@pytest.mark.parametrize("way", kills.WAYS)
def test_a_killed_training_comes_to_the_same_end(way: str) -> None:
    assert kills.main(["--by", way, "--kills", str(KILLS)]) == 0


def _forgetful(folder: Path) -> None:
    """Resumed without the optimizer's slots."""
    if (folder / "model").exists():
        model = load_model(folder / "model")
        done = model.optimizer.iterations  # type: ignore[union-attr]
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        x, y = stripes(kills.SAMPLES)
        model.fit(x, y, batch_size=kills.BATCH, verbose=0, epochs=kills.EPOCHS,
                  initial_epoch=done // (kills.SAMPLES // kills.BATCH),
                  callbacks=[callbacks.ModelCheckpoint(folder / "model")])  # fmt: skip
        model.save(folder / "end")
    else:
        kills.by_checkpoint(folder)


def test_another_end_is_seen() -> None:
    rng = random.Random(1)
    wanted, length = kills.undisturbed(_forgetful)
    assert set(wanted) == {"end"}
    problems = [kills.trial(_forgetful, wanted, rng, length)[1] for _ in range(4)]
    assert any("differ" in problem for problem in problems)


def test_a_start_that_fails_is_seen() -> None:
    def broken(folder: Path) -> None:
        raise KeyError("no such thing")

    with pytest.raises(RuntimeError, match="no such thing"):
        kills.undisturbed(broken)
    assert "no such thing" in kills.trial(broken, {}, random.Random(0), 10.0)[1]
