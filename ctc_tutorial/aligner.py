# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""A network without a memory that says when each letter is spoken.

Taught in notebook 07_alignment. This file stands alone: it needs NumPy and TensorFlow.

CTC rewards the right order of the labels, wherever they are, and a network with a memory may write
them anywhere. Here the logits of a frame are a linear function of the few frames
around it. Training has two rounds. In the first one each frame is seen alone, so that the same
sound gets the same logits wherever it is heard: the network can't tell places, only sounds. In
the second one its weights become the middle of a longer window, with zeros at both sides, and are
trained on until every label is read.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

STEPS, RATE = 200, 0.02  # updates in each round; Adam's learning rate at the start of each
BLANK_BIAS = 4.0  # the blank's bias before training: most frames start as blank, labels are short


def train_aligner(
    features: np.ndarray,
    labels: tf.SparseTensor,
    feature_length: np.ndarray,
    num_classes: int,
    loss_fn: Callable[..., tf.Tensor],
    windows: Sequence[int] = (1, 21),
) -> np.ndarray:
    """Train one linear layer on windows of frames, from zero weights (so there is no seed).

    Args:
        features: float32 [B, T, F], padded at the end; standardised here, number by number.
        labels: sparse int32 [B, L].
        feature_length: int32 [B].
        num_classes: C, the blank (last class) included.
        loss_fn: loss_fn(logits, labels, logit_length, label_length) with dense labels returns the
            CTC loss of each utterance; `ctc_loss` of losses.py does.
        windows: frames that the layer sees at once, odd, one number for each round of training.

    Returns:
        The trained layer's logits, float32 [B, T, C]. `forced_align` of lattice.py finds the
        labels in them.

    Raises:
        ValueError: a window that is even, or shorter than the one before; features, lengths or
            labels of other shapes, or that train to NaN, as NaN and ids of no class do.

    >>> def loss_fn(logits, labels, logit_length, label_length):
    ...     lengths = label_length, logit_length
    ...     return tf.nn.ctc_loss(labels, logits, *lengths, logits_time_major=False, blank_index=-1)
    >>> sounds = np.eye(3)[[[0, 1, 0, 0, 2, 0]]]  # silence, one sound, silence, another, silence
    >>> labels = tf.sparse.from_dense([[1, 2]])
    >>> logits = train_aligner(sounds, labels, [6], 4, loss_fn, windows=(1, 3))
    >>> logits.argmax(axis=-1).tolist()  # 3 is the blank
    [[3, 1, 3, 3, 2, 3]]
    """
    odd = [w for w in windows if isinstance(w, int | np.integer) and w > 0 and w % 2]
    if not odd or list(windows) != sorted(odd):
        raise ValueError(f"windows are {windows}: give odd ones, none shorter than the last")
    features, lengths = _checked_frames(features, feature_length)
    if not isinstance(num_classes, int | np.integer) or num_classes < 2:
        raise ValueError(f"num_classes={num_classes!r}: give an integer, at least 2")
    if not isinstance(labels, tf.SparseTensor):
        raise ValueError(f"labels must be a sparse tensor [B, L], not {labels!r}")
    ragged = tf.RaggedTensor.from_sparse(labels)  # fails on gaps
    features = tf.constant(_standardised(features, lengths))
    target = ragged.to_tensor(), tf.constant(lengths, tf.int32), ragged.row_lengths()
    kernel, bias = np.zeros((1, features.shape[-1], num_classes)), np.zeros(num_classes)
    bias[-1] = BLANK_BIAS
    for window in windows:
        more = (window - len(kernel)) // 2  # frames at each side that the last round did not see
        kernel = np.pad(kernel, ((more, more), (0, 0), (0, 0)))
        layer = keras.layers.Conv1D(num_classes, window, padding="same", dtype="float32")
        layer.build(features.shape)
        layer.set_weights([kernel, bias])
        _train(layer, features, target, loss_fn)
        kernel, bias = layer.get_weights()
    logits = np.array(layer(features))
    if np.isnan(logits).any():
        raise ValueError("the logits are NaN: look for it in features, and for labels of no class")
    return logits


def middle_frames(
    logits: np.ndarray, spans: Sequence[tuple[int, float, float, float]]
) -> np.ndarray:
    """The mean frame of each span, weighted with the probability of its label.

    Args:
        logits: float [T, C] of one utterance.
        spans: (id, start, end, score) of each label in frames, from `forced_align` of lattice.py.

    Returns:
        float64 [L].

    Raises:
        ValueError: logits that are not [T, C] or hold NaN, +inf or a frame of nothing above -inf;
            a span that is empty, outside the frames, in seconds, or of no class.

    >>> logits = np.log([[0.1, 0.9], [0.2, 0.8], [0.6, 0.4], [0.1, 0.9]])
    >>> middle_frames(logits, [(0, 1, 3, -1.0)])  # frames 1 and 2, weighted 0.2 and 0.6
    array([1.75])
    """
    p = _probabilities(logits)  # [T, C]
    _check_spans(spans, *p.shape)
    return np.array(
        [np.average(np.arange(a, b), weights=p[a:b, label] + 1e-30) for label, a, b, _ in spans]
    )


def share_in_words(
    text: str,
    seconds: np.ndarray,
    words: Sequence[tuple[str, float, float]],
    tolerance: float = 0.05,
) -> float:
    """Share of the text's letters (spaces do not count) that are inside the word they belong to.

    Args:
        text: words with one space between them.
        seconds: float [L], when each character of the text is said to be spoken.
        words: (word, start, end) of each word in seconds, as it is known to be spoken.
        tolerance: seconds that a letter may be before or after its word.

    Raises:
        ValueError: words that do not make the text, one with a space in it, a text without
            letters, another number of times than characters, or what is no number.

    >>> words = [("she", 0.1, 0.3), ("had", 0.3, 0.6)]
    >>> seconds = np.array([0.1, 0.2, 0.3, 0.3, 0.4, 0.5, 0.9])  # the last letter is too late
    >>> round(share_in_words("she had", seconds, words), 3)
    0.833
    """
    seconds, times = _checked_times(text, seconds, words, tolerance)
    number = np.cumsum([c == " " for c in text])  # [L], the word each letter belongs to
    start, end = times[number].T  # [L] each
    inside = (start - tolerance <= seconds) & (seconds <= end + tolerance)
    return float(inside[[c != " " for c in text]].mean())


def _probabilities(logits) -> np.ndarray:
    logits = _numbers(logits, "logits")
    if logits.ndim != 2 or not np.isfinite(logits.max(axis=1, initial=-np.inf)).all():
        found = f"shape {logits.shape}"
        raise ValueError(f"logits must be finite numbers [T, C] of one utterance, not of {found}")
    return np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def _check_spans(spans, frames: int, classes: int) -> None:
    for span in spans:
        whole = len(span) == 4 and all(isinstance(n, int | np.integer) for n in span[:3])
        if not (whole and 0 <= span[0] < classes and 0 <= span[1] < span[2] <= frames):
            raise ValueError(
                f"span {tuple(span)} is no (id, start, end, score) of {classes} classes and "
                f"{frames} frames: give spans in frames, not in seconds"
            )


def _checked_times(text: str, seconds, words, tolerance) -> tuple[np.ndarray, np.ndarray]:
    """Of the characters [L] and of the words [W, 2], for `share_in_words`."""
    seconds = _numbers(seconds, "seconds")
    if " ".join(word for word, _, _ in words) != text or seconds.shape != (len(text),):
        raise ValueError(f"give a time for each character of {text!r}, and just its words")
    if not text.strip(" ") or any(" " in word for word, _, _ in words):
        raise ValueError(f"the text {text!r} needs letters, and a place in words for each word")
    times = _numbers([span[1:] for span in words], "the times of words")
    tolerance = _numbers(tolerance, "tolerance")
    if np.isnan(seconds).any() or np.isnan(times).any() or np.isnan(tolerance):
        raise ValueError("seconds, the times of words and tolerance must not be NaN")
    return seconds, times


def _numbers(values, name: str) -> np.ndarray:
    try:
        values = np.asarray(values)
        if values.dtype.kind not in "cSU":
            return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error
    raise ValueError(f"{name} must hold numbers, not {values.dtype}")


def _checked_frames(features, feature_length) -> tuple[np.ndarray, np.ndarray]:
    features, lengths = _numbers(features, "features"), _numbers(feature_length, "feature_length")
    if features.ndim != 3 or lengths.shape != features.shape[:1] or not features.size:
        shapes = f"{features.shape} and {lengths.shape}"
        raise ValueError(f"features [B, T, F] and feature_length [B] have the shapes {shapes}")
    if not np.isin(lengths, range(1, features.shape[1] + 1)).all():
        raise ValueError(f"feature_length must be integers from 1 to T, not {feature_length}")
    return features.astype(np.float32), lengths


def _standardised(features: np.ndarray, feature_length: np.ndarray) -> np.ndarray:
    """Each of the F numbers with mean 0 and standard deviation 1 over all frames; padding is 0."""
    real = np.arange(features.shape[1]) < np.asarray(feature_length)[:, None]  # [B, T]
    mean, deviation = features[real].mean(axis=0), features[real].std(axis=0)  # [F]
    return np.where(real[:, :, None], (features - mean) / np.maximum(deviation, 1e-6), 0)


def _train(layer: keras.layers.Layer, features, target, loss_fn) -> None:
    variables = layer.trainable_variables
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, STEPS))
    optimizer.build(variables)

    def train():
        for _ in tf.range(STEPS):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(loss_fn(layer(features), *target))
            optimizer.apply(tape.gradient(loss, variables), variables)

    # All updates are one call of one graph: compiled once, and no time is lost between them. Called
    # as tf.function(train)(), new in each round, it would make TensorFlow warn of retracing.
    tf.function(train).get_concrete_function()()
