# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""The CTC loss, exact to float32 rounding and fast under XLA. Taught in notebooks 05 and 05b.

Probabilities along a CTC lattice shrink by thousands of nats, far below what a float holds, so most
implementations keep logarithms and pay several exponentials per state and frame. Here a probability
is a "long": an int64 laid out like a float32, but whose exponent has 41 bits instead of 8. Numbers
are added as float32 relative to the largest of them, and a step of the recursion is integer
arithmetic, two additions and one product. Exponentials are taken once, before the recursion.

One number, step by step: 0.15625 is 1.25 * 2**-3. An octave, a factor of two, counts 2**23, and the
mantissa 1.25 is a quarter of the way through its octave: -3 * 2**23 + 0.25 * 2**23 = -23068672.

>>> int(_join(tf.constant(1.25), -3 * _OCTAVE))  # its long
-23068672
>>> mantissa, power = _split(tf.constant(-23068672, tf.int64))  # and back; the power is a long, too
>>> float(mantissa), int(power) / _OCTAVE
(1.25, -3.0)
>>> int(_times(mantissa, power, y=-23068672))  # 0.15625**2 = 1.5625 * 2**-6
-45613056

Source of the recursions: Graves, Fernandez, Gomez, Schmidhuber, "Connectionist Temporal
Classification", ICML 2006, equations 6 to 15.
"""

import functools
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_FRAMES, _LABELS = 64, 16  # shapes are padded up to multiples of these, see ctc_loss
_OCTAVE = 1 << 23  # what a factor of two adds to a long: a float32 mantissa has 23 bits
_ONE_BITS = 127 * _OCTAVE  # the bits of float32 1.0: an exponent of 0 is stored as 127
_ZERO = -(3 << 60)  # the long of probability zero; the sum of two of them still fits an int64
_NEAR_ZERO = -(11 << 58)  # below it a total is zero: _ZERO times what may have grown above 1
_REACH = 2.5e11  # nats below which a total cannot fall: a little less than -_NEAR_ZERO is


@keras.saving.register_keras_serializable(package="ctc_tutorial")
def ctc_loss(
    logits: Any,
    labels: Any,
    logit_length: Any,
    label_length: Any,
    blank_index: int = -1,
    zero_infinity: bool = False,
) -> tf.Tensor:
    """CTC loss of each utterance, with a hand-derived gradient with respect to the logits.

    Runs eagerly, in a `tf.function` and inside code that XLA compiles; it is itself compiled by
    XLA, about a second for each new shape. So that batches of ever new widths do not compile ever
    anew, frames are first padded to a multiple of 64 and labels to one of 16. That costs a copy of
    the logits; the recursion skips the frames past the longest utterance.

    Args:
        logits: [B, T, C], any float type; computed in float32. Not softmaxed.
        labels: integer class ids [B, L]; entries past `label_length` are ignored.
        logit_length: frames of each utterance, 0 to T, [B]; later frames are ignored.
        label_length: labels of each utterance, 0 to L, [B].
        blank_index: class of the blank; negative counts from the end.
        zero_infinity: an utterance that no path explains (fewer frames than labels plus adjacent
            repeats, or only through logits of -inf) has the loss 0 instead of inf, as with
            PyTorch's argument of that name. Its gradient is zero either way.

    Returns:
        float32 [B], in nats. Loss and gradient are NaN, for that utterance alone, where a frame
        holds NaN, +inf or nothing but -inf, an id is the blank or no class, or a length is out of
        range. A second derivative is NaN, too: it is not implemented.

        Only -inf is probability zero. Any other logit may be a mask, as -1e9 is, and counts in
        full, but logits more than 2.5e11 / logit_length below their frame's largest are alike to
        the gradient: where every path must take masks of different sizes, it does not see which is
        the least bad. A loss beyond the largest float32 is inf.

    Raises:
        ValueError: wrong rank or dtype, another number of utterances, unknown number of classes, or
            a bad `blank_index`.
        tf.errors.InvalidArgumentError: another number of utterances, where none is known before.

    >>> logits = tf.math.log([[[0.4, 1e-9, 0.6]] * 2])  # classes a, b and blank; both frames alike
    >>> (loss,) = ctc_loss(logits, [[0]], logit_length=[2], label_length=[1])
    >>> f"p(a) = {tf.exp(-loss):.2f}"  # "aa", "a-", "-a": 0.16 + 0.24 + 0.24
    'p(a) = 0.64'
    """
    logits = tf.cast(_tensor("logits", logits, 3), tf.float32)
    batch, classes = logits.shape[0], logits.shape[-1]
    labels = _integers("labels", labels, 2, batch)
    logit_length = _integers("logit_length", logit_length, 1, batch)
    label_length = _integers("label_length", label_length, 1, batch)
    if classes is None:
        raise ValueError("the last dimension of logits, the number of classes, must be known")
    if not isinstance(blank_index, int | np.integer) or not -classes <= blank_index < classes:
        raise ValueError(f"blank_index must be in [{-classes}, {classes}), not {blank_index!r}")

    if not tf.executing_eagerly():  # what is of another batch is found when it runs, not before
        rows = batch or tf.shape(logits)[0]
        labels = _of_batch(labels, rows, labels.shape[1] or tf.shape(labels)[1])
        logit_length, label_length = (_of_batch(n, rows) for n in (logit_length, label_length))
    frames, width = (x.shape[1] or tf.shape(x)[1] for x in (logits, labels))
    some = frames if isinstance(frames, int) else tf.maximum(frames, 1)  # at least one column
    logits = tf.pad(logits, [[0, 0], [0, -some % _FRAMES], [0, 0]])
    labels = tf.pad(labels, [[0, 0], [0, _LABELS - width % _LABELS]])  # likewise
    limits = tf.stack([frames, width])
    blank = int(blank_index) % classes
    loss = _compiled(logits, labels, logit_length, label_length, limits, blank)
    if zero_infinity:
        loss = tf.where(tf.math.is_inf(loss), 0.0, loss)
    return loss


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


def _of_batch(values, rows, *width):
    """The same values, or an error if they are not of so many utterances."""
    # An assert for TensorFlow, which drops reshapes of constants; a reshape for XLA, which drops
    # asserts.
    with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(values)[0], rows)]):
        return tf.reshape(values, [rows, *width])


def _integers(name, values, rank, batch):
    """As int32, with -1, which is never valid, for what is no integer or does not fit."""
    values = _tensor(name, values, rank, batch)
    if values.dtype.is_bool:
        raise ValueError(f"{name} must be integers, not bool")
    narrow = tf.cast(values, tf.int32)
    return tf.where(tf.cast(narrow, values.dtype) == values, narrow, -1)


@tf.function(jit_compile=True, autograph=False)
def _compiled(logits, labels, logit_length, label_length, limits, blank):
    # The gradient is an output of the compiled forward pass only where a tape needs it.
    @tf.custom_gradient
    def differentiable(logits):
        loss, gradient = _loss_and_gradient(
            logits, labels, logit_length, label_length, limits, blank
        )
        gradient = once(logits, tf.stop_gradient(gradient))
        return loss, lambda upstream: upstream[:, None, None] * gradient

    @tf.custom_gradient
    def once(logits, gradient):  # NaN, not a silent zero, as its own derivative
        def second(upstream):
            asked = tf.reduce_any(upstream != 0, axis=[1, 2], keepdims=True)
            return tf.where(asked, math.nan, tf.zeros_like(upstream)), None

        return gradient, second

    return differentiable(logits)


def _loss_and_gradient(logits, labels, logit_length, label_length, limits, blank):
    """Losses [B] and their gradients [B, T, C]."""
    frames, classes = tf.shape(logits)[1], logits.shape[-1]
    in_time = tf.range(frames) < logit_length[:, None]  # [B, T]
    in_label = tf.range(tf.shape(labels)[1]) < label_length[:, None]  # [B, L]
    known = (labels >= 0) & (labels < classes) & (labels != blank)
    lengths = tf.stack([logit_length, label_length], axis=1)
    in_range = (lengths >= 0) & (lengths <= limits)  # [B, 2]
    valid = tf.reduce_all(tf.concat([known | ~in_label, in_range], axis=1), axis=1)
    labels = tf.where(known, labels, 0)

    largest = tf.reduce_max(logits, axis=-1, keepdims=True)
    softmax = tf.exp(logits - largest)
    partition = tf.reduce_sum(softmax, axis=-1, keepdims=True)
    log_partition = tf.where(in_time, tf.math.log(partition[:, :, 0]), 0.0)
    log_total, posterior = _all_paths(
        logits, largest, labels, logit_length, label_length, in_time, blank
    )
    loss = tf.reduce_sum(tf.cast(log_partition, tf.float64), axis=1) - log_total
    loss = tf.where(valid, tf.cast(loss, tf.float32), math.nan)

    gradient = softmax / partition - _by_class(posterior, labels, blank, classes)
    weight = tf.where(tf.math.is_inf(loss), 0.0, tf.where(tf.math.is_nan(loss), math.nan, 1.0))
    return loss, tf.where(in_time[:, :, None], gradient * weight[:, None, None], 0.0)


def _by_class(posterior, labels, blank, classes):
    """Posteriors of the classes [B, T, C]; the blank's is what the labels leave of 1."""
    if classes < 512:
        is_blank = tf.one_hot(blank, classes)
        return posterior @ (tf.one_hot(labels, classes) - is_blank) + is_blank
    # Less memory for many classes: one column for each label, one for the blank, and each class
    # looks its own up. The last label is padding: its column serves classes that do not occur.
    columns = _padded(labels[:, :-1], [[0, 0], [0, 1]], -1)
    same = tf.cast(labels[:, :, None] == columns[:, None], tf.float32)  # [B, L, L]
    rest = 1 - tf.reduce_sum(posterior, axis=2, keepdims=True)
    table = tf.concat([posterior @ same, rest], axis=2)  # [B, T, L + 1]
    width, every = tf.shape(labels)[1], tf.range(classes)
    place = tf.where(columns[:, :, None] == every, tf.range(width)[:, None], width - 1)
    column = tf.where(every == blank, width, tf.reduce_min(place, axis=1))  # [B, C]
    return tf.gather(table, column, axis=2, batch_dims=1)


def _all_paths(logits, largest, labels, logit_length, label_length, in_time, blank):
    """Log of the sum over all paths, float64 [B], and label posteriors [B, T, L].

    A path is the product of exp(logit - largest) over its frames.
    """
    seen = tf.transpose(in_time)[:, :, None]
    largest = tf.where(seen, tf.transpose(largest, [1, 0, 2]), 0.0)  # [T, B, 1]
    # Masks, which over all frames could leave the range of longs, are raised to a floor: the same
    # for frames of like size, so that one mask is not preferred to another by rounding. Relative
    # to the largest logit, as logits of 1e20 are further apart than this depth.
    depth = _REACH / tf.cast(tf.maximum(logit_length, 1), tf.float32)[:, None]  # [B, 1]
    floor = tf.round(largest * (16 / depth)) * (depth / 16) - depth  # [T, B, 1]
    largest, floor, depth = (tf.cast(x, tf.float64) for x in (largest, floor, depth))
    floor = tf.clip_by_value(floor - largest, -33 / 32 * depth, -31 / 32 * depth)

    def gathered():
        """Logits of the labels [T, B, L] and of the blank [T, B, 1]."""
        emissions = tf.transpose(tf.gather(logits, labels, axis=2, batch_dims=1), [1, 0, 2])
        blanks = tf.transpose(logits[:, :, blank : blank + 1], [1, 0, 2])
        # After its last frame an utterance sees certain blanks: they carry its total to the end.
        return tf.where(seen, emissions, -math.inf), tf.where(seen, blanks, 0.0)

    def relative(x):
        above = tf.maximum(tf.cast(x, tf.float64) - largest, floor)
        return tf.where(x > -math.inf, above, -math.inf)

    emissions, blanks = (_long_exp(relative(x)) for x in gathered())
    last = tf.clip_by_value(tf.reduce_max(logit_length), 0, tf.shape(logits)[1])
    total, posterior = _forward_backward(emissions, blanks, labels, label_length, last)

    def raised():
        """By how much the masks on the paths were raised, expected nats, [B]."""
        emissions, blanks = (  # gathered anew: to keep them would slow down who has no masks
            tf.where(x > -math.inf, tf.maximum(floor + largest - tf.cast(x, tf.float64), 0), 0)
            for x in gathered()
        )
        by_label = tf.reduce_sum(tf.cast(posterior, tf.float64) * (emissions - blanks), axis=0)
        return tf.reduce_sum(by_label, axis=1) + tf.reduce_sum(blanks, axis=[0, 2])

    log_total = _log(total)
    masked = tf.math.is_finite(log_total) & (log_total < -depth[:, 0] / 2)
    log_total -= tf.cond(tf.reduce_any(masked), raised, lambda: tf.zeros_like(log_total))
    return log_total, tf.transpose(posterior, [1, 0, 2])


def _forward_backward(emissions, blanks, labels, label_length, last):
    """Total probability [B], a long, and label posteriors [T, B, L], float32.

    In the forward lattice blank k stands before label k, in the backward one after it. So both
    take the same step, with the neighbouring label one to the left or one to the right.
    """
    frames, batch, width = tf.unstack(tf.shape(emissions))
    nothing = tf.fill([batch, width], _long(_ZERO))
    # A label may follow the one before it without a blank unless they are equal.
    skip = tf.where(labels[:, 1:] != labels[:, :-1], _long(0), _long(_ZERO))
    skip_right, skip_left = tf.pad(skip, [[0, 0], [1, 0]]), tf.pad(skip, [[0, 0], [0, 1]])

    def start(blank):
        return tf.where(tf.range(width) == blank[:, None], _long(0), nothing), nothing

    def array(size, dtype):
        return tf.TensorArray(dtype, size, element_shape=emissions.shape[1:])

    def forward(t, blank, label, alphas):
        alphas = alphas.write(t, label)
        arriving = _arriving(blank, label, skip_right, right=True)
        blank, label = (
            _times(*s, y[t]) for s, y in zip(arriving, (blanks, emissions), strict=True)
        )
        return t + 1, blank, label, alphas

    # A step may lose what is known of the batch size.
    shapes = tf.TensorShape([]), *[tf.TensorShape([None, None])] * 2, tf.TensorShape(None)
    loop = 0, *start(tf.zeros_like(label_length)), array(frames + 1, tf.int64)
    _, blank, label, alphas = tf.while_loop(lambda t, *_: t < last, forward, loop, shapes)
    alphas = alphas.write(last, label).stack()  # frame t is at t + 1
    at = tf.clip_by_value(label_length, 0, width - 1)
    before = tf.gather(_padded(label, [[0, 0], [1, 0]], _ZERO), at, batch_dims=1)
    total = _join(*_sum(tf.gather(blank, at, batch_dims=1), before))

    def backward(t, blank, label, posteriors):
        arriving = _arriving(blank, label, skip_left, right=False)
        posterior = _ratio(alphas[t + 1], _join(*arriving[1]), total[:, None])
        blank, label = (
            _times(*s, y[t]) for s, y in zip(arriving, (blanks, emissions), strict=True)
        )
        return t - 1, blank, label, posteriors.write(t, posterior)

    loop = last - 1, *start(label_length - 1), array(frames, tf.float32)
    *_, posteriors = tf.while_loop(lambda t, *_: t >= 0, backward, loop, shapes)
    return total, posteriors.stack()


def _arriving(blank, label, skip, right):
    """What reaches each blank and each label from the frame before [B, L]."""
    near = label[:, :-1] if right else label[:, 1:]
    near = _padded(near, [[0, 0], [1, 0] if right else [0, 1]], _ZERO)
    return _sum(blank, near), _sum(label, blank, near + skip)


def _padded(x, more, value):
    """`tf.pad` with `constant_values`, which `tf.vectorized_map` would take for zeros."""
    return tf.pad(x - value, more) + value


# Longs: see the head of this file. As int64 they are ordered like the numbers they stand for.


def _long(value):
    return tf.constant(value, tf.int64)


def _split(x):
    """A long as its mantissa, float32 in [1, 2), and its power of two, a long without fraction."""
    fraction = tf.cast(x, tf.int32) & (_OCTAVE - 1)  # the low 23 bits
    return tf.bitcast(fraction | _ONE_BITS, tf.float32), x & -_OCTAVE


def _join(mantissa, power):
    """The long of mantissa * power, for a float32 mantissa > 0, which need not be in [1, 2)."""
    return tf.cast(tf.bitcast(mantissa, tf.int32), tf.int64) + (power - _ONE_BITS)


def _sum(*terms):
    """The sum of longs as (mantissa, power); the power is that of the largest term."""
    power = functools.reduce(tf.maximum, terms) & -_OCTAVE
    # Each as the bits of a float32 relative to it; 100 octaves below is rounding dust.
    bits = (tf.maximum(x - power + _ONE_BITS, _ONE_BITS - 100 * _OCTAVE) for x in terms)
    return sum(tf.bitcast(tf.cast(x, tf.int32), tf.float32) for x in bits), power


def _times(mantissa, power, y):
    """The long of mantissa * power * y, for a long y."""
    y_mantissa, y_power = _split(y)
    return tf.maximum(_join(mantissa * y_mantissa, power + y_power), _ZERO)


def _ratio(a, b, total):
    """a * b / total of longs as float32, at least about 2**-120 and far from its overflow."""
    (a, a_power), (b, b_power), (c, c_power) = map(_split, (a, b, total))
    power = tf.clip_by_value(a_power + b_power - c_power, -120 * _OCTAVE, 20 * _OCTAVE)
    return tf.bitcast(tf.cast(_join(a * b / c, power + _ONE_BITS), tf.int32), tf.float32)


def _log(x):
    """The logarithm of a long, float64; -inf for zero."""
    mantissa, power = _split(x)
    octaves = tf.cast(power, tf.float64) / _OCTAVE
    log = tf.math.log(tf.cast(mantissa, tf.float64)) + octaves * math.log(2)
    return tf.where(x < _NEAR_ZERO, tf.constant(-math.inf, tf.float64), log)


def _long_exp(x):
    """The long of exp(x), for float64 x <= 0."""
    octaves = tf.floor(x * (1 / math.log(2)))
    rest = tf.cast(x - octaves * math.log(2), tf.float32)  # in [0, log(2)]
    result = _join(tf.exp(rest), tf.cast(octaves, tf.int64) * _OCTAVE)
    return tf.where(x > -math.inf, result, _long(_ZERO))
