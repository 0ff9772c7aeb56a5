"""What the metric `ler` adds to the time of CTCLossLayer; writes layer.md.

    python benchmarks/layer.py [--rounds 40] [--before another/layers.py]

Loss, gradient and metric in a tf.function, as in `fit`, with and without the rates. Every round
times each of them, and ratios are taken within a round. The logits are either random, so that
nearly every frame speaks, or like a trained network's, which speaks the labels alone. With --before
another version of the file takes part.
"""

import argparse
import contextlib
import importlib.util
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import tensorflow as tf

from ctc_tutorial import layers
from ctc_tutorial.losses import ctc_loss

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


def make_step(module: ModuleType, inputs: list[tf.Tensor], rates: bool) -> Callable:
    """A function that runs loss, gradient and, with `rates`, the metric."""
    layer = module.CTCLossLayer(loss_fn=ctc_loss)

    @tf.function(autograph=False)
    def step(logits, *rest):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            layer(logits, *rest)
            (loss,) = layer.losses
        return loss, tape.gradient(loss, logits)

    with contextlib.ExitStack() as stack:
        if not rates:
            layer.ler.update_state = lambda *_: None
            stack.enter_context(mock.patch.object(module, "_label_error_rates"))
        step(*inputs)  # traces, and compiles
    return lambda: [x.numpy() for x in step(*inputs)]


def first_call(module: ModuleType, inputs: list[tf.Tensor]) -> float:
    """Seconds to trace and compile the rates alone, which a new shape costs."""
    logits, labels, *lengths = inputs
    logits = tf.pad(logits, [[0, 0], [0, -logits.shape[1] % 64], [0, 0]])
    labels = tf.pad(labels, [[0, 0], [0, 64 - labels.shape[1] % 64]])
    start = time.perf_counter()
    module._label_error_rates(logits, labels, *lengths).numpy()
    return time.perf_counter() - start


def measure(modules: dict[str, ModuleType], size: tuple, rounds: int) -> Iterator[tuple]:
    """Rows of the table: one for each kind of logits and each version of the layer."""
    compiled = {name: first_call(m, make_batch(size, True)) for name, m in modules.items()}
    for kind in ("random", "trained"):
        inputs = make_batch(size, kind == "trained")
        steps = {name: make_step(m, inputs, True) for name, m in modules.items()}
        steps["without"] = make_step(layers, inputs, False)
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


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("layers_before", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--before", type=Path)
    options = parser.parse_args()
    modules = {"now": layers}
    if options.before:
        modules["before"] = load(options.before)
    load_average = os.getloadavg()[0]
    rows = []
    for size in SIZES:
        for row in measure(modules, size, options.rounds):
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
