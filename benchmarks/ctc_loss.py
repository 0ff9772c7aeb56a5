"""CTC loss and gradient of every implementation at hand, side by side; writes RESULTS.md.

Usage: python benchmarks/ctc_loss.py [--rounds 21] [--output benchmarks/RESULTS.md]

Every round times every candidate once, so that whatever else the machine does hits all of them, and
ratios are taken within a round. Before each there is a pause and, for fast ones, an untimed call.
Logits are random, all rows have full length. Memory is measured in fresh processes (on Linux), and
whole training steps with the loss and with TensorFlow's op, in turns.
"""

import argparse
import gc
import os
import platform
import re
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import keras
import numpy as np
import optax
import tensorflow as tf
import torch

import ctc_tutorial as ctc

HERE = Path(__file__).parent
SIZES = [
    (2, 291, 52, 28),
    (16, 291, 52, 28),
    (16, 800, 120, 28),
    (64, 400, 60, 28),
    (16, 400, 60, 1000),
    (8, 1500, 300, 128),
]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
SLOW = {"tf dense op": 2, "keras.losses.CTC": 2, "keras.losses.CTC, jitted": 2}  # rounds, at most
ACCURACY = (4, 700, 150, 28)
MEMORY = (8, 400, 60, 5000)
STEPS = {  # as in step.py: batch, frames, features, units, both ways, labels, classes; steps
    "main model": (2, 291, 13, 50, False, 52, 28, 40),
    "realistic model": (32, 400, 13, 128, True, 60, 29, 4),
}
IN_MEMORY = ["ours, in a jitted step", "ours, in a plain tf.function", "tf sparse op", "torch"]
GPU = """Everything here was measured on a CPU. On a GPU it is not known which is the faster: there
TensorFlow's and PyTorch's ops may use cuDNN's CTC. `CTCLossLayer(loss_fn=ctc.sparse_op_loss)` takes
TensorFlow's sparse op instead.
"""
PAUSE = 0.25  # seconds: as long as idle threads of the candidate before (OpenMP's) may still spin


def make_batch(batch, frames, width, classes, scale=1.0):
    """Logits [B, T, C] and labels [B, L]; the last class is the blank."""
    random = np.random.default_rng(0)
    logits = (scale * random.standard_normal((batch, frames, classes))).astype(np.float32)
    return logits, random.integers(0, classes - 1, (batch, width), dtype=np.int32)


def tf_candidate(loss_of, logits, jit):
    @tf.function(jit_compile=jit, autograph=False)
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = loss_of(x)
        return loss, tape.gradient(loss, x)

    x = tf.constant(logits)
    return lambda: [y.numpy() for y in step(x)]


def candidates(logits, labels):
    """Name -> function without arguments that returns losses [B] and gradients, in NumPy."""
    batch, frames, classes = logits.shape
    blank, width = classes - 1, labels.shape[1]
    logit_length, label_length = np.full(batch, frames, np.int32), np.full(batch, width, np.int32)
    t_labels, t_frames, t_width = map(tf.constant, (labels, logit_length, label_length))
    sparse = tf.sparse.from_dense(labels + 1)
    sparse = tf.sparse.map_values(lambda v: v - 1, sparse)
    options = {"logits_time_major": False, "blank_index": -1}

    def keras_loss(x):  # takes blank = 0 and pads labels with it
        return keras.losses.CTC(reduction=None)(t_labels + 1, tf.roll(x, 1, axis=-1))

    x_torch = torch.tensor(logits, requires_grad=True)
    torch_rest = [torch.tensor(v, dtype=torch.long) for v in (labels, logit_length, label_length)]

    def run_torch(threads):
        torch.set_num_threads(threads)
        x_torch.grad = None
        log_p = x_torch.log_softmax(-1).transpose(0, 1)
        loss = torch.nn.functional.ctc_loss(log_p, *torch_rest, blank=blank, reduction="none")
        loss.sum().backward()
        return loss.detach().numpy(), x_torch.grad.numpy()

    no_padding = np.zeros((batch, frames), np.float32), np.zeros((batch, width), np.float32)

    def optax_total(x):
        loss = optax.ctc_loss(x, no_padding[0], labels, no_padding[1], blank_id=blank)
        return loss.sum(), loss

    optax_step, x_jax = jax.jit(jax.grad(optax_total, has_aux=True)), jax.numpy.asarray(logits)

    def run_optax():
        gradient, loss = optax_step(x_jax)
        return np.asarray(loss), np.asarray(gradient)

    def ours(x):
        return ctc.ctc_loss(x, t_labels, t_frames, t_width)

    return {
        "torch": lambda: run_torch(CORES),
        "torch, 1 thread": lambda: run_torch(1),
        "ours, in a jitted step": tf_candidate(ours, logits, jit=True),
        "ours, in a plain tf.function": tf_candidate(ours, logits, jit=False),
        "tf sparse op": tf_candidate(
            lambda x: tf.nn.ctc_loss(sparse, x, None, t_frames, **options), logits, jit=False
        ),
        "optax": run_optax,
        "tf dense op": tf_candidate(
            lambda x: tf.nn.ctc_loss(t_labels, x, t_width, t_frames, **options), logits, jit=False
        ),
        "keras.losses.CTC": tf_candidate(keras_loss, logits, jit=False),
        "keras.losses.CTC, jitted": tf_candidate(keras_loss, logits, jit=True),
    }


def reference(logits, labels):
    """Losses and gradients in float64."""
    exact = [ctc.forward_backward(x, ids) for x, ids in zip(logits, labels, strict=True)]
    return np.array([e.loss for e in exact]), np.array([e.gradient for e in exact])


def speed_table(size, rounds):
    """Rows (name, median ms, quartiles ms, ratio to torch, first call s) of one size."""
    functions = candidates(*make_batch(*size))
    first, times = {}, {name: [] for name in functions}
    for name, function in functions.items():
        start = time.perf_counter()
        function()
        first[name] = time.perf_counter() - start
    for round_number in range(rounds):
        for name, function in functions.items():
            if round_number < SLOW.get(name, rounds):
                time.sleep(PAUSE)
                if name not in SLOW:
                    function()  # as within a training: caches warm, threads awake
                start = time.perf_counter()
                function()
                times[name].append(1000 * (time.perf_counter() - start))
    for name, taken in times.items():
        low, middle, high = np.percentile(taken, [25, 50, 75])
        # One thread can be the faster: others wait for each other, above all on a busy machine.
        torch_times = np.minimum(times["torch"], times["torch, 1 thread"])
        ratio = np.median(np.array(taken) / torch_times[: len(taken)])
        yield name, f"{middle:.2f}", f"{low:.2f}-{high:.2f}", f"{ratio:.2f}", f"{first[name]:.1f}"


def accuracy_table():
    """Rows (name, then 'loss / gradient' error for each scale)."""
    rows = {}
    for scale in (1, 30, 100):
        batch = make_batch(*ACCURACY, scale=scale)
        loss, gradient = reference(*batch)
        for name, function in candidates(*batch).items():
            found_loss, found = (np.asarray(x, np.float64) for x in function())
            worst = np.max(np.abs(found_loss - loss) / loss)
            error = np.linalg.norm(found - gradient) / np.linalg.norm(gradient)
            rows.setdefault(name, []).append(f"{worst:.0e} / {error:.0e}")
    return [(name, *cells) for name, cells in rows.items()]


def peak_memory(name):
    """MB that logits, loss and gradient of one candidate take at their peak."""

    def status(key):
        return int(re.search(rf"{key}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024

    candidates(*make_batch(*MEMORY[:3], 28))[name]()  # loads the libraries
    before = status("VmRSS")
    function = candidates(*make_batch(*MEMORY))[name]
    gc.collect()  # what the other candidates held
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    for _ in range(3):
        function()
    return status("VmHWM") - before


def memory_table():
    """Rows (name, MB), each from a process of its own."""
    for name in IN_MEMORY:
        command = [sys.executable, __file__, "--memory-of", name]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        yield name, f"{float(printed):.0f}"


def memory_section():
    batch, frames, _, classes = MEMORY
    return [
        "## Memory\n",
        "MB of logits, loss and gradient at their peak; logits and gradient alone are twice "
        f"{batch * frames * classes * 4 / 2**20:.0f} MB; each in a "
        "process of its own; batch {}, time {}, labels {}, classes {}.\n".format(*MEMORY),
        markdown(["", "MB"], memory_table()),
    ]


def fit_epoch(size, loss_fn):
    """A function that trains one epoch by `fit` and returns milliseconds per step."""
    batch, frames, features, units, bidirectional, width, classes, steps = size
    random = np.random.default_rng(0)
    x = random.standard_normal((batch, frames, features)).astype(np.float32)
    data = ctc.repeat_batch(ctc.pad_batch(x, random.integers(0, classes - 1, (batch, width))))
    model, _ = ctc.build_models(
        *(ctc.lstm_encoder, features, classes, ctc.CTCLossLayer(loss_fn=loss_fn)),
        **{"seed": 0, "units": units, "bidirectional": bidirectional},
    )
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=5.0))

    def epoch():
        start = time.perf_counter()
        model.fit(data, epochs=1, steps_per_epoch=steps, verbose=0)
        return 1000 * (time.perf_counter() - start) / steps

    epoch()
    return epoch


def step_table(rounds):
    """Rows (model, ms with ctc_loss, ms with the sparse op, median of the ratios)."""
    for name, size in STEPS.items():
        epochs = [fit_epoch(size, loss_fn) for loss_fn in (None, ctc.sparse_op_loss)]
        times = np.array([[epoch() for epoch in epochs] for _ in range(rounds)])
        ours, sparse = np.median(times, axis=0)
        ratio = np.median(times[:, 1] / times[:, 0])
        yield name, f"{ours:.2f}", f"{sparse:.2f}", f"{ratio:.2f}"


def step_section(rounds):
    table = markdown(["", "ctc_loss", "sparse op", "ratio"], step_table(rounds))
    return [
        "## Inside a whole training step\n",
        "Milliseconds per step of `fit` with the default loss and with "
        "`CTCLossLayer(loss_fn=ctc.sparse_op_loss)`, sparse labels, everything else alike (the "
        "fast LSTM, the error rate; the models of step.md), and the median of the ratios within a "
        f"round, {rounds} rounds. The rest of the step takes the same time either way, so the gain "
        "is smaller than alone.\n",
        table,
    ]


def markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def processor():
    info = Path("/proc/cpuinfo")
    names = [x for x in info.read_text().splitlines() if "model name" in x] if info.exists() else []
    return names[0].split(":")[1].strip() if names else platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--memory-of", choices=IN_MEMORY, help="prints the MB of one candidate")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(CORES)
    tf.config.threading.set_inter_op_parallelism_threads(CORES)

    if arguments.memory_of:
        print(peak_memory(arguments.memory_of))
        return
    versions = ", ".join(f"{m.__name__} {m.__version__}" for m in (tf, keras, torch, jax, optax))
    parts = [
        "# CTC loss: measured\n",
        f"{date.today()}, {processor()}, {CORES} cores, Python {platform.python_version()}, "
        f"{versions}. Load average at the start: {os.getloadavg()[0]:.1f}. "
        "Written by `make bench` (benchmarks/ctc_loss.py).\n",
        GPU,
        "## Loss and gradient, time\n",
        f"Median of {arguments.rounds} interleaved rounds (slow candidates: 2), the middle half of "
        "them, the median of the ratios to the faster run of torch in that round, and the first "
        "call, which traces and compiles.\n",
    ]
    for size in SIZES:
        print(size, flush=True)
        table = markdown(
            ["", "median, ms", "quartiles, ms", "ratio to torch", "first call, s"],
            speed_table(size, arguments.rounds),
        )
        parts += ["### batch {}, time {}, labels {}, classes {}\n".format(*size), table]
        print(table, flush=True)
    table = markdown(["", "logits x 1", "x 30", "x 100"], accuracy_table())
    print(table)
    parts += [
        "## Accuracy\n",
        "Against `lattice.forward_backward` in float64: the largest relative error of a loss / the "
        "relative error of the gradient in norm, at "
        "batch {}, time {}, labels {}, classes {}.\n".format(*ACCURACY),
        table,
        *memory_section(),
        *step_section(arguments.rounds),
        (HERE / "formulations.md").read_text(),
    ]
    arguments.output.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
