"""Number words of people who trained, and of people whom training never heard; writes people.md.

    python benchmarks/people.py                        # every row that is missing: about two hours
    python benchmarks/people.py --only known folds     # the rows of some tables
    python benchmarks/people.py --only folds --seeds 0 # with these seeds alone
    python benchmarks/people.py --table                # only writes the tables anew

Each row is appended to people.jsonl as soon as it is measured, and is not measured again as long
as it stands there. The recipe is RECIPE below; how it was found is said in people.md.
"""

import argparse
import json
import os
import platform
import resource
import time
from datetime import date
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads spin between small products

import keras
import numpy as np
import tensorflow as tf

import ctc_tutorial as ctc
from ctc_tutorial.data.people import SPEAKERS
from ctc_tutorial.data.spoken_numbers import SAMPLE_RATE, WORDS

ROWS, RESULTS = (Path(__file__).with_name(f"people.{end}") for end in ("jsonl", "md"))
LETTERS = ctc.Alphabet(" efghinorstuvwxz")
RECIPE = {
    "strings": 6000,  # of people
    "synthetic": 3000,  # of the 24 synthetic voices of the split "final", in addition
    "epochs": 8,
    "batch_size": 32,
    "rate": 5e-3,  # Adam, falling to 0 along a cosine
    "speed": True,  # a speed of its own for every word, 0.75 to 1.25
    "stretch": 0.2,  # every utterance up to this much longer or shorter, at the same pitch
    "spec_augment": {"frequency_masks": 1, "frequency_width": 4, "time_masks": 2, "time_width": 15},
    "penalty": 1.5,  # nats off the blank's logit before the beam search
}
# What the table of augmentations leaves out of the recipe, one at a time.
WITHOUT = {
    "SpecAugment": {"spec_augment": None},
    "a speed for each word": {"speed": False},
    "stretching": {"stretch": 0.0},
    "synthetic voices": {"synthetic": 0, "strings": 9000},
    "all four": {"spec_augment": None, "speed": False, "stretch": 0.0, "synthetic": 0}
    | {"strings": 9000},
}


def features_of(waveforms, stretch=0.0, seed=0):
    """MFCC, each utterance up to `stretch` longer or shorter."""
    rng = np.random.default_rng(seed)
    features = [ctc.mfcc_features(waveform, SAMPLE_RATE) for waveform in waveforms]
    if stretch:
        factors = rng.uniform(1 - stretch, 1 + stretch, len(features))
        features = [ctc.stretch_time(f, x) for f, x in zip(features, factors, strict=True)]
    return features


def encode(texts, labels):
    """Class ids of the texts, and how many classes there are with the blank."""
    if labels == "letters":
        return [LETTERS.encode(text) for text in texts], LETTERS.num_classes
    ids = [np.array([WORDS.index(word) for word in text.split()], np.int32) for text in texts]
    return ids, len(WORDS) + 1


def decode(predictions, labels):
    if labels == "letters":
        return [LETTERS.decode(ids) for ids in predictions]
    return [" ".join(WORDS[i] for i in ids) for ids in predictions]


def training_set(recipe, held_out, seed):
    """Features and texts."""
    arguments = {"augment": recipe["speed"]}
    waveforms, texts, _ = ctc.make_people_numbers(
        recipe["strings"], "train", 100 + seed, held_out, **arguments
    )
    if recipe["synthetic"]:
        more = ctc.make_spoken_numbers(recipe["synthetic"], "final", 200 + seed, **arguments)
        waveforms, texts = waveforms + more[0], texts + more[1]
    return features_of(waveforms, recipe["stretch"], 300 + seed), texts


def encoder_of(recipe):
    def encoder_fn(features, lengths, seed=None):
        if recipe["spec_augment"]:
            features = ctc.SpecAugment(**recipe["spec_augment"], seed=seed)(features, lengths)
        return ctc.audio_encoder(features, lengths, seed=seed)

    return encoder_fn


def trained(recipe, encoder_fn, features, texts, labels, seed, loss_layer=None):
    """The predict model, and seconds and CPU seconds of `fit`."""
    ids, num_classes = encode(texts, labels)
    dataset = ctc.bucketed_dataset(features, ids, recipe["batch_size"], seed=seed)
    train_model, predict_model = ctc.build_models(
        encoder_fn, features[0].shape[1], num_classes, loss_layer, seed=seed
    )
    steps = recipe["epochs"] * int(dataset.cardinality())
    rate = keras.optimizers.schedules.CosineDecay(recipe["rate"], steps)
    train_model.compile(keras.optimizers.Adam(rate))
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    train_model.fit(dataset, epochs=recipe["epochs"], verbose=0)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return predict_model, {"fit_s": round(wall, 1), "fit_cpu_s": round(cpu, 1)}


def judged(predict_model, features, texts, labels, penalty):
    """Word error rates by both decoders, of letters their rate too, and the kinds of mistakes."""
    outputs = predict_model.predict(ctc.pad_batch(features), verbose=0)
    greedy = ctc.greedy_decode(**outputs)
    outputs["logits"][..., -1] -= penalty
    beam = [best.ids for (best,) in ctc.beam_search_decode(**outputs, beam_width=8)]
    row = {}
    for name, predictions in (("greedy", greedy), ("beam", beam)):
        read = decode(predictions, labels)
        row[f"{name}_wer"] = ctc.word_error_rate(texts, read)
        row[f"{name}_ler"] = ctc.label_error_rate(encode(texts, labels)[0], predictions)
        pairs = [
            pair
            for text, found in zip(texts, read, strict=True)
            for pair in ctc.edit_path(text.split(), found.split())
        ]
        row[f"{name}_kinds"] = [
            sum(b is None for _, b in pairs),
            sum(a is None for a, _ in pairs),
            sum(a != b and None not in (a, b) for a, b in pairs),
        ]
    return row


def measure(part, held_out=None, labels="words", seed=0, without="", reduction=0):
    """One row."""
    recipe = RECIPE | WITHOUT.get(without, {})
    start, encoder_fn, loss_layer = time.perf_counter(), encoder_of(recipe), None
    if reduction:  # a cheaper training, on synthetic voices alone
        recipe = recipe | {"strings": 2000, "epochs": 8, "batch_size": 16}
        waveforms, texts, _ = ctc.make_spoken_numbers(2000, "train", 100 + seed, augment=True)
        features, encoder_fn = features_of(waveforms), reducing_encoder(reduction)
        tests = ctc.make_spoken_numbers(500, "dev", 1)
        loss_layer = ctc.CTCLossLayer(infeasible="skip")
    else:
        features, texts = training_set(recipe, held_out, seed)
        tests = ctc.make_people_numbers(1000, "test", 1, held_out)
    row = {"part": part, "held_out": held_out, "labels": labels, "seed": seed}
    row |= {"without": without, "reduction": reduction}
    row["make_s"] = round(time.perf_counter() - start, 1)
    if reduction:
        ids, num_classes = encode(texts, labels)
        lengths = [len(f) // reduction for f in features]
        reasons = map(ctc.infeasible_reason, ids, lengths, [num_classes] * len(ids))
        row["infeasible"] = float(np.mean([reason is not None for reason in reasons]))
    model, seconds = trained(recipe, encoder_fn, features, texts, labels, seed, loss_layer)
    row |= seconds | {"load": round(os.getloadavg()[0], 1), "day": date.today().isoformat()}
    return row | judged(model, features_of(tests[0]), tests[1], labels, recipe["penalty"])


def reducing_encoder(reduction):
    """Four convolutions as in `audio_encoder`, as many of them pooled as the reduction asks."""

    def encoder_fn(features, lengths, seed=None):
        rng, x = np.random.default_rng(seed), features
        for layer, kernel in enumerate((5, 5, 7, 7)):
            x = zeroed(x, lengths)
            start = keras.initializers.GlorotUniform(int(rng.integers(2**31)))
            x = keras.layers.Conv1D(
                64, kernel, padding="same", use_bias=False, kernel_initializer=start
            )(x)
            if 2**layer < reduction:
                x, lengths = keras.layers.MaxPooling1D(2)(x), lengths // 2
            valid = ctc.length_mask(x, lengths)
            x = keras.layers.BatchNormalization(momentum=0.9)(x, mask=valid)
            x = keras.layers.Dropout(0.2, seed=int(rng.integers(2**31)))(keras.layers.ReLU()(x))
        return zeroed(x, lengths), lengths

    return encoder_fn


def zeroed(x, lengths):
    return x * keras.ops.cast(ctc.length_mask(x, lengths), x.dtype)[:, :, None]


# Of each table, the arguments of `measure` for its rows.
def rows_of(part, seeds):
    if part == "known":
        return [{"labels": kind, "seed": s} for s in seeds for kind in ("words", "letters")]
    if part == "folds":
        return [{"held_out": name, "seed": s} for s in seeds for name in SPEAKERS]
    if part == "letters":
        return [{"held_out": name, "labels": "letters", "seed": s} for s in seeds for name in SPEAKERS]
    if part == "without":
        return [
            {"held_out": name, "without": without, "seed": s}
            for s in seeds
            for name in ("george", "nicolas", "theo")
            for without in WITHOUT
        ]
    return [
        {"labels": kind, "reduction": r, "seed": s}
        for s in seeds
        for r in (1, 2, 4, 8, 16)
        for kind in ("words", "letters")
    ]


PARTS = {"known": 3, "folds": 3, "letters": 1, "without": 3, "reduction": 1}  # and their seeds
KEYS = {"held_out": None, "labels": "words", "seed": 0, "without": "", "reduction": 0}


def kept():
    lines = ROWS.read_text(encoding="utf-8").splitlines() if ROWS.exists() else []
    return [json.loads(line) for line in lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--held-out", nargs="+", choices=SPEAKERS)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(2)
    for part in [] if options.table else options.only:
        seeds = range(PARTS[part]) if options.seeds is None else options.seeds
        for asked in rows_of(part, seeds):
            wanted = {"part": part} | KEYS | asked
            if options.held_out and wanted["held_out"] not in options.held_out:
                continue
            if any(wanted.items() <= row.items() for row in kept()):
                continue
            row = measure(part, **asked)
            with ROWS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    RESULTS.write_text(report(kept()), encoding="utf-8")
