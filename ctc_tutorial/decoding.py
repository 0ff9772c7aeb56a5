"""From logits to text, and how far the text is from the truth (taught in notebook 06).

Logits are batch-major `(batch, time, classes)`; the blank is the last class unless
`blank_index` says otherwise. This file needs NumPy only and can be copied alone.
"""

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np


class Hypothesis(NamedTuple):
    """One result of `beam_search_decode`.

    Attributes:
        ids: int32 `[L]`, the labels.
        log_probability: log p(ids | logits), summed over the alignments the beam kept: at most
            the true value, equal to it where nothing was pruned. Its exponential is the model's
            confidence in the whole text.
        score: log_probability plus everything `score_fn` added; hypotheses are ranked by it.
        timesteps: int32 `[L]`, the frame where each label peaks within its part of the best
            alignment of ids.
        confidence: float64 `[L]`, the probability (softmax) of each label at that frame.
    """

    ids: np.ndarray
    log_probability: float
    score: float
    timesteps: np.ndarray
    confidence: np.ndarray


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


def beam_search_decode(
    logits,
    logit_length,
    beam_width: int = 25,
    top_paths: int = 1,
    score_fn: Callable[[tuple[int, ...], int], float] | None = None,
    blank_index: int = -1,
) -> list[list[Hypothesis]]:
    """Prefix beam search: the most probable texts, each summed over its alignments.

    Args:
        logits, logit_length, blank_index: as for `greedy_decode`.
        beam_width: prefixes kept after each frame. Nothing else is pruned.
        top_paths: hypotheses to return per utterance, at most `beam_width`.
        score_fn: `score_fn(prefix, next_id)` is a log score for `next_id` after the ids in
            `prefix`, added once whenever a prefix grows; -inf forbids. This is the place of a
            language model or a lexicon. It is called once per prefix and class, and not at the
            end of the text: to insist on a complete last word, look through the top paths.

    Returns:
        For each utterance a list of hypotheses, best score first; shorter than `top_paths` where
        fewer texts are possible.

    Raises:
        ValueError: as from `greedy_decode`; for a frame that holds +inf or nothing above -inf, a
            beam narrower than `top_paths` or than 1, a score that is NaN or +inf, or an utterance
            none of whose kept prefixes can go on.

    Source: Hannun et al. 2014, "First-Pass Large Vocabulary Continuous Speech Recognition using
        Bi-Directional Recurrent DNNs", algorithm 1, here in log space and for a general score.
    """
    logits, lengths, blank = _checked(logits, logit_length, blank_index)
    if not 1 <= top_paths <= beam_width:
        raise ValueError(f"top_paths {top_paths} must lie in 1..{beam_width}, the beam_width.")
    results = []
    for i, (frames, length) in enumerate(zip(logits, lengths, strict=True)):
        log_probs = _log_softmax(frames[:length], i)
        best = _search(log_probs, beam_width, score_fn, blank)[:top_paths]
        if not best:
            raise ValueError(
                f"Utterance {i}: no text is possible, score_fn forbids all in the beam."
            )
        results.append([])
        for ids, *scores in best:
            peaks = _peaks(log_probs, ids, blank)
            results[-1].append(Hypothesis(np.array(ids, np.int32), *scores, *peaks))
    return results


def decode_in_processes(
    decode: Callable[[np.ndarray, np.ndarray], list], logits, logit_length, pool: Executor
) -> list:
    """decode(logits, logit_length), by one process of a pool for each core of the machine.

        if __name__ == "__main__":  # the processes import the script that starts them
            with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
                ids = decode_in_processes(greedy_decode, logits, logit_length, pool)

    Args:
        decode: a function of a module, not a lambda: `beam_search_decode`, or
            `functools.partial(beam_search_decode, beam_width=50)`.
        logits, logit_length: as for `decode`.
        pool: kept open for all batches, as starting the processes takes about a second.

    Returns:
        What decode(logits, logit_length) returns.

    Raises:
        ValueError: as from `decode`, which numbers the utterances of its part of the batch; the
            message says with which one that part starts.
    """
    logits, lengths = np.asarray(logits), np.asarray(logit_length)
    edges = np.linspace(0, len(logits), (os.cpu_count() or 1) + 1).astype(int)
    parts = [slice(*pair) for pair in itertools.pairwise(edges)]
    tasks = [pool.submit(decode, logits[part], lengths[part]) for part in parts]
    results = []
    for part, task in zip(parts, tasks, strict=True):
        try:
            results += task.result()
        except ValueError as error:
            raise ValueError(f"in the part from utterance {part.start} on: {error}") from error
    return results


class _Prefixes:
    """All prefixes met so far, numbered from the empty one, 0: a trie with its added scores."""

    def __init__(self, classes: int, blank: int, score_fn: Callable | None):
        self.classes, self.blank, self.score_fn = classes, blank, score_fn
        self.origins = [(-1, blank)]  # of each number: its parent's number and its last label
        self.numbers: dict[tuple[int, int], int] = {}
        self.rows = {-1: np.zeros(classes)}

    def grow(self, number: int, label: int) -> int:
        """The number of a prefix grown by a label, which is not the blank."""
        grown = self.numbers.setdefault((number, label), len(self.origins))
        if grown == len(self.origins):
            self.origins.append((number, label))
        return grown

    def ids(self, number: int) -> tuple[int, ...]:
        ids = []
        while number:
            number, label = self.origins[number]
            ids.append(label)
        return tuple(reversed(ids))

    def added(self, number: int) -> np.ndarray:
        """`[C]`: all that score_fn adds to the prefix grown by each class, asked for once."""
        if number not in self.rows:
            parent, label = self.origins[number]
            ids, own = self.ids(number), self.rows[parent][label]
            self.rows[number] = row = np.full(self.classes, own)
            for c in range(self.classes):
                row[c] += 0.0 if c == self.blank else self.score_fn(ids, c)
            if not (row < np.inf).all():
                raise ValueError(f"score_fn returned NaN or +inf after the prefix {ids}.")
        return self.rows[number]


def _search(log_probs, width: int, score_fn, blank: int) -> list[tuple]:
    """(ids, log probability, score) of each prefix in the last beam, best score first."""
    classes = log_probs.shape[1]
    prefixes = _Prefixes(classes, blank, score_fn)
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
    order = np.argsort(-score, kind="stable")
    return [(prefixes.ids(beam[i]), float(total[i]), float(score[i])) for i in order]


def _peaks(log_probs, ids: tuple[int, ...], blank: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame and probability of each label's peak, on the best alignment (Viterbi) of the ids."""
    states = np.full(2 * len(ids) + 1, blank)
    states[1::2] = ids
    skips = np.full(len(states), -np.inf)
    skips[2:][states[2:] != states[:-2]] = 0.0
    # Staying, moving on by one, skipping a blank: the best score of each way into each state.
    ways = np.full((3, len(states)), -np.inf)
    score = np.full(len(states), -np.inf)
    score[0] = 0.0
    moves = np.zeros((len(log_probs), len(states)), dtype=np.int8)
    for t, frame in enumerate(log_probs):
        ways[0], ways[1, 1:], ways[2, 2:] = score, score[:-1], score[:-2] + skips[2:]
        moves[t] = ways.argmax(axis=0)
        score = ways.max(axis=0) + frame[states]
    state = len(states) - 1 - score[-2:][::-1].argmax()
    timesteps, peaks = np.zeros(len(ids), dtype=np.int32), np.full(len(ids), -np.inf)
    for t in reversed(range(len(log_probs))):
        here = log_probs[t, states[state]]
        if state % 2 and here >= peaks[state // 2]:
            timesteps[state // 2], peaks[state // 2] = t, here
        state -= moves[t, state]
    return timesteps, np.exp(peaks)


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


def _log_softmax(logits: np.ndarray, utterance: int) -> np.ndarray:
    largest = logits.max(axis=1, keepdims=True)
    if not np.isfinite(largest).all():
        frame = int(np.argmin(np.isfinite(largest)))
        raise ValueError(f"Utterance {utterance}: frame {frame} holds +inf or nothing above -inf.")
    shifted = logits - largest
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
