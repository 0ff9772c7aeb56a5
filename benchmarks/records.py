"""Utterances per second and memory of sharded TFRecords, and what follows for 10,000 hours.

    python benchmarks/records.py    # writes benchmarks/records.md; about 1 GB in a temporary folder

Features are noise, 80 a frame as float16, 100 frames a second; lengths are log-normal with median
12 s, 2 to 30 s; 5 to 15 labels a second. Every measurement has a process of its own; the largest
reads the same files several times. The files were just written, so they come from the page cache:
what a disk or a network adds is not in here.
"""

import itertools
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np

WRITTEN, COUNTS = 4_000, (2_000, 8_000, 32_000)
PER_SHARD, BATCH_SIZE, NUM_CLASSES = 250, 32, 32
HOURS, WAYS = 10_000, ("read", "read, bucket, pad")
RESULT = Path(__file__).with_suffix(".md")


def utterances(count):
    rng = np.random.default_rng(0)
    block = rng.standard_normal((20_000, 80)).astype(np.float16)
    for _ in range(count):
        frames = int(100 * np.clip(12 * rng.lognormal(0, 0.5), 2, 30))
        start = rng.integers(0, len(block) - frames)
        labels = rng.integers(0, NUM_CLASSES - 1, int(frames / 100 * rng.uniform(5, 15)))
        yield block[start : start + frames], labels


def memory():
    """Peak resident memory in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def measure(way, folder, count):
    """Prints seconds, seconds of CPU, MB of memory, frames, and frames with padding of one pass."""
    from ctc_tutorial.bucketing import bucketed_stream
    from ctc_tutorial.records import read_records

    paths = sorted(Path(folder).iterdir()) * -(-count // WRITTEN)
    paths = paths[: count // PER_SHARD]
    list(itertools.islice(read_records(paths)(), 10))  # starts TensorFlow
    stream_fn, frames, padded = read_records(paths), 0, 0
    start, cpu = time.perf_counter(), time.process_time()
    if way == "read":
        frames = padded = sum(len(features) for features, _ in stream_fn())
    else:
        for batch in bucketed_stream(stream_fn, BATCH_SIZE):
            lengths = batch["feature_length"].numpy()
            frames, padded = frames + lengths.sum(), padded + lengths.max() * len(lengths)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(seconds, cpu, memory(), frames, padded)


def write(folder):
    """Writes all, prints seconds and bytes."""
    from ctc_tutorial.records import write_records

    start = time.perf_counter()
    paths = write_records(utterances(WRITTEN), folder, PER_SHARD)
    print(time.perf_counter() - start, sum(path.stat().st_size for path in paths))


def run(*arguments):
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [float(number) for number in done.stdout.split()]


def report(written, measured, rounds):
    """The text of records.md."""
    import tensorflow as tf

    seconds, size = written
    lines = [
        "# Sharded TFRecords: measured",
        "",
        f"`python benchmarks/records.py` on {os.cpu_count()} cores ({platform.machine()}, "
        f"{platform.system()}), TensorFlow {tf.__version__}; medians of {rounds} rounds, slowest "
        "and fastest in brackets. Files from the page cache.",
        "",
        f"{WRITTEN:,} utterances, 80 float16 features a frame, {size / 1e6:,.0f} MB in "
        f"{WRITTEN // PER_SHARD} shards; written at {WRITTEN / seconds:,.0f} utterances "
        f"({size / seconds / 1e6:,.0f} MB) a second.",
        "",
        "| what | utterances | per second | CPU µs each | padding | peak memory, MB |",
        "|---|---|---|---|---|---|",
    ]
    for (way, count), runs in measured.items():
        taken, cpu, peak, frames, padded = np.median(runs, axis=0)
        slow, fast = count / np.max(runs, axis=0)[0], count / np.min(runs, axis=0)[0]
        padding = f"{1 - frames / padded:.1%}" if way != "read" else ""
        lines.append(
            f"| {way} | {count:,} | {count / taken:,.0f} ({slow:,.0f} to {fast:,.0f}) | "
            f"{1e6 * cpu / count:.0f} | {padding} | {peak:,.0f} |"
        )
    return "\n".join([*lines, "", *arithmetic(size / WRITTEN, measured)]) + "\n"


def arithmetic(size, measured):
    most = max(COUNTS)
    _, _, _, frames, padded = np.median(measured[WAYS[1], most], axis=0)
    rates = [most / np.median(measured[way, most], axis=0)[0] for way in WAYS]
    each = frames / most / 100  # seconds of speech
    count = HOURS * 3600 / each
    shards = np.ceil(count * size / 2e8)
    held = 1024 + 2 * 64 * BATCH_SIZE
    hours = [count / rate / 3600 for rate in rates]
    return [
        f"## From there to {HOURS:,} hours",
        "",
        f"- An utterance is {each:.1f} s and {size / 1e3:,.0f} kB here, so {HOURS:,} hours are "
        f"{count / 1e6:.2f} million utterances and {count * size / 1e12:.2f} TB; twice that in "
        "float32.",
        f"- In shards of 200 MB ({2e8 / size:,.0f} utterances): {shards:,.0f} files. Each of 8 "
        f"workers takes its {shards / 8:,.0f}, `paths[worker::8]`.",
        f"- One process reads that in {hours[0]:.1f} hours, and with buckets and padding in "
        f"{hours[1]:.1f}: {HOURS / hours[1]:,.0f} times faster than speech. 8 workers, each with "
        f"its own shards, need {hours[1] / 8 * 60:.0f} minutes for an epoch, if their disks give "
        f"{rates[1] * size / 1e6:,.0f} MB a second each.",
        f"- Padding stays at {1 - frames / padded:.1%} of the frames whatever the amount of data: "
        "it depends on the lengths within a window of 64 batches.",
        f"- Shuffling holds 1,024 utterances in the buffer and {64 * BATCH_SIZE:,} in the window, "
        f"of which there are two while the next one fills: {held * size / 1e6:,.0f} MB in float16, "
        "whatever the amount of data. The order of the files is new in every epoch and 16 of them "
        "are mixed at a time; neighbours within a file stay near each other. To separate those, "
        "too, write the utterances in random order once.",
    ]


def main():
    rounds = 3
    with tempfile.TemporaryDirectory() as folder:
        written = run("write", folder)
        cases = [(way, count) for way in WAYS for count in COUNTS]
        measured = {case: [] for case in cases}
        for way, count in cases * rounds:
            measured[way, count].append(run(way, folder, count))
    text = report(written, measured, rounds)
    RESULT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "write":
        write(sys.argv[2])
    else:
        measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))
