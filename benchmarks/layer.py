"""What the metric `ler` adds to the time of CTCLossLayer; writes layer.md.

    python benchmarks/layer.py [--rounds 40] [--before another/metrics.py]

Loss, gradient and metric in a tf.function, as in `fit`, with and without the rates. Every round
times each of them, and ratios are taken within a round. The logits are either random, so that
nearly every frame speaks, or like a trained network's, which speaks the labels alone. With --before
another version of metrics.py takes part.
"""

import argparse
import importlib.util
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import tensorflow as tf

from ctc_tutorial import layers
from ctc_tutorial.metrics import label_error_rates

SIZES = [(2, 364, 52, 28), (16, 291, 52, 28), (16, 800, 120, 28), (16, 400, 60, 1000)]
RESULTS = Path(__file__).with_name("layer.md")


def make_batch(size: tuple, trained: bool) -> list[tf.Tensor]:
    """Logits [B, T, C], labels [B, L], their lengths."""
    batch, frames, width, classes = size
    random = np.random.default_rng(0)
    labels = random.integers(0, classes - 1, (batch, width), dtype=np.int32)
    logits = random.standard_normal((batch, frames, classes)).astype(np.float32)
    if trained:
        logits[:, :, -1] += 6
        at = np.linspace(1, frames - 2, width).astype(int)
        logits[np.arange(batch)[:, None], at, labels] += 12
    lengths = np.full(batch, frames, np.int32), np.full(batch, width, np.int32)
    return [tf.constant(x) for x in (logits, labels, *lengths)]


def make_step(inputs: list[tf.Tensor], rates_fn: Callable | None) -> Callable:
    """A function that runs loss, gradient and, with `rates_fn`, the metric."""
    layer = layers.CTCLossLayer()

    @tf.function(autograph=False)
    def step(logits, *rest):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            layer(logits, *rest)
            (loss,) = layer.losses
        return loss, tape.gradient(loss, logits)

    if rates_fn is None:
        layer.ler.update_state = lambda *_: None
    with mock.patch.object(layers, "label_error_rates", rates_fn or mock.Mock()):
        step(*inputs)  # traces, and compiles
    return lambda: [x.numpy() for x in step(*inputs)]


def first_call(rates_fn: Callable, inputs: list[tf.Tensor]) -> float:
    """Seconds to trace and compile the rates alone, which a new shape costs."""
    start = time.perf_counter()
    rates_fn(*inputs).numpy()
    return time.perf_counter() - start


def measure(versions: dict[str, Callable], size: tuple, rounds: int) -> Iterator[str]:
    """Rows of the table: one for each kind of logits and each version of the rates."""
    compiled = {name: first_call(fn, make_batch(size, True)) for name, fn in versions.items()}
    for kind in ("random", "trained"):
        inputs = make_batch(size, kind == "trained")
        steps = {name: make_step(inputs, fn) for name, fn in versions.items()}
        steps["without"] = make_step(inputs, None)
        taken = {name: [] for name in steps}
        for _ in range(rounds):
            for name, step in steps.items():
                step()
                start = time.perf_counter()
                for _ in range(5):
                    step()
                taken[name].append((time.perf_counter() - start) * 1000 / 5)
        without = np.array(taken.pop("without"))
        for name, times in taken.items():
            low, middle, high = np.percentile(np.array(times) / without - 1, [25, 50, 75])
            times = f"{np.median(without):.2f} | {np.median(times):.2f}"
            spread = f"{middle:.0%} ({low:.0%} to {high:.0%})"
            yield f"| {size} | {kind} | {name} | {times} | {spread} | {compiled[name]:.1f} |"


def load(path: Path) -> Callable:
    spec = importlib.util.spec_from_file_location("metrics_before", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.label_error_rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--before", type=Path)
    options = parser.parse_args()
    versions = {"now": label_error_rates}
    if options.before:
        versions["before"] = load(options.before)
    load_average = os.getloadavg()[0]
    rows = []
    for size in SIZES:
        for row in measure(versions, size, options.rounds):
            print(row, flush=True)
            rows.append(row)
    RESULTS.write_text(
        "# What the label error rate costs\n\nLoss, gradient and the metric `ler` of CTCLossLayer, "
        "by `benchmarks/layer.py`: medians of\n"
        f"{options.rounds} interleaved rounds of 5 calls; how much time the metric adds, with the "
        "middle half of the rounds; first call of the\nrates for a new shape. "
        f"{platform.machine()}, {os.cpu_count()} cores, load average {load_average:.1f} at the "
        f"start; TensorFlow {tf.__version__}, Keras {keras.__version__}.\n\n"
        "| (B, T, L, C) | logits | version | without, ms | with, ms | added | compile, s |\n"
        "|---|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
