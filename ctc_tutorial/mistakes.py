"""What a model takes for what: truth and prediction side by side, counted and drawn.

Taught in notebook 07_reading_what_it_never_saw. This file stands alone: it needs NumPy and
matplotlib.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes


def edit_path(truth: Sequence, prediction: Sequence) -> list[tuple]:
    """Truth and prediction aligned with the fewest edits.

    Where several paths are equally short, a replacement is preferred to an omission, and that to
    an insertion, seen from the end.

    Args:
        truth, prediction: two texts, or two sequences of ids or words.

    Returns:
        Pairs (label of the truth, label of the prediction) in order; None stands for a label that
        the other side does not have. Pairs of different labels are the edits.

    Source: Wagner and Fischer, "The String-to-String Correction Problem", 1974.
    """
    distance = np.add.outer(np.arange(len(truth) + 1), np.arange(len(prediction) + 1))
    for i, a in enumerate(truth):
        for j, b in enumerate(prediction):
            apart = min(distance[i, j + 1], distance[i + 1, j]) + 1
            distance[i + 1, j + 1] = min(distance[i, j] + (a != b), apart)
    i, j, path = len(truth), len(prediction), []
    while i or j:
        a, b = truth[i - 1] if i else None, prediction[j - 1] if j else None
        if i and j and distance[i, j] == distance[i - 1, j - 1] + (a != b):
            i, j = i - 1, j - 1
        elif i and distance[i, j] == distance[i - 1, j] + 1:
            i, b = i - 1, None
        else:
            j, a = j - 1, None
        path.append((a, b))
    return path[::-1]


def confusions(
    truths: Sequence[Sequence[int]], predictions: Sequence[Sequence[int]], num_labels: int
) -> np.ndarray:
    """How often which label was taken for which, on the shortest edit paths.

    Args:
        truths: class ids 0 to num_labels - 1 of each utterance.
        predictions: as many.
        num_labels: N, classes without the blank.

    Returns:
        Counts int [N + 1, N + 1]: row is the truth, column the prediction; row N counts what was
        added, column N what was missed. What is off the diagonal adds up to the edit distance.

    Raises:
        ValueError: different counts of truths and predictions.
    """
    counts = np.zeros((num_labels + 1, num_labels + 1), dtype=int)
    for truth, prediction in zip(truths, predictions, strict=True):
        for a, b in edit_path(truth, prediction):
            counts[num_labels if a is None else a, num_labels if b is None else b] += 1
    return counts


def plot_confusions(counts: np.ndarray, names: Sequence[str], ax: Axes | None = None) -> Axes:
    """The mistakes among `confusions`; what is right is left out, it would outshine the rest.

    Args:
        counts: [N + 1, N + 1] from `confusions`.
        names: of the N labels.
        ax: where to draw; by default a new figure.
    """
    ax = ax or plt.subplots(figsize=(5.5, 4.8), layout="constrained")[1]
    mistakes = counts * ~np.eye(len(counts), dtype=bool)
    ax.imshow(mistakes, cmap="Blues")
    for a, b in np.argwhere(mistakes):
        colour = "white" if mistakes[a, b] > mistakes.max() / 2 else "black"
        ax.text(b, a, mistakes[a, b], ha="center", va="center", color=colour)
    ax.set(xlabel="read", ylabel="truth", title="Mistakes")
    ax.set_xticks(range(len(counts)), [*names, "missed"], rotation=90)
    ax.set_yticks(range(len(counts)), [*names, "added"])
    return ax
