# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""From logits to labels by the best path. Taught in notebook 06_decoding.

This file needs NumPy only and can be copied alone.
"""

import numpy as np
from numpy.typing import ArrayLike


def greedy_decode(
    logits: ArrayLike, logit_length: ArrayLike, blank_index: int = -1
) -> list[np.ndarray]:
    """Best-path decoding: the largest class per frame, repeats merged, then blanks dropped.

    Args:
        logits: float [B, T, C], unnormalised scores or log probabilities; also the RaggedTensor
            that `predict` returns for batches of different T.
        logit_length: int [B], the frames that count in each utterance, 0 to T.
        blank_index: the class that stands for "no label"; -1 is the last one.

    Returns:
        The ids of each utterance, int32 [L]; L may be 0.

    Raises:
        ValueError: wrong shapes, a length outside 0 to T, a blank outside the classes, or a frame
            that counts and holds NaN, +inf or nothing above -inf.

    Source: Graves et al. 2006, "Connectionist Temporal Classification", section 3.2, best path.

    >>> frames = [0, 0, 2, 0, 1]  # the largest class of each; 2 is the blank
    >>> greedy_decode(np.eye(3)[[frames]], logit_length=[5])
    [array([0, 0, 1], dtype=int32)]
    """
    logits, lengths, blank = checked_logits(logits, logit_length, blank_index)
    best = logits.argmax(axis=-1).astype(np.int32)
    return [_merged(row[:length], -1, blank) for row, length in zip(best, lengths, strict=True)]


def checked_logits(
    logits: ArrayLike, logit_length: ArrayLike, blank_index: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Logits float64 [B, T, C], lengths int [B] and the blank in 0 to C - 1, or a ValueError.

    >>> logits, lengths, blank = checked_logits([[[0, 1, 2]]], [1], blank_index=-1)
    >>> logits.shape, blank
    ((1, 1, 3), 2)
    """
    # Of one layout, as sums are rounded in the order of memory: time-major arrays come swapped.
    logits, lengths = _array("logits", logits), _array("logit_length", logit_length)
    if logits.ndim != 3:
        raise ValueError(f"logits must be [B, T, C], not of shape {logits.shape}")
    if logits.dtype.kind in "cOSU":  # texts of numbers would be taken
        raise ValueError(f"logits must be numbers, not {logits.dtype}")
    logits = logits.astype(np.float64, order="C")
    batch, frames, classes = logits.shape
    whole = np.issubdtype(lengths.dtype, np.integer) or not lengths.size  # [] is of floats
    if lengths.shape != (batch,) or not whole:
        found = f"{lengths.dtype} of shape {lengths.shape}"
        raise ValueError(f"logit_length must be {batch} integers, one per utterance, not {found}")
    if not isinstance(blank_index, int | np.integer) or not -classes <= blank_index < classes:
        raise ValueError(f"blank_index {blank_index!r} is outside the {classes} classes")
    for i, length in enumerate(lengths):
        if not 0 <= length <= frames:
            raise ValueError(
                f"utterance {i}: logit_length {length} is outside 0 to {frames}, the frames of "
                "logits: count the frames that the model's strides leave"
            )
        largest = logits[i, :length].max(axis=-1)  # NaN, where there is one
        if np.isnan(largest).any():
            raise ValueError(f"utterance {i}: logits hold NaN: look for where training diverged")
        if np.isinf(largest).any():
            frame = int(np.isinf(largest).argmax())
            raise ValueError(f"utterance {i}: frame {frame} holds +inf or nothing above -inf")
    return logits, lengths, blank_index % classes


def _array(name: str, values) -> np.ndarray:
    """As an array, which pads a tf.RaggedTensor with zeros."""
    try:
        return np.asarray(values.to_tensor() if hasattr(values, "to_tensor") else values)
    except ValueError as error:  # lists of different lengths
        raise ValueError(f"{name}: {error}") from error


def _merged(best: np.ndarray, before: int, blank: int) -> np.ndarray:
    """The labels that begin in a path int32 [T], whose last class so far is `before`."""
    # Merge before dropping blanks: "a blank a" is two letters, "a a" is one.
    starts = np.diff(best, prepend=np.int32(before)) != 0
    return best[starts & (best != blank)]
