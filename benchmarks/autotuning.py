"""How late `fit` returns with tf.data's autotuning and without: why repeat_batch is not tuned.

    python benchmarks/autotuning.py [--runs 20]

A tiny model, 100 steps of 30 ms each; measured is the time from the last step to the end of fit.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import ctc_tutorial as ctc


class SlowSteps(keras.callbacks.Callback):
    """Makes each step last 30 ms, and notes when the last one ended."""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        time.sleep(0.03)
        self.ended = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    x, y = np.ones((2, 8), np.float32), np.ones((2, 1), np.float32)
    kinds = {
        "autotuned": lambda: tf.data.Dataset.from_tensors((x, y)).repeat(),
        "repeat_batch": lambda: ctc.repeat_batch((x, y)),
    }
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    late = {kind: [] for kind in kinds}
    for _ in range(parser.parse_args().runs):
        for kind, dataset in kinds.items():
            steps = SlowSteps()
            options = {"steps_per_epoch": 25, "epochs": 4, "verbose": 0}
            model.fit(dataset(), callbacks=[steps], **options)
            late[kind].append(time.perf_counter() - steps.ended)
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}")
    for kind, seconds in late.items():
        often = sum(s > 0.5 for s in seconds)
        print(f"{kind}: {often} of {len(seconds)} end late, at most {max(seconds):.2f} s")


if __name__ == "__main__":
    main()
