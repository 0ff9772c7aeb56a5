# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""The label error rate inside a graph, under XLA too. Taught in notebook 02_the_add_loss_layer."""

import math
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="ctc_tutorial")
class LabelErrorRate(keras.metrics.Mean):
    """Mean over utterances of edit distance / reference length, after greedy decoding.

    The blank is the last class. Utterances without labels have no rate and are left out.

    >>> metric = LabelErrorRate()
    >>> paths = tf.one_hot([[0, 0, 3, 1], [2, 2, 3, 2]], 4)  # as logits; they read [0, 1], [2, 2]
    >>> metric.update_state(paths, [[0, 1], [2, 0]], logit_length=[4, 4], label_length=[2, 1])
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name: str = "ler", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def update_state(  # type: ignore[override]
        self,
        logits: Any,
        labels: Any,
        logit_length: Any,
        label_length: Any,
        sample_weight: Any = None,
    ) -> None:
        """Count one batch.

        Args:
            logits: [B, T, C].
            labels: integer class ids [B, L]; entries past `label_length` are ignored.
            logit_length: frames that count, [B].
            label_length: labels that count, [B].
            sample_weight: of each utterance in the mean, [B].

        Raises:
            ValueError: as from `label_error_rates`.
        """
        rates = label_error_rates(logits, labels, logit_length, label_length)
        weight = tf.cast(tf.convert_to_tensor(label_length) > 0, tf.float32)
        if sample_weight is not None:
            sample_weight = _tensor("sample_weight", sample_weight, 1, rates.shape[0])
            weight *= tf.cast(sample_weight, tf.float32)
        super().update_state(rates, weight)


def label_error_rates(logits: Any, labels: Any, logit_length: Any, label_length: Any) -> tf.Tensor:
    """Edit distance / reference length of the greedy decoding of each utterance.

    Args:
        logits, labels, logit_length, label_length: as for `LabelErrorRate.update_state`.

    Returns:
        float32 [B]; 0 for an utterance without labels, NaN for one with a length out of range, an
        id that is the blank or no class, or a frame that holds NaN or nothing above -inf.

    Raises:
        ValueError: wrong rank or dtype, or another number of utterances.

    >>> paths = tf.one_hot([[0, 0, 3, 1]], 4)  # as logits; they read [0, 1]
    >>> label_error_rates(paths, [[0, 2, 2, 0]], [4], [4]).numpy().tolist()
    [0.75]
    """
    logits = _tensor("logits", logits, 3)
    batch = logits.shape[0]
    labels = _integers("labels", labels, 2, batch)
    logit_length = _integers("logit_length", logit_length, 1, batch)
    label_length = _integers("label_length", label_length, 1, batch)
    limits = tf.stack([tf.shape(logits)[1], tf.shape(labels)[1]])
    # XLA compiles anew for every shape: a few shapes for all batches, as in ctc_loss.
    more = [[0, 0], [0, -tf.maximum(tf.shape(logits)[1], 1) % 64]]
    best, told = (tf.pad(x, more) for x in _most_probable(logits))
    labels = tf.pad(labels, [[0, 0], [0, 64 - tf.shape(labels)[1] % 64]])
    classes = tf.shape(logits)[2]
    return _compiled(best, told, labels, logit_length, label_length, limits, classes)


def _most_probable(logits):
    """The class of each frame, int32 [B, T], and whether it has one: no NaN, not all -inf.

    With many classes this takes the time, and TensorFlow's own operations less of it than XLA's.
    """
    best = tf.argmax(logits, axis=-1, output_type=tf.int32)
    largest = tf.cast(tf.gather(logits, best, batch_dims=2), tf.float32)
    told = tf.reduce_all(~tf.math.is_nan(tf.cast(logits, tf.float32)), axis=2)
    return best, told & (largest > -math.inf)


def _tensor(name, values, rank, batch=None):
    try:
        values = tf.convert_to_tensor(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error
    if not (values.dtype.is_floating or values.dtype.is_integer or values.dtype.is_bool):
        raise ValueError(f"{name} must be numbers, not {values.dtype.name}")
    if values.shape.rank not in (rank, None):
        raise ValueError(f"{name} must have rank {rank}, not the shape {values.shape}")
    if values.shape.rank and None not in (values.shape[0], batch) and values.shape[0] != batch:
        raise ValueError(f"{name} has {values.shape[0]} utterances, not {batch} as the logits")
    return values


def _integers(name, values, rank, batch):
    """As int32, with -1, which is never valid, for what is no integer or does not fit."""
    values = _tensor(name, values, rank, batch)
    if values.dtype.is_bool:
        raise ValueError(f"{name} must be integers, not bool")
    narrow = tf.cast(values, tf.int32)
    return tf.where(tf.cast(narrow, values.dtype) == values, narrow, -1)


def _valid(told, labels, logit_length, label_length, limits, classes):
    """Which utterances have a rate, bool [B]."""
    lengths = tf.stack([logit_length, label_length], axis=1)
    in_range = tf.reduce_all((lengths >= 0) & (lengths <= limits), axis=1)
    known = (labels >= 0) & (labels < classes - 1)
    known |= ~tf.sequence_mask(label_length, tf.shape(labels)[1])
    told |= ~tf.sequence_mask(logit_length, tf.shape(told)[1])
    return in_range & tf.reduce_all(known, axis=1) & tf.reduce_all(told, axis=1)


def _padded(x, more, value):
    """`tf.pad` with `constant_values`, which `tf.vectorized_map` would take for zeros."""
    return tf.pad(x - value, more) + value


@tf.function(jit_compile=True, autograph=False)
def _compiled(best, told, labels, logit_length, label_length, limits, classes):
    """The labels' width is a multiple of 64: neighbours in a column of the table of distances
    differ by 1, 0 or -1, and the bits of an int64 hold 64 of these differences (Myers 1999, in the
    form of Hyyro 2003). One step per frame, in operations that XLA knows, as it does not
    TensorFlow's decoder.
    """
    batch, frames = tf.unstack(tf.shape(best))
    valid = _valid(told, labels, logit_length, label_length, limits, classes)
    before = _padded(best[:, :-1], [[0, 0], [1, 0]], -1)
    spoken = (best != before) & (best != classes - 1) & tf.sequence_mask(logit_length, frames)
    count = tf.reduce_sum(tf.cast(spoken, tf.int32), axis=1)

    bit = tf.bitwise.left_shift(tf.constant(1, tf.int64), tf.range(64, dtype=tf.int64))
    reference = tf.reshape(labels, [batch, -1, 64, 1])
    # Where in the reference each class stands, [B, words, C].
    places = tf.reduce_sum(tf.where(reference == tf.range(classes), bit[:, None], 0), axis=2)
    zero = tf.zeros_like(places[:, :, 0])
    words = tf.shape(zero)[1]
    decoded = _padded(tf.where(spoken, best, -1), [[0, 0], [0, words - 1]], -1)

    def step(t, symbol, up, down, plus, minus):
        """`up`, `down`: where a column rises or falls; `plus`, `minus`: the same along a row."""
        # Each word is a frame behind the one before it, and takes over what left that one's top.
        symbol = tf.concat([decoded[:, t, None], symbol[:, :-1]], axis=1)
        plus_in = _padded(plus[:, :-1], [[0, 0], [1, 0]], 1)
        minus_in = tf.pad(minus[:, :-1], [[0, 0], [1, 0]])
        match = tf.gather(places, tf.maximum(symbol, 0), batch_dims=2) | minus_in
        same = (((match & up) + up) ^ up) | match | down  # along a diagonal
        plus, minus = down | ~(same | up), same & up
        out = tf.cast(plus < 0, tf.int64), tf.cast(minus < 0, tf.int64)  # their top bits
        plus, minus = 2 * plus | plus_in, 2 * minus | minus_in
        up = tf.where(symbol < 0, up, minus | ~(same | plus))
        down = tf.where(symbol < 0, down, same & plus)
        return t + 1, symbol, up, down, *out

    table = tf.TensorShape([None, None])  # a step may lose what is known of the shapes
    _, _, up, down, _, _ = tf.while_loop(
        lambda t, *_: t < frames + words - 1,
        step,
        (0, tf.cast(zero - 1, tf.int32), ~zero, zero, zero, zero),
        (tf.TensorShape([]), *[table] * 5),
    )
    inside = tf.reshape(tf.sequence_mask(label_length, 64 * words), [batch, -1, 64])
    inside = tf.reduce_sum(tf.where(inside, bit, 0), axis=2)
    rises, falls = (tf.raw_ops.PopulationCount(x=x & inside) for x in (up, down))
    distance = count + tf.reduce_sum(tf.cast(rises, tf.int32) - tf.cast(falls, tf.int32), axis=1)
    rates = tf.math.divide_no_nan(tf.cast(distance, tf.float32), tf.cast(label_length, tf.float32))
    return tf.where(valid, rates, math.nan)
