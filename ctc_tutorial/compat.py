# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""The CTC functions of Keras 2's `keras.backend`, on this package's loss and decoders.

Taught in notebook 12_from_keras_2_to_3. Copy losses.py, beam_search.py and decoding.py with this
file. It is for code that has to go on as it is; new code gives logits to `CTCLossLayer` or
`ctc_loss`, and decodes with `greedy_decode` or `beam_search_decode`.

Arguments and results are those of Keras 2: probabilities (after a softmax), the blank is the last
class, lengths are [B, 1] or [B]. Where these functions differ from the old ones, on purpose:

- An utterance that no path explains has the loss inf and no gradient, and one with an empty
  transcript has its loss; the old function stopped at both. An id or a length that can't be is NaN.
- Beam search keeps "ll": the old one merged equal labels in its result, blank between them or not.
- Fewer texts than `top_paths`: the rest is padding, with the log probability -inf.

In a functional model they are called within the `call` of a layer; a `Lambda` is not needed, and
could not be saved safely:

>>> class CTC(keras.layers.Layer):
...     def call(self, labels, probabilities, input_length, label_length):
...         cost = ctc_batch_cost(labels, probabilities, input_length, label_length)
...         self.add_loss(tf.reduce_mean(cost))
...         return probabilities

Source: the signatures and the meaning of tensorflow.org/api_docs/python/tf/keras/backend.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .beam_search import beam_search_decode
from .decoding import greedy_decode
from .losses import ctc_loss


def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> tf.Tensor:
    """CTC loss of each utterance from probabilities, as `keras.backend.ctc_batch_cost`.

    The loss sees log(y_pred + 1e-7) (`keras.config.epsilon()`), as in Keras 2: no frame costs more
    than 16.1 nats, and a label whose probability is far below 1e-7 gets no gradient. That is why
    today's losses take logits.

    Args:
        y_true: class ids [B, L], integers or whole floats; ids past `label_length` are ignored.
        y_pred: probabilities [B, T, C], the blank last.
        input_length: frames of each utterance, [B, 1] or [B].
        label_length: labels of each utterance, [B, 1] or [B].

    Returns:
        float32 [B, 1], in nats, differentiable with respect to `y_pred`. NaN for an utterance with
        an id that is the blank or no class, or a length out of range; inf for one that is too
        short for its labels.

    Raises:
        ValueError: as from `ctc_loss`.

    >>> probabilities = [[[0.4, 0.0, 0.6]] * 2]  # classes a, b and blank; both frames alike
    >>> cost = ctc_batch_cost([[0]], probabilities, input_length=[[2]], label_length=[[1]])
    >>> f"p(a) = {np.exp(-cost[0, 0]):.2f}"  # "aa", "a-", "-a": 0.16 + 0.24 + 0.24
    'p(a) = 0.64'
    """
    lengths = (tf.reshape(n, [-1]) for n in (input_length, label_length))
    return ctc_loss(_log(y_pred), y_true, *lengths)[:, None]


def ctc_label_dense_to_sparse(labels: Any, label_lengths: Any) -> tf.SparseTensor:
    """Padded labels as a sparse tensor, as `keras.backend.ctc_label_dense_to_sparse`.

    Args:
        labels: [B, L], of any type.
        label_lengths: labels of each utterance, [B, 1] or [B].

    Returns:
        A sparse tensor of the shape [B, L] without the padding.

    >>> sparse = ctc_label_dense_to_sparse([[5, 0, 0], [6, 7, 8]], [1, 3])
    >>> sparse.values.numpy()
    array([5, 6, 7, 8], dtype=int32)
    """
    labels, lengths = tf.convert_to_tensor(labels), tf.reshape(label_lengths, [-1])
    places = tf.where(tf.sequence_mask(lengths, tf.shape(labels)[1]))  # [N, 2]
    shape = tf.shape(labels, out_type=tf.int64)
    return tf.SparseTensor(places, tf.gather_nd(labels, places), shape)


def ctc_decode(
    y_pred: Any,
    input_length: Any,
    greedy: bool = True,
    beam_width: int = 100,
    top_paths: int = 1,
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Labels from probabilities, as `keras.backend.ctc_decode`.

    Works eagerly and in a `tf.function` (as a call back into Python, so not under XLA).

    Args:
        y_pred: probabilities [B, T, C], the blank last.
        input_length: frames of each utterance, [B, 1] or [B].
        greedy: the best path; otherwise a beam search, which sums over the paths of each text.
        beam_width: prefixes that the beam search keeps.
        top_paths: texts that the beam search gives.

    Returns:
        A list of tensors, int64 [B, T]: the best texts of all utterances (with `greedy` just one),
        then the second best, and so on; padded with -1.
        A float32 tensor. With `greedy` [B, 1]: *minus* the log probability of the best path. From a
        beam search [B, top_paths]: the log probability of each text.

    Raises:
        ValueError: as from `greedy_decode` and `beam_search_decode`; in a graph TensorFlow makes
            an InvalidArgumentError of it.

    >>> probabilities = [[[0.4, 0.0, 0.6]] * 2]  # classes a, b and blank; both frames alike
    >>> (ids,), negative = ctc_decode(probabilities, [2])
    >>> ids.numpy()[0], f"p = {np.exp(-negative[0, 0]):.2f}"  # "--", the best path
    (array([-1, -1]), 'p = 0.36')
    >>> (ids,), positive = ctc_decode(probabilities, [2], greedy=False)
    >>> ids.numpy()[0], f"p = {np.exp(positive[0, 0]):.2f}"  # "a", the best text
    (array([ 0, -1]), 'p = 0.64')
    """
    count = 1 if greedy else top_paths

    def decode(logits, lengths):
        if greedy:
            texts = [[ids] for ids in greedy_decode(logits, lengths)]
            best = np.where(np.arange(logits.shape[1]) < lengths[:, None], logits.max(-1), 0)
            scores = -best.sum(axis=1, keepdims=True)
        else:
            results = beam_search_decode(logits, lengths, beam_width, top_paths)
            texts = [[hypothesis.ids for hypothesis in row] for row in results]
            scores = np.full((len(texts), count), -np.inf)
            for row, hypotheses in zip(scores, results, strict=True):
                row[: len(hypotheses)] = [h.log_probability for h in hypotheses]
        padded = np.full((count, *logits.shape[:2]), -1, np.int64)
        for i, row in enumerate(texts):
            for path, ids in enumerate(row):
                padded[path, i, : len(ids)] = ids
        return padded, scores.astype(np.float32)

    logits, lengths = _log(y_pred), tf.cast(tf.reshape(input_length, [-1]), tf.int32)
    if tf.executing_eagerly():
        paths, scores = map(tf.constant, decode(logits.numpy(), lengths.numpy()))
    else:
        paths, scores = tf.numpy_function(decode, [logits, lengths], [tf.int64, tf.float32])
        paths.set_shape([count, *logits.shape[:2]])
        scores.set_shape([logits.shape[0], count])
    return tf.unstack(paths, num=count), scores


def _log(probabilities):
    return tf.math.log(tf.cast(probabilities, tf.float32) + keras.config.epsilon())
