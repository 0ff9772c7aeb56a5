"""CTC loss and label error rate inside a layer. Taught in notebook 02_the_add_loss_layer."""

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

    The loss is `tf.nn.ctc_loss` with the last class as blank, in nats, its mean over the batch
    (https://www.tensorflow.org/api_docs/python/tf/nn/ctc_loss; Graves et al. 2006, eq. 8). `ler`
    is the mean over utterances of edit distance / truth length after greedy decoding.
    Everything is computed in float32, whatever the dtype policy.

    Args:
        infeasible: what to do with an utterance that CTC can't align. "raise" stops with an
            error that names it. "skip" gives it zero loss and zero gradient, leaves it out of
            both means, and counts such utterances in the metric `skipped`.
    """

    def __init__(self, infeasible: str = "raise", **kwargs) -> None:
        if infeasible not in ("raise", "skip"):
            raise ValueError(f'infeasible must be "raise" or "skip", not {infeasible!r}')
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.infeasible = infeasible
        self.supports_masking = True
        self.supports_jit = False  # TensorFlow's sparse CTC ops have no XLA kernels
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
        dense, label_length = _dense_labels(labels, label_length)
        logit_length = tf.cast(tf.reshape(logit_length, [-1]), tf.int32)
        feasible, message = _check(logits, dense, logit_length, label_length)
        scored = logits
        if self.infeasible == "raise":
            check = tf.debugging.Assert(tf.reduce_all(feasible), message, summarize=-1)
            with tf.control_dependencies([check]):
                scored = tf.identity(logits)
            feasible = tf.ones_like(feasible)  # where XLA has dropped the check, let it show
        else:
            # A stand-in that can be scored: the label 0 on frames of zeros. No NaN can leak.
            scored = tf.where(feasible[:, None, None], logits, 0.0)
            dense = tf.where(feasible[:, None], tf.pad(dense, [[0, 0], [0, 1]]), 0)
            label_length = tf.where(feasible, label_length, 1)
            logit_length = tf.where(feasible, logit_length, tf.shape(logits)[1])
            self.skipped.update_state(tf.cast(~feasible, tf.float32))
        truth = tf.RaggedTensor.from_tensor(dense, lengths=label_length).to_sparse()
        losses = tf.nn.ctc_loss(
            truth, scored, None, logit_length, logits_time_major=False, blank_index=-1
        )
        counted = tf.cast(feasible, tf.float32)
        self.add_loss(
            tf.math.divide_no_nan(tf.reduce_sum(losses * counted), tf.reduce_sum(counted))
        )
        self.ler.update_state(_label_error_rates(scored, truth, logit_length), counted)
        return logits

    def compute_output_shape(self, logits_shape: tuple, *_, **__) -> tuple:
        return logits_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "infeasible": self.infeasible}


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
    row = tf.argmin(tf.cast(feasible, tf.int32), output_type=tf.int32)
    has = [
        "CTC cannot align utterance",
        row,
        "of the batch: labels",
        labels[row, : label_length[row]],
    ]
    has += ["with adjacent repeats", repeats[row], "and logit_length", logit_length[row]]
    needs = ["of", frames, "frames; it needs 1 or more labels from 0 to", num_classes - 2]
    needs += ["(the last class is the blank) and a frame for each label and repeat"]
    return feasible, [*has, *needs]


def _label_error_rates(logits, truth, logit_length):
    """Edit distance / truth length of the greedy decoding of each utterance, float32 [B]."""
    (decoded,), _ = tf.nn.ctc_greedy_decoder(tf.transpose(logits, [1, 0, 2]), logit_length)
    rates = tf.edit_distance(decoded, tf.cast(truth, tf.int64))
    return tf.ensure_shape(rates, [None])  # edit_distance loses the rank in a graph
