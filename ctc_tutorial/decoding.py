# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""From logits to labels by the best path, and how many of the labels are wrong.

Taught in notebook 06_decoding_and_alignment. This file needs NumPy only and can be copied alone.
"""

from collections.abc import Callable, Sequence

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
        ValueError: wrong shapes, a length outside 0 to T, a blank outside the classes, or NaN in a
            frame that counts.

    Source: Graves et al. 2006, "Connectionist Temporal Classification", section 3.2, best path.

    >>> frames = [0, 0, 2, 0, 1]  # the largest class of each; 2 is the blank
    >>> greedy_decode(np.eye(3)[[frames]], logit_length=[5])
    [array([0, 0, 1], dtype=int32)]
    """
    logits, lengths, blank = checked_logits(logits, logit_length, blank_index)
    best = logits.argmax(axis=-1).astype(np.int32)
    return [_merged(row[:length], -1, blank) for row, length in zip(best, lengths, strict=True)]


def label_error_rate(references: Sequence, predictions: Sequence) -> float:
    """Insertions, deletions and substitutions in all predictions, per label of the references.

    Args:
        references: one text, or the ids [L], of each utterance.
        predictions: as many, of the same kind.

    Returns:
        0.0 where all is right; above 1.0 is possible. A long utterance weighs more than a short
        one, unlike in a mean of the utterances' rates.

    Raises:
        ValueError: different counts, a text compared with ids, ids that are not integers [L], a
            bare text instead of a list of texts, or references that hold no labels at all.

    >>> round(label_error_rate(["she had"], ["she hat"]), 3)  # one label of seven
    0.143
    >>> label_error_rate([[1, 2], [3, 4]], [[1, 2], [4]])
    0.25
    """

    def split(item):
        if isinstance(item, str):
            return list(item)
        ids = _array("ids", item)
        if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
            raise ValueError(f"ids must be integers [L], not {ids.dtype} of shape {ids.shape}")
        return ids.tolist()

    return _error_rate(references, predictions, split, "labels")


def word_error_rate(references: Sequence[str], predictions: Sequence[str]) -> float:
    """Insertions, deletions and substitutions of words, per word of the references.

    Args:
        references: one text for each utterance; white space parts its words.
        predictions: as many texts.

    Raises:
        ValueError: as from `label_error_rate`; or an item that is no text.

    >>> word_error_rate(["she had"], ["she hat"])  # one word of two
    0.5
    """
    _check_counts(references, predictions)
    for name, items in (("reference", references), ("prediction", predictions)):
        for i, item in enumerate(items):
            if not isinstance(item, str):
                raise ValueError(f"{name} {i} is not a text: decode its ids first")
    return _error_rate(references, predictions, str.split, "words")


def checked_logits(
    logits: ArrayLike, logit_length: ArrayLike, blank_index: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Logits float64 [B, T, C], lengths int [B] and the blank in 0 to C - 1, or a ValueError.

    >>> logits, lengths, blank = checked_logits([[[0, 1, 2]]], [1], blank_index=-1)
    >>> logits.shape, blank
    ((1, 1, 3), 2)
    """
    # Of one layout, as sums are rounded in the order of memory: time-major arrays come swapped.
    logits, lengths = _dense(logits), _array("logit_length", logit_length)
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
        if np.isnan(logits[i, :length]).any():
            raise ValueError(f"utterance {i}: logits hold NaN: look for where training diverged")
    return logits, lengths, blank_index % classes


def _dense(logits) -> np.ndarray:
    """As an array, which pads a tf.RaggedTensor with zeros."""
    return _array("logits", logits.to_tensor() if hasattr(logits, "to_tensor") else logits)


def _array(name: str, values) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:  # lists of different lengths
        raise ValueError(f"{name}: {error}") from error


def _merged(best: np.ndarray, before: int, blank: int) -> np.ndarray:
    """The labels that begin in a path int32 [T], whose last class so far is `before`."""
    # Merge before dropping blanks: "a blank a" is two letters, "a a" is one.
    starts = np.diff(best, prepend=np.int32(before)) != 0
    return best[starts & (best != blank)]


def _check_counts(references, predictions) -> None:
    if isinstance(references, str) or isinstance(predictions, str):
        raise ValueError("expected one item for each utterance: put a single text into a list")
    if not all(hasattr(items, "__len__") for items in (references, predictions)):
        raise ValueError("references and predictions must be lists, an item for each utterance")
    if len(references) != len(predictions):
        counts = f"{len(references)} references but {len(predictions)} predictions"
        raise ValueError(f"{counts}: give one of each for every utterance")


def _error_rate(references, predictions, split: Callable, unit: str) -> float:
    _check_counts(references, predictions)
    edits = total = 0
    for i, (reference, prediction) in enumerate(zip(references, predictions, strict=True)):
        if isinstance(reference, str) != isinstance(prediction, str):
            raise ValueError(f"utterance {i}: one side is text, the other ids: decode the ids")
        try:
            reference, prediction = split(reference), split(prediction)
        except ValueError as error:
            raise ValueError(f"utterance {i}: {error}") from error
        edits += _edit_distance(reference, prediction)
        total += len(reference)
    if total == 0:
        raise ValueError(f"the references hold no {unit}: an error rate needs at least one")
    return edits / total


def _edit_distance(reference: list, prediction: list) -> int:
    """Levenshtein distance of two lists, one vectorised row for each label of the reference."""
    numbers = {label: number for number, label in enumerate(dict.fromkeys(prediction))}
    ids = np.array([numbers[label] for label in prediction], dtype=np.int64)
    column = np.arange(len(ids) + 1)
    row = column
    for label in reference:
        # A deletion or a substitution comes from the row above ...
        above = row + 1
        above[1:] = np.minimum(above[1:], row[:-1] + (ids != numbers.get(label, -1)))
        # ... insertions run along the row: row[j] is the minimum over k <= j of above[k] + j - k.
        row = np.minimum.accumulate(above - column) + column
    return int(row[-1])
