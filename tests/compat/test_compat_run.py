"""`python -m convkit.compat`: what runs, what is said at the end, and the exit code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from convkit.compat import notes
from convkit.compat.__main__ import main
from convkit.compat.check import missing_names
from convkit.compat.notebook import cells_of, python_of
from convkit.compat.run import run


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def notebook(path: Path, *cells: Any) -> str:
    """A notebook of code cells; of a pair, the second is what the cell has besides."""
    made = []
    for cell in cells:
        text, more = cell if isinstance(cell, tuple) else (cell, {})
        made.append({"cell_type": "code", "source": text, "metadata": {}, "outputs": [], **more})
    made.insert(0, {"cell_type": "markdown", "source": "# Words", "metadata": {}})
    path.write_text(json.dumps({"cells": made, "nbformat": 4, "nbformat_minor": 5}))
    return str(path)


def test_a_script_is_main_and_finds_its_arguments_and_neighbours(workplace: Path) -> None:
    (workplace / "code").mkdir()
    write(workplace / "code" / "helper.py", "import keras\nNAME = keras.__name__\n")
    path = write(
        workplace / "code" / "script.py",
        "import sys, os, helper\n"
        "if __name__ == '__main__':\n"
        "    assert sys.argv[1:] == ['--epochs', '3'], sys.argv\n"
        "    assert os.path.basename(__file__) == 'script.py'\n"
        "    assert helper.NAME == 'keras'\n"
        "    sys.exit(7)\n",
    )
    assert run(path, ["--epochs", "3"]) == 7
    assert "keras" not in sys.modules or "convkit" not in repr(sys.modules["keras"])
    assert "helper" in sys.modules
    del sys.modules["helper"]


def test_an_error_is_shown_with_the_line_of_the_script(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(workplace / "script.py", "import tensorflow as tf\nx = 1\ntf.gradients()\n")
    assert run(path) == 1
    told = capsys.readouterr().err
    before, _, after = told.partition("Traceback")
    assert "script.py asks for what is not here; it runs until" in before
    assert "script.py:3: tensorflow.gradients is not available; TensorFlow has it" in before
    told = after
    assert "line 3" in told
    assert "tf.gradients()" in told
    assert "compat/run.py" not in told
    assert "not available: tensorflow.gradients (TensorFlow has it, convkit does not" in told
    assert "`tf.GradientTape`" in told


def test_what_makes_no_difference_is_said_at_the_end(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        workplace / "script.py",
        "from keras import mixed_precision, layers\n"
        "mixed_precision.set_global_policy('mixed_float16')\n"
        "layers.Dense(3, activity_regularizer='l2')\n",
    )
    assert run(path) == 0
    told = capsys.readouterr().err
    assert "ignored: mixed_precision 'mixed_float16' (everything is float32)" in told
    assert "ignored: Dense(activity_regularizer=)" in told


def test_a_notebook_runs_without_its_magics(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = notebook(
        workplace / "book.ipynb",
        "!pip install tensorflow \\\n  keras\n%matplotlib inline\nimport keras",
        "try:\n    %tensorflow_version 2.x\n    COLAB = True\nexcept Exception:\n    COLAB = False",
        "%%time\nfiles = !ls\nassert files == [] and COLAB\nkeras.layers.Dense?",
        "%%bash\nrm -rf everything",
        "  indented = 1\n  assert indented",
        "get_ipython().system('ls')\ndisplay('shown')\nassert __name__ == '__main__'",
        ("raise ValueError('as in the notebook')", {"outputs": [{"output_type": "error"}]}),
        ("raise ValueError('marked')", {"metadata": {"tags": ["raises-exception"]}}),
        "last = 5 % 2\nassert last == 1",
    )
    assert run(path) == 0
    told = capsys.readouterr()
    assert "shown" in told.out
    assert "ignored: %matplotlib inline" in told.err
    assert "ignored: %%bash" in told.err
    assert "the error is in the notebook, too" in told.err


def test_a_notebook_ends_with_an_error_of_its_own(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(notebook(workplace / "book.ipynb", "x = 1", "1 / 0", "print('on')")) == 1
    told = capsys.readouterr()
    assert "code cell 2" in told.err
    assert "ZeroDivisionError" in told.err
    assert "on" not in told.out


def test_python_stays_as_it_is() -> None:
    text = "a = 7\nb = a %3\nif a != b:\n    print(a % b)\n"
    assert python_of(text) == text
    with pytest.raises(ValueError, match="no notebook"):
        cells_of("{}")
    notes.forget()


def test_checking_lists_the_missing_names_and_runs_nothing(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        workplace / "script.py",
        "raise SystemExit('ran')\n"
        "import tensorflow as tf\n"
        "from keras.layers import Dense, LSTM\n"
        "from keras import backend as K\n"
        "import keras.nothing\n"
        "mnist = tf.keras.datasets.mnist\n"
        "mnist.load_data(), mnist.absent\n"
        "K.epsilon(), K.gradients\n"
        "tf.lite.TFLiteConverter\n"
        "LSTM.x, other.name\n",
    )
    lines = missing_names(path)
    for name, number in (
        ("keras.layers.LSTM", 10), ("keras.nothing", 5), ("keras.datasets.mnist.absent", 7),
        ("keras.backend.gradients", 8), ("tensorflow.lite", 9),
    ):  # fmt: skip
        assert any(f":{number}: {name} is not available" in line for line in lines), name
    assert len(lines) == 5
    assert any("images only" in line for line in lines)
    assert main(["--check", path]) == 1
    assert main(["--check", write(workplace / "good.py", "import keras\nkeras.Input\n")]) == 0
    assert "no name is missing" in capsys.readouterr().out


def test_what_cannot_be_read_is_said(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing.py"]) == 2
    assert main([write(workplace / "broken.ipynb", "no notebook")]) == 2
    assert "no notebook" in capsys.readouterr().err
    assert main(["--check", write(workplace / "broken.py", "x = (\n")]) == 2


def test_the_command_runs_in_a_process_of_its_own(workplace: Path) -> None:
    path = write(
        workplace / "script.py",
        "import sys, tensorflow as tf\nfrom tensorflow import keras\n"
        "print(tf.__name__, keras.__name__, sys.argv[1])\nsys.exit(3)\n",
    )
    made = subprocess.run(
        [sys.executable, "-m", "convkit.compat", path, "--flag"], capture_output=True, text=True
    )
    assert made.returncode == 3, made.stderr
    assert made.stdout.split() == ["tensorflow", "keras", "--flag"]


def test_importing_convkit_imports_nothing_of_it() -> None:
    code = (
        "import sys, convkit; print([n for n in sys.modules if 'compat' in n and 'convkit' in n])"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"


def test_the_code_of_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "compat.md"
    if not page.is_file():
        pytest.skip("the documentation is not here")
    (block,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    exec(block, {})
    assert capsys.readouterr().out.endswith("2\n")
