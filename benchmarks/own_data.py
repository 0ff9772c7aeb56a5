"""How much speech, which model, which learning rate: the numbers of own_data.md and notebook 10.

    CTC_TUTORIAL_DATA=folder python benchmarks/own_data.py minutes    # or: model, rate

People's voices (the Free Spoken Digit Dataset, `fsdd.zip` in that folder) in practice folders, as
notebook 10 makes them; characters as labels, greedy decoding. Two measures: new recordings of the
speakers that were learnt from, of takes that were not; and two speakers that were not heard at all.
"""

import argparse
import functools
import os
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

import ctc_tutorial as ctc

WORDS = "zero one two three four five six seven eight nine".split()
SPELLED = dict(zip("0123456789", WORDS, strict=True))
NEW = ("nicolas", "theo")  # speakers
BATCH_SIZE = 16
ENCODERS = {
    "audio_encoder": ctc.audio_encoder,
    "lstm_encoder, 2 x 50": functools.partial(ctc.lstm_encoder, units=50, bidirectional=True),
    "lstm_encoder, 2 x 100": functools.partial(ctc.lstm_encoder, units=100, bidirectional=True),
}
# What each table tries: recordings, encoder, learning rate, steps.
TABLES = {
    "minutes": [(count, "audio_encoder", 5e-3, 2000) for count in (60, 200, 600, 1800)],
    "model": [(600, name, 5e-3, 1000) for name in ENCODERS],
    "rate": [(600, "audio_encoder", rate, 1000) for rate in (1e-4, 1e-3, 5e-3, 2e-2, 1e-1)],
}


def recordings_of(voices, count, seed):
    with tempfile.TemporaryDirectory() as folder:
        table = ctc.make_practice_folder(folder, voices, count, seed)
        return ctc.load_recordings(table, SPELLED, frames_per_label=4)[0]


def train(recordings, alphabet, encoder, rate, steps, seed):
    """The trained predict_model, and seconds of CPU of its fit."""
    labels = [alphabet.encode(text) for text in recordings.texts]
    data = ctc.bucketed_dataset(recordings.features, labels, BATCH_SIZE, seed=seed)
    train_model, predict_model = ctc.build_models(
        ENCODERS[encoder], num_features=13, num_classes=alphabet.num_classes, seed=seed
    )
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    train_model.compile(keras.optimizers.Adam(schedule, global_clipnorm=5.0))
    start = time.process_time()
    train_model.fit(data.repeat(), epochs=1, steps_per_epoch=steps, verbose=0)
    return predict_model, time.process_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(2)
    voices, kind = ctc.load_voices()
    if kind != "people":
        parser.error("there is no fsdd.zip in the folder that CTC_TUTORIAL_DATA names")
    known = [name for name in voices if name not in NEW]
    learnt = {name: [takes[5:] for takes in voices[name]] for name in known}
    tests = {
        "known": recordings_of({n: [t[:5] for t in voices[n]] for n in known}, 200, 1),
        "new": recordings_of({name: voices[name] for name in NEW}, 200, 2),
    }
    alphabet = ctc.Alphabet("".join(sorted(set(" ".join(WORDS)))))
    columns = "minutes, encoder, weights, rate, steps, seed, known speakers, new speakers, CPU s"
    print(f"| {columns.replace(', ', ' | ')} |\n{'|---' * 9}|")
    for count, encoder, rate, steps in TABLES[arguments.table]:
        for seed in arguments.seeds:
            recordings = recordings_of(learnt, count, 100 + seed)
            minutes = sum(map(len, recordings.features)) / 6000
            predict_model, seconds = train(recordings, alphabet, encoder, rate, steps, seed)
            rates = []
            for test in tests.values():
                outputs = predict_model.predict(ctc.pad_batch(test.features), verbose=0)
                texts = [alphabet.decode(ids) for ids in ctc.greedy_decode(**outputs)]
                characters = ctc.label_error_rate(test.texts, texts)
                words = ctc.word_error_rate(test.texts, texts)
                rates.append(f"{words:.1%} ({characters:.1%})")
            print(
                f"| {minutes:.0f} | {encoder} | {predict_model.count_params():,} | {rate:g} | "
                f"{steps} | {seed} | {' | '.join(rates)} | {seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
