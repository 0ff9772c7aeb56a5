"""Padding, time per utterance and memory of `bucketed_dataset` and `bucketed_stream`, three sizes.

    python benchmarks/bucketed_dataset.py            # each size in a process of its own

Utterances are views into one block of noise, so that memory shows what the pipeline adds: 13
features, lengths log-normal with median 150 frames, 20 to 800, 1 to 20 labels, batches of 16.
"""

import os
import resource
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import ctc_tutorial as ctc

SIZES = (1_000, 10_000, 100_000)
BATCH_SIZE, NUM_CLASSES = 16, 28


def utterances(count):
    """(features [T_i, 13], ids [L_i]) one after the other."""
    rng = np.random.default_rng(0)
    block = rng.standard_normal((20_000, 13)).astype(np.float32)
    for _ in range(count):
        frames = int(np.clip(150 * rng.lognormal(0, 0.5), 20, 800))
        start = rng.integers(0, len(block) - frames)
        ids = rng.integers(0, NUM_CLASSES - 1, rng.integers(1, min(20, frames // 2)))
        yield block[start : start + frames], ids


def measure(source, count):
    """One line of the table, for one pass over the dataset."""

    def make(size):
        if source == "stream":
            return ctc.bucketed_stream(lambda: utterances(size), BATCH_SIZE)
        return ctc.bucketed_dataset(*zip(*utterances(size), strict=True), BATCH_SIZE)

    for _ in make(1100):  # starts TensorFlow and fills one window
        pass
    resident, frames, padded = memory(), 0, 0
    start, cpu = time.perf_counter(), time.process_time()
    dataset = make(count)
    for batch in dataset:
        lengths = batch["feature_length"].numpy()
        frames, padded = frames + lengths.sum(), padded + lengths.max() * len(lengths)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(
        f"| {source} | {count:,} | {1 - frames / padded:.1%} | {1e6 * seconds / count:.0f} | "
        f"{1e6 * cpu / count:.0f} | {memory() - resident:.0f} |",
        flush=True,
    )


def memory():
    """Peak resident memory in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main():
    print("| source | utterances | padding | µs per utterance | µs of CPU | more memory, MB |")
    print("|---|---|---|---|---|---|", flush=True)
    for source in ("arrays", "stream"):
        for count in SIZES:
            subprocess.run([sys.executable, __file__, source, str(count)], check=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(sys.argv[1], int(sys.argv[2]))
    else:
        main()
