# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""How many labels or words are wrong. Taught in notebook 06_decoding.

This file needs NumPy only and can be copied alone.
"""

from collections.abc import Callable, Sequence

import numpy as np


def label_error_rate(references: Sequence, predictions: Sequence) -> float:
    """Insertions, deletions and substitutions in all predictions, per label of the references.

    Args:
        references: one text, or the ids [L], of each utterance. Padding counts as labels, the -1
            of Keras's decoder too: cut it off first.
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
        try:
            ids = np.asarray(item)
        except ValueError as error:  # lists of different lengths
            raise ValueError(f"ids: {error}") from error
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
