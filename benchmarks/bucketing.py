"""`bucketed_dataset` beside tf.data's own bucketing and plain batches; writes bucketing.md.

    python benchmarks/bucketing.py [--passes 5]

The strings of notebook 08 (3,008 pictures of 20 to 97 columns), batches of 32: how much of a pass
is padding, how many shapes the batches have, and what a pass costs. tf.data's buckets have bounds
that someone must choose; here they are quantiles of the lengths, the best that one can do. Time is
that of the processor, all threads; a pass is measured after one that is not.
"""

import argparse
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import ctc_tutorial as ctc

COUNT, BATCH_SIZE, BUCKETS = 3008, 32, 8


def tf_dataset(features, labels, bucketed):
    """What tf.data's guide suggests: a generator, a shuffle, and buckets or padded batches."""

    def utterances():
        for columns, ids in zip(features, labels, strict=True):
            yield {"features": columns, "feature_length": len(columns), "labels": ids}

    signature = {
        "features": tf.TensorSpec((None, 12), tf.float32),
        "feature_length": tf.TensorSpec((), tf.int32),
        "labels": tf.TensorSpec((None,), tf.int32),
    }
    data = tf.data.Dataset.from_generator(utterances, output_signature=signature)
    data = data.shuffle(len(features), seed=0)
    if not bucketed:
        return data.padded_batch(BATCH_SIZE)
    bounds = np.quantile([len(f) for f in features], np.arange(1, BUCKETS) / BUCKETS)
    bounds = np.unique(bounds.astype(int) + 1).tolist()
    sizes = [BATCH_SIZE] * (len(bounds) + 1)
    return data.bucket_by_sequence_length(lambda item: item["feature_length"], bounds, sizes)


def measure(data, passes):
    """Padding share, number of shapes, batches that are not full, ms of processor per pass."""
    for repeat in range(passes + 1):
        if repeat == 1:
            start = time.process_time()
        lengths = [(b["feature_length"].numpy(), b["features"].shape) for b in data]
    cost = 1000 * (time.process_time() - start) / passes
    real = sum(int(n.sum()) for n, _ in lengths)
    computed = sum(shape[0] * shape[1] for _, shape in lengths)
    short = sum(shape[0] < BATCH_SIZE for _, shape in lengths)
    return f"{1 - real / computed:.1%} | {len({s for _, s in lengths})} | {short} | {cost:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passes", type=int, default=5)
    passes = parser.parse_args().passes
    features, labels = ctc.make_digit_strings(COUNT, "train", seed=1, augment=True)
    rows = {
        "`padded_batch`, shuffled": tf_dataset(features, labels, bucketed=False),
        "`bucket_by_sequence_length`": tf_dataset(features, labels, bucketed=True),
        "`ctc.bucketed_dataset`": ctc.bucketed_dataset(features, labels, BATCH_SIZE),
    }
    text = (
        "# Bucketing\n\nBy `benchmarks/bucketing.py`: one pass over "
        f"{COUNT:,} digit strings of {min(map(len, features))} to {max(map(len, features))} "
        f"columns in batches of {BATCH_SIZE}.\n{platform.machine()}, {platform.system()}, "
        f"{os.cpu_count()} cores; TensorFlow {tf.__version__}.\n\n"
        "| | padding | shapes | batches that are not full | ms of processor per pass |\n"
        "|---|---|---|---|---|\n"
    )
    for name, data in rows.items():
        text += f"| {name} | {measure(data, passes)} |\n"
    Path(__file__).with_name("bucketing.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
