"""Sequences of different lengths to tensors. Taught in notebook 03_sparse_inputs."""

from collections.abc import Sequence

import numpy as np

try:
    import tensorflow as tf
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "this module needs TensorFlow: pip install tensorflow-cpu (or tensorflow)"
    ) from error


def pad_features(features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Stack feature sequences into one array, zero padded at the end.

    Args:
        features: B arrays [T_i, ...] that differ in T_i only.

    Returns:
        float32 [B, T, ...] with T the longest T_i; and the lengths T_i, int32 [B].

    Raises:
        ValueError: no sequences, or one whose other dimensions differ from the first one's.
    """
    features = [np.asarray(f, dtype=np.float32) for f in features]
    if not features:
        raise ValueError("expected at least one feature sequence")
    for index, f in enumerate(features):
        if f.ndim < 2 or f.shape[1:] != features[0].shape[1:]:
            raise ValueError(
                f"features[{index}] has shape {f.shape}; expected [T, ...] with the trailing "
                f"dimensions of features[0], which has shape {features[0].shape}"
            )
    lengths = np.array([len(f) for f in features], dtype=np.int32)
    padded = np.zeros((len(features), lengths.max(), *features[0].shape[1:]), dtype=np.float32)
    for row, f in zip(padded, features, strict=True):
        row[: len(f)] = f
    return padded, lengths


def sparse_labels(labels: Sequence[Sequence[int]]) -> tf.SparseTensor:
    """Label sequences as the sparse tensor that CTC wants; it holds their lengths too.

    Args:
        labels: B sequences of class ids [L_i].

    Returns:
        int32 SparseTensor [B, L] with L the longest L_i (at least 1).
    """
    lengths = [len(ids) for ids in labels]
    indices = [(row, place) for row, length in enumerate(lengths) for place in range(length)]
    values = np.concatenate([np.asarray(ids, dtype=np.int32).reshape(-1) for ids in labels] or [[]])
    return tf.SparseTensor(
        indices=np.array(indices, dtype=np.int64).reshape(-1, 2),
        values=values.astype(np.int32),
        dense_shape=(len(lengths), max(lengths, default=1) or 1),
    )


def check_feasible(
    labels: Sequence[Sequence[int]], logit_lengths: Sequence[int], num_classes: int
) -> None:
    """Check before training that CTC can align every utterance.

    A path needs one frame per label, and one more, for a blank, between two equal neighbours.

    Args:
        labels: B sequences of class ids [L_i].
        logit_lengths: B frame counts of the logits (after any striding), not of the features.
        num_classes: classes of the logits, the blank (last) included.

    Raises:
        ValueError: naming the utterance, what it has and what it needs.
    """
    if len(labels) != len(logit_lengths):
        raise ValueError(f"got {len(labels)} label sequences but {len(logit_lengths)} lengths")
    for index, (ids, frames) in enumerate(zip(labels, logit_lengths, strict=True)):
        ids = np.asarray(ids).reshape(-1)
        if ids.size == 0:
            raise ValueError(f"utterance {index} has no labels: it needs at least one")
        wrong = np.flatnonzero((ids < 0) | (ids >= num_classes - 1))
        if wrong.size:
            raise ValueError(
                f"utterance {index} has label id {ids[wrong[0]]} at position {wrong[0]}: ids must "
                f"be 0 to {num_classes - 2} (the last of {num_classes} classes is the blank)"
            )
        repeats = int(np.sum(ids[1:] == ids[:-1]))
        if frames < ids.size + repeats:
            raise ValueError(
                f"utterance {index} has {frames} logit frames but needs at least "
                f"{ids.size + repeats}: {ids.size} labels + {repeats} adjacent repeats"
            )
