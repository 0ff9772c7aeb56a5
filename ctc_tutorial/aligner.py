"""A network without a memory that says when each letter is spoken. Taught in notebook 06.

CTC rewards the right order and no position, and a network with a memory may write its letters
anywhere. Here the logits of a frame depend on a short window of frames around it, linearly. First
the window is one frame long, and what the network calls `a` has to sound like an `a` each time;
then those weights are trained on in the middle of a longer window, until it reads, too.
"""

from collections.abc import Callable, Sequence

import numpy as np

try:
    import tensorflow as tf
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "this module needs TensorFlow: pip install tensorflow-cpu (or tensorflow)"
    ) from error
import keras

STEPS, RATE = 200, 0.02  # updates for each window; Adam's first learning rate
BLANK_BIAS = 4.0  # the first logit of the blank, so that letters start short


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
        features: `[B, T, F]`, padded at the end; standardised here, coefficient by coefficient.
        labels: sparse `[B, L]` class ids.
        feature_length: `[B]` frames of each utterance.
        num_classes: C, the blank (last class) included.
        loss_fn: called as loss_fn(logits, labels, logit_length, label_length) with dense labels,
            returns the CTC loss of each utterance; `ctc_loss` of losses.py does.
        windows: the odd lengths of the window, in frames, in the order they are trained.

    Returns:
        The trained layer's logits `[B, T, C]` for the features. `align` of lattice.py finds the
        letters in them.

    Raises:
        ValueError: a window that has no middle, or is shorter than the one before.
    """
    if any(w % 2 == 0 for w in windows) or list(windows) != sorted(windows):
        raise ValueError(f"windows must be odd and must not shrink, not {windows}")
    features = tf.constant(_standardised(features, feature_length))
    target = (
        tf.sparse.to_dense(labels),
        tf.constant(feature_length, tf.int32),
        tf.math.bincount(tf.cast(labels.indices[:, 0], tf.int32), minlength=len(features)),
    )
    kernel, bias = np.zeros((1, features.shape[-1], num_classes)), np.zeros(num_classes)
    bias[-1] = BLANK_BIAS
    for window in windows:
        around = (window - len(kernel)) // 2
        kernel = np.pad(kernel, ((around, around), (0, 0), (0, 0)))
        layer = keras.layers.Conv1D(num_classes, window, padding="same")
        layer.build(features.shape)
        layer.set_weights([kernel, bias])
        _train(layer, features, target, loss_fn)
        kernel, bias = layer.get_weights()
    return np.array(layer(features))


def _standardised(features: np.ndarray, feature_length: np.ndarray) -> np.ndarray:
    """Each coefficient with mean 0 and standard deviation 1 over all frames; padding is 0."""
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

    # The whole training is one call of one graph. (Calling a new tf.function each time would make
    # TensorFlow warn of retracing.)
    tf.function(train).get_concrete_function()()


def middle_frames(
    logits: np.ndarray, spans: Sequence[tuple[int, float, float, float]]
) -> np.ndarray:
    """The mean frame of each span, weighted with the probability of its label.

    Args:
        logits: `[T, C]` of one utterance.
        spans: (id, start, end, score) of each label in frames; `align` of lattice.py returns them.

    Returns:
        float `[L]`.
    """
    p = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))  # [T, C]
    return np.array(
        [np.average(range(a, b), weights=p[a:b, label] + 1e-30) for label, a, b, _ in spans]
    )


def share_in_words(
    text: str,
    seconds: np.ndarray,
    words: Sequence[tuple[str, float, float]],
    tolerance: float = 0.05,
) -> float:
    """Share of the text's letters (spaces do not count) that lie inside the word they belong to.

    Args:
        text: words with one space between them.
        seconds: `[L]`, when each character of the text is said to be spoken.
        words: (word, start, end) of each word, in seconds: the truth.
        tolerance: seconds that a letter may lie before its word or behind it.

    Raises:
        ValueError: words that do not make the text.
    """
    if " ".join(word for word, _, _ in words) != text or len(text) != len(seconds):
        raise ValueError(f"expected a time for each character of {text!r}, and its words")
    number = np.cumsum([c == " " for c in text])  # [L], the word each letter belongs to
    start, end = np.array([span[1:] for span in words])[number].T  # [L] each
    inside = (start - tolerance <= seconds) & (seconds <= end + tolerance)
    return float(inside[[c != " " for c in text]].mean())
