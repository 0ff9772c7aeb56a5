"""One training step, as a reader writes it and in PyTorch, side by side; writes step.md.

    python benchmarks/step.py [--rounds 12]

Every round times an epoch of each candidate, so that whatever else the machine does hits all;
ratios are taken within a round. The same model, batch, clipping and optimizer everywhere. `fit`
gets a repeated batch and reports loss and label error rate; PyTorch's step computes no error rate.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import tensorflow as tf
import torch

import ctc_tutorial as ctc

# batch, frames, features, units, bidirectional, labels, classes; steps in an epoch
SIZES = {
    "main model": (2, 291, 13, 50, False, 52, 28, 40),
    "realistic model": (32, 400, 13, 128, True, 60, 29, 4),
}
TARGETS = {"main model": 0.8, "realistic model": 0.9}
RESULTS = Path(__file__).with_name("step.md")


def make_batch(batch, frames, features, width, classes):
    random = np.random.default_rng(0)
    x = random.standard_normal((batch, frames, features)).astype(np.float32)
    return x, random.integers(0, classes - 1, (batch, width), dtype=np.int32)


def fit_candidate(size, lstm: type, steps_per_execution: int, jit: bool = False) -> Callable:
    """A function that trains one epoch by `fit` and returns milliseconds per step."""
    batch, frames, features, units, bidirectional, width, classes, steps = size
    x, labels = make_batch(batch, frames, features, width, classes)
    options = {"units": units, "bidirectional": bidirectional}
    with mock.patch("ctc_tutorial.encoders.LSTM", lstm):
        model, _ = ctc.build_models(ctc.lstm_encoder, features, classes, seed=0, **options)
    inputs = ctc.pad_batch(x, labels)
    if jit:  # XLA takes dense labels only
        model, inputs = for_dense_labels(model), ctc.dense_labels(inputs)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=5.0)
    model.compile(optimizer, jit_compile=jit, steps_per_execution=steps_per_execution)
    data = ctc.repeat_batch(inputs)

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.taken = time.perf_counter() - self.start

    def epoch(clock=Clock()):  # noqa: B008 - one clock for all epochs
        # Two epochs, of which the second is timed: the first sets fit up.
        model.fit(data, epochs=2, steps_per_epoch=steps, verbose=0, callbacks=[clock])
        return 1000 * clock.taken / steps

    return epoch


def for_dense_labels(model: keras.Model) -> keras.Model:
    """The same layers and another loss layer, for labels that are not sparse."""
    given = [model.get_layer(name).output for name in ("features", "feature_length")]
    labels = keras.Input((None,), dtype="int32", name="labels")
    label_length = keras.Input((), dtype="int32", name="label_length")
    logits = model.get_layer("logits").output
    passed_through = ctc.CTCLossLayer()(logits, labels, given[1], label_length)
    return keras.Model([*given, labels, label_length], passed_through)


def torch_candidate(size, threads: int) -> Callable:
    batch, frames, features, units, bidirectional, width, classes, steps = size
    x, labels = map(torch.tensor, make_batch(batch, frames, features, width, classes))
    lstm = torch.nn.LSTM(features, units, batch_first=True, bidirectional=bidirectional)
    dense = torch.nn.Linear(units * (1 + bidirectional), classes)
    weights = [*lstm.parameters(), *dense.parameters()]
    optimizer = torch.optim.SGD(weights, 0.01, momentum=0.9)
    lengths = torch.full((batch,), frames), torch.full((batch,), width)

    def step():
        optimizer.zero_grad()
        log_p = dense(lstm(x)[0]).log_softmax(-1).transpose(0, 1)
        loss = torch.nn.functional.ctc_loss(
            log_p, labels, *lengths, blank=classes - 1, reduction="none"
        ).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 5.0)
        optimizer.step()

    def epoch():
        torch.set_num_threads(threads)
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return 1000 * (time.perf_counter() - start) / steps

    return epoch


def empty_fit(steps: int, steps_per_execution: int) -> Callable:
    """What `fit` costs by itself: a model of one number."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse", steps_per_execution=steps_per_execution)
    data = ctc.repeat_batch((np.ones((2, 1), np.float32), np.ones((2, 1), np.float32)))

    def epoch():
        start = time.perf_counter()
        model.fit(data, epochs=1, steps_per_epoch=steps, verbose=0)
        return 1000 * (time.perf_counter() - start) / steps

    return epoch


def table(size, rounds: int) -> list[str]:
    """Rows: name, median ms, quartiles, ratio to PyTorch, quartiles, first epochs in s."""
    steps = size[-1]
    functions = {
        "PyTorch": torch_candidate(size, 2),
        "PyTorch, one thread": torch_candidate(size, 1),
        "fit, keras.layers.LSTM": fit_candidate(size, keras.layers.LSTM, 1),
        "fit, recurrent.LSTM": fit_candidate(size, ctc.LSTM, 1),
        f"the same, steps_per_execution={steps}": fit_candidate(size, ctc.LSTM, steps),
        "fit, recurrent.LSTM, dense labels, jit_compile": fit_candidate(size, ctc.LSTM, 1, True),
        "fit of one number: its own price": empty_fit(steps, 1),
        "the same, steps_per_execution": empty_fit(steps, steps),
    }
    first, times = {}, {name: [] for name in functions}
    for name, function in functions.items():
        start = time.perf_counter()
        function()
        first[name] = time.perf_counter() - start
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(function())
    best = np.minimum(times["PyTorch"], times["PyTorch, one thread"])
    rows = []
    for name, taken in times.items():
        low, middle, high = np.percentile(taken, [25, 50, 75])
        below, ratio, above = np.percentile(np.array(taken) / best, [25, 50, 75])
        rows.append(
            f"| {name} | {middle:.2f} | {low:.2f}-{high:.2f} | {ratio:.2f} | "
            f"{below:.2f}-{above:.2f} | {first[name]:.1f} |"
        )
    return rows


def main_job(runs: int) -> list[float]:
    """Seconds that `fit` of `python -m ctc_tutorial` takes, tracing included."""
    seconds = []
    for _ in range(runs):
        command = [sys.executable, "-m", "ctc_tutorial"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        seconds.append(float(re.search(r"training steps in ([\d.]+) s", printed)[1]))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    rounds = parser.parse_args().rounds
    parts = [
        f"# One training step: measured\n\n{date.today()}, {platform.machine()}, {os.cpu_count()} "
        f"cores, Python {platform.python_version()}, TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__}, torch {torch.__version__}. Load average at the start: "
        f"{os.getloadavg()[0]:.1f}. Written by `make bench` (benchmarks/step.py).\n\nMedians of "
        f"{rounds} interleaved rounds with the middle half of them; ratios to the faster of "
        "PyTorch's two runs in the same round. `first`: the first two epochs, which trace and "
        "compile.\n"
    ]
    for name, size in SIZES.items():
        batch, frames, features, units, bidirectional, width, classes, _ = size
        kind = "bidirectional " if bidirectional else ""
        parts.append(
            f"## The {name}: batch {batch}, time {frames}, features {features}, {kind}LSTM "
            f"{units}, labels {width}, classes {classes} (target {TARGETS[name]})\n\n"
            "|  | ms per step | middle half | ratio to PyTorch | middle half | first, s |\n"
            "|---|---|---|---|---|---|\n" + "\n".join(table(size, rounds)) + "\n"
        )
        print(parts[-1], flush=True)
    seconds = main_job(5)
    parts.append(
        "## The main job\n\n`fit` of `python -m ctc_tutorial`, 400 steps, tracing and compiling "
        f"included, five runs: {min(seconds):.1f} to {max(seconds):.1f} s.\n"
    )
    print(parts[-1])
    RESULTS.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
