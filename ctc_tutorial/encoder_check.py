# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Does padding leak through an encoder, are its lengths right? Taught in notebooks 04 and 08."""

import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

_LENGTHS = np.array([48, 31, 24, 17])


def check_encoder(
    encoder_fn: Callable[..., tuple[Any, Any]],
    num_features: int,
    tolerance: float = 1e-3,
    shortest: int = 17,
    **encoder_options: Any,
) -> None:
    """Try an encoder on utterances of different lengths, alone and padded, with and without rubbish
    in the padding, in prediction and in training.

    Dropout is switched off: what it draws depends on the shape.

    Args:
        encoder_fn: called as encoder_fn(features, lengths, seed=0, **encoder_options), returns
            (hidden, lengths), on Keras symbolic tensors: the encoder computes the lengths after
            striding, and what lies beyond a length must change nothing for the others.
        num_features: F, numbers per frame.
        tolerance: largest difference between numbers that should be equal, relative to the largest
            output.
        shortest: frames of the shortest of the utterances, of which the longest has almost three
            times as many; more than 17 for an encoder that makes one frame of so many, as those of
            raw sound do.

    Raises:
        ValueError: what is wrong: the lengths, or what padding changes and by how much; or an
            encoder that leaves nothing of the shortest utterance to look at.

    >>> def leaky(features, lengths, seed=None):
    ...     return keras.layers.Conv1D(4, 3, padding="same", use_bias=False)(features), lengths
    >>> check_encoder(leaky, num_features=13)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: in prediction, what stands in the padding changes the output by ...
    """
    rng, sizes = np.random.default_rng(0), (_LENGTHS * shortest // 17).astype(np.int32)
    rows = [rng.normal(size=(n, num_features)).astype(np.float32) for n in sizes]
    padded = np.zeros((len(rows), sizes.max(), num_features), np.float32)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    rubbish = np.pad(padded, ((0, 0), (0, shortest - 1), (0, 0)))
    beyond = np.arange(rubbish.shape[1]) >= sizes[:, None]
    rubbish[beyond] = 50 * rng.normal(size=(beyond.sum(), num_features))
    model = _model(encoder_fn, num_features, encoder_options)
    start = [v.numpy() for v in model.variables]

    def run(features, lengths, training):
        for variable, value in zip(model.variables, start, strict=True):
            variable.assign(value)
        hidden, frames = model([features, lengths], training=training)
        hidden, frames = (keras.ops.convert_to_numpy(x) for x in (hidden, frames))
        _require(frames.shape == lengths.shape, f"lengths of shape {frames.shape}: expected [B]")
        _require(frames.min() > 0, f"nothing is left of {lengths.min()} frames: give shortest=...")
        most = hidden.shape[1]
        _require(frames.max() <= most, f"a length of {frames.max()} frames, but there are {most}")
        statistics = [v.numpy() for v in model.non_trainable_variables]
        valid = [h[:n] for h, n in zip(hidden, frames, strict=True)]
        return valid, frames, [s for s in statistics if s.dtype.kind == "f"]

    for training, when in ((False, "in prediction"), (True, "in training")):
        expected, frames, statistics = run(padded, sizes, training)
        found, others, moved = run(rubbish, sizes, training)
        _require((frames == others).all(), f"{when}, the lengths depend on the padding")
        off = _difference(expected, found)
        _require(
            off <= tolerance,
            f"{when}, what stands in the padding changes the output by {off:.2g} times its largest "
            "value",
        )
        off = _difference(statistics, moved)
        _require(off <= tolerance, f"{when}, padding changes the moving statistics by {off:.2g}")
    expected, frames, _ = run(padded, sizes, False)
    for i, row in enumerate(rows):
        (alone,), (length,), _ = run(row[None], sizes[i : i + 1], False)
        _require(
            length == frames[i],
            f"an utterance of {len(row)} frames has {length} alone and {frames[i]} in a batch",
        )
        off = _difference([alone], [expected[i]])
        _require(off <= tolerance, f"an utterance alone differs by {off:.2g} from it in a batch")


def _model(encoder_fn, num_features, encoder_options) -> keras.Model:
    """The encoder as a model of its own, without dropout."""
    features = keras.Input((None, num_features))
    lengths = keras.Input((), dtype="int32")
    state = random.getstate()  # Keras draws the seeds of initial weights from here
    try:
        random.seed(0)
        outputs = encoder_fn(features, lengths, seed=0, **encoder_options)
    finally:
        random.setstate(state)
    model = keras.Model([features, lengths], list(outputs))
    for layer in model._flatten_layers():
        for name in ("rate", "dropout", "recurrent_dropout", "stddev"):
            if isinstance(vars(layer).get(name), float):
                setattr(layer, name, 0.0)
    return model


def _difference(one: list, other: list) -> float:
    """The largest difference between two lists of arrays, relative to the largest number."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a.size]
    largest = np.max([np.abs(a).max() for a, _ in pairs], initial=1e-6)
    return float(np.max([np.abs(a - b).max() for a, b in pairs], initial=0.0) / largest)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
