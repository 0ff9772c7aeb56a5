"""Each helper works when it is copied, with the neighbours it names, into a folder of one's own."""

import ast
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ctc_tutorial"
PATHS = {p.stem: p for p in sorted(PACKAGE.rglob("*.py")) if not p.stem.startswith("_")}
# The files that may ask for another to be copied with them; all others stand alone.
ALLOWED = {
    "beam_search": {"decoding"},
    "bucketing": {"batches"},
    "compat": {"beam_search", "decoding", "losses"},
    "diagnose": {"decoding", "error_rates", "mismatch"},
    "encoders": {"recurrent"},
    "folders": {"cleaning", "recordings", "speech", "transcripts"},
    "layers": {"losses", "metrics"},
    "mismatch": {"error_rates"},
    "models": {"layers"},
    "people": {"spoken_numbers"},
    "practice_folder": {"people", "spoken_numbers"},
    "recordings": {"speech"},
    "serving": {"decoding"},
}


def neighbours(room):
    """The files that a file imports from its own folder."""
    nodes = ast.walk(ast.parse(PATHS[room].read_text(encoding="utf-8")))
    return {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.level}


def with_neighbours(room):
    """The file, its neighbours, and theirs."""
    return {room}.union(*map(with_neighbours, neighbours(room)))


def copy(room, project):
    """The file into the folder `ctc` of a project, with its neighbours and the data it names."""
    folder = project / "ctc"
    folder.mkdir(parents=True)
    for name in with_neighbours(room):
        shutil.copy(PATHS[name], folder)
    source = PATHS[room].read_text(encoding="utf-8")
    for data in (PACKAGE / "data").iterdir():
        if data.suffix in (".wav", ".csv", ".npz") and data.name in source:
            shutil.copy(data, folder)


def run(command, folder):
    environment = {**os.environ, "MPLBACKEND": "agg"}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
    )


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """What the examples of all files gave, each file copied into an empty folder."""
    tmp_path = tmp_path_factory.mktemp("copies")
    for room in PATHS:
        copy(room, tmp_path / room)
    # One process, as starting TensorFlow takes longer than most examples.
    script = Path(__file__).with_name("run_examples.py")
    result = run([script, *(tmp_path / room for room in PATHS)], tmp_path)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def public_names(room):
    kinds = ast.FunctionDef | ast.ClassDef
    nodes = ast.parse(PATHS[room].read_text(encoding="utf-8")).body
    return [n.name for n in nodes if isinstance(n, kinds) and not n.name.startswith("_")]


@pytest.mark.slow
@pytest.mark.parametrize("room", PATHS)
def test_the_examples_of_a_copied_file_run(room, examples):
    keras_version = tuple(map(int, version("keras").split(".")[:2]))
    for name, (_, failures) in examples[room].items():
        if name == "CTCModel" and keras_version < (3, 12):  # as its docstring says
            continue
        assert not failures, f"{room}.py, {name or 'the file itself'}:\n{failures}"
    without = [name for name in public_names(room) if not examples[room][name][0]]
    assert not without, f"{room}.py: no example in the docstring of {without}"


@pytest.mark.parametrize("room", PATHS)
def test_a_file_names_what_to_copy_with_it(room):
    assert neighbours(room) == ALLOWED.get(room, set())
    docstring = ast.get_docstring(ast.parse(PATHS[room].read_text(encoding="utf-8")))
    for name in with_neighbours(room) - {room}:
        assert f"{name}.py" in docstring, f"{room}.py does not say that it needs {name}.py"


LAYER_ALONE = """
import keras, numpy as np, tensorflow as tf
from layers import CTCLossLayer

x, y = keras.Input((None, 2)), keras.Input((None,), sparse=True, dtype="int32")
n = keras.Input((), dtype="int32")
model = keras.Model([x, y, n], CTCLossLayer()(keras.layers.Dense(3)(x), y, n))
model.compile("sgd")
labels = tf.sparse.from_dense([[1, 1], [1, 0]])
history = model.fit([np.ones((2, 4, 2)), labels, np.array([4, 2])], verbose=0).history
assert set(history) == {"loss", "ler"} and np.isfinite(history["loss"][0])
"""


@pytest.mark.slow
def test_the_layer_alone_as_a_module_of_ones_own_trains(tmp_path):
    shutil.copy(PATHS["layers"], tmp_path)
    (tmp_path / "train.py").write_text(LAYER_ALONE)
    result = run(["train.py"], tmp_path)
    assert result.returncode == 0, result.stderr


LAZY = """
import sys, ctc_tutorial

ctc_tutorial.Alphabet, ctc_tutorial.greedy_decode, ctc_tutorial.load_sentence
assert not {"tensorflow", "keras", "matplotlib"} & set(sys.modules)
assert all(getattr(ctc_tutorial, name) for name in ctc_tutorial.__all__)
assert "tensorflow" in sys.modules and dir(ctc_tutorial) == ctc_tutorial.__all__
"""


def test_importing_the_package_is_cheap(tmp_path):
    result = run(["-c", LAZY], tmp_path)
    assert result.returncode == 0, result.stderr
