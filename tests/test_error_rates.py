"""Error rates against TensorFlow's ops and plain recursion."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.error_rates import label_error_rate, word_error_rate

RNG = np.random.default_rng(0)


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


@pytest.mark.parametrize("ids", [3, [1.5], ["1"], [True], [[1], [2]], [[1], [2, 3]]])
def test_ids_that_are_not_integers_have_no_error_rate(ids):
    with pytest.raises(ValueError, match="utterance 1: ids"):
        label_error_rate([[1], ids], [[1], [1]])


def test_error_rates_of_what_is_no_list_are_refused():
    for error_rate in (label_error_rate, word_error_rate):
        with pytest.raises(ValueError, match="must be lists"):
            error_rate(3, 3)
