"""The lattice against brute force over all paths, TensorFlow and finite differences."""

from itertools import groupby, product

import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.lattice import align, forward_backward, spans_to_seconds

TOY = np.log([[0.4, 1e-300, 0.6]] * 2)
TOY[:, 1] = -np.inf

# (T, C, labels): empty, one frame, repeats, as many labels as fit, everything at once.
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


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def all_paths(logits, labels, blank):
    """Probability and classes of every path that collapses to the labels."""
    probabilities = softmax(logits)
    frames, classes = logits.shape
    for path in product(range(classes), repeat=frames):
        if [k for k, _ in groupby(path) if k != blank] == list(labels):
            yield np.prod(probabilities[np.arange(frames), path]), path


def states_of(path, blank):
    """The lattice state in each frame: 2 x labels so far, less 1 on a label."""
    seen, before, states = 0, blank, []
    for k in path:
        seen += k not in (blank, before)
        states.append(2 * seen - (k != blank))
        before = k
    return states


def tensorflow_loss(logits, labels):
    """Loss and gradient by TensorFlow's dense path, which accepts empty labels."""
    logits = tf.constant(logits[None], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = tf.nn.ctc_loss(
            tf.constant([labels or [0]], tf.int32),
            logits,
            [len(labels)],
            [logits.shape[1]],
            logits_time_major=False,
            blank_index=-1,
        )
    return loss.numpy()[0], tape.gradient(loss, logits).numpy()[0]


@pytest.mark.parametrize(("frames", "classes", "labels"), CASES)
@pytest.mark.parametrize("zeros", [False, True])
def test_against_every_path(frames, classes, labels, zeros):
    logits = random_logits(frames, classes)
    if zeros and frames > 4:
        logits[[0, 3, 4], [1, 0, classes - 1]] = -np.inf
    blank = classes - 1
    paths = list(all_paths(logits, labels, blank))
    total = sum(p for p, _ in paths)
    posteriors = np.zeros((frames, 2 * len(labels) + 1))
    occupied = np.zeros((frames, classes))
    for p, path in paths:
        posteriors[np.arange(frames), states_of(path, blank)] += p / total
        occupied[np.arange(frames), path] += p / total

    lattice = forward_backward(logits, labels)
    assert lattice.loss == pytest.approx(-np.log(total), abs=1e-12)
    np.testing.assert_allclose(lattice.posteriors, posteriors, atol=1e-12)
    np.testing.assert_allclose(lattice.gradient, softmax(logits) - occupied, atol=1e-12)

    alignment = align(logits, labels)
    best = max(p for p, _ in paths)
    assert alignment.score == pytest.approx(np.log(best), abs=1e-12)
    assert list(alignment.states) in [
        states_of(path, blank) for p, path in paths if np.isclose(p, best, rtol=1e-12)
    ]


def test_alpha_and_beta_are_partial_sums():
    logits, labels, blank = random_logits(6, 3), [0, 1, 0], 2
    probabilities = softmax(logits)
    lattice = forward_backward(logits, labels)
    alpha = np.zeros_like(lattice.log_alpha)
    for t in range(6):
        for path in product(range(3), repeat=t + 1):
            collapsed = [k for k, _ in groupby(path) if k != blank]
            if collapsed == labels[: len(collapsed)]:
                p = np.prod(probabilities[np.arange(t + 1), path])
                alpha[t, states_of(path, blank)[-1]] += p
    np.testing.assert_allclose(np.exp(lattice.log_alpha), alpha, atol=1e-15)
    # The emission at t is not in beta: the product with alpha sums to p(labels) at every t.
    at_each_t = (alpha * np.exp(lattice.log_beta)).sum(axis=1)
    np.testing.assert_allclose(at_each_t, np.exp(-lattice.loss), rtol=1e-12)
    np.testing.assert_array_equal(lattice.log_beta[-1, -2:], 0.0)
    assert np.isneginf(lattice.log_beta[-1, :-2]).all()


def test_toy_worked_by_hand():
    assert forward_backward(TOY, []).loss == pytest.approx(-np.log(0.36))
    assert forward_backward(TOY, [0]).loss == pytest.approx(-np.log(0.64))
    assert align(TOY, []).score == pytest.approx(np.log(0.36))
    assert align(TOY, [0]).score == pytest.approx(np.log(0.24))  # "a-" or "-a", not "aa", .16
    # Frame by frame the state "a" holds .16 + .24 of .64.
    lattice = forward_backward(TOY, [0])
    np.testing.assert_allclose(lattice.posteriors[:, 1], [0.4 / 0.64] * 2)
    np.testing.assert_allclose(lattice.gradient, [[0.4 - 0.625, 0, 0.6 - 0.375]] * 2, atol=1e-15)
    with pytest.raises(ValueError, match="probability 0"):
        forward_backward(TOY, [1])
    with pytest.raises(ValueError, match="probability 0"):
        align(TOY, [1])


@pytest.mark.parametrize(
    ("frames", "classes", "labels"),
    [*CASES, (60, 28, [4] * 12), (120, 28, list(range(27)) * 2), (200, 9, [0, 0, 7] * 20)],
)
def test_against_tensorflow(frames, classes, labels):
    logits = random_logits(frames, classes, scale=3.0)
    loss, gradient = tensorflow_loss(logits, labels)
    lattice = forward_backward(logits, labels)
    assert lattice.loss == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(lattice.gradient, gradient, atol=2e-4)


def test_gradient_is_the_slope_of_the_loss():
    logits, labels, step = random_logits(12, 5, scale=2.0), [3, 3, 0, 1], 1e-6
    slopes = np.zeros_like(logits)
    for index in np.ndindex(*logits.shape):
        nudge = np.zeros_like(logits)
        nudge[index] = step
        above = forward_backward(logits + nudge, labels).loss
        slopes[index] = (above - forward_backward(logits - nudge, labels).loss) / (2 * step)
    np.testing.assert_allclose(forward_backward(logits, labels).gradient, slopes, atol=1e-8)


def test_extreme_logits_stay_exact():
    # Every path but one is e^-1000 or less: the loss is that path's cost, which floats would lose.
    logits = np.full((6, 3), -1000.0)
    logits[np.arange(6), [2, 0, 0, 2, 1, 2]] = 0.0
    assert forward_backward(logits, [0, 1]).loss == pytest.approx(0.0, abs=1e-12)
    assert forward_backward(logits, [1, 0]).loss > 1999.0
    np.testing.assert_array_equal(align(logits, [0, 1]).states, [0, 1, 1, 2, 3, 4])


@pytest.mark.parametrize("blank", [0, 2, -5])
def test_blank_index_permutes_the_classes(blank):
    logits, labels = random_logits(9, 5), np.array([0, 3, 3, 1])
    order = np.insert(np.arange(4), blank % 5, 4)  # old class of each new class
    place = np.argsort(order)
    old, new = (
        forward_backward(logits, labels),
        forward_backward(logits[:, order], place[labels], blank_index=blank),
    )
    assert new.loss == pytest.approx(old.loss, abs=1e-12)
    np.testing.assert_allclose(new.gradient, old.gradient[:, order], atol=1e-12)
    moved = align(logits[:, order], place[labels], blank_index=blank)
    np.testing.assert_array_equal(moved.states, align(logits, labels).states)
    assert [span.id for span in moved.spans] == list(place[labels])


def test_spans_read_the_labels_and_add_up():
    logits, labels = random_logits(40, 6, scale=2.0), [2, 2, 0, 4, 4, 1]
    log_probs = np.log(softmax(logits))
    states, spans, score = align(logits, labels)
    classes = np.full(40, 5)
    for span in spans:
        classes[span.start : span.end] = span.id
        assert span.score == pytest.approx(log_probs[span.start : span.end, span.id].mean())
    assert [k for k, _ in groupby(classes) if k != 5] == labels
    np.testing.assert_array_equal(states, states_of(classes, 5))
    assert states.dtype == np.int32
    assert score == pytest.approx(log_probs[np.arange(40), classes].sum())

    seconds = spans_to_seconds(spans, 0.01)
    assert [s.id for s in seconds] == labels
    assert seconds[1].start == pytest.approx(spans[1].start / 100)
    assert seconds[1].end == pytest.approx(spans[1].end / 100)
    assert seconds[1].score == spans[1].score
    with pytest.raises(ValueError, match="frame_step is 0"):
        spans_to_seconds(spans, 0)


def test_long_utterance():
    frames, length = 5000, 1000
    labels = np.random.default_rng(5).integers(27, size=length)
    needed = length + (labels[1:] == labels[:-1]).sum()
    assert needed > length
    logits = random_logits(frames, 28, scale=4.0)
    lattice = forward_backward(logits, labels)
    loss = tf.nn.ctc_loss(
        tf.sparse.from_dense(labels[None].astype(np.int32) + 1),  # no zeros, so none is dropped
        tf.constant(np.roll(logits, 1, axis=1)[:, None], tf.float32),
        None,
        [frames],
        blank_index=0,
    )
    assert lattice.loss == pytest.approx(loss.numpy()[0], rel=1e-5)
    np.testing.assert_allclose(lattice.posteriors.sum(axis=1), 1.0, atol=1e-8)
    # The logits' own direction: the loss along it is a scalar function with a known slope.
    step = 1e-6
    above = forward_backward(logits * (1 + step), labels).loss
    below = forward_backward(logits * (1 - step), labels).loss
    slope = (lattice.gradient * logits).sum()
    assert (above - below) / (2 * step) == pytest.approx(slope, rel=1e-5)

    alignment = align(logits, labels)
    assert alignment.score < -lattice.loss
    assert [span.id for span in alignment.spans] == labels.tolist()
    # One frame less than needed is refused; exactly the needed frames leave a single path.
    with pytest.raises(ValueError, match=f"{needed - 1} frames, but these labels need {needed}"):
        align(logits[: needed - 1], labels)
    only = forward_backward(logits[:needed], labels).loss
    assert align(logits[:needed], labels).score == pytest.approx(-only, abs=1e-7)


@pytest.mark.parametrize("function", [forward_backward, align])
@pytest.mark.parametrize(
    ("logits", "labels", "blank", "message"),
    [
        (np.zeros((2, 3)), [0, 0], -1, r"2 frames, but these labels need 3 \(labels"),
        (np.zeros((1, 2, 3)), [0], -1, r"must be \[time, classes\]"),
        (np.zeros((0, 3)), [], -1, r"must be \[time, classes\]"),
        (np.zeros((4, 3)), [[0]], -1, "labels must be integers"),
        (np.zeros((4, 3)), [0.0], -1, "labels must be integers"),
        (np.zeros((4, 3)), [0, 2], -1, r"labels\[1\] is 2: .*not be the blank, 2"),
        (np.zeros((4, 3)), [0, 3], -1, r"labels\[1\] is 3: it must lie in 0\.\.2"),
        (np.zeros((4, 3)), [-1], -1, r"labels\[0\] is -1"),
        (np.zeros((4, 3)), [0], 3, "blank_index 3 is outside the 3 classes"),
        (np.array([[0, 0], [0, np.nan]]), [0], -1, "Frame 1 of logits holds NaN"),
        (np.array([[0, np.inf]]), [0], -1, "Frame 0 of logits holds NaN, .inf"),
        (np.full((1, 2), -np.inf), [0], -1, "Frame 0 .*nothing above -inf"),
    ],
)
def test_bad_input_is_named(function, logits, labels, blank, message):
    with pytest.raises(ValueError, match=message):
        function(logits, labels, blank_index=blank)
