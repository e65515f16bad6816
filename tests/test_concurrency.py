"""Several threads, forks and interrupts: a model for all of them, and settings that hold still."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit import _core, layers, ops, runtime
from convkit.ops._calls import ModelLock, as_one_operation
from some_models import SMALL_IMAGES, stripes

Model = convkit.Sequential


def small_model() -> Model:
    convkit.utils.set_random_seed(3)
    model = Model(
        [
            layers.Input(SMALL_IMAGES),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(16, 3, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def in_thread(call: Callable[[], Any]) -> Any:
    """What the call returns in another thread; its error is raised here."""
    results: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "the other thread hangs"
    if errors:
        raise errors[0]
    return results[0]


def child(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


# ------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("change", "look"),
    [
        (lambda: runtime.set_num_threads(runtime.get_num_threads() + 1), runtime.get_num_threads),
        (lambda: runtime.set_conv2d_algorithm("direct"), lambda: algorithm()),
    ],
    ids=["threads", "algorithm"],
)
@pytest.mark.usefixtures("restore_threads")
def test_an_operation_keeps_its_settings(change: Any, look: Any) -> None:
    before = look()

    def operation() -> Any:
        in_thread(change)
        return look(), as_one_operation(look)  # an operation within has those of the outer one

    try:
        assert as_one_operation(operation) == (before, before)
        assert look() != before
    finally:
        runtime.set_conv2d_algorithm("auto")


def algorithm() -> str:
    return ops.conv2d_algorithm((8, 16, 16, 16), (3, 3, 16, 16))


def test_setters_change_nothing_in_the_middle_of_a_step() -> None:
    """The same bits as without them: forward and backward use the same kernels throughout."""
    names = runtime.available_isas()
    if len(names) < 2:
        pytest.skip(f"there is only one instruction set here, {names[0]}")
    x, y = stripes(32)
    results: dict[str, list[Array]] = {}
    before = runtime.isa()
    try:
        for name in names:
            runtime.set_isa(name)
            model = small_model()
            model.train_on_batch(x, y)
            results[name] = model.get_weights()
        stop = threading.Event()

        def set_others() -> None:
            i = 0
            while not stop.is_set():
                i += 1
                runtime.set_isa(names[i % len(names)])
                runtime.set_num_threads(1 + i % 3)
                time.sleep(1e-4)

        thread = threading.Thread(target=set_others)
        thread.start()
        try:
            for _ in range(40):
                model = small_model()
                model.train_on_batch(x, y)
                weights = model.get_weights()
                assert any(
                    all(np.array_equal(*pair) for pair in zip(weights, result, strict=True))
                    for result in results.values()
                ), "a step with the kernels of several instruction sets"
        finally:
            stop.set()
            thread.join()
    finally:
        runtime.set_isa(before)


@pytest.mark.usefixtures("restore_threads")
def test_operations_at_the_same_time_share_the_threads() -> None:
    runtime.set_num_threads(6)
    meeting = threading.Barrier(3)

    def operation() -> int:
        meeting.wait(30)
        threads = as_one_operation(lambda: (meeting.wait(30), _core.num_threads())[1])
        meeting.wait(30)
        return int(threads)

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(operation())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    # Whoever comes first has all of them to itself, the next one half of them.
    assert sorted(found) == [2, 3, 6]
    assert as_one_operation(_core.num_threads) == 6


# ------------------------------------------------------------------------ the lock of a model


def test_readers_read_at_the_same_time() -> None:
    lock, meeting = ModelLock("m"), threading.Barrier(2)
    assert lock.read(lambda: in_thread(lambda: lock.read(lambda: True)))
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(lock.read(meeting.wait, 30)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == [0, 1]


@pytest.mark.parametrize("holder", ["read", "write"])
def test_a_writer_waits_for_everybody(holder: str) -> None:
    lock, inside, order = ModelLock("m"), threading.Event(), []

    def hold() -> None:
        inside.set()
        time.sleep(0.1)
        order.append("holder")

    thread = threading.Thread(target=getattr(lock, holder), args=(hold,))
    thread.start()
    assert inside.wait(30)
    lock.write(order.append, "writer")
    thread.join()
    assert order == ["holder", "writer"]


def test_who_came_first_is_served_first() -> None:
    """No stream of readers keeps a writer waiting, nor a writer that comes again the readers."""
    lock, order = ModelLock("m"), []
    threads = []

    def enter(mode: str, name: str) -> None:
        getattr(lock, mode)(order.append, name)

    def come() -> None:
        for mode, name in (("read", "a"), ("write", "b"), ("read", "c"), ("write", "d")):
            threads.append(threading.Thread(target=enter, args=(mode, name)))
            threads[-1].start()
            time.sleep(0.3)

    lock.write(come)
    lock.write(order.append, "e")
    for thread in threads:
        thread.join(30)
    assert order == ["a", "b", "c", "d", "e"]


def order_of_two_behind_a_reader() -> list[str]:
    """A writer that came before a reader, while another thread reads."""
    lock, order, inside, done = ModelLock("m"), [], threading.Event(), threading.Event()
    calls: list[tuple[Any, Any]] = [
        (lock.read, (lambda: (inside.set(), done.wait(30)),)),
        (lock.write, (order.append, "writer")),
        (lock.read, (order.append, "reader")),
    ]
    threads = [threading.Thread(target=use, args=args) for use, args in calls]
    for thread in threads:
        thread.start()
        inside.wait(30)
        time.sleep(0.2)
    done.set()
    for thread in threads:
        thread.join(30)
    return order


def test_who_waits_keeps_his_place_while_others_run_python() -> None:
    """A waiting thread that came first needs the GIL no sooner than the lock."""
    switch, stop = sys.getswitchinterval(), threading.Event()

    def compute() -> None:
        while not stop.is_set():
            pass

    busy = threading.Thread(target=compute)
    sys.setswitchinterval(0.05)  # longer than a thread waits before it looks around
    busy.start()
    try:
        for _ in range(3):
            assert order_of_two_behind_a_reader() == ["writer", "reader"]
    finally:
        stop.set()
        busy.join()
        sys.setswitchinterval(switch)


def test_a_thread_enters_again() -> None:
    lock = ModelLock("m")
    assert lock.write(lambda: lock.write(lambda: lock.read(lambda: lock.read(lambda: 7)))) == 7
    assert lock.read(lambda: lock.read(lambda: 8)) == 8
    with pytest.raises(RuntimeError, match='"m" is in use by this very thread'):
        lock.read(lambda: lock.write(lambda: None))
    assert in_thread(lambda: lock.acquire(timeout=0) and lock.release() is None)


def test_only_one_thread_trains() -> None:
    lock = ModelLock("net")
    assert not lock.is_training

    def other() -> None:
        with pytest.raises(RuntimeError, match='"net" is being trained by another thread; wait'):
            lock.train(lambda: None)

    assert lock.train(lambda: lock.train(lambda: in_thread(other) or lock.is_training))
    assert not lock.is_training
    assert lock.train(int, "7", base=8) == 7


def test_the_lock_is_given_back_after_an_error() -> None:
    lock = ModelLock("m")
    for use in (lock.read, lock.write, lock.train):
        with pytest.raises(ZeroDivisionError):
            use(lambda: 1 / 0)
    assert in_thread(lambda: lock.acquire(timeout=0) and lock.release() is None)
    with pytest.raises(RuntimeError, match="does not hold"):
        lock.release()


def test_waiting_ends_with_its_time() -> None:
    lock = ModelLock("m")
    inside, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=lock.read, args=(lambda: (inside.set(), done.wait(30)),))
    thread.start()
    assert inside.wait(30)
    start = time.monotonic()
    assert not lock.acquire(timeout=0.1)
    assert 0.09 < time.monotonic() - start < 20
    assert not lock.acquire(blocking=False)
    done.set()
    thread.join()
    assert lock.acquire(timeout=10)
    lock.release()


def test_ctrl_c_ends_waiting_and_a_handler_may_use_the_model() -> None:
    code = """
import os, signal, threading, time
from convkit.ops._calls import ModelLock
lock, inside, done, seen = ModelLock("m"), threading.Event(), threading.Event(), []
threading.Thread(target=lock.read, args=(lambda: (inside.set(), done.wait(30)),)).start()
inside.wait()
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by jobs in the background
signal.signal(signal.SIGALRM, lambda *_: seen.append(lock.read(lambda: 1)))
signal.setitimer(signal.ITIMER_REAL, 0.1)
threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    lock.write(lambda: seen.append(2))
except KeyboardInterrupt:
    seen.append(3)
done.set()
lock.write(lambda: seen.append(4))
print(seen)
"""
    done = child(code)
    assert done.stdout.strip() == "[1, 3, 4]", done.stderr


# ------------------------------------------------------------------------ one model, many threads


def test_predictions_wait_for_a_batch_and_not_for_a_training() -> None:
    model, (x, y) = small_model(), stripes(32)
    seen: list[Array] = []
    model.predict_on_batch(x)

    class Meanwhile(convkit.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(in_thread(lambda: model.predict(x, verbose=0)))
            seen.append(model.predict(x, verbose=0))
            in_thread(lambda: model.evaluate(x, y, verbose=0))
            in_thread(model.get_weights)

    model.fit(x, y, batch_size=8, verbose=0, callbacks=Meanwhile())
    assert len(seen) == 8
    for other, own in zip(seen[::2], seen[1::2], strict=True):
        np.testing.assert_array_equal(other, own)


def test_what_is_predicted_while_training_is_that_of_some_step() -> None:
    x, y = stripes(32)
    model, steps = small_model(), []
    for _ in range(30):
        steps.append(model.predict_on_batch(x).tobytes())
        model.train_on_batch(x, y)
    model, found, stop = small_model(), set(), threading.Event()

    def watch() -> None:
        while not stop.is_set():
            found.add(model.predict_on_batch(x).tobytes())

    threads = [threading.Thread(target=watch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        model.train_on_batch(x, y)
    steps.append(model.predict_on_batch(x).tobytes())
    stop.set()
    for thread in threads:
        thread.join()
    assert found <= set(steps)


def test_threads_build_and_predict_alike() -> None:
    model, (x, _) = Model([layers.Conv2D(16, 3), layers.Flatten(), layers.Dense(3)]), stripes(20)
    results: list[Array] = []
    threads = [
        threading.Thread(target=lambda: results.append(model.predict(x, batch_size=7, verbose=0)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 8
    for result in results:
        np.testing.assert_array_equal(result, model.predict(x, verbose=0))
    assert 1 <= len(model._engine._idle["predict"]) <= 8


def test_layers_may_be_exchanged_while_others_predict() -> None:
    model, (x, _) = small_model(), stripes(16)
    stop, errors = threading.Event(), []

    def predict() -> None:
        try:
            while not stop.is_set():
                assert model.predict_on_batch(x).shape in {(16, 2), (16, 3)}
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=predict)
    thread.start()
    for _ in range(50):
        model.add(layers.Dense(2)) if len(model.layers) < 8 else model.pop()
    stop.set()
    thread.join()
    assert not errors


# ------------------------------------------------------------------------ interrupts


def every_line(call: Callable[[], Any], error: type[BaseException], check: Any) -> int:
    """Raises the error at one of the package's bytecodes, another one in each call."""
    package = os.path.dirname(convkit.__file__)
    place = 0
    while True:
        left = place

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            if not frame.f_code.co_filename.startswith(package):
                return None
            frame.f_trace_opcodes = True

            def inside(frame: FrameType, event: str, argument: Any) -> Any:
                nonlocal left
                if event == "opcode":
                    left -= 1
                    if left < 0:
                        raise error
                return inside

            return inside

        former = sys.gettrace()
        sys.settrace(trace)
        try:
            call()
        except error:
            pass
        finally:
            sys.settrace(former)
        if left >= 0:
            return place
        check(place)
        place += 1 + place // 40  # dense at the beginning


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_step_that_is_interrupted_anywhere(error: type[BaseException]) -> None:
    x, y = np.ones((4, 6), np.float32), np.arange(4)
    model = Model([layers.Input((6,)), layers.Dense(4, activation="softmax")])
    schedule = convkit.optimizers.schedules.ExponentialDecay(0.1, 1, 0.9)
    model.compile(convkit.optimizers.Adam(schedule), "sparse_categorical_crossentropy")

    def check(place: int) -> None:
        assert model.optimizer is not None
        assert model._engine.steps == model.optimizer.iterations, place
        assert not model._engine.lock.is_training
        assert in_thread(
            lambda: model._engine.lock.acquire(timeout=5) and model._engine.lock.release() is None
        )
        before = model._engine.steps
        model.train_on_batch(x, y)
        assert model._engine.steps == model.optimizer.iterations == before + 1
        assert model.optimizer.learning_rate == pytest.approx(schedule(before + 1))

    assert every_line(lambda: model.train_on_batch(x, y), error, check) > 300
    model.predict_on_batch(x)
    assert every_line(lambda: model.predict_on_batch(x), error, check) > 50


# ------------------------------------------------------------------------ forks, exits, limits

SETUP = """
import os, sys, threading, time
import numpy as np
import convkit
from convkit.layers import *
m = convkit.Sequential([convkit.Input((20, 20, 1)), Conv2D(16, 3, activation='relu'), Flatten(),
                        Dense(10, activation='softmax')])
m.compile('adam', 'sparse_categorical_crossentropy')
x, y = np.random.default_rng(0).random((128, 20, 20, 1), np.float32), np.arange(128) % 10
def forever(call):
    def work():
        while True:
            call()
    threading.Thread(target=work, daemon=True).start()
    time.sleep(0.2)
def forked(call, times=5):
    for _ in range(times):
        child = os.fork()
        if child == 0:
            call()
            os._exit(0)
        end, ended = time.time() + 20, 0
        while not ended and time.time() < end:
            time.sleep(0.01)
            ended, status = os.waitpid(child, os.WNOHANG)
        if not ended:
            os.kill(child, 9)
            sys.exit('the child hangs')
        if status:
            sys.exit(f'the child ended with {status}')
def everything():
    m.predict(x, verbose=0)
    m.evaluate(x, y, verbose=0)
    m.fit(x, y, verbose=0)
    m.get_weights()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize(
    "meanwhile",
    [
        "forever(lambda: m.predict(x, verbose=0))",
        "forever(lambda: m.fit(x, y, verbose=0))",
        "forever(lambda: m.save_weights(sys.argv[1]))",
        "forever(lambda: m._engine.lock.write(time.sleep, 1))",
        "m.predict(x, verbose=0)",
    ],
)
def test_a_fork_while_another_thread_is_busy(meanwhile: str, tmp_path: Any) -> None:
    code = SETUP + meanwhile.replace("sys.argv[1]", repr(str(tmp_path / "w")))
    done = child(code + "\nforked(everything)", OMP_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_by_a_thread_that_holds_the_lock() -> None:
    code = SETUP + (
        "m._engine.lock.write(forked, lambda: m._engine.lock.write(everything), 2)\n"
        "m._engine.lock.train(m._engine.lock.read, forked, lambda: m.predict(x, verbose=0), 2)\n"
        "m._engine.lock.train(forked, everything, 2)\n"
        "everything()"
    )
    done = child(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_after_another_library_used_the_threads() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: no other library with threads")
    code = (
        "import torch\n" + SETUP + "torch.set_num_threads(2); torch.ones(2000, 2000).exp().sum()\n"
        "forked(everything, 2); m.predict(x, verbose=0)\n"
        "torch.ones(2000, 2000).exp().sum(); forked(everything, 2)"
    )
    done = child(code, OMP_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "call",
    [
        "m.predict(x, verbose=0)",
        "m.fit(x, y, verbose=0)",
        "convkit.ops.relu_forward(x)",
    ],
)
def test_the_interpreter_ends_while_a_daemon_thread_computes(call: str) -> None:
    code = SETUP + f"forever(lambda: {call})"
    for _ in range(3):
        done = child(code)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="a process's threads are listed on Linux")
def test_threads_without_work_stay() -> None:
    """New ones may not be granted where those that are ending still hold their memory."""
    code = SETUP + (
        "convkit.runtime.set_num_threads(8)\n"
        "teams = []\n"
        "for images in 64, 3, 64, 1, 64:\n"
        "    convkit.ops.conv2d_forward(x[:images], np.ones((3, 3, 1, 4), np.float32))\n"
        "    teams.append(sorted(os.listdir('/proc/self/task')))\n"
        "print(len(teams[0]) >= 8, all(team == teams[0] for team in teams))"
    )
    done = child(code)
    assert (done.returncode, done.stdout.strip()) == (0, "True True"), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_threads_that_cannot_be_made_are_done_without() -> None:
    code = SETUP + (
        "import resource\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "expected = convkit.ops.conv2d_forward(x, np.ones((3, 3, 1, 16), np.float32))\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, resource.RLIM_INFINITY))\n"
        "convkit.runtime.set_num_threads(4096)\n"
        "big = np.ones((64, 128, 128, 4), np.float32)\n"
        "convkit.ops.conv2d_forward(big, np.ones((1, 1, 4, 4), np.float32))\n"
        "again = convkit.ops.conv2d_forward(x, np.ones((3, 3, 1, 16), np.float32))\n"
        "print(np.array_equal(expected, again))"
    )
    done = child(code)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


STARVED = """
import os, subprocess, sys, time
import numpy as np
from convkit import ops, runtime
runtime.set_num_threads(2)
x, w = np.ones((16, 24, 24, 16), np.float32), np.ones((3, 3, 16, 16), np.float32)
tasks = lambda: set(map(int, os.listdir('/proc/self/task')))
before = tasks()
ops.conv2d_forward(x, w)
first, last = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
os.sched_setaffinity(0, [first])
for helper in tasks() - before:
    os.sched_setaffinity(helper, [last])
    os.sched_setscheduler(helper, os.SCHED_IDLE, os.sched_param(0))
loop = f"import os; os.sched_setaffinity(0, [{last}]); print(flush=True)\\nwhile True: pass"
busy = subprocess.Popen([sys.executable, "-c", loop], stdout=subprocess.PIPE)
try:
    assert busy.stdout.readline()
    begin = time.perf_counter()
    for _ in range(300):
        ops.conv2d_forward(x, w)
    print(time.perf_counter() - begin)
finally:
    busy.kill()
"""


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="idle threads are Linux's")
def test_a_thread_whose_core_is_taken_holds_nobody_up() -> None:
    """It gets its core for a moment a second, and everybody else does its tasks meanwhile."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core: nobody can have one to oneself")
    done = child(STARVED)
    assert done.returncode == 0, done.stderr
    # A tenth of that; or a second more, should it lose its core in the middle of a task.
    assert float(done.stdout) < 3.0
