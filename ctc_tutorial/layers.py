# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""CTC loss and label error rate inside a layer. Taught in notebook 02_the_add_loss_layer.

Copy losses.py and metrics.py with this file into a folder of your own, say ctc/, and import
ctc.layers. By a plain `import layers` it takes TensorFlow's ops for both, whatever lies beside it.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"layers.py needs Keras's TensorFlow backend, not {keras.backend.backend()}: set "
        "KERAS_BACKEND=tensorflow, or take portable.py, which runs on all of them"
    )


@keras.saving.register_keras_serializable(package="ctc_tutorial")
def sparse_op_loss(
    logits: tf.Tensor, labels: tf.Tensor, logit_length: tf.Tensor, label_length: tf.Tensor
) -> tf.Tensor:
    """TensorFlow's own CTC loss, by its sparse op; arguments as for `ctc_loss` of losses.py.

    XLA does not know it, and it is inf for a feasible utterance as soon as that needs a label whose
    logit is 87 or more below its frame's largest. It is inf, too, for one that CTC can't align.

    >>> logits = tf.math.log([[[0.4, 1e-9, 0.6]] * 2])  # classes a, b and blank; both frames alike
    >>> (loss,) = sparse_op_loss(logits, *map(tf.constant, ([[0]], [2], [1])))
    >>> f"p(a) = {tf.exp(-loss):.2f}"  # "aa", "a-", "-a": 0.16 + 0.24 + 0.24
    'p(a) = 0.64'
    """
    logits, labels, *lengths, feasible, _ = _checked(logits, labels, logit_length, label_length)
    logit_length, label_length = (tf.where(feasible, n, 0) for n in lengths)
    empty = label_length == 0  # the op refuses an utterance without labels: all blanks, then
    labels = tf.pad(tf.where(empty[:, None], 0, labels), [[0, 0], [0, 1]])
    sparse = tf.RaggedTensor.from_tensor(labels, tf.maximum(label_length, 1)).to_sparse()
    padded, frames = tf.pad(logits, [[0, 0], [0, 1], [0, 0]]), tf.maximum(logit_length, 1)
    losses = tf.nn.ctc_loss(sparse, padded, None, frames, False, blank_index=-1)
    blanks = tf.nn.log_softmax(logits)[:, :, -1]
    blanks = tf.where(tf.sequence_mask(logit_length, tf.shape(logits)[1]), blanks, 0.0)
    return tf.where(feasible, tf.where(empty, -tf.reduce_sum(blanks, axis=1), losses), math.inf)


def _sparse_op_rates(logits, labels, logit_length, label_length):
    (decoded,), _ = tf.nn.ctc_greedy_decoder(tf.transpose(logits, [1, 0, 2]), logit_length)
    references = tf.RaggedTensor.from_tensor(labels, label_length).to_sparse()
    rates = tf.edit_distance(decoded, tf.cast(references, tf.int64))
    return tf.where(label_length > 0, tf.ensure_shape(rates, [None]), 0.0)


if __package__:
    from .losses import ctc_loss as _default_loss
    from .metrics import label_error_rates
else:
    _default_loss, label_error_rates = sparse_op_loss, _sparse_op_rates


@keras.saving.register_keras_serializable(package="ctc_tutorial")
class CTCLossLayer(keras.layers.Layer):
    """Passes logits through, adds their CTC loss to the model and reports the metric `ler`.

    The loss is in nats, its mean over the batch, with the last class as blank (Graves et al.
    2006, eq. 12). `ler` is the mean over utterances of edit distance / reference length after
    greedy decoding. Both are computed in float32, whatever the dtype policy.

    Args:
        infeasible: what to do with an utterance that CTC can't align, or that holds NaN or +inf.
            "raise" stops with an error that names it (code that XLA compiles can't raise: there
            its loss is inf or NaN). "skip" gives it zero loss and zero gradient, leaves it out of
            both means, and counts such utterances in the metric `skipped`.
        loss_fn: called as loss_fn(logits, labels, logit_length, label_length) with dense labels
            [B, L], returns the losses [B]. By default `ctc_loss` of losses.py. A model that is to
            be saved needs a function with a name, registered with Keras.
        weight: what the loss is multiplied by, where a model has several.
        name: a model with several of these layers needs one for each: "words" reports
            `words_loss` (before this `weight`), `words_ler` and `words_skipped`.

    >>> logits = tf.math.log([[[0.4, 1e-9, 0.6]] * 2])  # classes a, b and blank; both frames alike
    >>> layer = CTCLossLayer()
    >>> passed_through = layer(logits, tf.ragged.constant([[0]]), logit_length=tf.constant([2]))
    >>> f"p(a) = {tf.exp(-layer.losses[0]):.2f}, label error rate {layer.ler.result():.0f}"
    'p(a) = 0.64, label error rate 1'
    """

    def __init__(
        self,
        infeasible: str = "raise",
        loss_fn: Callable | None = None,
        weight: float = 1.0,
        name: str | None = "ctc",
        **kwargs: Any,
    ) -> None:
        if infeasible not in ("raise", "skip"):
            raise ValueError(f'infeasible must be "raise" or "skip", not {infeasible!r}')
        if keras.dtype_policies.get(kwargs.pop("dtype", "float32")).compute_dtype == "float64":
            raise ValueError("CTCLossLayer computes in float32: leave out dtype='float64'")
        # Logits come as they are, and are given back as they came.
        super().__init__(name=name, dtype="float32", autocast=False, **kwargs)
        self.infeasible, self.weight = infeasible, weight
        self.loss_fn = loss_fn or _default_loss
        self.supports_masking = True
        # XLA can't make sparse labels dense; a functional model says below what it has, before
        # `compile`.
        self.supports_jit = False
        prefix = "" if self.name == "ctc" else f"{self.name}_"
        self._ler = keras.metrics.Mean(name=f"{prefix}ler")
        self.own_loss = keras.metrics.Mean(name=f"{prefix}loss") if prefix else None
        self.skipped = keras.metrics.Sum(name=f"{prefix}skipped") if infeasible == "skip" else None

    @property  # can't be replaced: Keras would go on showing the old metric, at 0
    def ler(self) -> keras.metrics.Mean:
        return self._ler

    def compute_output_spec(self, logits: Any, labels: Any, *_, **__) -> keras.KerasTensor:
        # Without this method Keras calls the layer with a dense placeholder for ragged labels.
        dense = not any(getattr(labels, kind, False) for kind in ("sparse", "ragged"))
        self.supports_jit = dense and sparse_op_loss not in (self.loss_fn, _default_loss)
        return keras.KerasTensor(logits.shape, logits.dtype)

    def call(
        self,
        logits: tf.Tensor,
        labels: tf.SparseTensor | tf.RaggedTensor | tf.Tensor,
        logit_length: tf.Tensor,
        label_length: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Add the loss of one batch.

        Args:
            logits: [B, T, C], not probabilities; the last class is the blank.
            labels: class ids [B, L], sparse, ragged, or dense zero padded with `label_length`. An
                utterance may have none: its loss is that of blanks alone, and it has no error rate.
            logit_length: frames of each utterance, [B] or [B, 1].
            label_length: labels of each utterance, [B] or [B, 1]; for dense labels only.
            sample_weight: of each utterance in the loss and in the error rate, [B] or [B, 1].

        Returns:
            The logits, unchanged.

        Raises:
            ValueError: dense labels without `label_length`; a wrong rank or dtype, or another
                number of utterances than in the logits; a `loss_fn` that returns no [B].
            tf.errors.InvalidArgumentError: with infeasible="raise", an utterance with an id that is
                the blank or no class, a frame that counts and holds NaN, +inf or nothing above
                -inf, a logit_length beyond T, or fewer frames than labels + adjacent repeats;
                always, sparse labels with gaps.
        """
        scored, dense, logit_length, label_length, feasible, message = _checked(
            logits, labels, logit_length, label_length, sample_weight
        )
        if self.infeasible == "raise":
            with tf.control_dependencies([_assert_all(feasible, message)]):
                scored = tf.identity(scored)
            feasible = tf.ones_like(feasible)
        else:
            # In place of what can't be scored, no labels on frames of zeros: no NaN can leak.
            scored = tf.where(feasible[:, None, None], scored, 0.0)
            lengths = label_length, logit_length
            label_length, logit_length = (tf.where(feasible, n, 0) for n in lengths)
            self.skipped.update_state(tf.cast(~feasible, tf.float32))
        losses = self.loss_fn(scored, dense, logit_length, label_length)
        if losses.shape.rank not in (1, None):
            raise ValueError(f"loss_fn must return the losses [B], not the shape {losses.shape}")
        weight = counted = tf.cast(feasible, tf.float32)
        if sample_weight is not None:
            weight = counted * tf.cast(tf.reshape(sample_weight, [-1]), tf.float32)
        rates = label_error_rates(scored, dense, logit_length, label_length)
        self._ler.update_state(rates, weight * tf.cast(label_length > 0, tf.float32))
        if self.own_loss is not None:
            self.own_loss.update_state(losses * weight, counted)
        # Last: in older Keras (3.8) replicas wait for each other in a metric, and the next one to
        # go on would clear this loss.
        total = tf.reduce_sum(losses * weight)
        self.add_loss(self.weight * _mean_over_batch(total, tf.reduce_sum(counted)))
        return logits

    def get_config(self) -> dict:
        loss_fn = keras.saving.serialize_keras_object(self.loss_fn)
        own = {"infeasible": self.infeasible, "loss_fn": loss_fn, "weight": self.weight}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict) -> "CTCLossLayer":
        try:
            loss_fn = keras.saving.deserialize_keras_object(config["loss_fn"])
        except (TypeError, ValueError) as error:
            if config["loss_fn"].get("class_name") != "function":
                raise  # such as a lambda, of which Keras says more
            name = str(config["loss_fn"].get("config")).split(">")[-1]
            raise ValueError(
                f"this layer was saved with the loss {name}: import the file that it stands in "
                "(ctc_loss: losses.py, in one folder with layers.py)"
            ) from error
        return cls(**{**config, "loss_fn": loss_fn})


def _checked(logits, labels, logit_length, label_length, sample_weight=None):
    """Logits float32, any labels as int32 [B, L], both lengths, and what `_check` says of them."""
    if isinstance(labels, tf.SparseTensor):
        # Fails on gaps, which a scipy.sparse matrix has where the id is 0.
        labels = tf.RaggedTensor.from_sparse(labels)
    if isinstance(labels, tf.RaggedTensor):
        labels, label_length = labels.to_tensor(), labels.row_lengths()
    if label_length is None:
        raise ValueError("dense labels need label_length: padding can't be told from class 0")
    label_length, logit_length = (tf.reshape(n, [-1]) for n in (label_length, logit_length))
    given = {"labels": labels, "logit_length": logit_length, "label_length": label_length}
    columns = [_integers(name, values) for name, values in given.items()]
    _check_shapes(tf.convert_to_tensor(logits), *columns, sample_weight)
    logits = tf.cast(logits, tf.float32)
    return logits, *columns, *_check(logits, *columns)


def _integers(name, values):
    """As int32, with -1, which is never valid, for what is no integer or does not fit."""
    values = tf.convert_to_tensor(values)
    if not (values.dtype.is_integer or values.dtype.is_floating):
        raise ValueError(f"{name} must be integers, not {values.dtype.name}")
    narrow = tf.cast(values, tf.int32)
    return tf.where(tf.cast(narrow, values.dtype) == values, narrow, -1)


def _check_shapes(logits, labels, logit_length, label_length, sample_weight):
    """As far as they are known before the model runs."""
    if logits.dtype == tf.string or logits.dtype.is_complex:
        raise ValueError(f"logits must be numbers, not {logits.dtype.name}")
    for name, rank, values in (("logits", 3, logits), ("labels", 2, labels)):
        if values.shape.rank not in (rank, None):
            raise ValueError(f"{name} must have rank {rank}, not the shape {values.shape}")
    columns = {"labels": labels, "logit_length": logit_length, "label_length": label_length}
    if sample_weight is not None:
        columns["sample_weight"] = tf.reshape(sample_weight, [-1])
    for name, values in columns.items():
        rows, batch = values.shape[0], logits.shape[0]
        if None not in (rows, batch) and rows != batch:
            raise ValueError(f"{name} is of {rows} utterances, not of {batch} like the logits")


def _check(logits, labels, logit_length, label_length):
    """Which utterances CTC can align, bool [B], and what to say of the first that it can't."""
    frames, highest = tf.shape(logits)[1], logits.shape[-1] - 2
    valid = tf.sequence_mask(label_length, tf.shape(labels)[1])
    strange = tf.reduce_any(valid & ((labels < 0) | (labels > highest)), axis=1)
    same = valid[:, 1:] & (labels[:, 1:] == labels[:, :-1])
    repeats = tf.reduce_sum(tf.cast(same, tf.int32), axis=1)
    beyond = (logit_length < 0) | (logit_length > frames)
    beyond |= (label_length < 0) | (label_length > tf.shape(labels)[1])
    finite = tf.reduce_all(logits < math.inf, axis=2) & (tf.reduce_max(logits, axis=2) > -math.inf)
    finite |= ~tf.sequence_mask(logit_length, frames)
    short = label_length + repeats > logit_length
    feasible = tf.reduce_all(finite, axis=1) & ~(strange | beyond | short)
    # One more row, so that there is one to look at where a replica gets none.
    row = tf.argmax(tf.pad(tf.cast(~feasible, tf.int32), [[0, 1]]), output_type=tf.int32)
    columns = label_length, repeats, logit_length
    # By gather and mask: XLA would compile anew for every value of what bounds a slice.
    count, repeats, length = (tf.gather(tf.pad(x, [[0, 1]]), row) for x in columns)
    ids = tf.gather(tf.pad(labels, [[0, 1], [0, 0]]), row)
    ids = tf.boolean_mask(ids, tf.sequence_mask(count, tf.shape(labels)[1]))
    message = ["CTC cannot align utterance", row, "of the batch: labels", ids]
    message += ["with adjacent repeats", repeats, "on", length, "of", frames]
    message += ["frames; needed are labels from 0 to", highest]
    message += ["(the last class is the blank), a frame for each label and repeat, no NaN, no +inf"]
    return feasible, message


def _assert_all(feasible, message):
    """An operation that stops with the message (a list of texts and tensors) unless all are."""
    if not tf.executing_eagerly():
        return tf.debugging.Assert(tf.reduce_all(feasible), message, summarize=-1)
    if not tf.reduce_all(feasible):
        parts = [str(np.array(part)) for part in message]
        error = tf.errors.InvalidArgumentError(None, None, " ".join(parts))
        error._keras_call_info_injected = True  # or Keras adds a list of all arguments
        raise error
    return tf.no_op()


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
