"""Two workers on this machine: the weights of one process, a lost worker, a restart; `fit`."""

import contextlib
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ctc_tutorial.records import write_records

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "scripts" / "train_many_workers.py"
LIMIT = 300  # seconds until whatever does not end is killed


@pytest.fixture
def train(tmp_path):
    """A function that makes the command of a training run in one process."""
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=(t, 3)), rng.integers(0, 5, 3)) for t in rng.integers(12, 30, 23)]
    write_records(((f.astype(np.float32), ids) for f, ids in pairs), tmp_path / "records", 8)
    data = ["--records", tmp_path / "records", "--classes", 6, "--batch-size", 4, "--units", 8]

    def command(checkpoints, rounds):
        run = [sys.executable, SCRIPT, *data, "--checkpoints", checkpoints, "--rounds", rounds]
        return [str(part) for part in run]

    return command


def free_addresses():
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return ",".join(f"127.0.0.1:{s.getsockname()[1]}" for s in sockets)


@contextlib.contextmanager
def two_workers(command):
    """The processes of both workers, TASK being 0 and 1; what runs in the end is killed."""
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    command = [*command, "--workers", free_addresses(), "--task", "TASK"]
    with contextlib.ExitStack() as stack:
        workers = []
        for task in "01":
            process = subprocess.Popen([c.replace("TASK", task) for c in command], **options)
            stack.enter_context(process)
            stack.callback(process.kill)
            workers.append(process)
        yield workers


def checkpoint(folder):
    with np.load(folder / "checkpoint.npz") as saved:
        return [saved[f"arr_{i}"] for i in range(len(saved.files))]


LOST = "another worker is lost"


def lose_a_worker(command, folder):
    """Kill the second worker after the first checkpoint; what the first one then says."""
    with two_workers(command) as (first, second):
        deadline = time.monotonic() + LIMIT
        while not (folder / "checkpoint.npz").exists() and first.poll() is None:
            assert time.monotonic() < deadline, "no checkpoint"
            time.sleep(0.05)
        second.kill()
        return first.communicate(timeout=LIMIT)[1]


def test_a_lost_worker_stops_the_other_and_a_restart_ends_at_the_weights_of_one(train, tmp_path):
    both, one = tmp_path / "both", tmp_path / "0"
    # Repeated: on a machine that stands still for ten seconds TensorFlow takes workers for lost.
    for _ in range(3):
        errors = lose_a_worker(train(both, 10**6), both)
        if (both / "checkpoint.npz").exists():
            break
    completed = int(checkpoint(both)[0])
    assert f"RuntimeError: stopped after round {completed}: {LOST}" in errors, errors[-3000:]

    for _ in range(3):
        with two_workers(train(both, completed + 2)) as workers:
            errors = [worker.communicate(timeout=LIMIT)[1] for worker in workers]
        if LOST not in errors[0]:
            break
    assert [worker.returncode for worker in workers] == [0, 0], errors[0][-3000:]

    subprocess.run(train(one, completed + 2), check=True, timeout=LIMIT, capture_output=True)
    found, expected = checkpoint(both), checkpoint(one)
    assert found[0] == expected[0] == completed + 2
    kernel = expected[1]
    assert kernel.shape == (3, 32) and abs(kernel).max() > 0.1
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)

    # Without a shared folder the second worker would go on from other weights.
    with two_workers(train(tmp_path / "TASK", completed + 4)) as workers:
        errors = [worker.communicate(timeout=LIMIT)[1] for worker in workers]
    assert all("the workers do not see the same" in e for e in errors), errors


FIT = """
import json, os, sys
cluster = {"worker": sys.argv[2].split(",")}
task = {"type": "worker", "index": int(sys.argv[4])}
os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
import keras, numpy as np, tensorflow as tf
with tf.distribute.MultiWorkerMirroredStrategy().scope():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=4, verbose=0)
"""


def test_fit_of_keras_fails_under_many_workers():
    """keras-team/keras#20585: if this test fails, `train_in_rounds` may have become needless."""
    with two_workers([sys.executable, "-c", FIT]) as workers:
        errors = workers[0].communicate(timeout=LIMIT)[1]
    assert re.search(r"ValueError: Attempt to convert a value \(PerReplica", errors), errors[-3000:]
