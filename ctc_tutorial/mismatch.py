# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""What makes all predictions differ from their references. Taught in notebook 14_error_clinic.

Copy error_rates.py with this file; both need NumPy only.
"""

from collections.abc import Sequence

import numpy as np

from .error_rates import label_error_rate


def explain_mismatch(
    references: Sequence[Sequence[int] | np.ndarray],
    predictions: Sequence[Sequence[int] | np.ndarray],
) -> str | None:
    """One reason for many wrong ids: a shift, another order of classes, other utterances.

    Args:
        references: the ids of each utterance, [L_i].
        predictions: as many, what a model reads or what the labels hold.

    Returns:
        A sentence; None if there is no mismatch, or none that has a single reason.

    Raises:
        ValueError: as from `label_error_rate`.

    >>> explain_mismatch([[3, 1, 2], [0, 2]], [[4, 2, 3], [1, 3]])
    'Labels are shifted by one: they are +1 of what they should be.'
    >>> explain_mismatch([[3, 1, 2], [0, 4]], [[0, 4], [3, 1, 2]])
    'Texts are mixed up between utterances 0, 1: utterance 0 has the text of 1.'
    >>> explain_mismatch([[3, 1, 2], [0, 2]], [[3, 1, 2], [2]]) is None
    True
    """
    truth = [np.asarray(row, int) for row in references]
    found = [np.asarray(row, int) for row in predictions]
    if _error(truth, found) > 0.5:
        for by in (1, -1):
            if _error([row + by for row in truth], found) < 0.3:
                return f"Labels are shifted by one: they are {by:+d} of what they should be."
    source = _mixed_up(truth, found)
    if source:
        first = min(source)
        return (
            f"Texts are mixed up between utterances {named(source)}: utterance {first} has the "
            f"text of {source[first]}."
        )
    moved = _other_order(truth, found) if _error(truth, found) > 0.2 else {}
    if moved:
        pairs = ", ".join(f"{a} for {b}" for a, b in list(moved.items())[:3])
        return (
            f"The vocabulary has another order: ids {pairs} and so on. Keep the characters as one "
            "text beside the weights."
        )
    return None


def named(indices: Sequence[int] | dict) -> str:
    """A few of many numbers.

    >>> named([3, 5, 8, 9, 12])
    '3, 5, 8 and 2 more'
    """
    more = f" and {len(indices) - 3} more" if len(indices) > 3 else ""
    return ", ".join(str(i) for i in list(indices)[:3]) + more


def _mixed_up(references, predictions) -> dict[int, int]:
    """Utterances with the ids of another, and of which: a permutation, so it is no misreading."""
    pairs = enumerate(zip(references, predictions, strict=True))
    wrong = [i for i, (one, other) in pairs if _error([one], [other]) > 0.5]
    source = {}
    for i in wrong:
        length = len(predictions[i])
        near = [j for j in wrong if abs(len(references[j]) - length) <= 0.2 * length]
        rates = {j: _error([references[j]], [predictions[i]]) for j in near}
        if rates and min(rates.values()) < 0.2:
            source[i] = min(rates, key=lambda j: rates[j])
    return source if len(set(source.values())) >= max(2, 0.8 * len(wrong)) else {}


def _other_order(references, predictions) -> dict[int, int]:
    """Classes that stand for others, throughout and one to one: {found: expected}."""
    rows = [(p, r) for p, r in zip(predictions, references, strict=True) if len(p) == len(r)]
    pairs = [pair for p, r in rows for pair in zip(p.tolist(), r.tolist(), strict=True)]
    seen: dict[int, list[int]] = {}
    for found, expected in pairs:
        seen.setdefault(found, []).append(expected)
    order = {found: max(set(others), key=others.count) for found, others in seen.items()}
    pure = sum(order[found] == expected for found, expected in pairs) >= 0.9 * len(pairs)
    if not pure or len(set(order.values())) < len(order) or len(pairs) < max(10, 3 * len(order)):
        return {}
    return {found: order[found] for found in sorted(order) if order[found] != found}


def _error(references, predictions) -> float:
    """The label error rate; with one right label more, so that there is always one."""
    return label_error_rate([*references, [0]], [*predictions, [0]])
