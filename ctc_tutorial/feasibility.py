# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Which utterances CTC can align, before training. Taught in notebook 05_ctc_by_hand.

This file needs NumPy only and can be copied alone.
"""

import warnings
from collections.abc import Sequence

import numpy as np


def infeasible_reason(
    ids: Sequence[int] | np.ndarray, logit_length: int, num_classes: int
) -> str | None:
    """What keeps CTC from aligning an utterance, in words; None if nothing does.

    A path needs one frame per label, and one more, for a blank, between two equal neighbours.

    Args:
        ids: class ids [L]; none are legitimate: all frames are blanks then.
        logit_length: frames of its logits (after any striding), not of its features.
        num_classes: C, the blank (last class) included.

    Raises:
        ValueError: ids or numbers that are not integers, or num_classes below 1.

    >>> print(infeasible_reason([3, 3, 5], logit_length=3, num_classes=28))
    has 3 logit frames but needs at least 4: 3 labels + 1 adjacent repeats
    """
    for name, number in (("logit_length", logit_length), ("num_classes", num_classes)):
        if not isinstance(number, int | np.integer):
            raise ValueError(f"{name} is {number!r}: give an integer")
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}: count the blank, too")
    ids = _integers(ids, "ids")
    wrong = np.flatnonzero((ids < 0) | (ids >= num_classes - 1))
    repeats = int(np.sum(ids[1:] == ids[:-1]))
    if wrong.size:
        return (
            f"has label id {ids[wrong[0]]} at position {wrong[0]}: ids must "
            f"be 0 to {num_classes - 2} (the last of {num_classes} classes is the blank)"
        )
    if logit_length < ids.size + repeats:
        return (
            f"has {logit_length} logit frames but needs at least "
            f"{ids.size + repeats}: {ids.size} labels + {repeats} adjacent repeats"
        )
    return None


def check_feasible(
    labels: Sequence[Sequence[int] | np.ndarray],
    logit_length: Sequence[int] | np.ndarray,
    num_classes: int,
    infeasible: str = "raise",
) -> np.ndarray:
    """Check before training that CTC can align every utterance; see `infeasible_reason`.

    Args:
        labels: B sequences of class ids [L_i].
        logit_length: B frame counts of the logits (after any striding), not of the features.
        num_classes: C, the blank (last class) included.
        infeasible: "raise", or "skip": name each one that CTC can't align in a warning.

    Returns:
        Indices of the utterances to keep, int64 [<= B].

    Raises:
        ValueError: the first one that CTC can't align, what it has and what it needs; in either
            mode, what is not integers.

    >>> check_feasible([[3, 5], [2]], logit_length=[2, 9], num_classes=28).tolist()
    [0, 1]
    """
    if infeasible not in ("raise", "skip"):
        raise ValueError(f'infeasible must be "raise" or "skip", not {infeasible!r}')
    logit_length = _integers(logit_length, "logit_length")
    if not hasattr(labels, "__len__") or isinstance(labels, str):
        raise ValueError(f"labels must be a list with the ids of each utterance, not {labels!r}")
    if len(labels) != len(logit_length):
        raise ValueError(f"got {len(labels)} label sequences but {len(logit_length)} lengths")
    kept = []
    for index, (ids, frames) in enumerate(zip(labels, logit_length, strict=True)):
        ids = _integers(ids, f"labels of utterance {index}")
        reason = infeasible_reason(ids, frames, num_classes)
        if reason is None:
            kept.append(index)
        elif infeasible == "raise":
            raise ValueError(f"utterance {index} {reason}")
        else:
            warnings.warn(f"skipped: utterance {index} {reason}", stacklevel=2)
    return np.array(kept, dtype=np.int64)


def _integers(values, name: str) -> np.ndarray:
    try:
        values = np.asarray(values)
    except ValueError as error:  # lists of different lengths
        raise ValueError(f"{name}: {error}") from error
    if values.ndim != 1 or (values.size and not np.issubdtype(values.dtype, np.integer)):
        found = f"{values.dtype} of shape {values.shape}"
        raise ValueError(f"{name} must be integers [L], not {found}")
    return values if values.size else values.astype(int)  # [] is of floats
