# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""A saved model that knows its alphabet, and what it reads. Taught in notebook 10_your_own_data.

This file stands alone: it needs Keras on TensorFlow, and NumPy.
"""

from typing import NamedTuple

import keras
import numpy as np


def reading_model(predict_model: keras.Model, characters: str, sample_rate: int) -> keras.Model:
    """The same model with all in one file that reading takes: characters and sample rate.

    Keras saves layers and nothing else beside them, so two of its own layers hold both. The file
    loads without this package.

    Args:
        predict_model: as `build_models` returns it; its last class is the blank.
        characters: of its other classes, in their order.
        sample_rate: of the sound that its features were computed from, in Hz.

    Returns:
        A model with the same weights and inputs, and two more outputs: best_path, the character of
        each frame [B, T'] as bytes in UTF-8, b"<blank>" for the blank; and sample_rate [B].
        `characters_and_rate` gets both back.

    Raises:
        ValueError: characters that are not as many as the model's classes without the blank.

    >>> features = keras.Input((None, 13), name="features")
    >>> length = keras.Input((), dtype="int32", name="feature_length")
    >>> outputs = {"logits": keras.layers.Dense(3)(features), "logit_length": length}
    >>> model = reading_model(keras.Model([features, length], outputs), "ab", sample_rate=8000)
    >>> characters_and_rate(model)
    ('ab', 8000)
    """
    outputs = dict(predict_model.output)
    classes = outputs["logits"].shape[-1]
    if len(characters) + 1 != classes:
        raise ValueError(
            f"{len(characters)} characters for a model of {classes} classes: the blank is the "
            f"last class, so there must be {classes - 1}"
        )
    lookup = keras.layers.StringLookup(
        vocabulary=[*characters, "<blank>"], num_oov_indices=0, invert=True, name="alphabet"
    )
    constant = keras.layers.Rescaling(  # float16 would round it, under mixed precision
        scale=0.0, offset=float(sample_rate), dtype="float32", name="sample_rate"
    )
    outputs["best_path"] = lookup(keras.ops.argmax(outputs["logits"], axis=-1))
    outputs["sample_rate"] = constant(outputs["logit_length"])
    return keras.Model(predict_model.input, outputs)


def characters_and_rate(model: keras.Model) -> tuple[str, int]:
    """What `reading_model` put into a model, which may have been saved and loaded since.

    Raises:
        ValueError: a model that `reading_model` did not make.

    >>> x = keras.Input((3,))
    >>> characters_and_rate(keras.Model(x, keras.layers.Dense(2)(x)))
    Traceback (most recent call last):
    ValueError: the model holds no alphabet: save what reading_model returns
    """
    try:
        alphabet, constant = model.get_layer("alphabet"), model.get_layer("sample_rate")
    except ValueError as error:
        raise ValueError("the model holds no alphabet: save what reading_model returns") from error
    return "".join(alphabet.get_vocabulary()[:-1]), int(constant.offset)


class Reading(NamedTuple):
    """What `read_best_path` reads in one recording.

    Attributes:
        text: of the best path.
        confidence: 0 to 1, the probability of the best path per character: the geometric mean, so
            that long texts can be compared with short ones. Low means "have a look"; high is no
            promise, least of all on sounds unlike those of the training.
        words: each word with the seconds where its first frame begins, and where the frame ends
            in which the path enters its last character: near its sound, not its borders.

    >>> Reading("on", 0.9, [("on", 0.25, 0.5)]).text
    'on'
    """

    text: str
    confidence: float
    words: list[tuple[str, float, float]]


def read_best_path(logits: np.ndarray, characters: str, frame_seconds: float) -> Reading:
    """Text, confidence and the time of each word, from the best path of one recording.

    Args:
        logits: [T', C] with C one more than the characters: the blank is the last class.
        characters: of the other classes, in their order.
        frame_seconds: from one frame of the logits to the next.

    Raises:
        ValueError: logits of another shape, or NaN in them.

    >>> path = [0, 0, 3, 1, 2, 2, 0]  # a a blank b space space a
    >>> reading = read_best_path(np.eye(4)[path] * 9, "ab ", frame_seconds=0.1)
    >>> reading.text, round(reading.confidence, 2)
    ('ab a', 1.0)
    >>> [(word, round(start, 1), round(end, 1)) for word, start, end in reading.words]
    [('ab', 0.0, 0.4), ('a', 0.6, 0.7)]
    """
    logits, blank = np.asarray(logits, np.float64), len(characters)
    if logits.ndim != 2 or logits.shape[1] != blank + 1:
        raise ValueError(f"logits have shape {logits.shape}, not [T', {blank + 1}]")
    if np.isnan(logits).any():
        raise ValueError("logits hold NaN: look for it in the features, or where training diverged")
    path = logits.argmax(axis=1).tolist()
    starts = [t for t, k in enumerate(path) if k != blank and (t == 0 or k != path[t - 1])]
    words: list[list] = []
    inside = False  # a word
    for t in starts:
        if characters[path[t]] == " ":
            inside = False
        elif inside:
            words[-1] = [words[-1][0] + characters[path[t]], words[-1][1], t + 1]
        else:
            words.append([characters[path[t]], t, t + 1])
            inside = True
    text = " ".join(word for word, _, _ in words)
    top = logits.max(axis=1, keepdims=True)
    log_probability = -np.log(np.exp(logits - top).sum(axis=1)).sum()
    confidence = float(np.exp(log_probability / max(len(text), 1)))
    times = [(word, a * frame_seconds, b * frame_seconds) for word, a, b in words]
    return Reading(text, confidence, times)
