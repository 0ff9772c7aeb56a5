"""Greedy decoding against TensorFlow's ops."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.decoding import greedy_decode

RNG = np.random.default_rng(0)


def sparse_rows(sparse, count):
    """One id array per row of a SparseTensor."""
    indices, values = sparse.indices.numpy(), sparse.values.numpy()
    return [values[indices[:, 0] == row] for row in range(count)]


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


def test_greedy_takes_what_predict_returns_for_batches_of_different_length():
    batches = [RNG.normal(size=(2, 9, 4)), RNG.normal(size=(1, 5, 4))]
    rows = [row for batch in batches for row in batch]
    ragged = tf.RaggedTensor.from_row_lengths(np.concatenate(rows), [9, 9, 5])
    expected = [greedy_decode(row[None], [n])[0] for row, n in zip(rows, [9, 7, 5], strict=True)]
    for a, b in zip(greedy_decode(ragged, [9, 7, 5]), expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [(5, 3), (3,), (1, 2, 5, 3)])
def test_logits_that_are_no_batch_are_refused(shape):
    with pytest.raises(ValueError, match=r"logits must be \[B, T, C\], not of shape \("):
        greedy_decode(np.zeros(shape), [5])


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([5], r"must be 2 integers, one per utterance, not int.* of shape \(1,\)"),
        ([5.0, 4.0], "not float64"),
        ([5, 6], "utterance 1: logit_length 6 is outside 0 to 5"),
        ([-1, 5], "utterance 0: logit_length -1"),
    ],
)
def test_a_length_for_each_utterance_within_its_frames_is_required(lengths, message):
    with pytest.raises(ValueError, match=message):
        greedy_decode(np.zeros((2, 5, 3)), lengths)


@pytest.mark.parametrize("blank", [3, -4])
def test_a_blank_outside_the_classes_is_refused(blank):
    with pytest.raises(ValueError, match=f"blank_index {blank} is outside the 3 classes"):
        greedy_decode(np.zeros((2, 5, 3)), [5, 5], blank_index=blank)


def test_nan_in_a_frame_that_counts_is_refused():
    logits = np.zeros((2, 5, 3))
    logits[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match="utterance 1: logits hold NaN"):
        greedy_decode(logits, [5, 5])


@pytest.mark.parametrize("blank", [0.5, "0", None, np.nan])
def test_a_blank_that_is_no_integer_is_refused(blank):
    """0.5 would leave all blanks in."""
    with pytest.raises(ValueError, match=r"blank_index .* is outside the 3 classes"):
        greedy_decode(np.zeros((1, 4, 3)), [4], blank_index=blank)


@pytest.mark.parametrize("logits", [[[["1", "2"]]], [[[1j, 2]]], [[[1, 2]], [[1, 2], [3, 4]]]])
def test_logits_that_are_no_numbers_are_refused(logits):
    with pytest.raises(ValueError, match="logits"):
        greedy_decode(logits, [1] * len(logits))


def test_no_utterances_no_texts():
    assert greedy_decode(np.zeros((0, 4, 3)), []) == []


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_a_frame_without_a_largest_class_is_refused(value):
    logits = np.zeros((2, 3, 4))
    logits[1, 2] = value
    with pytest.raises(ValueError, match=r"utterance 1: frame 2 holds \+inf or nothing above -inf"):
        greedy_decode(logits, [3, 3])
    assert len(greedy_decode(logits, [3, 2])) == 2  # the frame does not count


@pytest.mark.parametrize(
    "function",
    [tf.compat.v1.nn.ctc_loss, tf.nn.ctc_beam_search_decoder, keras.losses.CTC],
)
def test_who_takes_no_blank(function):
    """As notebook 06 says, which shows where each has it."""
    assert not {"blank_index", "mask_index"} & set(inspect.signature(function).parameters)
