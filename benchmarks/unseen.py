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

import ctc_tutorial as ctc
from ctc_tutorial.data.spoken_numbers import SAMPLE_RATE, WORDS


def make_speech(count, split, seed, augment=False):
    waveforms, texts, _ = ctc.make_spoken_numbers(count, split, seed, augment=augment)
    features = [ctc.mfcc_features(waveform, SAMPLE_RATE) for waveform in waveforms]
    return features, [np.array([WORDS.index(word) for word in text.split()]) for text in texts]


# make_fn, encoder_fn, features per frame, strings to train on, epochs, batch size and what is
# taken off the blank's logit for the beam search: words are deleted, digits are not.
TASKS = {
    "digits": (ctc.make_digit_strings, ctc.image_encoder, 12, 24_000, 2, 32, 0.0),
    "speech": (make_speech, ctc.audio_encoder, 13, 2_000, 8, 16, 1.5),
}
NUM_CLASSES = 11


def train(task, split, seed):
    """The trained predict_model, seconds of composing and of fit, CPU seconds of fit."""
    make_fn, encoder_fn, num_features, count, epochs, batch_size, _ = TASKS[task]
    start = time.perf_counter()
    features, labels = make_fn(count, split, 100 + seed, augment=True)
    composed = time.perf_counter() - start
    dataset = ctc.bucketed_dataset(features, labels, batch_size, seed=seed)
    train_model, predict_model = ctc.build_models(encoder_fn, num_features, NUM_CLASSES, seed=seed)
    steps = epochs * int(dataset.cardinality())
    rate = keras.optimizers.schedules.CosineDecay(5e-3, steps)
    train_model.compile(optimizer=keras.optimizers.Adam(rate))
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    train_model.fit(dataset, epochs=epochs, verbose=0)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return predict_model, composed, wall, cpu


def predict(predict_model, features, penalty):
    """The ids of every string, greedy and by beam search."""
    outputs = predict_model.predict(ctc.pad_batch(features), verbose=0)
    greedy = ctc.greedy_decode(**outputs)
    outputs["logits"] -= penalty * np.eye(NUM_CLASSES)[-1]
    beam = [best.ids for (best,) in ctc.beam_search_decode(**outputs, beam_width=8)]
    return greedy, beam


def error_rates(references, predictions):
    """Label error rate, and share of strings with any mistake."""
    wrong = [list(r) != list(p) for r, p in zip(references, predictions, strict=True)]
    return ctc.label_error_rate(references, predictions), np.mean(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--dev", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(2)
    make_fn, *_, penalty = TASKS[arguments.task]
    learn, judge = ("train", "dev") if arguments.dev else ("final", "test")
    features, references = make_fn(2000 if arguments.task == "digits" else 1000, judge, 1)
    rates = []
    for seed in arguments.seeds:
        predict_model, composed, wall, cpu = train(arguments.task, learn, seed)
        both = predict(predict_model, features, penalty)
        rates.append([error_rates(references, predictions) for predictions in both])
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
