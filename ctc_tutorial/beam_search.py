# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Prefix beam search: the most probable labels, with a hook for a language model; hot words.

Taught in notebook 06_decoding. Copy decoding.py with this file.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .decoding import checked_logits

ScoreFn = Callable[[Any, int | None], tuple[float, Any]]


class Hypothesis(NamedTuple):
    """One result of `beam_search_decode`. (Where its labels are: see `forced_align`.)

    Attributes:
        ids: int32 [L].
        log_probability: log p(ids | logits), summed over the paths that the beam kept: at most the
            true value, equal to it where nothing was pruned. Its exponential is the model's
            confidence in the whole text.
        score: log_probability plus everything that score_fn added; hypotheses are ranked by it.

    >>> best = Hypothesis(np.array([0, 4], np.int32), log_probability=-0.5, score=-2.5)
    >>> round(float(np.exp(best.log_probability)), 3)
    0.607
    """

    ids: np.ndarray
    log_probability: float
    score: float


def beam_search_decode(
    logits: ArrayLike,
    logit_length: ArrayLike,
    beam_width: int = 25,
    top_paths: int = 1,
    score_fn: ScoreFn | None = None,
    blank_index: int = -1,
    start_state: Any = (),
) -> list[list[Hypothesis]]:
    """Prefix beam search: the most probable texts, each summed over its paths.

    Args:
        logits, logit_length, blank_index: as for `greedy_decode`.
        beam_width: prefixes kept after each frame. Nothing else is pruned.
        top_paths: hypotheses to return per utterance, at most beam_width.
        score_fn: score_fn(state, next_id) -> (log score, next state), the place of a language
            model or a lexicon. The log score of next_id after the ids so far is added whenever a
            prefix grows; -inf forbids. The state is what the function has to know of the ids so
            far: all of them (the next state is `(*state, next_id)` then), the last two, a network's
            state. Prefixes share states: return a new one, never change one.
            The end: after the last frame score_fn(state, None) is asked for each prefix in the
            beam. What it adds counts in the ranking, -inf forbids to end there, and the state that
            it returns is not used.
            It is called once per utterance, prefix and class (again if a prefix had left the beam),
            and must depend on its arguments only.
        start_state: the state of the empty prefix.

    Returns:
        For each utterance a list of hypotheses, best score first; shorter than top_paths where
        fewer texts are possible.

    Raises:
        ValueError: as from `greedy_decode`; for a beam narrower than top_paths or than 1, a
            score_fn that returns something else than a pair or a score that is NaN or +inf, or an
            utterance none of whose kept prefixes can go on, or end.

    Source: Hannun et al. 2014, "First-Pass Large Vocabulary Continuous Speech Recognition using
        Bi-Directional Recurrent DNNs", algorithm 1, here in log space and for a general score.

    >>> logits = np.log([[[0.4, 0.6]] * 2])  # class 0, the blank; twice
    >>> for hypothesis in beam_search_decode(logits, [2], top_paths=2)[0]:
    ...     print(hypothesis.ids, round(np.exp(hypothesis.log_probability), 2))
    [0] 0.64
    [] 0.36

    A dictionary of two words, "ab" and "b", which allows one of them. Its state is the ids so far:

    >>> words = [(0, 1), (1,)]
    >>> def dictionary(ids, next_id):
    ...     if next_id is None:  # the text ends here
    ...         return (0.0 if ids in words else -np.inf), ids
    ...     ids = *ids, next_id
    ...     return (0.0 if any(word[: len(ids)] == ids for word in words) else -np.inf), ids
    >>> logits = np.log([[[0.7, 0.2, 0.1]] * 3])  # classes a, b, the blank; three times
    >>> beam_search_decode(logits, [3])[0][0].ids  # "a"
    array([0], dtype=int32)
    >>> beam_search_decode(logits, [3], score_fn=dictionary)[0][0].ids
    array([0, 1], dtype=int32)
    """
    logits, lengths, blank = checked_logits(logits, logit_length, blank_index)
    for name, number in (("top_paths", top_paths), ("beam_width", beam_width)):
        if not isinstance(number, int | np.integer):
            raise ValueError(f"{name} is {number!r}: give an integer")
    if not 1 <= top_paths <= beam_width:
        raise ValueError(f"top_paths {top_paths} must lie in 1 to {beam_width}, the beam_width")
    results = []
    for i, (frames, length) in enumerate(zip(logits, lengths, strict=True)):
        log_probs = _log_softmax(frames[:length])
        prefixes = _Prefixes(log_probs.shape[1], blank, score_fn, start_state)
        best = _search(log_probs, beam_width, prefixes)[:top_paths]
        if not best:
            raise ValueError(
                f"utterance {i}: no text is possible: score_fn forbids all in the beam to go on or "
                "to end; widen beam_width, or let score_fn return a low score instead of -inf"
            )
        results.append([Hypothesis(np.array(ids, np.int32), *scores) for ids, *scores in best])
    return results


class _Prefixes:
    """All prefixes met so far, numbered from the empty one, 0: a trie, and what score_fn adds."""

    def __init__(self, classes: int, blank: int, score_fn: Any, start_state: Any):
        self.classes, self.blank, self.score_fn = classes, blank, score_fn
        self.origins = [(-1, blank)]  # of each number: its parent's number and its last label
        self.numbers: dict[tuple[int, int], int] = {}
        # Of each number: all that score_fn adds to the prefix grown by each class, and the states
        # that it leads to. Before the empty prefix, 0, stands -1, from which the blank leads to it.
        self.rows: dict[int, tuple[np.ndarray, dict]]
        self.rows = {-1: (np.zeros(classes), {blank: start_state})}

    def grow(self, number: int, label: int) -> int:
        """The number of a prefix grown by a label, which is not the blank."""
        grown = self.numbers.setdefault((number, label), len(self.origins))
        if grown == len(self.origins):
            self.origins.append((number, label))
        return grown

    def forget_all_but(self, numbers: set[int]) -> None:
        """What score_fn said of others: it fills the memory, and may be asked again."""
        self.rows = {number: row for number, row in self.rows.items() if number in numbers}

    def ids(self, number: int) -> tuple[int, ...]:
        ids = []
        while number:
            number, label = self.origins[number]
            ids.append(label)
        return tuple(reversed(ids))

    def added(self, number: int) -> np.ndarray:
        """[C], all that score_fn adds to the prefix grown by each class, asked for once."""
        if number not in self.rows:
            parent, label = self.origins[number]
            scores, states = self.rows[parent]
            row, next_states = np.full(self.classes, scores[label]), {}
            for c in range(self.classes):
                if c != self.blank:
                    added, next_states[c] = self.ask(number, states[label], c)
                    row[c] += added
            self.rows[number] = row, next_states
        return self.rows[number][0]

    def added_by_end(self, number: int) -> float:
        parent, label = self.origins[number]
        return self.ask(number, self.rows[parent][1][label], None)[0]

    def ask(self, number: int, state, next_id: int | None) -> tuple:
        """What score_fn returns, checked."""
        answer = self.score_fn(state, next_id)
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise ValueError(f"score_fn returned {answer!r}: return (log score, next state)")
        if not answer[0] < np.inf:
            after = f"for {next_id} after the ids {self.ids(number)}"
            raise ValueError(
                f"score_fn returned {answer[0]} {after}: return a finite score or -inf"
            )
        return answer


def _search(log_probs, width: int, prefixes: _Prefixes) -> list[tuple]:
    """(ids, log probability, score) of each prefix in the last beam, best score first."""
    classes, blank, score_fn = prefixes.classes, prefixes.blank, prefixes.score_fn
    beam, parents, last = np.array([0]), np.array([-1]), np.array([blank])
    total, score = np.zeros(1), np.zeros(1)
    # Log probability of the alignments that end in a blank, and of those that end in a label.
    in_blank, in_label = np.zeros(1), np.full(1, -np.inf)
    for frame in log_probs:
        # Each prefix grown by each class; the same label is a new one only after a blank.
        grown = total[:, None] + frame
        grown[np.arange(len(beam)), last] = in_blank + frame[last]
        stay_blank, stay_label = total + frame[blank], in_label + frame[last]
        # What grows into a prefix that is in the beam already is added to that one.
        child, parent = np.nonzero(parents[:, None] == beam)
        arrived = parent, last[child]
        stay_label[child] = np.logaddexp(stay_label[child], grown[arrived])
        grown[arrived] = -np.inf
        # The blank's column is free: it holds the prefix as it is.
        grown[:, blank] = np.logaddexp(stay_blank, stay_label)

        ranked = grown if score_fn is None else grown + [prefixes.added(n) for n in beam]
        # Of a full beam, what is worse than all prefixes as they are need not be sorted.
        least = ranked[:, blank].min() if len(beam) == width else -np.inf
        grown, ranked = grown.ravel(), ranked.ravel()
        keep = np.flatnonzero((ranked >= least) & (ranked > -np.inf))
        if not keep.size:
            return []
        if keep.size > width:
            keep = keep[np.argpartition(-ranked[keep], width - 1)[:width]]
        row, label = np.divmod(keep, classes)
        total, score = grown[keep], ranked[keep]
        stays = label == blank
        in_blank = np.where(stays, stay_blank[row], -np.inf)
        in_label = np.where(stays, stay_label[row], total)
        parents, last = np.where(stays, parents[row], beam[row]), np.where(stays, last[row], label)
        beam = beam[row]
        for i in np.flatnonzero(~stays):
            beam[i] = prefixes.grow(int(parents[i]), int(label[i]))
        prefixes.forget_all_but({*beam.tolist(), *parents.tolist()})
    if score_fn is not None:
        score = score + [prefixes.added_by_end(n) for n in beam]
    order = [i for i in np.argsort(-score, kind="stable") if score[i] > -np.inf]
    return [(prefixes.ids(beam[i]), float(total[i]), float(score[i])) for i in order]


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    largest = logits.max(axis=1, keepdims=True)
    shifted = logits - largest
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
