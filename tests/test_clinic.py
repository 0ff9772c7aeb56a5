"""Notebook 14 has each of the 25 rows: its message can be found, is raised, and is mended.

The messages are raised here once more, by other code than the notebook's; where versions of Keras
and TensorFlow word them differently, a part is looked for.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import nbformat
import numpy as np
import pytest
import tensorflow as tf

import ctc_tutorial as ctc

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CLINIC = nbformat.read(NOTEBOOKS / "14_error_clinic.ipynb", as_version=4)
FIVE_BUGS = nbformat.read(NOTEBOOKS / "14b_five_bugs.ipynb", as_version=4)
PROSE = "\n".join(cell.source for cell in CLINIC.cells if cell.cell_type == "markdown")

# For each row: what a reader searches for; what its cell has to print.
ROWS = {
    1: ("module 'keras.backend' has no attribute 'ctc_batch_cost'", r"ctc_batch_cost.*P = 0\.64"),
    2: ("Layer add_metric() method is deprecated", "NotImplementedError: .*deprecated"),
    3: ("Cannot take the length of shape with unknown rank", "unknown rank.*mended.* 0.5"),
    4: (
        "The two structures don't have the same nested structure",
        "same nested.*mended: .2, 13, 4",
    ),
    5: (
        "has type float16 that does not match expected type of float32",
        "float32.*CTCLoss.*mended",
    ),
    6: ("'SparseTensor' object has no attribute 'device'", "'device'.*mended: loss .[0-9]"),
    7: ('Missing data for input "labels"', "labels.*mended: .2, 13, 5"),
    8: ("No valid path found.", "No valid path found. loss inf.*why: .*mended: 90"),
    9: ("Saw a non-null label (index >= num_classes - 1) following a null label", "null.*mended"),
    10: (
        "Not enough time for target transition sequence (required: 156, available: 13)",
        "available: 13.*mended: loss .*skipped 1",
    ),
    11: ("Labels length is zero in batch 0", "zero in batch 0.*mended: loss .*skipped 0"),
    12: ("sequence_length(0) <= 80", "<= 80.*before pooling.*mended"),
    13: ("len(sequence_length) != batch_size", "batch_size.*nonsense: .*mended"),
    14: ("id -1", "id -1 at position 2 .*mended: ab"),
    15: ("loss: nan", "infeasible: .*inf.*large steps: nan.*mended.*[0-9]"),
    16: ("Only blanks are predicted", "as usual early in a training"),
    17: ("The loss falls, the decoded text is garbage", "mended: kurz.*Blank mismatch"),
    18: ("Wrong text after a reload", "mended: abcdefgh abcdefgh.*vocabulary has another order"),
    19: ("`kurz00` for `kurz`", "'kurz00'.*true length: 'kurz'.*label lengths"),
    20: ("The loss never nears 0", "twice 1.*once 0.*Softmax is applied twice"),
    21: ("Pretty bad results", "23.7 in the batch, 8.9 alone.*mended: +8.9"),
    22: ("silently wrong", "13.0848.*13.0848.*cannot align utterance 0"),
    23: ("turns ABCCD into ABCD", "True +ABCD\n.*False +ABCCD"),
    24: ("learns from padding", "changes the output.*mended"),
    25: ("Slow, out of memory", r"dense +has \[.*While.*sparse has \['CTCLoss"),
}


@pytest.fixture(scope="module")
def printed():
    """What the cells below the heading of each row print."""
    rows, current = {}, ()
    for cell in CLINIC.cells:
        if cell.cell_type == "markdown":
            current = [int(n) for n in re.findall(r'<a id="row-(\d+)">', cell.source)]
        for row in current:
            texts = [output.get("text", "") for output in cell.get("outputs", [])]
            rows[row] = rows.get(row, "") + "".join(texts)
    return rows


@pytest.mark.parametrize("row", ROWS)
def test_a_row_can_be_found_is_raised_and_mended(row, printed):
    message, output = ROWS[row]
    heading = re.search(rf'<a id="row-{row}"></a>\n### {row} · (.*)', PROSE)
    assert heading, "no heading"
    assert message in PROSE
    assert f"(#row-{row})" in PROSE, "neither index leads here"
    assert "**Mend:**" in PROSE[heading.end() :]
    assert re.search(output, printed[row], re.S), printed[row]


LOGITS = np.random.default_rng(1).normal(size=(2, 13, 5)).astype("float32")  # [B, T, C]


def op(rows, logits=LOGITS, lengths=(13, 13), **others):
    others = others or {"logits_time_major": False}
    labels = tf.ragged.constant(rows, dtype=tf.int32, ragged_rank=1).to_sparse()
    return tf.nn.ctc_loss(labels, logits, None, list(lengths), blank_index=-1, **others)


def rank_of_edit_distance():
    @tf.function
    def rate(ids, labels):
        mean = keras.metrics.Mean()
        mean.update_state(tf.edit_distance(ids, labels))

    one = tf.sparse.from_dense(tf.constant([[1]], tf.int64))
    rate(one, one)


def stacked_cells():
    cells = keras.layers.StackedRNNCells([keras.layers.LSTMCell(3)])
    layer = keras.layers.RNN(cells)
    model = keras.Sequential([keras.Input((None, 5)), keras.layers.Masking(), layer])
    model.compile("sgd", "mse")
    model.fit(LOGITS, np.zeros((2, 3)), verbose=0)


def half_precision():
    @tf.function
    def loss(x):
        options = {"labels_indices": [[0, 0]], "labels_values": [1], "sequence_length": [1]}
        return tf.raw_ops.CTCLossV2(inputs=x, **options)

    loss(tf.zeros((1, 1, 5), tf.float16))


def under_xla():
    tf.function(lambda x: op([[1], [2]], x), jit_compile=True)(LOGITS)


def predict_with_the_train_model():
    model, _ = ctc.build_models(ctc.lstm_encoder, 5, 5, units=2)
    model.predict({"features": LOGITS, "feature_length": np.array([13, 13])}, verbose=0)


RAISED = {
    1: (lambda: keras.backend.ctc_batch_cost, "has no attribute 'ctc_batch_cost'"),
    2: (lambda: keras.layers.Layer().add_metric(0.0, name="m"), "add_metric|^$"),
    3: (rank_of_edit_distance, "length of shape with unknown rank"),
    4: (stacked_cells, "nested structure"),
    5: (half_precision, "has type float16 that does not match expected type of float32"),
    5.5: (under_xla, "No registered 'CTCLoss' OpKernel for XLA"),
    7: (predict_with_the_train_model, "labels"),
    9: (lambda: op([[3, 6, 0], [1]]), "Saw a non-null label .index >= num_classes - 1. following"),
    10: (
        lambda: op([[0, 1] * 78, [1]]),
        r"Not enough time for target transition sequence \(required: 156, available: 13\)",
    ),
    11: (lambda: op([[], [1]]), "Labels length is zero in batch 0"),
    12: (lambda: op([[1]], np.zeros((1, 80, 5), "float32"), [160]), r"sequence_length\(0\) <= 80"),
    13: (lambda: op([[1], [2]], logits_time_major=True), r"len\(sequence_length\) != batch_size"),
    14: (lambda: ctc.Alphabet("ab").decode([0, 1, -1]), "id -1 at position 2"),
}


@pytest.mark.parametrize("row", RAISED)
def test_a_message_is_raised_by_other_code_as_well(row):
    function, message = RAISED[row]
    with pytest.raises(Exception, match=message):
        function()


OTHER_PROCESS = {
    6: (
        """
import numpy as np, tensorflow as tf, ctc_tutorial as ctc
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model, _ = ctc.build_models(ctc.lstm_encoder, 2, 3, units=2)
    model.compile("sgd")
model.fit(ctc.pad_batch([np.ones((4, 2))] * 2, [[1], [0]]), verbose=0)
""",
        "'SparseTensor' object has no attribute 'device'",
    ),
    8: (
        """
import tensorflow as tf
labels = tf.sparse.from_dense([[2, 2]])
tf.nn.ctc_loss(labels, tf.zeros((2, 1, 5)), None, [2], blank_index=-1)
""",
        "No valid path found.",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("row", OTHER_PROCESS)
def test_a_message_of_another_process(row):
    program, message = OTHER_PROCESS[row]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert message in run.stderr


def definitions(source, namespace):
    exec(compile(source, "notebook 14b", "exec"), namespace)


@pytest.fixture
def program():
    """The names of notebook 14b, as far as the program goes, with its five bugs."""
    namespace = {}
    for cell in FIVE_BUGS.cells:
        if cell.cell_type == "code" and "plt.show" not in cell.source:
            if "try:" in cell.source:
                return namespace
            definitions(cell.source, namespace)


def solutions():
    """The folded ones, in order: {function name: source of all its mends, the last counts}."""
    found = {}
    for cell in FIVE_BUGS.cells:
        for source in re.findall(r"```python\n(.*?)```", cell.source, re.S):
            found.setdefault(re.search(r"def (\w+)", source)[1], []).append(source)
    return found


def state_of_the_bugs(namespace, capsys):
    for cell in FIVE_BUGS.cells:
        if cell.cell_type == "code" and "check(" in cell.source:
            definitions(cell.source, namespace)
    lines = capsys.readouterr().out.splitlines()
    return {line[0]: line.endswith(": mended") for line in lines if re.match("[A-E], ", line)}


def test_each_check_sees_its_bug_and_no_other(program, capsys):
    assert state_of_the_bugs(program, capsys) == dict.fromkeys("ABCDE", False)
    broken = {name: program[name] for name in ("prepare", "encode", "score", "read")}
    mends = [("prepare", 0, "A"), ("encode", 0, "B"), ("score", 0, "C"), ("read", 0, "E")]
    for name, which, bug in [*mends, ("prepare", 1, "AD")]:
        definitions(solutions()[name][which], program)
        state = state_of_the_bugs(program, capsys)
        assert state == {b: b in bug for b in "ABCDE"}, name
        program[name] = broken[name]


@pytest.mark.training
def test_the_mended_program_reads(program, training_seed, capsys):
    with pytest.raises(tf.errors.InvalidArgumentError, match="sequence_length"):
        program["run"]()
    for sources in solutions().values():
        definitions(sources[-1], program)
    program["SEED"] = training_seed
    assert program["run"]() < 0.2
    assert state_of_the_bugs(program, capsys) == dict.fromkeys("ABCDE", True)
