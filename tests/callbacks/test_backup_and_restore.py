"""A training that is interrupted anywhere and begun again ends as if nobody had disturbed it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit import callbacks, layers, storage
from convkit.callbacks import BackupAndRestore
from some_models import stripes

EPOCHS, BATCH = 4, 8
X, Y = stripes(44, seed=1)  # six batches, the last one smaller


class Interruption(Exception):
    """As a kill, it leaves the files as they are."""


class Interrupt(callbacks.Callback):
    """Ends the training before or after a step, or in the validation, of an epoch."""

    def __init__(self, hook: str, epoch: int, batch: int = 0) -> None:
        self.hook, self.place = hook, (epoch, batch)
        self.epoch = -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch
        self._look("epoch_begin", 0)

    def on_epoch_resumed(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._look("batch_begin", batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._look("batch_end", batch)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._look("validation", batch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._look("epoch_end", 0)

    def on_train_end(self, logs: Any = None) -> None:
        self._look("train_end", 0)

    def _look(self, hook: str, batch: int) -> None:
        if (hook, (self.epoch, batch)) == (self.hook, self.place):
            raise Interruption


class Noted(callbacks.Callback):
    """Has a state of every kind."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"n": 0, "sum": np.zeros(3, np.float32), "nothing": None}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.state["n"] += 1
        self.state["sum"] = self.state["sum"] + np.float32(0.1)
        self.state["ints"] = np.arange(self.state["n"] % 3, dtype=np.int64)
        self.state["pair"] = (float("nan"), [True, {"a": -0.0}])

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = state


def model() -> convkit.Sequential:
    convkit.utils.clear_session()
    convkit.utils.set_random_seed(7)
    made = convkit.Sequential(
        [
            layers.Input(X.shape[1:]),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )
    made.compile(
        convkit.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return made


class Endless:
    """An iterator with a length, as Keras's generators are, with noise of its own."""

    def __init__(self) -> None:
        self.rng, self.i = np.random.default_rng(3), 0

    def __len__(self) -> int:
        return 5

    def __iter__(self) -> Endless:
        return self

    def __next__(self) -> tuple[Array, Array]:
        rows = slice(self.i % 5 * BATCH, self.i % 5 * BATCH + BATCH)
        self.i += 1
        return X[rows] + self.rng.normal(0, 0.1, X[rows].shape).astype(np.float32), Y[rows]


class Reshuffled:
    """Batches in an order that the end of each epoch changes."""

    def __init__(self) -> None:
        self.order = list(range(5))

    def __len__(self) -> int:
        return 5

    def __getitem__(self, i: int) -> tuple[Array, Array]:
        rows = slice(self.order[i] * BATCH, self.order[i] * BATCH + BATCH)
        return X[rows], Y[rows]

    def on_epoch_end(self) -> None:
        self.order = [self.order[(3 * i + 1) % 5] for i in range(5)]


def generator() -> Iterator[tuple[Array, Array]]:
    yield from (next(each) for each in [Endless()] for _ in range(10**6))


DATA: dict[str, Callable[[], dict[str, Any]]] = {
    "arrays": lambda: {"x": X, "y": Y, "batch_size": BATCH, "validation_split": 0.2},
    "across passes": lambda: {"x": X, "y": Y, "batch_size": BATCH, "steps_per_epoch": 3},
    "iterator with a length": lambda: {"x": Endless(), "validation_data": Endless()},
    "generator": lambda: {
        "x": generator(),
        "steps_per_epoch": 4,
        "validation_data": generator(),
        "validation_steps": 2,
    },
    "sequence": lambda: {"x": Reshuffled(), "validation_data": (X[:9], Y[:9])},
}


def train(
    folder: Path, data: str, others: list[callbacks.Callback], freq: Any = "epoch"
) -> dict[str, Any]:
    """What is left of a training: every number that one can see."""
    folder.mkdir(exist_ok=True)
    each, noted = model(), Noted()
    options = {"validation_data": (X[:9], Y[:9]), **DATA[data]()}
    if "validation_split" in options:
        del options["validation_data"]
    history = each.fit(
        **options,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[
            BackupAndRestore(folder / "backup", save_freq=freq),
            callbacks.CSVLogger(folder / "log.csv"),
            callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
            callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True),
            callbacks.ModelCheckpoint(folder / "best", save_best_only=True),
            noted,
            *others,
        ],
    )
    assert each.optimizer is not None
    return {
        "weights": [weight.tobytes() for weight in each.get_weights()],
        "slots": {name: slot.tobytes() for name, slot in each.optimizer.slots.items()},
        "counters": (each._engine.steps, each.optimizer.iterations, each.optimizer.learning_rate),
        "history": json.dumps([history.epoch, history.history]),
        "csv": (folder / "log.csv").read_text(),
        "noted": repr(noted.state),
        "next": each.predict(X, verbose=0).tobytes(),
    }


PLACES = [
    ("epoch_begin", 0, 0),
    ("batch_begin", 0, 2),
    ("batch_end", 1, 0),
    ("batch_end", 1, 3),
    ("validation", 1, 1),
    ("epoch_end", 1, 0),
    ("batch_end", 2, 3),
    ("epoch_end", 3, 0),
    ("train_end", 3, 0),
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    ends: dict[str, dict[str, Any]] = {}

    def end(data: str) -> dict[str, Any]:
        if data not in ends:
            folder = tmp_path_factory.mktemp("undisturbed")
            ends[data] = train(folder, data, [Interrupt("", -1)])
            assert not (folder / "backup").exists()
        return ends[data]

    return end


@pytest.mark.parametrize("freq", ["epoch", 1, 2])
@pytest.mark.parametrize("data", DATA)
def test_an_interrupted_training_ends_the_same(
    data: str, freq: Any, undisturbed: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    expected = undisturbed(data)
    happened = 0
    for number, place in enumerate(PLACES):
        folder = tmp_path / str(number)
        try:
            train(folder, data, [Interrupt(*place)], freq)
        except Interruption:
            happened += 1
        # A second time, before what was resumed has come far.
        try:
            train(folder, data, [Interrupt("batch_end", min(place[1] + 1, 3), 1)], freq)
        except Interruption:
            happened += 1
        assert train(folder, data, [Interrupt("", -1)], freq) == expected, place
        assert not (folder / "backup").exists()
    assert happened >= len(PLACES)


def test_what_the_progress_shows_of_a_resumed_epoch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*others: callbacks.Callback) -> None:
        backup = BackupAndRestore(tmp_path / "b", 1)
        model().fit(X, Y, BATCH, 2, verbose=2, callbacks=[backup, *others])

    with pytest.raises(Interruption):
        run(Interrupt("batch_end", 1, 2))
    capsys.readouterr()
    run(Interrupt("", -1))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Epoch 2/2")


def test_layers_whose_names_have_been_numbered_on(
    undisturbed: Callable[[str], dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook's cell that is run again makes its layers in the same process."""
    expected = undisturbed("arrays")
    monkeypatch.setattr(convkit.utils, "clear_session", lambda: None)
    assert model().layers[0].name != model().layers[0].name
    with pytest.raises(Interruption):
        train(tmp_path, "arrays", [Interrupt("batch_end", 1, 2)], 1)
    assert train(tmp_path, "arrays", [Interrupt("", -1)], 1) == expected


def test_a_random_seed_is_kept(tmp_path: Path) -> None:
    """Where the script sets none, the resumed process has another."""

    def run(seed: int, *others: callbacks.Callback) -> list[bytes]:
        each = model()
        convkit.utils.set_random_seed(seed)
        backup = BackupAndRestore(tmp_path / "b", 1)
        each.fit(X, Y, BATCH, 2, verbose=0, callbacks=[backup, *others])
        return [weight.tobytes() for weight in each.get_weights()]

    with pytest.raises(Interruption):
        run(1, Interrupt("batch_end", 0, 2))
    assert run(2, Interrupt("", -1)) == run(1, Interrupt("", -1))


def test_a_model_that_is_built_by_its_data_and_has_layers_of_ones_own(tmp_path: Path) -> None:
    class Own(layers.Dense):
        pass

    def run(*others: callbacks.Callback) -> list[bytes]:
        convkit.utils.clear_session()
        convkit.utils.set_random_seed(7)
        each = convkit.Sequential([layers.Flatten(), Own(3, activation="softmax")])
        each.compile("sgd", "sparse_categorical_crossentropy")
        backup = BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
        each.fit(Reshuffled(), epochs=3, verbose=0, callbacks=[backup, *others])
        return [weight.tobytes() for weight in each.get_weights()]

    with pytest.raises(Interruption):
        run(Interrupt("batch_end", 1, 2))
    first = run(Interrupt("", -1))
    assert run(Interrupt("", -1)) == first, "it had ended, and nothing was left to do"
    (tmp_path / "b" / "training.safetensors").unlink()
    assert run(Interrupt("", -1)) == first


def backup_of(folder: Path) -> Path:
    with pytest.raises(Interruption):
        train(folder, "arrays", [Interrupt("batch_end", 1, 2)], 1)
    return folder / "backup" / "training.safetensors"


def test_backups_of_other_trainings_are_refused(tmp_path: Path) -> None:
    path = backup_of(tmp_path)
    fit: Any = model().fit
    with pytest.raises(ValueError, match=r"training\.safetensors is of a training with the callb"):
        fit(X, Y, verbose=0, callbacks=[BackupAndRestore(path.parent)])

    def others() -> list[callbacks.Callback]:
        return [
            BackupAndRestore(path.parent),
            callbacks.CSVLogger(tmp_path / "c"),
            callbacks.LearningRateScheduler(lambda epoch: 0.1),
            callbacks.EarlyStopping(),
            callbacks.ModelCheckpoint(tmp_path / "m"),
            Noted(),
            Interrupt("", -1),
        ]

    each = model()
    each.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="its optimizer is Adam, the model has SGD"):
        each.fit(X, Y, verbose=0, callbacks=others())
    each = model()
    each.pop()
    each.add(layers.Dense(4, activation="softmax"))
    each.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"another model: .*remove the file to begin anew"):
        each.fit(X, Y, verbose=0, callbacks=others())
    with pytest.raises(ValueError, match="has one BackupAndRestore, received 2"):
        fit(X, Y, verbose=0, callbacks=[BackupAndRestore("a"), BackupAndRestore("b")])


def test_damaged_backups_are_refused(tmp_path: Path) -> None:
    path = backup_of(tmp_path)
    whole = path.read_bytes()
    rng, harmless = np.random.default_rng(0), 0
    for n in range(60):
        broken = bytearray(whole)
        if n % 3 == 0:
            del broken[int(rng.integers(len(broken))) :]
        else:
            header = int.from_bytes(whole[:8], "little")
            for _ in range(1 + n % 5):
                broken[8 + int(rng.integers(header))] = int(rng.integers(32, 127))
        path.write_bytes(bytes(broken))
        message = ""
        try:
            train(tmp_path, "arrays", [Interrupt("", -1)], 1)
            harmless += 1  # such as another digit of a number
        except ValueError as error:
            message = str(error)
        assert not message or "training.safetensors" in message
        path.parent.mkdir(exist_ok=True)
    assert harmless < 30


def test_wrong_arguments_and_states(tmp_path: Path) -> None:
    for folder in ("", None, 3):
        with pytest.raises(ValueError, match="backup_dir must be the path of a folder"):
            BackupAndRestore(folder)  # type: ignore[arg-type]
    for freq in (0, -1, 1.5, True, "batch"):
        with pytest.raises(ValueError, match="Expected save_freq are 'epoch' or integer"):
            BackupAndRestore("b", freq)  # type: ignore[arg-type]
    noted = Noted()
    noted.state = {"a": object()}
    noted.on_train_batch_end = lambda batch, logs=None: None  # type: ignore[method-assign]
    with pytest.raises(TypeError, match=r"callback 0 \(Noted\): its state holds <object"):
        model().fit(X, Y, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b"), noted])


@pytest.mark.parametrize(
    "state",
    [
        None,
        3,
        2**70,
        -0.0,
        float("inf"),
        "text",
        [1, [2.5, "a"]],
        (1, (2, [])),
        {"a": {"b": (None,)}, "": []},
        np.float64(0.1),
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.arange(6, dtype=np.int8).reshape(3, 2),
        np.array([np.nan, 1.0]),
        np.zeros((0, 4)),
    ],
)
def test_a_state_comes_back(state: Any, tmp_path: Path) -> None:
    arrays: dict[str, Array] = {}
    document = {"state": storage.pack(state, arrays, "mine")}
    storage.write(tmp_path / "f", document, arrays)
    with storage.reading(tmp_path / "f") as (read, held):
        again = storage.unpack(read["state"], held)
    if isinstance(state, np.generic):
        state = state.item()
    assert type(again) is type(state)
    if isinstance(state, np.ndarray):
        assert again.dtype == state.dtype
        np.testing.assert_array_equal(again, state)
    else:
        assert repr(again) == repr(state)
