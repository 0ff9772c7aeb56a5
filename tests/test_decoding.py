"""Greedy decoding and error rates against TensorFlow's ops and plain recursion."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.decoding import (
    greedy_decode,
    label_error_rate,
    word_error_rate,
)

RNG = np.random.default_rng(20240601)


def sparse_rows(sparse, count):
    """One id array per row of a SparseTensor."""
    indices, values = sparse.indices.numpy(), sparse.values.numpy()
    return [values[indices[:, 0] == row] for row in range(count)]


def recursive_distance(a, b):
    @cache
    def distance(i, j):
        if i == 0 or j == 0:
            return i + j
        return min(
            distance(i - 1, j) + 1,
            distance(i, j - 1) + 1,
            distance(i - 1, j - 1) + (a[i - 1] != b[j - 1]),
        )

    return distance(len(a), len(b))


@pytest.mark.parametrize("classes", [2, 3, 28])
def test_greedy_agrees_with_tensorflow(classes):
    logits = RNG.normal(size=(8, 60, classes)).astype(np.float32)
    lengths = np.array([60, 59, 31, 7, 2, 1, 40, 60], np.int32)
    (reference,), _ = tf.nn.ctc_greedy_decoder(logits.transpose(1, 0, 2), lengths)
    decoded = greedy_decode(logits, lengths)
    assert len(decoded) == 8 and max(map(len, decoded)) > 10
    for ours, theirs in zip(decoded, sparse_rows(reference, 8), strict=True):
        assert ours.dtype == np.int32
        np.testing.assert_array_equal(ours, theirs)


def test_greedy_merges_repeats_before_dropping_blanks():
    path = [2, 0, 0, 2, 0, 1, 1, 0, 2, 2]
    logits = np.eye(3)[[path]]
    np.testing.assert_array_equal(greedy_decode(logits, [10])[0], [0, 0, 1, 0])
    np.testing.assert_array_equal(greedy_decode(logits, [4])[0], [0])
    assert greedy_decode(logits, [0])[0].shape == (0,)
    assert greedy_decode(np.zeros((0, 5, 3)), np.zeros(0, int)) == []


def test_greedy_blank_index_moves_the_blank():
    logits = RNG.normal(size=(4, 50, 6))
    lengths = [50, 49, 20, 3]
    last = greedy_decode(logits, lengths)
    first = greedy_decode(np.roll(logits, 1, axis=-1), lengths, blank_index=0)
    for a, b in zip(last, first, strict=True):
        np.testing.assert_array_equal(a, b - 1)


def test_greedy_ignores_nan_in_padding_and_takes_tensors():
    logits = RNG.normal(size=(2, 9, 4)).astype(np.float32)
    expected = greedy_decode(logits, [9, 5])
    logits[1, 5:] = np.nan
    decoded = greedy_decode(tf.constant(logits), tf.constant([9, 5]))
    for a, b in zip(expected, decoded, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("shape", "lengths", "blank", "message"),
    [
        ((5, 3), [5], -1, r"must be \[batch, time, classes\], not shape \(5, 3\)"),
        ((2, 5, 3), [5], -1, "must be 2 integers"),
        ((2, 5, 3), [5.0, 4.0], -1, "float64"),
        ((2, 5, 3), [5, 6], -1, r"Utterance 1: logit_length 6 is outside 0\.\.5"),
        ((2, 5, 3), [-1, 5], -1, "Utterance 0: logit_length -1"),
        ((2, 5, 3), [5, 5], 3, "blank_index 3 is outside the 3 classes"),
    ],
)
def test_bad_logits_are_named(shape, lengths, blank, message):
    with pytest.raises(ValueError, match=message):
        greedy_decode(np.zeros(shape), lengths, blank_index=blank)


def test_nan_is_named():
    logits = np.zeros((2, 5, 3))
    logits[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match="Utterance 1: logits hold NaN"):
        greedy_decode(logits, [5, 5])


@pytest.mark.parametrize("symbols", [2, 5])
def test_label_error_rate_agrees_with_tensorflow_and_recursion(symbols):
    truths = [RNG.integers(symbols, size=RNG.integers(1, 25)) for _ in range(20)]
    predictions = [RNG.integers(symbols, size=RNG.integers(0, 25)) for _ in range(20)]
    edits = [
        recursive_distance(tuple(t), tuple(p)) for t, p in zip(truths, predictions, strict=True)
    ]
    distances = tf.edit_distance(
        tf.RaggedTensor.from_row_lengths(
            np.concatenate(predictions), list(map(len, predictions))
        ).to_sparse(),
        tf.RaggedTensor.from_row_lengths(
            np.concatenate(truths), list(map(len, truths))
        ).to_sparse(),
        normalize=False,
    )
    np.testing.assert_array_equal(distances, edits)
    for truth, prediction, edit in zip(truths, predictions, edits, strict=True):
        assert label_error_rate([truth], [prediction]) == edit / len(truth)
    assert label_error_rate(truths, predictions) == sum(edits) / sum(map(len, truths))


def test_error_rates_worked_by_hand():
    assert label_error_rate(["kitten"], ["sitting"]) == 3 / 6
    assert label_error_rate(["ab", "abcdef"], ["", "abcdef"]) == 2 / 8
    assert label_error_rate(["", "ab"], ["xyz", "ab"]) == 3 / 2
    assert label_error_rate([[1, 2]], [tf.constant([1, 3])]) == 1 / 2
    truths = ["she had your dark suit", "in greasy"]
    assert word_error_rate(truths, truths) == 0.0
    assert word_error_rate(truths, ["she had you dark  suit", "greasy"]) == 2 / 7
    assert word_error_rate(["suit"], ["su it all year"]) == 4.0


@pytest.mark.parametrize(
    ("rate", "truths", "predictions", "message"),
    [
        (label_error_rate, ["a", "b"], ["a"], "2 truths but 1 predictions"),
        (label_error_rate, ["", ""], ["a", ""], "hold no labels"),
        (label_error_rate, [], [], "hold no labels"),
        (label_error_rate, "abc", "abd", "put a single text into a list"),
        (label_error_rate, ["a", "b"], ["a", [2]], "Utterance 1: one side is text"),
        (word_error_rate, ["a"], ["a", "b"], "1 truths but 2 predictions"),
        (word_error_rate, [" "], ["a"], "hold no words"),
        (word_error_rate, "a b", ["a b"], "put a single text into a list"),
        (word_error_rate, ["a"], [[1]], "prediction 0 is not a text"),
    ],
)
def test_bad_rates_are_named(rate, truths, predictions, message):
    with pytest.raises(ValueError, match=message):
        rate(truths, predictions)
