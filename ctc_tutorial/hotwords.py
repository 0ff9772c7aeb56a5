# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Words that a beam search prefers. Taught in notebook 06_decoding.

This file needs NumPy only and can be copied alone.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike


def hot_words(words: Sequence[ArrayLike], bonus: float, space_id: int | None = None) -> Callable:
    """A score_fn for `beam_search_decode` that prefers texts with certain words, such as names.

    It adds bonus for each label of the text that is part of a hot word; one that is part of several
    counts once. The labels of a hot word have the bonus from the first one on, so that the beam
    keeps them, and lose it again where the word is not completed.

    Args:
        words: the ids of each hot word, int [L]; it may be several words and the spaces between.
        bonus: nats per label.
        space_id: if given, a hot word counts only as a whole word, with a space or an end of the
            text on both sides; without it, also inside another word.

    Returns:
        A score_fn whose start_state is ().

    Raises:
        ValueError: a word that is empty or no ids, or a bonus that is not finite.

    >>> score_fn, state = hot_words([[0, 1]], bonus=1.0), ()
    >>> for next_id in (0, 2, 0, 1, None):  # the first 0 begins a word that breaks off
    ...     score, state = score_fn(state, next_id)
    ...     print(next_id, score)
    0 1.0
    2 -1.0
    0 1.0
    1 1.0
    None 0.0
    """
    if not hasattr(words, "__len__"):
        raise ValueError(f"words must be a list with the ids of each hot word, not {words!r}")
    for i, word in enumerate(map(_array, words)):
        if word.ndim != 1 or not word.size or not np.issubdtype(word.dtype, np.integer):
            raise ValueError(f"hot word {i} is {words[i]!r}: give its ids, at least one")
    if isinstance(bonus, str) or not np.isfinite(bonus):
        raise ValueError(f"bonus {bonus} is not finite: give nats per label")
    edge = () if space_id is None else (space_id,)  # what stands on both sides of a word
    hot = {(*edge, *np.asarray(word).tolist(), *edge) for word in words}
    beginnings = {word[:n] for word in hot for n in range(len(word))}

    def longest_end(ids: tuple, among: set) -> int:
        """Where the longest end of ids that is one of these begins."""
        return next((i for i in range(len(ids)) if ids[i:] in among), len(ids))

    def advanced(counted: tuple) -> int:
        """The labels that have the bonus before their word is completed."""
        return counted[len(edge) :].count(False)

    @functools.lru_cache(maxsize=2**16)  # not all: thousands of classes would fill the memory
    def score_fn(state, next_id):
        # The longest end of the text that begins a hot word, and which of its labels count already.
        ids, counted = before = state or (edge, (True,) * len(edge))
        grown = edge if next_id is None else (next_id,)
        ids, counted = ids + grown, counted + (False,) * len(grown)
        first, stop = longest_end(ids, hot) + len(edge), len(ids) - len(edge)
        now = tuple(done or first <= i < stop for i, done in enumerate(counted))
        begin = longest_end(ids, beginnings)
        after = ids[begin:], now[begin:]
        labels = sum(now) - sum(counted) - advanced(before[1])
        labels += 0 if next_id is None else advanced(after[1])
        return bonus * labels, after

    return score_fn


def _array(word) -> np.ndarray:
    try:
        return np.asarray(word)
    except ValueError:  # lists of different lengths
        return np.asarray(None)
