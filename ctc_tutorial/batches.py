# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Sequences of different lengths as tensors. Taught in notebook 03_sparse_inputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


def pad_batch(
    features: Sequence[np.ndarray],
    labels: Sequence[Sequence[int] | np.ndarray] | None = None,
    **others: Sequence,
) -> dict[str, Any]:
    """The inputs of a model, by name, for all utterances at once.

    Args:
        features: B arrays [T_i, ...] that differ in T_i only.
        labels: B sequences of class ids [L_i]; None to predict.
        others: more inputs, B items each. A name that ends in "labels" stands for sequences of
            class ids; anything else is stacked.

    Returns:
        features float32 [B, T, ...], zero padded at the end; feature_length int32 [B]; labels, if
        given, and others of such a name as int32 SparseTensor [B, L]; the rest as arrays [B, ...].

    Raises:
        ValueError: see `pad_features` and `sparse_labels`; an input with another number of items,
            or that cannot be stacked, or is named feature_length.

    >>> features = [np.ones((5, 13)), np.ones((3, 13))]
    >>> batch = pad_batch(features, labels=[[7, 8], [2]], sample_weight=[1, 0.5])
    >>> for name, values in batch.items():
    ...     print(name, values.shape)
    features (2, 5, 13)
    feature_length (2,)
    labels (2, 2)
    sample_weight (2,)
    """
    padded, lengths = pad_features(features)
    batch = {"features": padded, "feature_length": lengths}
    given = {**({} if labels is None else {"labels": labels}), **others}
    for name, items in given.items():
        check_items(name, items, len(lengths))
        if name.endswith("labels"):
            try:
                batch[name] = sparse_labels(items)
            except ValueError as error:
                raise ValueError(f"in {name}: {error}") from error
            continue
        try:
            batch[name] = np.asarray(items)
        except ValueError as error:
            raise ValueError(f"the items of {name} cannot be stacked: {error}") from error
    return batch


def pad_features(features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Stack feature sequences into one array, zero padded at the end.

    Args:
        features: B arrays [T_i, ...] that differ in T_i only.

    Returns:
        float32 [B, T, ...] with T the longest T_i; and the lengths T_i, int32 [B].

    Raises:
        ValueError: no sequences, one that holds no numbers, or one whose other dimensions differ
            from the first one's.

    >>> padded, lengths = pad_features([[[1, 2], [3, 4]], [[5, 6]]])
    >>> padded.tolist(), lengths.tolist()
    ([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [0.0, 0.0]]], [2, 1])
    """
    if not hasattr(features, "__len__"):
        raise ValueError(f"features must be a list of arrays [T, ...], not {features!r}")
    features = [_numbers(f, f"features[{index}]") for index, f in enumerate(features)]
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


def sparse_labels(labels: Sequence[Sequence[int] | np.ndarray]) -> tf.SparseTensor:
    """Label sequences as the sparse tensor that CTC wants; it holds their lengths too.

    Args:
        labels: B sequences of class ids [L_i].

    Returns:
        int32 SparseTensor [B, L] with L the longest L_i (at least 1).

    Raises:
        ValueError: ids that are not integers [L_i], or that int32 does not hold.

    >>> sparse = sparse_labels([[19, 8], [0]])  # the 0 is a label, not padding
    >>> sparse.indices.numpy().tolist(), sparse.values.numpy().tolist()
    ([[0, 0], [0, 1], [1, 0]], [19, 8, 0])
    """
    if not hasattr(labels, "__len__"):
        raise ValueError(f"labels must be a list with the ids of each utterance, not {labels!r}")
    rows = [int32_ids(ids, f"labels[{index}]") for index, ids in enumerate(labels)]
    lengths = [len(ids) for ids in rows]
    indices = [(row, place) for row, length in enumerate(lengths) for place in range(length)]
    return tf.SparseTensor(
        indices=np.array(indices, dtype=np.int64).reshape(-1, 2),
        values=np.concatenate([np.zeros(0, np.int32), *rows]),
        dense_shape=(len(lengths), max(lengths, default=1) or 1),
    )


def int32_ids(ids: Sequence[int] | np.ndarray, name: str) -> np.ndarray:
    """The class ids of one utterance, int32 [L], or a ValueError; what is wrong is called `name`.

    >>> int32_ids([2, 0], "labels[0]")
    array([2, 0], dtype=int32)
    """
    try:
        values = np.asarray(ids)
    except ValueError as error:  # lists of different lengths
        raise ValueError(f"{name}: {error}") from error
    if values.ndim != 1 or (values.size and not np.issubdtype(values.dtype, np.integer)):
        found = f"{values.dtype} of shape {values.shape}"
        raise ValueError(f"{name} must be integers [L], not {found}")
    narrow = values.astype(np.int32)
    if (narrow != values).any():
        raise ValueError(f"{name} holds {values[narrow != values][0]}, more than int32 does")
    return narrow


def check_items(name: str, items: Sequence, count: int) -> None:
    """A ValueError unless the input of this name has an item for each of `count` utterances.

    >>> check_items("speaker", [7, 7, 8], count=3)
    """
    if name == "feature_length":
        raise ValueError("feature_length is counted here: cut the features instead")
    if isinstance(items, str) or not hasattr(items, "__len__") or getattr(items, "shape", 0) == ():
        raise ValueError(f"{name} must have an item for each utterance, not {items!r}")
    if len(items) != count:
        raise ValueError(f"{count} utterances but {len(items)} items of {name}")


def _numbers(values, name: str) -> np.ndarray:
    """As float32; what is too large for it becomes infinite."""
    try:
        values = np.asarray(values)
        if values.dtype.kind not in "cSU":  # texts and complex numbers would be taken
            return values.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error
    raise ValueError(f"{name} must hold numbers, not {values.dtype}")
