"""The trainings of notebooks 08 and 09 beside the same work in PyTorch; writes convolutions.md.

    python benchmarks/convolutions.py [--rounds 5]

Every contender is a process of its own, since TensorFlow reads some settings once, when it starts.
They take turns: an epoch each, 50 batches, round after round, and ratios are taken within a round.
All train on the same strings in the same batches. TensorFlow's pads and shuffles them in `fit`, as
the notebooks do; PyTorch's are ready.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np

import ctc_tutorial as ctc

RESULTS = Path(__file__).with_name("convolutions.md")
BATCHES = 50
PAUSE = 0.3  # seconds: as long as idle threads of the contender before may still spin
NO_ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "0"}
CONTENDERS = {  # what it is, and its environment
    "torch": ("PyTorch", {}),
    "torch-1": ("PyTorch, 1 thread", {"OMP_NUM_THREADS": "1"}),
    "fit": ("`fit`", {}),
    "fit-generator": ("`fit`, data from `Dataset.from_generator`", {}),
    "fit-no-onednn": ("`fit`, TF_ENABLE_ONEDNN_OPTS=0", NO_ONEDNN),
    "fit-no-onednn-generator": ("both", NO_ONEDNN),
}
REMARKS = """
The layers, their sizes and the CTC loss are the same, and so is the loss for the same weights. The
ratio of waiting times is to the faster of PyTorch's two in that round, the ratio of CPU times to
PyTorch on one thread: on a busy machine PyTorch's two threads wait for each other, and spin.

`Dataset.from_generator` is what `bucketed_dataset` used to be made of. Its op (TensorFlow 2.21; not
2.18) calls `mallopt(M_MMAP_THRESHOLD, 128 kB)`, which holds for the whole process: a larger buffer
of any op is then fetched from the kernel page by page and given back at once. Eigen's convolutions,
which TF_ENABLE_ONEDNN_OPTS=0 asks for, have many; oneDNN's, which PyTorch uses as well, have few.
`keras.utils.PyDataset` in `fit` is made of that op, too.
"""


def build(task: str):
    """The Keras model of a recipe in unseen.py, uncompiled, and its batches as a dataset."""
    import unseen

    make_fn, encoder_fn, num_features, _, _, batch_size, _ = unseen.TASKS[task]
    features, labels = make_fn(BATCHES * batch_size, "train", 100, augment=True)
    train_model, _ = ctc.build_models(encoder_fn, num_features, unseen.NUM_CLASSES, seed=0)
    return train_model, ctc.bucketed_dataset(features, labels, batch_size)


def keras_epoch(task: str, from_generator: bool) -> Callable:
    """A function that trains for an epoch."""
    import keras
    import tensorflow as tf

    from ctc_tutorial import bucketing

    if from_generator:
        bucketing._from_generator = lambda generator_fn, signature: tf.data.Dataset.from_generator(
            lambda: map(tuple, generator_fn()), output_signature=tuple(signature)
        )
    model, dataset = build(task)
    model.compile(keras.optimizers.Adam(5e-3))
    return lambda: model.fit(dataset, verbose=0)


def torch_epoch(task: str) -> Callable:
    """The same in PyTorch, checked to give the same loss for the same weights."""
    import keras
    import torch
    from convolutions_torch import Reader, loss_of

    keras_model, dataset = build(task)
    model = Reader(task, [w.numpy() for w in keras_model.trainable_weights])
    batches = []
    for batch in dataset:
        rows = np.bincount(batch["labels"].indices[:, 0])
        arrays = batch["features"], batch["feature_length"], batch["labels"].values
        batches.append([torch.tensor(np.array(x)) for x in (*arrays, rows)])
    for layer in keras_model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    keras_model(batch, training=True)
    (expected,) = keras_model.losses
    found = loss_of(model.eval(), *batches[-1]).item()  # eval: without dropout, that is all
    assert abs(found - expected) < 1e-4 * expected, (found, expected)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3, eps=1e-7)

    def epoch():
        for i in np.random.default_rng().permutation(len(batches)):
            optimizer.zero_grad()
            loss_of(model, *batches[i]).backward()
            optimizer.step()

    return epoch


def contend(name: str, task: str) -> None:
    """The child: an epoch to warm up, then one for each line that it is sent."""
    if name.startswith("torch"):
        epoch = torch_epoch(task)
    else:
        epoch = keras_epoch(task, name.endswith("generator"))
    epoch()
    print("ready", flush=True)
    for _ in sys.stdin:
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        epoch()
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
        user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
        print(
            json.dumps([1000 / BATCHES * seconds for seconds in (wall, user, system)]), flush=True
        )


def measure(task: str, rounds: int) -> dict[str, np.ndarray]:
    """Milliseconds per step (wall, user, system) of every contender, [rounds, 3]."""
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children, taken = {}, {name: [] for name in CONTENDERS}
    for name, (_, settings) in CONTENDERS.items():
        command = [sys.executable, __file__, "--contend", name, task]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **settings}
        children[name] = subprocess.Popen(command, env=environment, **pipe)
        assert children[name].stdout.readline() == "ready\n", name
    for _ in range(rounds):
        for name, child in children.items():
            time.sleep(PAUSE)
            child.stdin.write("go\n")
            child.stdin.flush()
            taken[name].append(json.loads(child.stdout.readline()))
    for child in children.values():
        child.communicate()  # closes its input, which ends it
    return {name: np.array(times) for name, times in taken.items()}


def table(taken: dict[str, np.ndarray]) -> str:
    header = ["", "wall, ms", "user, ms", "system, ms", "ratio to PyTorch, wall", "ratio, CPU"]
    lines = [header, ["---"] * len(header)]
    for name, times in taken.items():
        wall, cpu = times[:, 0], times[:, 1] + times[:, 2]
        torch_wall = np.minimum(taken["torch"][:, 0], taken["torch-1"][:, 0])
        torch_cpu = taken["torch-1"][:, 1:].sum(axis=1)
        low, middle, high = np.percentile(wall / torch_wall, [25, 50, 75])
        ratios = f"{middle:.2f} ({low:.2f}-{high:.2f})", f"{np.median(cpu / torch_cpu):.2f}"
        medians = [f"{x:.1f}" for x in np.median(times, axis=0)]
        lines.append([CONTENDERS[name][0], *medians, *ratios])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contend", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contend:
        return contend(*options.contend)
    load_average = os.getloadavg()[0]
    parts = [
        "# The convolutional trainings: measured\n",
        f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, load average at the start "
        f"{load_average:.1f}. Written by `make bench` (benchmarks/convolutions.py): milliseconds "
        f"per step, medians of {options.rounds} epochs of {BATCHES} batches that took turns.\n",
    ]
    for task in ("digits", "speech"):
        result = table(measure(task, options.rounds))
        print(task, result, sep="\n", flush=True)
        parts += [f"## {task}\n", result]
    parts.append(REMARKS.strip() + "\n")
    RESULTS.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
