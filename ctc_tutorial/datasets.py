# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""One batch over and over, and dense labels where sparse ones can't go. Stands alone.

Taught in notebooks 00_start_here and 11_faster_and_many_devices.
"""

import warnings
from typing import Any

import tensorflow as tf

# Whenever fit gets a tf.data dataset, Keras warns that it can't shuffle it, unless told
# shuffle=False: noise here, as these batches are shuffled already, or always the same.
warnings.filterwarnings("ignore", "`shuffle=True` was passed, but will be ignored", module="keras")


def repeat_batch(batch: Any) -> tf.data.Dataset:
    """The same batch for ever, for `fit(repeat_batch(batch), steps_per_epoch=n)`.

    Given arrays, `fit` sets the data up anew in every epoch; given this, it simply goes on.

    Args:
        batch: the inputs by name, as from `pad_batch` of batches.py; or a tuple (inputs, targets).

    Raises:
        ValueError: nothing in the batch, or what is no tensor.

    >>> dataset = repeat_batch({"features": tf.ones((1, 5, 13))})
    >>> [batch["features"].shape[1] for batch in dataset.take(3)]
    [5, 5, 5]
    """
    # With tf.data's autotuning fit (TensorFlow 2.21) returned seconds late in 11 of 60 runs,
    # without it in none (benchmarks/autotuning.md). Nothing here needs tuning.
    options = tf.data.Options()
    options.autotune.enabled = False
    try:
        dataset = tf.data.Dataset.from_tensors(batch)
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(f"the batch is empty, or holds what is no tensor: {error}") from error
    return dataset.repeat().with_options(options)


def dense_labels(batch: dict[str, Any]) -> dict[str, Any]:
    """The same batch with zero-padded labels and their lengths, in place of sparse ones.

    What `tf.distribute` and XLA need: neither takes sparse tensors. For one batch, or for all of a
    dataset by `dataset.map(dense_labels)`.

    Args:
        batch: of `pad_batch` of batches.py or of a dataset, with sparse `labels`.

    Returns:
        labels [B, L] of their own type, label_length int32 [B], and all else as it was.

    Raises:
        ValueError: no labels in the batch, or labels that are not sparse.

    >>> sparse = tf.ragged.constant([[7, 8], [2]], dtype=tf.int32).to_sparse()
    >>> batch = dense_labels({"labels": sparse})
    >>> batch["labels"].numpy().tolist(), batch["label_length"].numpy().tolist()
    ([[7, 8], [2, 0]], [2, 1])
    """
    if not isinstance(batch.get("labels"), tf.SparseTensor):
        raise ValueError(f"the batch needs sparse labels; it holds {', '.join(batch) or 'nothing'}")
    labels = tf.RaggedTensor.from_sparse(batch["labels"])
    lengths = tf.cast(labels.row_lengths(), tf.int32)
    return {**batch, "labels": labels.to_tensor(), "label_length": lengths}
