"""Searches over clusters: scores of one job, a share of the threads for each, data sent once."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from convkit import runtime
from convkit.sklearn import ConvClassifier

GRID = {"learning_rate": [1e-3, 2e-3, 4e-3, 8e-3], "batch_size": [16, 32, 64]}
PAGE = Path(__file__).resolve().parents[1] / "docs" / "distribution.md"

# What comes from inside the clusters' own packages.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def data() -> tuple[Any, Any]:
    """Some digits, and which they are."""
    x, y = load_digits(return_X_y=True)
    return (x[:300] / 16).astype(np.float32), y[:300]


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    return data()


def search(jobs: int, x: Any, y: Any) -> dict[str, Any]:
    """The scores of 12 candidates in two folds."""
    estimator = ConvClassifier(image_shape=(8, 8), epochs=2, random_state=0)
    found = GridSearchCV(estimator, GRID, n_jobs=jobs, cv=2, refit=False).fit(x, y)
    results = found.cv_results_
    return {name: results[name] for name in results if name.startswith("split")}


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sorted(found) == sorted(expected) == ["split0_test_score", "split1_test_score"]
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    assert len(set(expected["split0_test_score"])) > 3  # the candidates differ


@pytest.fixture
def dask_client() -> Iterator[Any]:
    """A cluster of two workers with a thread each."""
    distributed = pytest.importorskip("dask.distributed", reason="needs dask[distributed]")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


def test_a_search_on_dask(dask_client: Any, digits: Any) -> None:
    x, y = digits
    with joblib.parallel_backend("dask", scatter=[x, y]):
        found = search(2, x, y)
    assert_same(found, search(1, x, y))
    assert set(dask_client.run(runtime.get_num_threads).values()) == {1}


# In a process of its own, whose classes are sent to workers as they are.
COUNTED_BY_DASK = """
import joblib, numpy
from dask.distributed import Client, LocalCluster
from test_searches import data, search


class Counted(numpy.ndarray):
    pickled = 0

    def __reduce__(self):
        Counted.pickled += 1
        return numpy.asarray(self).__reduce__()


options = dict(n_workers=2, threads_per_worker=1, dashboard_address=None)
with LocalCluster(**options) as cluster, Client(cluster):
    x, y = data()
    counted = x.view(Counted)
    with joblib.parallel_backend("dask", scatter=[counted, y]):
        search(2, counted, y)
print("pickled", Counted.pickled)
"""


def in_a_process(code: str, *arguments: str) -> str:
    """What some code prints."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_dask_is_sent_the_data_once() -> None:
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("needs dask[distributed]")
    *_, pickled = in_a_process(COUNTED_BY_DASK).split()
    assert int(pickled) <= 2  # for each worker at most, and not for each of 24 tasks


# In a process of its own: what tells joblib of Ray changes the pools of its other backends, too.
ON_RAY = """
import sys
import joblib, numpy, ray
from ray.util.joblib import register_ray
from convkit import runtime
from test_searches import data, search

{page}

puts, put = [], ray.put
ray.put = lambda array: (puts.append(array), put(array))[1]
register_ray()
options = dict(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
ray.init(num_cpus=2, **options)
x, y = data()
with joblib.parallel_backend("ray"):
    found = search(2, stored(x), y)
whole = [each for each in puts if getattr(each, "nbytes", 0) >= x.nbytes]
assert len(whole) == 1, len(whole)
assert ray.get(ray.remote(runtime.get_num_threads).remote()) == 1
numpy.savez(sys.argv[1], **found)
ray.shutdown()
"""


def test_a_search_on_ray(digits: Any, tmp_path: Path) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs ray")
    if not PAGE.exists():
        pytest.skip("the documentation is not here")
    # The page's class that stands for an array in Ray's object store.
    (code,) = re.findall(r"^(class Stored.*?return view)$", PAGE.read_text(), re.M | re.S)
    in_a_process(ON_RAY.format(page=code), str(tmp_path / "found.npz"))
    with np.load(tmp_path / "found.npz") as found:
        assert_same(dict(found), search(1, *digits))
