"""Trains an LSTM with CTC on several machines at once, from shards of records.

On each machine, with the same list and its own place in it:

    python scripts/train_many_workers.py --workers one:7777,two:7777 --task 0 \
        --records shards --checkpoints shared/run1 --classes 28 --rounds 20

Without --workers it trains in one process, to the same weights. `--records` holds what
`write_records` of ctc_tutorial/records.py wrote; `--checkpoints` is a folder that all machines
share. If a worker is lost the others stop with an error, within half a minute; start all of them
again with the same command, and they go on after the last round (here an epoch) completed.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

import ctc_tutorial as ctc


class SGD(ctc.SumThenClip, keras.optimizers.SGD):
    """Clips as on one device."""


def build_model(num_features: int, num_classes: int, units: int) -> keras.Model:
    """Dense labels with their lengths: `tf.distribute` can't share out sparse ones."""
    features = keras.Input((None, num_features), name="features")
    labels = keras.Input((None,), dtype="int32", name="labels")
    feature_length = keras.Input((), dtype="int32", name="feature_length")
    label_length = keras.Input((), dtype="int32", name="label_length")
    hidden = keras.layers.LSTM(units, return_sequences=True)(features)
    logits = keras.layers.Dense(num_classes)(hidden)
    passed_through = ctc.CTCLossLayer()(logits, labels, feature_length, label_length)
    inputs = [features, labels, feature_length, label_length]
    return keras.Model({i.name: i for i in inputs}, passed_through)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", help="host:port of all, separated by commas")
    parser.add_argument("--task", type=int, default=0, help="place of this one in the list, from 0")
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--classes", type=int, required=True, help="the blank included")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=16, help="over all workers")
    parser.add_argument("--units", type=int, default=50)
    arguments = parser.parse_args()

    strategy = tf.distribute.get_strategy()
    if arguments.workers:
        cluster = {"worker": arguments.workers.split(",")}
        task = {"type": "worker", "index": arguments.task}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        strategy = tf.distribute.MultiWorkerMirroredStrategy()  # waits for all the others

    shards = sorted(arguments.records.glob("*.tfrecord"))
    first, _ = next(ctc.read_records(shards)())
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = build_model(first.shape[1], arguments.classes, arguments.units)
        model.compile(SGD(0.05, momentum=0.9, global_clipnorm=5.0))

    def data_fn(number: int) -> tf.data.Dataset:
        stream_fn = ctc.read_records(shards, first_epoch=number)
        dataset = ctc.bucketed_stream(stream_fn, arguments.batch_size, first_epoch=number)
        return dataset.map(ctc.dense_labels)

    rounds = ctc.train_in_rounds(model, strategy, data_fn, arguments.rounds, arguments.checkpoints)
    for number, loss in rounds:
        print(f"round {number} of {arguments.rounds}: loss {loss:.4f}", flush=True)


if __name__ == "__main__":
    main()
