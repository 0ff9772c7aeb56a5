"""How often each training recipe ends at label error rate 0.

    python benchmarks/recipe.py [--seeds 20] [--recipes ...] [--recordings ...]

Writes benchmarks/recipe.md. The 2020 recipe: SGD(0.005, momentum 0.9), 400 epochs of one step.
"""

import argparse
import os
import platform
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import tensorflow as tf

import ctc_tutorial as ctc

RECIPES = ("tutorial", "2020")
RECORDINGS = {"bundled": ctc.load_sentence, "ldc93s1": ctc.fetch_ldc93s1}
RESULTS = Path(__file__).with_name("recipe.md")


def learn(utterances: list[ctc.Utterance], recipe: str, seed: int) -> float:
    """Label error rate after 400 steps."""
    alphabet = ctc.Alphabet()
    features = [ctc.mfcc_features(u.waveform, u.sample_rate) for u in utterances]
    batch = ctc.pad_batch(features, [alphabet.encode(u.text) for u in utterances])
    train_model, predict_model = ctc.build_models(
        ctc.lstm_encoder, num_features=13, num_classes=alphabet.num_classes, seed=seed
    )
    if recipe == "2020":
        train_model.compile(keras.optimizers.SGD(0.005, momentum=0.9))
        data = {"x": batch, "epochs": 400}
    else:
        train_model.compile(ctc.lesson_optimizer(400))
        data = {"x": ctc.repeat_batch(batch), "steps_per_epoch": 40, "epochs": 10}
    train_model.fit(**data, verbose=0)
    outputs = predict_model.predict_on_batch(ctc.pad_batch(features))
    texts = [alphabet.decode(ids) for ids in ctc.greedy_decode(**outputs)]
    return ctc.label_error_rate([u.text for u in utterances], texts)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--recordings", nargs="+", choices=RECORDINGS, default=list(RECORDINGS))
    options = parser.parse_args()
    rows = []
    for recording in options.recordings:
        utterances = ctc.make_lesson_pair(RECORDINGS[recording]())
        for recipe in options.recipes:
            rates = [learn(utterances, recipe, seed) for seed in range(options.seeds)]
            rows.append(
                f"| {recording} | {recipe} | {sum(rate == 0 for rate in rates)} of {len(rates)} "
                f"| {max(rates):.3f} |"
            )
            print(rows[-1], flush=True)
    RESULTS.write_text(
        "# Recipes\n\n400 steps on the two utterances, seeds 0 and up, by `benchmarks/recipe.py`.\n"
        f"{platform.machine()}, {platform.system()}; "
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}.\n\n"
        "| recording | recipe | ends at label error rate 0 | worst rate |\n|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
