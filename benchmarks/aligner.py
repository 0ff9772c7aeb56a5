"""How sure the aligner is: does it read, and point, whatever the rounding?

    python benchmarks/aligner.py [--runs 10]

Writes benchmarks/aligner.md. The aligner has no seed, but another machine rounds differently. Two
things stand for that: noise of a relative 1e-6 on the features and, anew in each update, on the
logits (the first of the runs has none); and settings that make TensorFlow compute otherwise.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import tensorflow as tf

import ctc_tutorial as ctc

NOISE = 1e-6
RECORDINGS = {"bundled": ctc.load_sentence, "ldc93s1": ctc.fetch_ldc93s1}
SETTINGS = {
    "as `make run`": {},
    "oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "1"},
    "XLA held to SSE4.2": {"XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2"},
    "one thread": {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"},
}
RESULTS = Path(__file__).with_name("aligner.md")


def disturbed_loss(rng: np.random.Generator, noise: float, steps: list):
    """The CTC loss of disturbed logits; each call adds its logits and mean loss to `steps`."""

    def disturb(logits):
        return (logits * (1 + noise * rng.standard_normal(logits.shape))).astype(np.float32)

    def loss_fn(logits, *target):
        factor = tf.numpy_function(disturb, [tf.stop_gradient(logits)], tf.float32)
        logits = logits + tf.ensure_shape(factor, logits.shape) - tf.stop_gradient(logits)
        loss = ctc.ctc_loss(logits, *target)
        tf.numpy_function(lambda *step: steps.append(step), [logits, tf.reduce_mean(loss)], [])
        return loss

    return loss_fn


def lesson_batch(whole: ctc.Utterance) -> tuple[dict, list[np.ndarray], int]:
    """The lesson's two utterances as a padded batch; their ids; the number of classes."""
    utterances, alphabet = ctc.make_lesson_pair(whole), ctc.Alphabet()
    labels = [alphabet.encode(u.text) for u in utterances]
    features = [ctc.mfcc_features(u.waveform, u.sample_rate) for u in utterances]
    return ctc.pad_batch(features, labels), labels, alphabet.num_classes


def run(recording: str, number: int) -> dict:
    """One training: the loss at its end, that of the last mistake, and where the letters are."""
    whole = RECORDINGS[recording]()
    batch, labels, num_classes = lesson_batch(whole)
    lengths = batch["feature_length"]
    rng, noise, steps = np.random.default_rng(number), NOISE * (number > 0), []
    disturbance = 1 + noise * rng.standard_normal(batch["features"].shape)
    batch["features"] = batch["features"] * disturbance
    logits = ctc.train_aligner(
        **batch, num_classes=num_classes, loss_fn=disturbed_loss(rng, noise, steps)
    )

    def exact(logits) -> bool:
        found = ctc.greedy_decode(logits, lengths)
        return all(map(np.array_equal, found, labels))

    spans = ctc.forced_align(logits[0, : lengths[0]], labels[0]).spans
    seconds = ctc.middle_frames(logits[0], spans) * 0.01 + 0.0125
    shares = [
        ctc.share_in_words(whole.text, seconds, ctc.load_word_times(), tolerance)
        for tolerance in (0.05, 0)
        if recording == "bundled"
    ]
    return {
        "exact": exact(logits),
        "loss": float(steps[-1][1]),
        "mistake": min(float(loss) for step, loss in steps if not exact(step)),
        "shares": shares,
    }


def seconds_of_training() -> list[float]:
    """CPU time of three calls in a row, undisturbed: the first also compiles the loss."""
    batch, _, num_classes = lesson_batch(ctc.load_sentence())
    taken = []
    for _ in range(3):
        start = time.process_time()
        ctc.train_aligner(**batch, num_classes=num_classes, loss_fn=ctc.ctc_loss)
        taken.append(time.process_time() - start)
    return taken


def row(recording: str, setting: str, runs: list[dict]) -> str:
    loss, mistake = max(r["loss"] for r in runs), min(r["mistake"] for r in runs)
    margin = min(r["mistake"] / r["loss"] for r in runs)
    shares = np.array([r["shares"] for r in runs])  # [runs, 2] or [runs, 0]
    share = " | ".join(f"{s:.3f}" for s in shares.min(axis=0)) if shares.size else "- | -"
    exact = f"{sum(r['exact'] for r in runs)} of {len(runs)}"
    cells = (recording, setting, exact, f"{loss:.3f}", f"{mistake:.2f}", f"{margin:.0f}", share)
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--child", choices=RECORDINGS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps([run(options.child, number) for number in range(options.runs)]))
        return
    first, *others = seconds_of_training()
    rows = []
    for recording in RECORDINGS:
        for setting, environment in SETTINGS.items():
            command = [sys.executable, __file__, "--child", recording, "--runs", str(options.runs)]
            child = subprocess.run(
                command, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True
            )
            rows.append(row(recording, setting, json.loads(child.stdout)))
            print(rows[-1], flush=True)
    RESULTS.write_text(
        f"""# The aligner

{options.runs} trainings for each row by `benchmarks/aligner.py`, all but the first with noise of a
relative {NOISE} on the features and, anew in each update, on the logits. {platform.machine()},
{platform.system()}; TensorFlow {tf.__version__}, Keras {keras.__version__}.

- exact: both utterances are read without a mistake.
- loss: mean of both utterances in nats, at the end of training, the largest of the runs.
- last mistake: the lowest loss, at any step of the trainings, at which a letter was still wrong;
  margin: the smallest ratio of the two within one training.
- in their word: the smallest share of letters inside their word, give or take 0.05 s; strictly:
  with no tolerance. When the words of LDC93S1 are spoken is not known here.

| recording | setting | exact | loss | last mistake | margin | in their word | strictly |
|---|---|---|---|---|---|---|---|
"""
        + "\n".join(rows)
        + f"\n\nCPU time of one training: {first:.1f} s with compiling the loss; once that is "
        f"compiled,\nas after the LSTM's training, {min(others):.1f} s.\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
