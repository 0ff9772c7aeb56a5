"""What CTC computes, in NumPy: the lattice, the loss, its gradient and the best alignment.

Taught in notebook 05 (the lattice) and notebook 06 (the alignment). Everything is float64 and in
log space, one utterance at a time: written to be read and trusted; to train, use a batched loss.

A label sequence of length L has S = 2L + 1 lattice states: its labels with a blank before,
between and after them. State 2i is a blank, state 2i + 1 is `labels[i]`. A path starts in state
0 or 1, ends in state S - 1 or S - 2, and between frames stays, moves on by one, or skips the
blank between two different labels. This file needs NumPy only and can be copied alone.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Lattice(NamedTuple):
    """What `forward_backward` returns.

    Attributes:
        loss: -log p(labels | logits), in nats.
        gradient: `[T, C]`, the derivative of the loss with respect to the logits.
        log_alpha: `[T, S]`, log probability of frames 0..t with frame t in state s; the emission
            at t is included.
        log_beta: `[T, S]`, log probability of frames t+1..T-1 given state s at t; the emission
            at t is *not* included. So logsumexp over s of (log_alpha + log_beta)[t] is -loss at
            every t. (Graves et al. count the emission at t in both.)
        posteriors: `[T, S]`, p(state s at frame t | labels, logits); each row sums to 1.
    """

    loss: float
    gradient: np.ndarray
    log_alpha: np.ndarray
    log_beta: np.ndarray
    posteriors: np.ndarray


class Span(NamedTuple):
    """Where one label sits: `end` is exclusive; both in frames, or in seconds where converted.

    `score` is the mean log probability of `id` over the frames of the span: 0 is certain.
    """

    id: int
    start: float
    end: float
    score: float


class Alignment(NamedTuple):
    """What `align` returns: int32 `states` `[T]`, a span per label, the path's log probability."""

    states: np.ndarray
    spans: list[Span]
    score: float


def forward_backward(logits, labels, blank_index: int = -1) -> Lattice:
    """CTC loss, gradient and lattice of one utterance.

    Args:
        logits: `[T, C]` unnormalised scores; log probabilities do too, -inf is probability 0.
        labels: `[L]` integer ids without blanks; L may be 0.
        blank_index: the class that stands for "no label"; -1 is the last one.

    Returns:
        A `Lattice`.

    Raises:
        ValueError: for wrong shapes, ids outside the classes or equal to the blank, NaN or +inf
            logits, too few frames for the labels, or labels of probability 0.

    Source: Graves et al. 2006, "Connectionist Temporal Classification", section 4.1 (equations
        5 to 11, in log space) and equation 16 for the gradient.
    """
    log_probs, states = _checked(logits, labels, blank_index)
    log_alpha = _arrivals(log_probs, states)
    log_alpha += log_probs[:, states]
    # What is left to come at t is what would have arrived at t, were both sequences reversed.
    log_beta = _arrivals(log_probs[::-1], states[::-1])[::-1, ::-1]
    log_likelihood = float(np.logaddexp.reduce(log_alpha[-1, -2:]))
    _require_possible(log_likelihood)

    posteriors = log_alpha + log_beta
    posteriors -= log_likelihood
    np.exp(posteriors, out=posteriors)
    # Several states may carry the same class: sum their posteriors, class by class.
    carries = np.zeros((len(states), log_probs.shape[1]))
    carries[np.arange(len(states)), states] = 1.0
    gradient = np.exp(log_probs) - posteriors @ carries
    return Lattice(-log_likelihood, gradient, log_alpha, log_beta, posteriors)


def align(logits, labels, blank_index: int = -1) -> Alignment:
    """The most probable path through the lattice (Viterbi), and where it puts each label.

    Args:
        logits, labels, blank_index: as for `forward_backward`.

    Returns:
        An `Alignment`. Among equally probable paths it takes one that advances early.

    Raises:
        ValueError: as from `forward_backward`.

    Source: Viterbi's algorithm on the lattice of Graves et al. 2006, section 4.1: a maximum
        where the forward pass has a sum.
    """
    log_probs, states = _checked(logits, labels, blank_index)
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


def spans_to_seconds(spans: Iterable[Span], frame_step: float) -> list[Span]:
    """The same spans with `start` and `end` in seconds.

    Args:
        spans: spans in frames, from `align`.
        frame_step: seconds from the start of one logits frame to the next (0.01 for MFCCs every
            10 ms; times the stride of the model, if it has one). A frame's analysis window
            may reach beyond its step.

    Raises:
        ValueError: for a frame step that is not positive.
    """
    if not frame_step > 0:
        raise ValueError(f"frame_step is {frame_step}: give the seconds between frames.")
    return [s._replace(start=s.start * frame_step, end=s.end * frame_step) for s in spans]


def _arrivals(log_probs: np.ndarray, states: np.ndarray) -> np.ndarray:
    """`[T, S]`: log probability of frames 0..t-1 and of moving into state s for frame t."""
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
    label_states = np.arange(1, len(states), 2)
    starts = np.searchsorted(path, label_states, side="left")
    ends = np.searchsorted(path, label_states, side="right")
    return [
        Span(int(label), int(start), int(end), float(log_probs[start:end, label].mean()))
        for label, start, end in zip(states[1::2], starts, ends, strict=True)
    ]


def _require_possible(log_probability: float) -> None:
    if log_probability == -np.inf:
        raise ValueError("The labels have probability 0: each path needs a logit that is -inf.")


def _checked(logits, labels, blank_index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return log probabilities `[T, C]` and the class of each state `[S]`, or raise."""
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.ndim != 2 or len(logits) == 0:
        raise ValueError(f"logits must be [time, classes] of one utterance, not {logits.shape}.")
    frames, classes = logits.shape
    if not -classes <= blank_index < classes:
        raise ValueError(f"blank_index {blank_index} is outside the {classes} classes.")
    blank = blank_index % classes
    if labels.ndim != 1 or (labels.size and not np.issubdtype(labels.dtype, np.integer)):
        raise ValueError(f"labels must be integers of shape [length], not {labels!r}.")
    for i, label in enumerate(labels):
        if not 0 <= label < classes or label == blank:
            raise ValueError(
                f"labels[{i}] is {label}: it must lie in 0..{classes - 1} and not be the "
                f"blank, {blank}."
            )
    needed = len(labels) + int((labels[1:] == labels[:-1]).sum())
    if frames < needed:
        raise ValueError(
            f"{frames} frames, but these labels need {needed} (labels + adjacent repeats): give "
            "more frames or fewer labels."
        )
    largest = logits.max(axis=1, keepdims=True)
    if not np.isfinite(largest).all():
        frame = int(np.argmin(np.isfinite(largest)))
        raise ValueError(f"Frame {frame} of logits holds NaN, +inf or nothing above -inf.")
    states = np.full(2 * len(labels) + 1, blank)
    states[1::2] = labels
    shifted = logits - largest
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), states
