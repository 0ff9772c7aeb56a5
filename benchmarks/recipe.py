"""How sure the lesson's training is: losses and mistakes over many initial weights.

    python benchmarks/recipe.py [--seeds 100] [--other-seeds 20]

Writes recipe.md. `disturbed`: every initial weight times 1 + 1e-6 * noise, which stands for the
rounding of another machine. The recipe of 2020: SGD(0.005, momentum 0.9), as many steps, and one
mean and deviation for all coefficients.
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

STEPS, EPOCHS = 400, 10
RECORDINGS = {"bundled": ctc.load_sentence, "ldc93s1": ctc.fetch_ldc93s1}
RESULTS = Path(__file__).with_name("recipe.md")


class Lesson:
    """One compiled model, which learns the two utterances of a recording again and again."""

    def __init__(self, recording: str, recipe: str) -> None:
        utterances = ctc.make_lesson_pair(RECORDINGS[recording]())
        features = [
            ctc.mfcc_features(u.waveform, u.sample_rate, per_coefficient=recipe != "2020")
            for u in utterances
        ]
        labels = [ctc.Alphabet().encode(u.text) for u in utterances]
        self.data = ctc.repeat_batch(ctc.pad_batch(features, labels))
        self.model = build(seed=0)
        of_2020 = keras.optimizers.SGD(0.005, momentum=0.9)
        self.model.compile(of_2020 if recipe == "2020" else ctc.lesson_optimizer(STEPS))

    def learn(self, seed: int, disturb: bool) -> np.ndarray:
        """Loss in nats per utterance, and label error rate, after each epoch [EPOCHS, 2]."""
        weights, noise = build(seed).get_weights(), np.random.default_rng(seed)
        if disturb:
            weights = [w * (1 + 1e-6 * noise.standard_normal(w.shape)) for w in weights]
        self.model.set_weights(weights)
        for variable in self.model.optimizer.variables:
            if variable.name != "learning_rate":  # count of steps, momentum
                variable.assign(keras.ops.zeros_like(variable))
        options = {"steps_per_epoch": STEPS // EPOCHS, "validation_steps": 1, "verbose": 0}
        history = self.model.fit(
            self.data, epochs=EPOCHS, validation_data=self.data, **options
        ).history
        return np.stack([history["val_loss"], history["val_ler"]], axis=1)


def build(seed: int) -> keras.Model:
    model, _ = ctc.build_models(
        ctc.lstm_encoder, num_features=13, num_classes=ctc.Alphabet().num_classes, seed=seed
    )
    return model


def row(recording: str, recipe: str, curves: np.ndarray) -> str:
    """Of curves [runs, EPOCHS, 2]."""
    final = curves[:, -1, 0]
    exact = int(np.sum(curves[:, -1, 1] == 0))
    wrong = curves[:, :, 0][curves[:, :, 1] > 0]
    return (
        f"| {recording} | {recipe} | {exact} of {len(curves)} | {np.median(final):.4f} | "
        f"{np.quantile(final, 0.95):.4f} | {final.max():.4f} | {wrong.min():.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--other-seeds", type=int, default=20, help="disturbed, and for 2020")
    options = parser.parse_args()
    rows, largest, lowest_wrong = [], 0.0, np.inf
    for recording in RECORDINGS:
        for recipe, disturb, seeds in (
            ("tutorial", False, options.seeds),
            ("tutorial, disturbed", True, options.other_seeds),
            ("2020", False, options.other_seeds),
        ):
            lesson = Lesson(recording, recipe)
            curves = np.stack([lesson.learn(seed, disturb) for seed in range(seeds)])
            rows.append(row(recording, recipe, curves))
            print(rows[-1], flush=True)
            if recipe != "2020":
                largest = max(largest, curves[:, -1, 0].max())
                lowest_wrong = min(lowest_wrong, curves[:, :, 0][curves[:, :, 1] > 0].min())
    RESULTS.write_text(
        "# How sure the recipe is\n\n"
        f"By `benchmarks/recipe.py`: {STEPS} steps on the two utterances, seeds 0 and up; loss and "
        f"label error rate after every {STEPS // EPOCHS} steps.\n"
        f"{platform.machine()}, {platform.system()}; TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__}. Losses in nats per utterance.\n\n"
        "| recording | recipe | ends at label error rate 0 | final loss, median | 95 % | largest | "
        "lowest loss with a mistake |\n|---|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\nThe lowest loss at which the tutorial's recipe still read a letter wrong is "
        f"{lowest_wrong:.2f}; the largest final loss, {largest:.4f}, lies "
        f"{lowest_wrong / largest:.0f} times below it.\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
