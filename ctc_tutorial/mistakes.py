# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""What a model takes for what: references and predictions side by side, counted and drawn.

Taught in notebook 08_reading_what_it_never_saw. This file stands alone: it needs NumPy and
matplotlib.
"""

from collections.abc import Hashable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes


def edit_path(reference: Sequence, prediction: Sequence) -> list[tuple]:
    """Reference and prediction aligned with the fewest edits.

    Where several paths are equally short, a substitution is preferred to a deletion, and that to
    an insertion, seen from the end.

    Args:
        reference, prediction: two texts, or two sequences of ids or words.

    Returns:
        Pairs (label of the reference, label of the prediction) in order. A pair of two labels is
        right or a substitution; (label, None) is a deletion, (None, label) an insertion.

    Raises:
        ValueError: neither a text nor a sequence of ids or words.

    Source: Wagner and Fischer, "The String-to-String Correction Problem", 1974.

    >>> edit_path("had", "haat")
    [('h', 'h'), (None, 'a'), ('a', 'a'), ('d', 't')]
    """
    reference, prediction = _labels(reference, "reference"), _labels(prediction, "prediction")
    distance = np.add.outer(np.arange(len(reference) + 1), np.arange(len(prediction) + 1))
    for i, a in enumerate(reference):
        for j, b in enumerate(prediction):
            apart = min(distance[i, j + 1], distance[i + 1, j]) + 1
            distance[i + 1, j + 1] = min(distance[i, j] + (a != b), apart)
    i, j, path = len(reference), len(prediction), []
    while i or j:
        a, b = reference[i - 1] if i else None, prediction[j - 1] if j else None
        if i and j and distance[i, j] == distance[i - 1, j - 1] + (a != b):
            i, j = i - 1, j - 1
        elif i and distance[i, j] == distance[i - 1, j] + 1:
            i, b = i - 1, None
        else:
            j, a = j - 1, None
        path.append((a, b))
    return path[::-1]


def confusion_matrix(
    references: Sequence[Sequence], predictions: Sequence[Sequence], names: Sequence[str]
) -> np.ndarray:
    """How often which label was taken for which, on the shortest edit paths.

    Args:
        references: a text, or the ids [L], of each utterance (or its words, with names of words).
        predictions: as many.
        names: the N labels in order: the characters of the alphabet. Id i is names[i].

    Returns:
        int [N + 1, N + 1], a row for each label of the references, a column for each of the
        predictions; row N counts insertions, column N deletions. The sum off the diagonal is the
        edit distance.

    Raises:
        ValueError: different counts of references and predictions, a bare text instead of a list
            of texts, a label without a name, or names that are no texts or not all different.

    >>> confusion_matrix(["aab", "b"], ["ab", "a"], names="ab")
    array([[1, 0, 1],
           [1, 1, 0],
           [0, 0, 0]])
    """
    references, predictions = _items(references, "references"), _items(predictions, "predictions")
    if len(references) != len(predictions):
        counts = f"{len(references)} references but {len(predictions)} predictions"
        raise ValueError(f"{counts}: give one of each for every utterance")
    _check_names(names)
    numbers: dict[str | int, int] = {name: number for number, name in enumerate(names)}
    numbers |= {number: number for number in range(len(names))}
    matrix = np.zeros((len(names) + 1, len(names) + 1), dtype=int)
    for i, pair in enumerate(zip(references, predictions, strict=True)):
        where = f"utterance {i}"
        sides = [[_number(x, numbers, where) for x in _labels(labels, where)] for labels in pair]
        for a, b in edit_path(*sides):
            matrix[len(names) if a is None else a, len(names) if b is None else b] += 1
    return matrix


def most_confused(
    counts: np.ndarray, names: Sequence[str], top: int = 10
) -> list[tuple[str | None, str | None, int]]:
    """The most frequent mistakes.

    Args:
        counts: int [N + 1, N + 1] from `confusion_matrix`.
        names: of the N labels.
        top: how many mistakes at most.

    Returns:
        (label of the reference, label of the prediction, count), the largest count first; equal
        counts in the order of the names. None stands for insertions and deletions.

    Raises:
        ValueError: counts that are not those of these names, or a `top` below 0.

    >>> most_confused(confusion_matrix(["aab", "b"], ["ab", "aa"], names="ab"), names="ab")
    [('a', None, 1), ('b', 'a', 1), (None, 'a', 1)]
    """
    if not isinstance(top, int | np.integer) or top < 0:
        raise ValueError(f"top is {top!r}: give the number of mistakes to list")
    mistakes, both = _mistakes(counts, names), [*names, None]
    order = np.argsort(-mistakes, axis=None, kind="stable")[:top]
    places = zip(*np.unravel_index(order, mistakes.shape), strict=True)
    return [(both[a], both[b], int(mistakes[a, b])) for a, b in places if mistakes[a, b]]


def plot_confusion_matrix(counts: np.ndarray, names: Sequence[str], ax: Axes | None = None) -> Axes:
    """The mistakes among the counts; what is right is left out, it would outshine the rest.

    A row for each label that was mistaken, a column for each that it was taken for.

    Args:
        counts: int [N + 1, N + 1] from `confusion_matrix`.
        names: of the N labels.
        ax: where to draw; by default a new figure that grows with the rows and columns.

    >>> ax = plot_confusion_matrix(confusion_matrix(["abc"], ["ab"], names="abc"), names="abc")
    >>> [label.get_text() for label in (*ax.get_yticklabels(), *ax.get_xticklabels())]
    ['c', 'deletion']
    """
    mistakes = _mistakes(counts, names)
    rows, columns = (np.flatnonzero(mistakes.any(axis=axis)) for axis in (1, 0))
    mistakes = mistakes[np.ix_(rows, columns)]
    if ax is None:
        size = 2.2 + 0.26 * len(columns), 2.2 + 0.26 * len(rows)
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    most = mistakes.max(initial=1)
    ax.pcolormesh(mistakes, cmap="Blues", vmin=0, vmax=most, edgecolors="#EEEEEE", linewidth=0.5)
    for a, b in np.argwhere(mistakes):
        colour = "white" if mistakes[a, b] > most / 2 else "black"
        place = {"ha": "center", "va": "center", "fontsize": 9}
        ax.text(b + 0.5, a + 0.5, mistakes[a, b], color=colour, **place)
    shown = ["␣" if name == " " else name for name in names]
    ax.set_yticks(np.arange(len(rows)) + 0.5, [[*shown, "insertion"][a] for a in rows])
    ax.set_xticks(np.arange(len(columns)) + 0.5, [[*shown, "deletion"][b] for b in columns])
    for label in ax.get_xticklabels():
        label.set_rotation(90 if len(label.get_text()) > 2 else 0)
    ax.tick_params(length=0)
    ax.set(xlabel="prediction", ylabel="reference", title=f"Mistakes: {mistakes.sum()}", aspect=1)
    ax.invert_yaxis()
    return ax


def _items(items: Sequence, name: str) -> Sequence:
    if isinstance(items, str) or not hasattr(items, "__len__"):
        raise ValueError(f"{name} must be a list with one item for each utterance, not {items!r}")
    return items


def _labels(labels: Sequence, what: str) -> list:
    try:
        labels = list(
            labels if isinstance(labels, str | list | tuple) else np.asarray(labels).tolist()
        )
        set(labels)  # a TypeError for lists in the list
    except TypeError as error:
        raise ValueError(f"{what}: {labels!r} is no text and no ids or words [L]") from error
    return labels


def _number(label: Hashable, numbers: dict, where: str) -> int:
    if label not in numbers or isinstance(label, float | complex | bool):  # 1.0 == 1
        raise ValueError(f"{where}: {label!r} is none of the names: add it to them")
    return numbers[label]


def _check_names(names: Sequence[str]) -> None:
    if not hasattr(names, "__len__") or not all(isinstance(name, str) for name in names):
        raise ValueError(f"names must be a text or a list of texts, not {names!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"names {names!r} holds one twice: keep one of them")


def _mistakes(counts: np.ndarray, names: Sequence[str]) -> np.ndarray:
    _check_names(names)
    counts, size = np.array(counts, dtype=object), len(names) + 1
    if counts.shape != (size, size) or not all(
        isinstance(n, int | np.integer) and n >= 0 for n in counts.flat
    ):
        raise ValueError(f"counts must be integers [{size}, {size}] from confusion_matrix")
    return counts.astype(int) * ~np.eye(size, dtype=bool)
