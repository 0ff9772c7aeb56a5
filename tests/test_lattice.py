"""The lattice against brute force over all paths, TensorFlow and finite differences."""

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from brute_force import (
    all_paths,
    loss_and_gradient,
    path_probability,
    paths_of,
    softmax,
    states_of,
    text_of,
)

from ctc_tutorial.decoding import greedy_decode
from ctc_tutorial.lattice import forced_align, forward_backward, spans_to_seconds

TOY = np.log([[0.4, 1e-300, 0.6]] * 2)
TOY[:, 1] = -np.inf

# (T, C, ids): empty, one frame, repeats, as many ids as fit, everything at once.
CASES = [
    (1, 3, []),
    (4, 3, []),
    (1, 3, [1]),
    (3, 3, [0, 0]),
    (4, 3, [0, 1]),
    (5, 3, [1, 1, 0]),
    (6, 3, [0, 1, 0]),
    (5, 4, [2, 0, 0]),
    (6, 4, [1]),
]


def random_logits(frames, classes, scale=1.0):
    return np.random.default_rng(frames * 100 + classes).normal(0, scale, (frames, classes))


def tensorflow_loss(logits, ids):
    """Loss and gradient by TensorFlow's dense path, which accepts empty ids."""
    logits = tf.constant(logits[None], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = tf.nn.ctc_loss(
            tf.constant([ids or [0]], tf.int32),
            logits,
            [len(ids)],
            [logits.shape[1]],
            logits_time_major=False,
            blank_index=-1,
        )
    return loss.numpy()[0], tape.gradient(loss, logits).numpy()[0]


@pytest.mark.parametrize(("frames", "classes", "ids"), CASES)
@pytest.mark.parametrize("zeros", [False, True])
def test_against_every_path(frames, classes, ids, zeros):
    logits = random_logits(frames, classes)
    if zeros and frames > 4:
        logits[[0, 3, 4], [1, 0, classes - 1]] = -np.inf
    paths = {path: path_probability(logits, path) for path in paths_of(ids, frames, classes)}
    posteriors = np.zeros((frames, 2 * len(ids) + 1))
    for path, p in paths.items():
        posteriors[np.arange(frames), states_of(path, classes - 1)] += p / sum(paths.values())

    lattice = forward_backward(logits, ids)
    loss, gradient = loss_and_gradient(logits, ids)
    assert lattice.loss == pytest.approx(loss, abs=1e-12)
    np.testing.assert_allclose(lattice.gradient, gradient, atol=1e-12)
    np.testing.assert_allclose(lattice.posteriors, posteriors, atol=1e-12)

    alignment = forced_align(logits, ids)
    best = max(paths.values())
    assert alignment.score == pytest.approx(np.log(best), abs=1e-12)
    assert list(alignment.states) in [
        states_of(path, classes - 1) for path, p in paths.items() if np.isclose(p, best, rtol=1e-12)
    ]


def test_alpha_and_beta_are_partial_sums():
    logits, ids, blank = random_logits(6, 3), [0, 1, 0], 2
    lattice = forward_backward(logits, ids)
    alpha = np.zeros_like(lattice.log_alpha)
    for t in range(6):
        for path in all_paths(t + 1, 3):
            text = text_of(path, blank)
            if text == tuple(ids[: len(text)]):
                alpha[t, states_of(path, blank)[-1]] += path_probability(logits, path)
    np.testing.assert_allclose(np.exp(lattice.log_alpha), alpha, atol=1e-15)
    # The emission at t is not in beta: the product with alpha sums to p(ids) at every t.
    at_each_t = (alpha * np.exp(lattice.log_beta)).sum(axis=1)
    np.testing.assert_allclose(at_each_t, np.exp(-lattice.loss), rtol=1e-12)
    np.testing.assert_array_equal(lattice.log_beta[-1, -2:], 0.0)
    assert np.isneginf(lattice.log_beta[-1, :-2]).all()


def test_toy_worked_by_hand():
    assert forward_backward(TOY, []).loss == pytest.approx(-np.log(0.36))
    assert forward_backward(TOY, [0]).loss == pytest.approx(-np.log(0.64))
    assert forced_align(TOY, []).score == pytest.approx(np.log(0.36))
    assert forced_align(TOY, [0]).score == pytest.approx(
        np.log(0.24)
    )  # "a-" or "-a", not "aa", .16
    # Frame by frame the state "a" holds .16 + .24 of .64.
    lattice = forward_backward(TOY, [0])
    np.testing.assert_allclose(lattice.posteriors[:, 1], [0.4 / 0.64] * 2)
    np.testing.assert_allclose(lattice.gradient, [[0.4 - 0.625, 0, 0.6 - 0.375]] * 2, atol=1e-15)


@pytest.mark.parametrize(
    ("frames", "classes", "ids"),
    [*CASES, (60, 28, [4] * 12), (120, 28, list(range(27)) * 2), (200, 9, [0, 0, 7] * 20)],
)
def test_against_tensorflow(frames, classes, ids):
    logits = random_logits(frames, classes, scale=3.0)
    loss, gradient = tensorflow_loss(logits, ids)
    lattice = forward_backward(logits, ids)
    assert lattice.loss == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(lattice.gradient, gradient, atol=2e-4)


def test_gradient_is_the_slope_of_the_loss():
    logits, ids, step = random_logits(12, 5, scale=2.0), [3, 3, 0, 1], 1e-6
    slopes = np.zeros_like(logits)
    for index in np.ndindex(*logits.shape):
        nudge = np.zeros_like(logits)
        nudge[index] = step
        above = forward_backward(logits + nudge, ids).loss
        slopes[index] = (above - forward_backward(logits - nudge, ids).loss) / (2 * step)
    np.testing.assert_allclose(forward_backward(logits, ids).gradient, slopes, atol=1e-8)


def test_extreme_logits_stay_exact():
    # Every path but one is e^-1000 or less: the loss is that path's cost, which floats would lose.
    logits = np.full((6, 3), -1000.0)
    logits[np.arange(6), [2, 0, 0, 2, 1, 2]] = 0.0
    assert forward_backward(logits, [0, 1]).loss == pytest.approx(0.0, abs=1e-12)
    assert forward_backward(logits, [1, 0]).loss > 1999.0
    np.testing.assert_array_equal(forced_align(logits, [0, 1]).states, [0, 1, 1, 2, 3, 4])


@pytest.mark.parametrize("blank", [0, 2, -5])
def test_blank_index_permutes_the_classes(blank):
    logits, ids = random_logits(9, 5), np.array([0, 3, 3, 1])
    order = np.insert(np.arange(4), blank % 5, 4)  # old class of each new class
    place = np.argsort(order)
    old, new = (
        forward_backward(logits, ids),
        forward_backward(logits[:, order], place[ids], blank_index=blank),
    )
    assert new.loss == pytest.approx(old.loss, abs=1e-12)
    np.testing.assert_allclose(new.gradient, old.gradient[:, order], atol=1e-12)
    moved = forced_align(logits[:, order], place[ids], blank_index=blank)
    np.testing.assert_array_equal(moved.states, forced_align(logits, ids).states)
    assert [span.id for span in moved.spans] == list(place[ids])


def test_spans_read_the_ids_and_add_up_in_frames_and_in_seconds():
    logits, ids = random_logits(40, 6, scale=2.0), [2, 2, 0, 4, 4, 1]
    log_probs = np.log(softmax(logits))
    states, spans, score = forced_align(logits, ids)
    classes = np.full(40, 5)
    for span in spans:
        classes[span.start : span.end] = span.id
        assert span.score == pytest.approx(log_probs[span.start : span.end, span.id].mean())
    assert [k for k, _ in groupby(classes) if k != 5] == ids
    np.testing.assert_array_equal(states, states_of(classes, 5))
    assert states.dtype == np.int32
    assert score == pytest.approx(log_probs[np.arange(40), classes].sum())

    seconds = spans_to_seconds(spans, 0.01)
    assert [s.id for s in seconds] == ids
    assert seconds[1].start == pytest.approx(spans[1].start / 100)
    assert seconds[1].end == pytest.approx(spans[1].end / 100)
    assert seconds[1].score == spans[1].score


@pytest.mark.parametrize("seconds", [0, -0.01, np.nan])
def test_frames_that_take_no_time_are_refused(seconds):
    with pytest.raises(ValueError, match=f"frame_seconds is {seconds}: give the seconds between"):
        spans_to_seconds([], seconds)


def test_a_span_says_where_a_label_is_and_how_sure():
    logits = np.zeros((12, 4))
    logits[:, 3] = 5.0
    logits[[2, 3, 6, 9], [1, 1, 1, 0]] = [8.0, 9.0, 9.0, 12.0]
    p = softmax(logits)
    spans = forced_align(logits, [1, 1, 0]).spans
    assert [span[:3] for span in spans] == [(1, 2, 4), (1, 6, 7), (0, 9, 10)]
    sure = [np.sqrt(p[2, 1] * p[3, 1]), p[6, 1], p[9, 0]]
    np.testing.assert_allclose(np.exp([span.score for span in spans]), sure)


def test_what_the_best_path_reads_is_aligned_to_the_best_path():
    saved = np.load(Path(__file__).parent / "data" / "logits.npz")  # of a real model
    logits, lengths = saved["logits"], saved["logit_length"]
    for i, ids in enumerate(greedy_decode(logits, lengths)):
        assert len(ids) > 10
        best = logits[i, : lengths[i]].argmax(axis=1)
        states = forced_align(logits[i, : lengths[i]], ids).states
        np.testing.assert_array_equal(states, states_of(best, blank=27))


@pytest.mark.slow
def test_long_utterance():
    frames, length = 5000, 1000
    ids = np.random.default_rng(5).integers(27, size=length)
    needed = length + (ids[1:] == ids[:-1]).sum()
    assert needed > length
    logits = random_logits(frames, 28, scale=4.0)
    lattice = forward_backward(logits, ids)
    loss = tf.nn.ctc_loss(
        tf.sparse.from_dense(ids[None].astype(np.int32) + 1),  # no zeros, so none is dropped
        tf.constant(np.roll(logits, 1, axis=1)[:, None], tf.float32),
        None,
        [frames],
        blank_index=0,
    )
    assert lattice.loss == pytest.approx(loss.numpy()[0], rel=1e-5)
    np.testing.assert_allclose(lattice.posteriors.sum(axis=1), 1.0, atol=1e-8)
    # The logits' own direction: the loss along it is a scalar function with a known slope.
    step = 1e-6
    above = forward_backward(logits * (1 + step), ids).loss
    below = forward_backward(logits * (1 - step), ids).loss
    slope = (lattice.gradient * logits).sum()
    assert (above - below) / (2 * step) == pytest.approx(slope, rel=1e-5)

    alignment = forced_align(logits, ids)
    assert alignment.score < -lattice.loss
    assert [span.id for span in alignment.spans] == ids.tolist()
    # One frame less than needed is refused; exactly the needed frames leave a single path.
    with pytest.raises(ValueError, match=f"{needed - 1} frames, but these ids need {needed}"):
        forced_align(logits[: needed - 1], ids)
    only = forward_backward(logits[:needed], ids).loss
    assert forced_align(logits[:needed], ids).score == pytest.approx(-only, abs=1e-7)


both = pytest.mark.parametrize("function", [forward_backward, forced_align])


@both
def test_too_few_frames_are_refused(function):
    with pytest.raises(ValueError, match=r"2 frames, but these ids need 3 \(ids \+ adjacent rep"):
        function(np.zeros((2, 3)), [0, 0])


@both
def test_ids_of_probability_0_are_refused(function):
    with pytest.raises(ValueError, match="the ids have probability 0"):
        function(TOY, [1])


@both
@pytest.mark.parametrize("shape", [(1, 2, 3), (0, 3), (3,)])
def test_logits_that_are_not_one_utterance_are_refused(function, shape):
    with pytest.raises(ValueError, match=r"logits must be \[T, C\] of one utterance, not"):
        function(np.zeros(shape), [])


@both
@pytest.mark.parametrize("ids", [[[0]], [0.0], 0])
def test_ids_that_are_no_row_of_integers_are_refused(function, ids):
    with pytest.raises(ValueError, match=r"ids must be integers \[L\], not"):
        function(np.zeros((4, 3)), ids)


@both
@pytest.mark.parametrize(("ids", "place"), [([0, 2], 1), ([0, 3], 1), ([-1], 0)])
def test_an_id_that_is_the_blank_or_no_class_is_refused(function, ids, place):
    message = rf"ids\[{place}\] is {ids[place]}: it must lie in 0 to 2 and not be the blank, 2"
    with pytest.raises(ValueError, match=message):
        function(np.zeros((4, 3)), ids)


@both
@pytest.mark.parametrize("blank", [3, -4])
def test_a_blank_outside_the_classes_is_refused(function, blank):
    with pytest.raises(ValueError, match=f"blank_index {blank} is outside the 3 classes"):
        function(np.zeros((4, 3)), [0], blank_index=blank)


@both
@pytest.mark.parametrize("frame", [[0, np.nan], [0, np.inf], [-np.inf, -np.inf]])
def test_a_frame_without_probabilities_is_refused(function, frame):
    with pytest.raises(ValueError, match=r"frame 1 of logits holds NaN, \+inf or nothing above"):
        function(np.array([[0, 0], frame]), [0])


@pytest.mark.parametrize("blank", [0.5, "0", None, np.nan])
def test_a_blank_that_is_no_integer_is_refused(blank):
    with pytest.raises(ValueError, match=r"blank_index .* is outside the 3 classes"):
        forward_backward(np.zeros((4, 3)), [0], blank_index=blank)


@pytest.mark.parametrize("logits", [[["1", "2"]], [[1j, 2]], [[1], [2, 3]]])
def test_logits_that_are_no_numbers_are_refused(logits):
    with pytest.raises(ValueError, match="logits"):
        forward_backward(logits, [0])


@pytest.mark.parametrize("span", [(0, 1, 2), (0, "1", 2, 0.0), (0, np.nan, 2, 0.0)])
def test_spans_that_are_none_are_refused(span):
    with pytest.raises(ValueError, match="span"):
        spans_to_seconds([span], 0.01)
    assert spans_to_seconds([(0, 1, 2, -0.5)], 0.5) == [(0, 0.5, 1.0, -0.5)]
    with pytest.raises(ValueError, match="frame_seconds is inf"):
        spans_to_seconds([], np.inf)


def test_posteriors_sum_to_one_beside_huge_logits():
    """At 1e30 a float64 does not tell two paths apart, and each had the posterior 1."""
    lattice = forward_backward([[-41.0, -15, -17], [1e30, -9, 23]], ids=[1])
    np.testing.assert_allclose(lattice.posteriors.sum(axis=1), 1)
