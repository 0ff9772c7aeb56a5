"""Captchas that training never saw, read by two encoders and by another design; writes captchas.md.

    python benchmarks/captchas.py [--seeds 0 1 2] [--only image crnn example reduction]

Every part writes its own section of captchas.md and leaves the others.
"""

import argparse
import os
import platform
import re
import resource
import time
from datetime import date
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # the default on newer processors alone

import keras
import matplotlib
import numpy as np
import tensorflow as tf
from keras import layers

import ctc_tutorial as ctc
from ctc_tutorial.data.captchas import CHARACTERS, HEIGHT

RESULTS = Path(__file__).with_name("captchas.md")
COUNT, EPOCHS, BATCH_SIZE, RATE = 32_000, 2, 16, 3e-3
NUM_CLASSES = len(CHARACTERS) + 1
EARLY = ((2, 2), (1, 2), (1, 2))
ENCODERS = {
    "image": ("convolutional: `image_encoder`", ctc.image_encoder, {"pools": EARLY}),
    "crnn": ("recurrent: `crnn_encoder`", ctc.crnn_encoder, {"pools": EARLY}),
}
REDUCTIONS = {  # columns per frame: how the three convolutions are pooled
    1: ((1, 2), (1, 2), (1, 2)),
    2: EARLY,
    4: ((2, 2), (2, 2), (1, 2)),
    8: ((2, 2), (2, 2), (2, 2)),
}
FONTS = ("DejaVuSansMono", "DejaVuSans", "DejaVuSerif")  # matplotlib brings them
FONT_NOTE = """Trained on the package's font, DroidSansMono, alone. The rows of other fonts, 500
captchas each, say how far that carries."""
HEAD = "| encoder | seed | label error rate | captchas with a mistake | fit, s | fit, CPU s |"
EXAMPLE = """The design of the captcha example on keras.io (examples/vision/captcha_ocr.py,
last modified 2024-03-13): pictures stretched to 200 x 50, two convolutions (32, 64) each pooled
by 2, a dense layer of 64, bidirectional LSTMs of 128 and 64, softmax; Adam at 1e-3, batches of
16. Trained on the same captchas for the CPU time that `crnn` took with this seed; it stops for
nothing else. Its conventions differ from one another: the 36 characters are classes 1 to 36 and
class 0 is `[UNK]`. It trains with the blank last, class 37 (`tf.compat.v1.nn.ctc_loss`), and
decodes with `keras.ops.ctc_decode`, whose blank is class 0 unless told: the true blank stays in
the text, where `StringLookup` writes `[UNK]` for it. Each counts as one label too many here. In
Keras 3.15 its decoding function moreover stops with a `TypeError`, as it takes the dense result
for a sparse one; the first rate is without that line, whose result it does not use. The second
decodes with the blank of the training.
"""
REDUCTION = """`crnn_encoder` on a third as many captchas, seed 0, other pools. What the lengths
rule out is counted on the test captchas: a captcha needs a frame per character and one more between
equal neighbours. `infeasible="skip"` passes over them in training; in the test they count as they
are read.
"""


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def captchas(count, seed, fonts=None):
    features, texts = ctc.make_captchas(count, seed, fonts)
    return features, [np.array([CHARACTERS.index(c) for c in text], np.int32) for text in texts]


def rates(references, predictions) -> str:
    """Label error rate and share of captchas with any mistake, as cells of a table."""
    pairs = zip(references, predictions, strict=True)
    wrong = np.mean([list(map(int, a)) != list(map(int, b)) for a, b in pairs])
    return f"{ctc.label_error_rate(references, predictions):.2%} | {wrong:.1%}"


def train(encoder_fn, options, data, seed, **layer_options):
    """The trained predict_model, seconds and CPU seconds of fit."""
    dataset = ctc.bucketed_dataset(*data, BATCH_SIZE, seed=seed)
    loss_layer = ctc.CTCLossLayer(**layer_options)
    train_model, predict_model = ctc.build_models(
        encoder_fn, HEIGHT, NUM_CLASSES, loss_layer, seed, **options
    )
    steps = EPOCHS * int(dataset.cardinality())
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    train_model.compile(optimizer=keras.optimizers.Adam(rate))
    before, start = cpu_seconds(), time.perf_counter()
    train_model.fit(dataset, epochs=EPOCHS, verbose=0)
    return predict_model, time.perf_counter() - start, cpu_seconds() - before


def read(predict_model, features):
    parts = [features[i : i + 200] for i in range(0, len(features), 200)]
    outputs = (predict_model.predict_on_batch(ctc.pad_batch(part)) for part in parts)
    return [ids for output in outputs for ids in ctc.greedy_decode(**output)]


def encoder_rows(name, seed, test):
    """A row for the package's own font, and one for each other font."""
    title, encoder_fn, options = ENCODERS[name]
    data = captchas(COUNT, 100 + seed)
    predict_model, wall, cpu = train(encoder_fn, options, data, seed)
    rows = [f"| {title} | {seed} | {rates(test[1], read(predict_model, test[0]))} |"]
    rows[0] += f" {wall:.0f} | {cpu:.0f} |"
    for font in FONTS:
        path = f"{matplotlib.get_data_path()}/fonts/ttf/{font}.ttf"
        features, references = captchas(500, 2, [path])
        rows.append(f"| the same, in {font} | {seed} | ")
        rows[-1] += f"{rates(references, read(predict_model, features))} | | |"
    return rows


def stretched(features):
    """Every picture [W, 32] as the example has it: float32 [N, 200, 50, 1]."""
    return np.stack([tf.image.resize(x[:, :, None], (200, 50)).numpy() for x in features])


def example_model():
    """The example's layers; softmax over `[UNK]`, 36 characters and the blank."""
    image = keras.Input((200, 50, 1))
    x = image
    for filters in (32, 64):
        options = {"activation": "relu", "kernel_initializer": "he_normal", "padding": "same"}
        x = layers.MaxPooling2D(2)(layers.Conv2D(filters, 3, **options)(x))
    x = layers.Reshape((50, 12 * 64))(x)
    x = layers.Dropout(0.2)(layers.Dense(64, activation="relu")(x))
    for units in (128, 64):
        lstm = layers.LSTM(units, return_sequences=True, dropout=0.25)
        x = layers.Bidirectional(lstm)(x)
    return ExampleModel(image, layers.Dense(NUM_CLASSES + 1, activation="softmax")(x))


class ExampleModel(keras.Model):
    """Trained with the example's loss: every length is the full width, the blank is last."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        logs = tf.math.log(tf.transpose(y_pred, (1, 0, 2)) + keras.config.epsilon())
        frames = tf.fill(tf.shape(y)[:1], tf.shape(logs)[0])
        sparse = tf.sparse.from_dense(y)  # no label is 0
        return tf.reduce_sum(tf.compat.v1.nn.ctc_loss(sparse, logs, frames))  # as add_loss does


class StopAfter(keras.callbacks.Callback):
    """Ends a training after so many CPU seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def on_train_begin(self, logs=None) -> None:
        self.start, self.steps = cpu_seconds(), 0

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.steps += 1
        self.model.stop_training = cpu_seconds() - self.start >= self.seconds


def example_rows(seed, test):
    """Its rate as it decodes, and with the blank that it was trained with."""
    row = re.search(rf"recurrent.*\| {seed} \|.*\| (\d+) \|\n", RESULTS.read_text(encoding="utf-8"))
    if row is None:
        raise SystemExit(f"{RESULTS.name} has no row of crnn with seed {seed}: run that first")
    keras.utils.set_random_seed(seed)
    features, labels = captchas(COUNT, 100 + seed)
    images, ids = stretched(features), np.stack(labels) + 1
    model, stop = example_model(), StopAfter(float(row[1]))
    model.compile("adam")
    start, before = time.perf_counter(), cpu_seconds()
    model.fit(images, ids, 16, epochs=100, verbose=0, callbacks=[stop], shuffle=False)
    wall, cpu = time.perf_counter() - start, cpu_seconds() - before
    softmax = model.predict(stretched(test[0]), verbose=0)
    frames, rows = np.full(len(softmax), softmax.shape[1]), []
    for title, blank in (("as it is", 0), ("decoded with its blank", NUM_CLASSES)):
        decoded = keras.ops.ctc_decode(softmax, frames, mask_index=blank)[0][0]
        predictions = [row[row >= 0] - 1 for row in np.array(decoded)]
        rows.append(f"| {title} | {seed} | {rates(test[1], predictions)} |")
        rows[-1] += f" {wall:.0f} | {cpu:.0f} |"
    rows[0] += f" {stop.steps * 16 / COUNT:.1f} |"
    rows[1] += " |"
    return rows


def reduction_rows(test):
    rows = ["| columns per frame | frames | too few frames for | label error rate |"]
    rows[0] += " captchas with a mistake | fit, CPU s |"
    rows.append("|---|---|---|---|---|---|")
    data = [part[: COUNT // 3] for part in captchas(COUNT // 3, 100)]
    for factor, pools in REDUCTIONS.items():
        predict_model, _, cpu = train(
            ctc.crnn_encoder, {"pools": pools}, data, 0, infeasible="skip"
        )
        frames = [len(x) // factor for x in test[0]]
        pairs = zip(test[1], frames, strict=True)
        short = np.mean([bool(ctc.infeasible_reason(ids, n, NUM_CLASSES)) for ids, n in pairs])
        rows.append(f"| {factor} | {min(frames)} to {max(frames)} | {short:.1%} | ")
        rows[-1] += f"{rates(test[1], read(predict_model, test[0]))} | {cpu:.0f} |"
    return rows


def write(section: str, text: str) -> None:
    """Replace or add one section of the results."""
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    parts = dict(re.findall(r"^## (.*?)\n\n(.*?)(?=^## |\Z)", old, re.M | re.S))
    stamp = (
        f"Measured {date.today()}; TensorFlow {tf.__version__}, Keras {keras.__version__}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}."
    )
    parts[section] = f"{text}\n\n{stamp}\n\n"
    head = (
        "# Captchas that training never saw: results\n\n`python benchmarks/captchas.py`. Sections "
        "of different days may come from different machines: their seconds can't be compared.\n\n"
    )
    body = "".join(f"## {name}\n\n{part.strip()}\n\n" for name, part in sorted(parts.items()))
    RESULTS.write_text(head + body.rstrip("\n") + "\n", encoding="utf-8")


def table(head: str, rows: list[str]) -> str:
    return "\n".join([head, "|---" * (head.count("|") - 1) + "|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parts = [*ENCODERS, "example", "reduction"]
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(2)
    test = captchas(2000, 1)
    recipe = (
        f"{COUNT:,} captchas x {EPOCHS} epochs, batches of {BATCH_SIZE}, Adam {RATE} with cosine "
        f"decay to zero, pools {EARLY}; greedy decoding of 2,000 other captchas.\n{FONT_NOTE}"
    )
    for name in arguments.only:
        if name == "reduction":
            write(name, REDUCTION + "\n" + "\n".join(reduction_rows(test)))
            continue
        rows_fn = example_rows if name == "example" else partial(encoder_rows, name)
        rows = [row for seed in arguments.seeds for row in rows_fn(seed, test)]
        text, head = (EXAMPLE, HEAD + " epochs |") if name == "example" else (recipe + "\n", HEAD)
        write(name, text + "\n" + table(head, rows))
        print(table(head, rows), flush=True)


if __name__ == "__main__":
    main()
