"""CTC loss and label error rate inside a layer. Taught in notebook 02_the_add_loss_layer."""

import math
from collections.abc import Callable

try:
    import tensorflow as tf
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "this module needs TensorFlow: pip install tensorflow-cpu (or tensorflow)"
    ) from error
import keras


@keras.saving.register_keras_serializable(package="ctc_tutorial")
class CTCLossLayer(keras.layers.Layer):
    """Passes logits through, adds their CTC loss to the model and reports the metric `ler`.

    The loss is in nats, its mean over the batch, with the last class as blank (Graves et al.
    2006, eq. 12). `ler` is the mean over utterances of edit distance / truth length after greedy
    decoding. Everything is computed in float32, whatever the dtype policy.

    Args:
        infeasible: what to do with an utterance that CTC can't align. "raise" stops with an
            error that names it (code that XLA compiles can't raise: there its loss is inf or NaN).
            "skip" gives it zero loss and zero gradient, leaves it out of both means, and counts
            such utterances in the metric `skipped`.
        loss_fn: called as loss_fn(logits, labels, logit_length, label_length) with dense labels
            [B, L], returns the losses [B]. By default `ctc_loss` of losses.py, where that file is
            beside this one, and `sparse_op_loss` elsewhere.
    """

    def __init__(self, infeasible: str = "raise", loss_fn: Callable | None = None, **kwargs):
        if infeasible not in ("raise", "skip"):
            raise ValueError(f'infeasible must be "raise" or "skip", not {infeasible!r}')
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.infeasible = infeasible
        self.given_loss_fn = loss_fn
        self.loss_fn = loss_fn or _default_loss()
        self.supports_masking = True
        self.supports_jit = self.loss_fn is not sparse_op_loss  # that has no XLA kernel
        self.ler = keras.metrics.Mean(name="ler")
        if infeasible == "skip":
            self.skipped = keras.metrics.Sum(name="skipped")

    def call(
        self,
        logits: tf.Tensor,
        labels: tf.SparseTensor | tf.RaggedTensor | tf.Tensor,
        logit_length: tf.Tensor,
        label_length: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Add the loss of one batch.

        Args:
            logits: [B, T, C], not probabilities; the last class is the blank.
            labels: class ids [B, L], sparse, ragged, or dense zero padded with `label_length`.
            logit_length: frames of each utterance, [B] or [B, 1].
            label_length: labels of each utterance, [B] or [B, 1]; for dense labels only.

        Returns:
            The logits, unchanged.

        Raises:
            ValueError: dense labels without `label_length`.
            tf.errors.InvalidArgumentError: with infeasible="raise", an utterance without labels,
                with an id that is the blank or no class, a logit_length beyond T, or fewer frames
                than labels + adjacent repeats; always, sparse labels with gaps.
        """
        if isinstance(labels, tf.SparseTensor | tf.RaggedTensor):
            self.supports_jit = False  # only dense labels can go into XLA
        dense, label_length = _dense_labels(labels, label_length)
        logit_length = tf.cast(tf.reshape(logit_length, [-1]), tf.int32)
        feasible, message = _check(logits, dense, logit_length, label_length)
        scored = logits
        if self.infeasible == "raise":
            check = tf.debugging.Assert(tf.reduce_all(feasible), message, summarize=-1)
            with tf.control_dependencies([check]):
                scored = tf.identity(logits)
            feasible = tf.ones_like(feasible)
        else:
            # A stand-in that can be scored: the label 0 on frames of zeros. No NaN can leak.
            scored = tf.where(feasible[:, None, None], logits, 0.0)
            dense = tf.where(feasible[:, None], tf.pad(dense, [[0, 0], [0, 1]]), 0)
            label_length = tf.where(feasible, label_length, 1)
            logit_length = tf.where(feasible, logit_length, tf.shape(logits)[1])
            self.skipped.update_state(tf.cast(~feasible, tf.float32))
        losses = self.loss_fn(scored, dense, logit_length, label_length)
        losses = tf.where(label_length > 0, losses, math.nan)  # where XLA has dropped the check
        counted = tf.cast(feasible, tf.float32)
        total = tf.reduce_sum(losses * counted)
        # XLA compiles anew for every shape: a few shapes for all batches, as in ctc_loss.
        scored = tf.pad(scored, [[0, 0], [0, -tf.shape(scored)[1] % 64], [0, 0]])
        dense = tf.pad(dense, [[0, 0], [0, 64 - tf.shape(dense)[1] % 64]])
        rates = _label_error_rates(scored, dense, logit_length, label_length)
        self.ler.update_state(rates, counted)
        # Last: in older Keras (3.8) replicas wait for each other in a metric, and the next one to
        # go on would clear this loss.
        self.add_loss(_mean_over_batch(total, tf.reduce_sum(counted)))
        return logits

    def get_config(self) -> dict:
        loss_fn = keras.saving.serialize_keras_object(self.given_loss_fn)
        return {**super().get_config(), "infeasible": self.infeasible, "loss_fn": loss_fn}

    @classmethod
    def from_config(cls, config: dict) -> "CTCLossLayer":
        loss_fn = keras.saving.deserialize_keras_object(config["loss_fn"])
        return cls(**{**config, "loss_fn": loss_fn})


@keras.saving.register_keras_serializable(package="ctc_tutorial")
def sparse_op_loss(logits, labels, logit_length, label_length):
    """TensorFlow's own CTC loss, by its sparse op: fast on a CPU, but inf for a feasible utterance
    as soon as it needs a label whose logit is 87 or more below its frame's largest."""
    sparse = tf.RaggedTensor.from_tensor(labels, lengths=label_length).to_sparse()
    return tf.nn.ctc_loss(sparse, logits, None, logit_length, False, blank_index=-1)


def _default_loss():
    try:
        if __package__:
            from .losses import ctc_loss
        else:
            from losses import ctc_loss
    except ImportError:
        return sparse_op_loss
    return ctc_loss


def _dense_labels(labels, label_length):
    """Any kind of labels as int32 [B, L] zero padded, and their lengths int32 [B]."""
    if isinstance(labels, tf.SparseTensor):
        # Fails on gaps, which a scipy.sparse matrix has where the id is 0.
        labels = tf.RaggedTensor.from_sparse(labels)
    if isinstance(labels, tf.RaggedTensor):
        dense, label_length = labels.to_tensor(), labels.row_lengths()
    elif label_length is None:
        raise ValueError("dense labels need label_length: padding can't be told from class 0")
    else:
        dense = labels
    return tf.cast(dense, tf.int32), tf.cast(tf.reshape(label_length, [-1]), tf.int32)


@tf.custom_gradient
def _mean_over_batch(total, count):
    """total / count, of the rows of one replica where a `tf.distribute` strategy has several.

    Keras takes the mean of the replicas' gradients. So that it is the gradient of the mean over
    the whole batch, also with uneven or empty shares, each is divided by the mean count.
    """

    def gradient(upstream):
        replica, share = tf.distribute.get_replica_context(), count
        if replica and replica.num_replicas_in_sync > 1:
            share = replica.all_reduce(tf.distribute.ReduceOp.MEAN, count)
        return tf.math.divide_no_nan(upstream, share), None

    return tf.math.divide_no_nan(total, count), gradient


def _check(logits, labels, logit_length, label_length):
    """Which utterances CTC can align, bool [B], and what to say of the first that it can't."""
    frames, num_classes = tf.shape(logits)[1], logits.shape[-1]
    valid = tf.sequence_mask(label_length, tf.shape(labels)[1])
    strange = tf.reduce_any(valid & ((labels < 0) | (labels >= num_classes - 1)), axis=1)
    same = valid[:, 1:] & (labels[:, 1:] == labels[:, :-1])
    repeats = tf.reduce_sum(tf.cast(same, tf.int32), axis=1)
    feasible = (
        ~strange
        & (label_length > 0)
        & (label_length <= tf.shape(labels)[1])
        & (logit_length <= frames)
        & (label_length + repeats <= logit_length)
    )
    # One more row, so that there is one to look at where a replica gets none.
    labels = tf.pad(labels, [[0, 1], [0, 0]])
    label_length, repeats, logit_length, found = (
        tf.pad(x, [[0, 1]])
        for x in (label_length, repeats, logit_length, tf.cast(~feasible, tf.int32))
    )
    row = tf.argmax(found, output_type=tf.int32)
    has = ["CTC cannot align utterance", row, "of the batch: labels"]
    has += [labels[row, : label_length[row]], "with adjacent repeats", repeats[row]]
    has += ["and logit_length", logit_length[row]]
    needs = ["of", frames, "frames; it needs 1 or more labels from 0 to", num_classes - 2]
    needs += ["(the last class is the blank) and a frame for each label and repeat"]
    return feasible, [*has, *needs]


@tf.function(jit_compile=True, autograph=False)
def _label_error_rates(logits, labels, logit_length, label_length):
    """Edit distance / truth length of the greedy decoding of each utterance, float32 [B].

    The labels' width is a multiple of 64: neighbours in a column of the table of distances differ
    by 1, 0 or -1, and the bits of an int64 hold 64 of these differences (Myers 1999, in the form of
    Hyyro 2003). One step per frame, in operations that XLA knows, as it does not TensorFlow's
    decoder.
    """
    batch, frames, classes = tf.unstack(tf.shape(logits))
    best = tf.argmax(logits, axis=-1, output_type=tf.int32)
    before = tf.pad(best[:, :-1], [[0, 0], [1, 0]], constant_values=-1)
    spoken = (best != before) & (best != classes - 1) & tf.sequence_mask(logit_length, frames)
    count = tf.reduce_sum(tf.cast(spoken, tf.int32), axis=1)

    bit = tf.bitwise.left_shift(tf.constant(1, tf.int64), tf.range(64, dtype=tf.int64))
    truth = tf.reshape(labels, [batch, -1, 64, 1])
    # Where in the truth each class stands, [B, words, C].
    places = tf.reduce_sum(tf.where(truth == tf.range(classes), bit[:, None], 0), axis=2)
    zero = tf.zeros_like(places[:, :, 0])
    words = tf.shape(zero)[1]
    decoded = tf.pad(tf.where(spoken, best, -1), [[0, 0], [0, words - 1]], constant_values=-1)

    def step(t, symbol, up, down, plus, minus):
        """`up`, `down`: where a column rises or falls; `plus`, `minus`: the same along a row."""
        # Each word is a frame behind the one before it, and takes over what left that one's top.
        symbol = tf.concat([decoded[:, t, None], symbol[:, :-1]], axis=1)
        plus_in = tf.pad(plus[:, :-1], [[0, 0], [1, 0]], constant_values=1)
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
    return tf.cast(distance, tf.float32) / tf.cast(label_length, tf.float32)
