"""Train on what is to be learnt, report once on what was never seen: the numbers of unseen.md.

    python benchmarks/unseen.py digits            # three seeds, test split
    python benchmarks/unseen.py speech --dev      # on the development split, for tuning

The recipes were tuned on images 0-1399 and on the 24 training voices alone.
"""

import argparse
import os
import resource
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from ctc_tutorial.batches import bucketed_dataset
from ctc_tutorial.decoding import beam_search_decode, greedy_decode, label_error_rate
from ctc_tutorial.digit_strings import digit_strings
from ctc_tutorial.encoders import audio_encoder, build_encoder_models, image_encoder
from ctc_tutorial.layers import CTCLossLayer
from ctc_tutorial.speech import mfcc_features
from ctc_tutorial.spoken_numbers import SAMPLE_RATE, WORDS, spoken_numbers


def digits(count, split, seed, augment=False):
    images, labels = digit_strings(count, split, seed, augment=augment)
    return [image.T for image in images], labels  # columns are the frames


def speech(count, split, seed, augment=False):
    recordings, texts, _ = spoken_numbers(count, split, seed, augment=augment)
    features = [mfcc_features(samples, SAMPLE_RATE) for samples in recordings]
    features = [(f - f.mean(axis=0)) / f.std(axis=0) for f in features]  # per coefficient
    return features, [np.array([WORDS.index(word) for word in text.split()]) for text in texts]


# compose, encoder, features per frame, stride, strings to train on, epochs, batch size
# and what is taken off the blank's logit for the beam search: words are missed, digits are not.
TASKS = {
    "digits": (digits, image_encoder, 12, 2, 24_000, 2, 32, 0.0),
    "speech": (speech, audio_encoder, 13, 4, 2_000, 8, 16, 1.5),
}
NUM_CLASSES = 11


def train(task, split, seed):
    """The trained model, seconds of composing and of fit, CPU seconds of fit."""
    compose, encoder, num_features, stride, count, epochs, batch_size, _ = TASKS[task]
    start = time.perf_counter()
    features, labels = compose(count, split, 100 + seed, augment=True)
    composed = time.perf_counter() - start
    dataset = bucketed_dataset(
        features, labels, batch_size, NUM_CLASSES, seed=seed, logit_length=lambda n: n // stride
    )
    model, reader = build_encoder_models(
        encoder, num_features, NUM_CLASSES, CTCLossLayer(), seed=seed
    )
    steps = epochs * int(dataset.cardinality())
    rate = keras.optimizers.schedules.CosineDecay(5e-3, steps)
    model.compile(optimizer=keras.optimizers.Adam(rate))
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    model.fit(dataset, epochs=epochs, shuffle=False, verbose=0)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return reader, composed, wall, cpu


def read(reader, features, labels, stride, penalty):
    """Truths and readings of every string, greedy and by beam search."""
    dataset = bucketed_dataset(
        features, labels, 64, NUM_CLASSES, logit_length=lambda n: n // stride
    )
    truths, greedy, beam = [], [], []
    for (batch,) in dataset:
        out = reader.predict_on_batch({k: batch[k] for k in ("features", "feature_length")})
        logits, lengths = out["logits"], out["logit_length"]
        greedy += greedy_decode(logits, lengths)
        logits = logits - penalty * np.eye(NUM_CLASSES)[-1]
        beam += [best.ids for (best,) in beam_search_decode(logits, lengths, beam_width=8)]
        truths += tf.RaggedTensor.from_sparse(batch["labels"]).to_list()
    return truths, greedy, beam


def error_rates(truths, readings):
    """Label error rate, and share of strings with any mistake."""
    wrong = [list(r) != t for t, r in zip(truths, readings, strict=True)]
    return label_error_rate(truths, readings), np.mean(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--dev", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(2)
    compose, _, _, stride, *_, penalty = TASKS[arguments.task]
    learn, judge = ("train", "dev") if arguments.dev else ("final", "test")
    unseen = compose(2000 if arguments.task == "digits" else 1000, judge, 1)
    rates = []
    for seed in arguments.seeds:
        reader, composed, wall, cpu = train(arguments.task, learn, seed)
        truths, *readings = read(reader, *unseen, stride, penalty)
        rates.append([error_rates(truths, r) for r in readings])
        print(
            f"{arguments.task} {judge}, seed {seed}: {shown(rates[-1])}; composed in "
            f"{composed:.0f} s, fit in {wall:.0f} s ({cpu:.0f} s of CPU; load "
            f"{os.getloadavg()[0]:.0f})",
            flush=True,
        )
    print(f"median: {shown(np.median(rates, axis=0))}")


def shown(rates):
    return "; ".join(
        f"{name} label error rate {label:.2%}, string error rate {string:.2%}"
        for name, (label, string) in zip(("greedy", "beam search"), rates, strict=True)
    )


if __name__ == "__main__":
    main()
