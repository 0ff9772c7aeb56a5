# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""What CTC computes, in NumPy: the lattice, the loss, its gradient and the best alignment.

Taught in notebooks 05_ctc_by_hand and 07_alignment. One utterance at a time, float64
in log space: written to be read, not to train with. Needs NumPy only and can be copied alone.

L ids have S = 2L + 1 lattice states: a blank before, between and after them. State 2i is a blank,
state 2i + 1 is ids[i]. A path starts in state 0 or 1, ends in state S - 1 or S - 2, and between
frames stays, moves on by one, or skips the blank between two different labels.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Lattice(NamedTuple):
    """What `forward_backward` returns.

    Attributes:
        loss: -log p(ids | logits), in nats.
        gradient: float64 [T, C], the derivative of the loss with respect to the logits.
        log_alpha: float64 [T, S], log probability of frames 0 to t with frame t in state s.
        log_beta: float64 [T, S], log probability of frames t + 1 to T - 1 given state s at t; so
            logsumexp over s of (log_alpha + log_beta)[t] is -loss at every t. (Graves et al.
            count the emission at t here, too.)
        posteriors: float64 [T, S], p(state s at frame t | ids, logits); each row sums to 1.

    >>> lattice = forward_backward(np.log([[0.4, 0.6]] * 2), ids=[0])
    >>> lattice.posteriors.round(3).tolist()  # blank, label, blank in each of two frames
    [[0.375, 0.625, 0.0], [0.0, 0.625, 0.375]]
    """

    loss: float
    gradient: np.ndarray
    log_alpha: np.ndarray
    log_beta: np.ndarray
    posteriors: np.ndarray


class Span(NamedTuple):
    """Where one label is, start to end (exclusive), in frames or in seconds; and how sure it is.

    score is the mean log probability of id over the frames of the span: 0 is certain.

    >>> span = Span(id=3, start=10, end=12, score=-0.1)
    >>> round(float(np.exp(span.score)), 3)
    0.905
    """

    id: int
    start: float
    end: float
    score: float


class Alignment(NamedTuple):
    """What `forced_align` returns: int32 states [T], a span per label, the path's log probability.

    >>> states, spans, score = forced_align(np.log([[0.9, 0.1], [0.1, 0.9]]), ids=[0])
    >>> states.tolist(), round(score, 2)  # the label, then the blank after it
    ([1, 2], -0.21)
    """

    states: np.ndarray
    spans: list[Span]
    score: float


def forward_backward(logits: ArrayLike, ids: ArrayLike, blank_index: int = -1) -> Lattice:
    """CTC loss, gradient and lattice of one utterance.

    Args:
        logits: float [T, C], unnormalised scores or log probabilities; -inf is probability 0.
        ids: int [L] without blanks; L may be 0.
        blank_index: the class that stands for "no label"; -1 is the last one.

    Raises:
        ValueError: wrong shapes, ids outside the classes or equal to the blank, NaN or +inf in
            logits, too few frames for the ids, or ids of probability 0.

    Source: Graves et al. 2006, "Connectionist Temporal Classification", section 4.1 (equations
        5 to 11, in log space) and equation 16 for the gradient.

    >>> lattice = forward_backward(np.log([[0.4, 0.6]] * 2), ids=[0])  # aa, a-, -a; not --
    >>> round(float(np.exp(-lattice.loss)), 2)
    0.64
    """
    log_probs, states = _checked(logits, ids, blank_index)
    log_alpha = _arrivals(log_probs, states)
    log_alpha += log_probs[:, states]
    # What is left to come at t is what would have arrived at t, were both sequences reversed.
    log_beta = _arrivals(log_probs[::-1], states[::-1])[::-1, ::-1]
    log_likelihood = float(np.logaddexp.reduce(log_alpha[-1, -2:]))
    _require_possible(log_likelihood)

    posteriors = log_alpha + log_beta
    # Each row sums to the likelihood, but for the rounding of huge logits.
    posteriors -= posteriors.max(axis=1, keepdims=True)
    np.exp(posteriors, out=posteriors)
    posteriors /= posteriors.sum(axis=1, keepdims=True)
    # Several states may carry the same class: sum their posteriors, class by class.
    carries = np.zeros((len(states), log_probs.shape[1]))
    carries[np.arange(len(states)), states] = 1.0
    gradient = np.exp(log_probs) - posteriors @ carries
    return Lattice(-log_likelihood, gradient, log_alpha, log_beta, posteriors)


def forced_align(logits: ArrayLike, ids: ArrayLike, blank_index: int = -1) -> Alignment:
    """The most probable path through the lattice (Viterbi), and where it puts each label.

    Args:
        logits, ids, blank_index: as for `forward_backward`.

    Returns:
        Among equally probable paths one that advances early.

    Raises:
        ValueError: as from `forward_backward`.

    Source: Viterbi's algorithm, that is, the forward pass with maxima in place of its sums.

    >>> (span,) = forced_align(np.log([[0.1, 0.9], [0.8, 0.2], [0.8, 0.2]]), ids=[0]).spans
    >>> span.id, span.start, span.end, round(float(np.exp(span.score)), 2)
    (0, 1, 3, 0.8)
    """
    log_probs, states = _checked(logits, ids, blank_index)
    frames, skips = len(log_probs), _skips(states)
    score = np.full(len(states), -np.inf)
    score[:2] = log_probs[0, states[:2]]
    moves = np.zeros((frames, len(states)), dtype=np.int8)
    candidates = np.full((3, len(states)), -np.inf)
    for t in range(1, frames):
        candidates[0] = score
        candidates[1, 1:] = score[:-1]
        candidates[2, 2:] = score[:-2] + skips[2:]
        moves[t] = candidates.argmax(axis=0)
        score = candidates.max(axis=0) + log_probs[t, states]

    path = np.empty(frames, dtype=np.int32)
    path[-1] = len(states) - 1 - score[-2:][::-1].argmax()
    total = float(score[path[-1]])
    _require_possible(total)
    for t in range(frames - 1, 0, -1):
        path[t - 1] = path[t] - moves[t, path[t]]
    return Alignment(path, _spans(path, states, log_probs), total)


def spans_to_seconds(spans: Iterable[Span], frame_seconds: float) -> list[Span]:
    """The same spans with start and end in seconds.

    Args:
        spans: in frames, from `forced_align`.
        frame_seconds: from the start of one frame of logits to the next: 0.01 for MFCCs every
            10 ms, times the stride of the model.

    Raises:
        ValueError: frame_seconds that is not positive and finite, or spans that are none.

    >>> span = spans_to_seconds([Span(id=3, start=10, end=12, score=-0.1)], frame_seconds=0.01)[0]
    >>> round(span.start, 2), round(span.end, 2)
    (0.1, 0.12)
    """
    if isinstance(frame_seconds, str) or not 0 < frame_seconds < np.inf:
        raise ValueError(f"frame_seconds is {frame_seconds!r}: give the seconds between frames")
    spans = [Span(*span) if len(span) == 4 else span for span in spans]
    for span in spans:
        if len(span) != 4 or not all(_is_finite(place) for place in span[1:3]):
            raise ValueError(f"span {tuple(span)} must be (id, start, end, score), in frames")
    return [s._replace(start=s.start * frame_seconds, end=s.end * frame_seconds) for s in spans]


def _is_finite(number) -> bool:
    return isinstance(number, int | float | np.number) and bool(np.isfinite(number))


def _arrivals(log_probs: np.ndarray, states: np.ndarray) -> np.ndarray:
    """[T, S], log probability of frames 0 to t - 1 and of moving into state s for frame t."""
    skips = _skips(states)
    arrivals = np.full((len(log_probs), len(states)), -np.inf)
    arrivals[0, :2] = 0.0
    for t in range(1, len(log_probs)):
        before = arrivals[t - 1] + log_probs[t - 1, states]
        now = arrivals[t]
        now[:] = before
        np.logaddexp(now[1:], before[:-1], out=now[1:])
        np.logaddexp(now[2:], before[:-2] + skips[2:], out=now[2:])
    return arrivals


def _skips(states: np.ndarray) -> np.ndarray:
    """0 where state s can be entered from s - 2, -inf where it cannot: blanks and repeats."""
    # Two states apart, blanks always meet blanks: one comparison covers both rules.
    allowed = np.zeros(len(states), dtype=bool)
    allowed[2:] = states[2:] != states[:-2]
    return np.where(allowed, 0.0, -np.inf)


def _spans(path: np.ndarray, states: np.ndarray, log_probs: np.ndarray) -> list[Span]:
    of_labels = np.arange(1, len(states), 2)
    starts, ends = (np.searchsorted(path, of_labels, side=side) for side in ("left", "right"))
    return [
        Span(int(label), int(start), int(end), float(log_probs[start:end, label].mean()))
        for label, start, end in zip(states[1::2], starts, ends, strict=True)
    ]


def _require_possible(log_probability: float) -> None:
    if log_probability == -np.inf:
        raise ValueError("the ids have probability 0: each path needs a logit that is -inf")


def _array(name: str, values) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:  # lists of different lengths
        raise ValueError(f"{name}: {error}") from error


def _checked(logits, ids, blank_index: int) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities [T, C] and the class of each state [S], or a ValueError."""
    logits, ids = _array("logits", logits), _array("ids", ids)
    if logits.ndim != 2 or len(logits) == 0:
        raise ValueError(f"logits must be [T, C] of one utterance, not of shape {logits.shape}")
    if logits.dtype.kind in "cOSU":  # texts of numbers would be taken
        raise ValueError(f"logits must be numbers, not {logits.dtype}")
    logits = logits.astype(np.float64)
    frames, classes = logits.shape
    if not isinstance(blank_index, int | np.integer) or not -classes <= blank_index < classes:
        raise ValueError(f"blank_index {blank_index!r} is outside the {classes} classes")
    blank = blank_index % classes
    if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
        raise ValueError(f"ids must be integers [L], not {ids.dtype} of shape {ids.shape}")
    ids = ids if ids.size else ids.astype(int)  # [] is of floats
    bad = (ids < 0) | (ids >= classes) | (ids == blank)
    if bad.any():
        allowed = f"it must lie in 0 to {classes - 1} and not be the blank, {blank}"
        raise ValueError(f"ids[{bad.argmax()}] is {ids[bad.argmax()]}: {allowed}")
    needed = len(ids) + int((ids[1:] == ids[:-1]).sum())
    if frames < needed:
        need = f"{frames} frames, but these ids need {needed} (ids + adjacent repeats)"
        raise ValueError(f"{need}: give more frames or fewer ids")
    largest = logits.max(axis=1, keepdims=True)
    if not np.isfinite(largest).all():
        frame = int(np.argmin(np.isfinite(largest)))
        raise ValueError(f"frame {frame} of logits holds NaN, +inf or nothing above -inf")
    states = np.full(2 * len(ids) + 1, blank)
    states[1::2] = ids.astype(int)
    shifted = logits - largest
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), states
