"""The aligner reads, and points where its recording is spoken."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import ctc_tutorial as ctc
from ctc_tutorial.aligner import middle_frames, share_in_words, train_aligner


@pytest.mark.slow
def test_both_utterances_exact_and_letters_inside_their_words(pair, request):
    features, labels = zip(*pair, strict=True)
    batch = ctc.pad_batch(features, labels)
    logits = train_aligner(**batch, num_classes=28, loss_fn=ctc.ctc_loss)
    lengths = batch["feature_length"]
    for ids, expected in zip(ctc.greedy_decode(logits, lengths), labels, strict=True):
        np.testing.assert_array_equal(ids, expected)
    if "bundled" in request.node.name:  # the other recording has no word times
        spans = ctc.forced_align(logits[0, : lengths[0]], labels[0]).spans
        seconds = middle_frames(logits[0], spans) * 0.01 + 0.0125
        text, words = ctc.load_sentence().text, ctc.load_word_times()
        assert share_in_words(text, seconds, words) >= 0.9
        assert share_in_words(text, seconds - 0.3, words) < 0.5


def toy_batch():
    """Two sounds in noise, each a frame long, in silence; what the aligner has to find."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 12, 3)).astype(np.float32) * 0.1
    for row, frame, sound in ((0, 2, 0), (0, 7, 1), (1, 1, 1), (1, 4, 0)):
        features[row, frame, sound] += 5
    return {
        "features": features,
        "labels": tf.sparse.from_dense([[1, 2], [2, 1]]),
        "feature_length": np.array([12, 6], np.int32),
    }


@pytest.mark.parametrize("windows", [(1,), (1, 3)])
def test_sounds_are_found(windows):
    logits = train_aligner(**toy_batch(), num_classes=4, loss_fn=ctc.ctc_loss, windows=windows)
    assert logits.shape == (2, 12, 4)
    assert [tuple(s[:3]) for s in ctc.forced_align(logits[0], [1, 2]).spans] == [
        (1, 2, 3),
        (2, 7, 8),
    ]
    assert [tuple(s[:3]) for s in ctc.forced_align(logits[1, :6], [2, 1]).spans] == [
        (2, 1, 2),
        (1, 4, 5),
    ]


def test_a_window_of_one_frame_says_the_same_of_equal_frames():
    batch = toy_batch()
    batch["features"][:, 5] = batch["features"][:, 3]
    logits = train_aligner(**batch, num_classes=4, loss_fn=ctc.ctc_loss, windows=(1,))
    np.testing.assert_allclose(logits[:, 5], logits[:, 3], rtol=1e-6)


@pytest.mark.slow
def test_padding_and_the_scale_of_the_features_change_nothing():
    def train(features, length=(12, 6)):
        batch = {**toy_batch(), "features": features, "feature_length": np.array(length)}
        return train_aligner(**batch, num_classes=4, loss_fn=ctc.ctc_loss, windows=(1, 3))

    features = toy_batch()["features"]
    expected = train(features)
    padded = features.copy()
    padded[1, 6:] = 99
    np.testing.assert_array_equal(train(padded)[1, :6], expected[1, :6])
    np.testing.assert_allclose(train(features * [2, 30, 0.5] + 7), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("windows", [(2,), (3, 1), (1, 20)])
def test_windows_that_are_even_or_shrink_are_refused(windows):
    with pytest.raises(ValueError, match=r"windows are \(.*\): give odd ones, none shorter than"):
        train_aligner(**toy_batch(), num_classes=4, loss_fn=ctc.ctc_loss, windows=windows)


def test_middle_frames_are_weighted_with_the_probability():
    p = np.array([[0.5, 0.5], [0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])
    spans = [(0, 1, 3, 0.0), (1, 2, 3, 0.0)]
    np.testing.assert_allclose(middle_frames(np.log(p) + 3, spans), [1.25, 2])


def test_share_in_words():
    words = [("ab", 1.0, 2.0), ("c", 2.0, 2.5)]

    def share(*seconds, **options):
        return share_in_words("ab c", np.array(seconds), words, **options)

    assert share(1.0, 2.04, 9.9, 1.96) == 1  # the space does not count
    assert share(1.0, 2.06, 2.0, 2.2) == pytest.approx(2 / 3)
    assert share(1.0, 2.04, 2.0, 1.96, tolerance=0) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("text", "count"), [("ab d", 4), ("ab c", 3)])
def test_words_and_times_of_another_text_are_refused(text, count):
    with pytest.raises(ValueError, match=f"give a time for each character of {text!r}"):
        share_in_words(text, np.zeros(count), [("ab", 1.0, 2.0), ("c", 2.0, 2.5)])


@pytest.mark.parametrize(
    ("text", "seconds", "words", "message"),
    [
        ("a b", [0, 0, 0], [("a b", 0, 1)], "a place in words"),
        ("", [], [], "needs letters"),
        ("a", [np.nan], [("a", 0, 1)], "NaN"),
        ("a", [0], [("a", np.nan, 1)], "NaN"),
        ("a", 0, [("a", 0, 1)], "a time for each character"),
    ],
)
def test_a_share_of_nothing_is_refused(text, seconds, words, message):
    with pytest.raises(ValueError, match=message):
        share_in_words(text, seconds, words)


@pytest.mark.parametrize(
    "span", [(0, 2, 2, 0), (0, 0, 9, 0), (5, 0, 1, 0), (0, 0.1, 0.2, 0), (-1, 0, 1, 0), (0, 1)]
)
def test_spans_without_frames_are_refused(span):
    with pytest.raises(ValueError, match="give spans in frames"):
        middle_frames(np.zeros((4, 3)), [span])


@pytest.mark.parametrize("logits", [np.zeros(3), np.full((4, 3), np.nan), np.full((4, 3), -np.inf)])
def test_logits_without_probabilities_have_no_middle(logits):
    with pytest.raises(ValueError, match="logits must be finite"):
        middle_frames(logits, [(0, 0, 1, 0)])


def test_mixed_precision_leaves_the_logits_as_they_are():
    found = []
    for policy in ("float32", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        try:
            sounds, labels = np.eye(3)[[[0, 1, 0, 0, 2, 0]]], tf.sparse.from_dense([[1, 2]])
            found.append(train_aligner(sounds, labels, [6], 4, ctc.ctc_loss, windows=(1, 3)))
        finally:
            keras.config.set_dtype_policy("float32")
    assert found[1].dtype == np.float32
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
