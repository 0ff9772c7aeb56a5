"""Greedy decoding and error rates against TensorFlow's ops and plain recursion."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.decoding import greedy_decode
from ctc_tutorial.error_rates import label_error_rate, word_error_rate

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


@pytest.mark.parametrize("symbols", [2, 5])
def test_label_error_rate_agrees_with_tensorflow_and_recursion(symbols):
    references = [RNG.integers(symbols, size=RNG.integers(1, 25)) for _ in range(20)]
    predictions = [RNG.integers(symbols, size=RNG.integers(0, 25)) for _ in range(20)]
    edits = [
        recursive_distance(tuple(t), tuple(p)) for t, p in zip(references, predictions, strict=True)
    ]
    distances = tf.edit_distance(
        tf.RaggedTensor.from_row_lengths(
            np.concatenate(predictions), list(map(len, predictions))
        ).to_sparse(),
        tf.RaggedTensor.from_row_lengths(
            np.concatenate(references), list(map(len, references))
        ).to_sparse(),
        normalize=False,
    )
    np.testing.assert_array_equal(distances, edits)
    for reference, prediction, edit in zip(references, predictions, edits, strict=True):
        assert label_error_rate([reference], [prediction]) == edit / len(reference)
    assert label_error_rate(references, predictions) == sum(edits) / sum(map(len, references))


def test_error_rates_worked_by_hand():
    assert label_error_rate(["kitten"], ["sitting"]) == 3 / 6
    assert label_error_rate(["ab", "abcdef"], ["", "abcdef"]) == 2 / 8
    assert label_error_rate(["", "ab"], ["xyz", "ab"]) == 3 / 2
    assert label_error_rate([[1, 2]], [tf.constant([1, 3])]) == 1 / 2
    references = ["she had your dark suit", "in greasy"]
    assert word_error_rate(references, references) == 0.0
    assert word_error_rate(references, ["she had you dark  suit", "greasy"]) == 2 / 7
    assert word_error_rate(["suit"], ["su it all year"]) == 4.0


@pytest.mark.parametrize(
    ("prediction", "labels", "words"),  # errors among the 7 labels and the 2 words of "she had"
    [
        ("", 7, 2),  # everything deleted
        ("e a", 4, 2),  # s, h, h and d deleted: no word is right
        ("sh had", 1, 1),  # e deleted
        ("shehad", 1, 2),  # one space deleted: a word substituted, the other deleted
        ("she hat", 1, 1),  # d substituted
        ("shee had", 1, 1),  # e inserted
        ("she  had", 1, 0),  # a space inserted: words do not count it
        ("she had", 0, 0),
        ("she had your suit", 10, 2),  # two words inserted, ten labels: above 1
    ],
)
def test_a_sentence_going_wrong_and_right(prediction, labels, words):
    assert label_error_rate(["she had"], [prediction]) == labels / 7
    assert word_error_rate(["she had"], [prediction]) == words / 2


@pytest.mark.parametrize("rate", [label_error_rate, word_error_rate])
def test_another_number_of_predictions_than_references_is_refused(rate):
    with pytest.raises(ValueError, match="2 references but 1 predictions"):
        rate(["a", "b"], ["a"])


@pytest.mark.parametrize("rate", [label_error_rate, word_error_rate])
@pytest.mark.parametrize("references", [[], [""]])
def test_a_rate_of_nothing_is_refused(rate, references):
    with pytest.raises(ValueError, match="the references hold no"):
        rate(references, ["a"][: len(references)])


@pytest.mark.parametrize("rate", [label_error_rate, word_error_rate])
@pytest.mark.parametrize("sides", [("abc", "abd"), ("a", ["a"]), (["a"], "a")])
def test_a_text_without_a_list_around_it_is_refused(rate, sides):
    with pytest.raises(ValueError, match="put a single text into a list"):
        rate(*sides)


def test_a_text_compared_with_ids_is_refused():
    with pytest.raises(ValueError, match="utterance 1: one side is text, the other ids"):
        label_error_rate(["a", "b"], ["a", [2]])
    with pytest.raises(ValueError, match="prediction 0 is not a text: decode its ids"):
        word_error_rate(["a"], [[1]])


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


@pytest.mark.parametrize("ids", [3, [1.5], ["1"], [True], [[1], [2]], [[1], [2, 3]]])
def test_ids_that_are_not_integers_have_no_error_rate(ids):
    with pytest.raises(ValueError, match="utterance 1: ids"):
        label_error_rate([[1], ids], [[1], [1]])


def test_error_rates_of_what_is_no_list_are_refused():
    for error_rate in (label_error_rate, word_error_rate):
        with pytest.raises(ValueError, match="must be lists"):
            error_rate(3, 3)
