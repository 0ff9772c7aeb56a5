"""From logits to text, and how far the text is from the truth (taught in notebook 06).

Logits are batch-major `(batch, time, classes)`; the blank is the last class unless
`blank_index` says otherwise. This file needs NumPy only and can be copied alone.
"""

from collections.abc import Callable, Sequence

import numpy as np


def greedy_decode(logits, logit_length, blank_index: int = -1) -> list[np.ndarray]:
    """Best-path decoding: the largest class per frame, repeats merged, then blanks dropped.

    Args:
        logits: `[B, T, C]`, unnormalised scores or log probabilities.
        logit_length: `[B]` integers, the frames that count in each utterance (0 to T).
        blank_index: the class that stands for "no label"; -1 is the last one.

    Returns:
        One int32 array of label ids per utterance; it may be empty.

    Raises:
        ValueError: for wrong shapes, a length outside 0..T, a blank outside the classes, or
            NaN in a frame that counts.

    Source: Graves et al. 2006, "Connectionist Temporal Classification", section 3.2, best path.
    """
    logits, lengths, blank = _checked(logits, logit_length, blank_index)
    decoded = []
    for frames, length in zip(logits, lengths, strict=True):
        best = frames[:length].argmax(axis=-1).astype(np.int32)
        # Merge before dropping blanks: "a blank a" is two letters, "a a" is one.
        starts = np.diff(best, prepend=np.int32(-1)) != 0
        decoded.append(best[starts & (best != blank)])
    return decoded


def label_error_rate(truths: Sequence, predictions: Sequence) -> float:
    """Corpus label error rate: the sum of edit distances over the sum of truth lengths.

    Args:
        truths: one text, or one 1-D sequence of ids, per utterance.
        predictions: as many, of the same kind.

    Returns:
        Errors per truth label: 0.0 is perfect, above 1.0 is possible. A long utterance weighs
        more than a short one, unlike in a mean of per-utterance rates.

    Raises:
        ValueError: for different counts, a text compared with ids, a bare text instead of a
            list of texts, or truths that hold no labels at all.

    Source: Graves et al. 2006, section 2.1 (there averaged per utterance, here per label).
    """

    def labels(item):
        return list(item) if isinstance(item, str) else np.asarray(item).tolist()

    return _error_rate(truths, predictions, labels, "labels")


def word_error_rate(truths: Sequence[str], predictions: Sequence[str]) -> float:
    """Corpus word error rate: `label_error_rate` over words, which white space separates.

    Args:
        truths: one text per utterance.
        predictions: as many texts.

    Returns:
        Errors per truth word: 0.0 is perfect, above 1.0 is possible.

    Raises:
        ValueError: for different counts, items that are not texts, a bare text instead of a
            list of texts, or truths that hold no words at all.
    """
    for name, items in (("truth", truths), ("prediction", predictions)):
        for i, item in enumerate(items):
            if not isinstance(item, str):
                raise ValueError(f"{name} {i} is not a text: decode its ids first.")
    return _error_rate(truths, predictions, str.split, "words")


def _error_rate(truths, predictions, split: Callable, unit: str) -> float:
    if isinstance(truths, str) or isinstance(predictions, str):
        raise ValueError("Expected one item per utterance: put a single text into a list.")
    if len(truths) != len(predictions):
        raise ValueError(
            f"{len(truths)} truths but {len(predictions)} predictions: give one for each utterance."
        )
    edits = total = 0
    for i, (truth, prediction) in enumerate(zip(truths, predictions, strict=True)):
        if isinstance(truth, str) != isinstance(prediction, str):
            raise ValueError(f"Utterance {i}: one side is text, the other ids; decode the ids.")
        truth, prediction = split(truth), split(prediction)
        edits += _edit_distance(truth, prediction)
        total += len(truth)
    if total == 0:
        raise ValueError(f"The truths hold no {unit}: an error rate needs at least one.")
    return edits / total


def _edit_distance(truth: list, prediction: list) -> int:
    """Levenshtein distance between two lists, one vectorised row per truth symbol."""
    numbers = {symbol: number for number, symbol in enumerate(dict.fromkeys(prediction))}
    ids = np.array([numbers[symbol] for symbol in prediction], dtype=np.int64)
    column = np.arange(len(ids) + 1)
    row = column
    for symbol in truth:
        # A deletion or a substitution comes from the row above ...
        above = row + 1
        above[1:] = np.minimum(above[1:], row[:-1] + (ids != numbers.get(symbol, -1)))
        # ... insertions run along the row: row[j] is the minimum over k <= j of above[k] + j - k.
        row = np.minimum.accumulate(above - column) + column
    return int(row[-1])


def _checked(logits, logit_length, blank_index: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return logits as float64, lengths as integers and the blank in 0..C-1, or raise."""
    logits = np.asarray(logits, dtype=np.float64)
    lengths = np.asarray(logit_length)
    if logits.ndim != 3:
        raise ValueError(f"logits must be [batch, time, classes], not shape {logits.shape}.")
    batch, frames, classes = logits.shape
    if lengths.shape != (batch,) or not np.issubdtype(lengths.dtype, np.integer):
        raise ValueError(
            f"logit_length must be {batch} integers, one per utterance, "
            f"not {lengths.dtype} of shape {lengths.shape}."
        )
    if not -classes <= blank_index < classes:
        raise ValueError(f"blank_index {blank_index} is outside the {classes} classes.")
    for i, length in enumerate(lengths):
        if not 0 <= length <= frames:
            raise ValueError(
                f"Utterance {i}: logit_length {length} is outside 0..{frames}, the frames of "
                "logits; count frames after pooling and striding."
            )
        if np.isnan(logits[i, :length]).any():
            raise ValueError(f"Utterance {i}: logits hold NaN; look for a diverged model.")
    return logits, lengths, blank_index % classes
