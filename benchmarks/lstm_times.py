"""Where does the lesson's LSTM put the letters? Twenty seeds; writes lstm_times.md.

    python benchmarks/lstm_times.py [--seeds 20]

The training is that of notebook 07 (400 updates on the bundled recording and a part of it), the
question: which share of the letters lies in the word that they belong to, give or take 0.05 s.
"""

import argparse
import os
import platform
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import tensorflow as tf

import ctc_tutorial as ctc

STEPS = 400
FRAME_SECONDS, FRAME_MIDDLE = 0.01, 0.0125  # of mfcc_features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    whole, part = ctc.make_lesson_pair(ctc.load_sentence())
    alphabet, words = ctc.Alphabet(), ctc.load_word_times()
    features = [ctc.mfcc_features(u.waveform, u.sample_rate) for u in (whole, part)]
    labels = [alphabet.encode(u.text) for u in (whole, part)]
    repeated = ctc.repeat_batch(ctc.pad_batch(features, labels))

    shares, rates = [], []
    for seed in range(seeds):
        train_model, predict_model = ctc.build_models(ctc.lstm_encoder, 13, 28, seed=seed)
        train_model.compile(ctc.lesson_optimizer(STEPS), steps_per_execution=STEPS)
        train_model.fit(repeated, steps_per_epoch=STEPS, verbose=0)
        outputs = predict_model.predict(ctc.pad_batch(features), verbose=0)
        rates.append(ctc.label_error_rate(labels, ctc.greedy_decode(**outputs)))
        logits = outputs["logits"][0]
        spans = ctc.forced_align(logits, labels[0]).spans
        seconds = ctc.middle_frames(logits, spans) * FRAME_SECONDS + FRAME_MIDDLE
        shares.append(ctc.share_in_words(whole.text, seconds, words))
        print(f"seed {seed}: {shares[-1]:.2f}, label error rate {rates[-1]:.3f}", flush=True)

    letters = len(whole.text)
    evenly = (np.arange(letters) + 0.5) / letters * len(whole.waveform) / whole.sample_rate
    line = ctc.share_in_words(whole.text, evenly, words)
    text = (
        "# Where the lesson's LSTM puts the letters\n\nBy `benchmarks/lstm_times.py`, the seeds 0 "
        f"to {seeds - 1}: the share of letters that lie inside their word, give or take 0.05 s.\n"
        f"{platform.machine()}, {platform.system()}; TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__}. Another machine rounds otherwise, and gets other ones.\n\n"
        "| | |\n|---|---|\n"
        f"| lowest, median, highest | {min(shares):.2f}, {np.median(shares):.2f}, "
        f"{max(shares):.2f} |\n| spread evenly, without listening | {line:.2f} |\n"
        f"| seeds above that | {sum(share > line for share in shares)} of {seeds} |\n"
        f"| both utterances read without a mistake | {rates.count(0.0)} of {seeds} |\n"
        f"| seed 0, as in the notebook | {shares[0]:.2f} |\n"
    )
    Path(__file__).with_name("lstm_times.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
