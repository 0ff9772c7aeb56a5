"""Edit paths against TensorFlow's edit distance, counts and picture against what they must hold."""

import itertools

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.mistakes import (
    confusion_matrix,
    edit_path,
    most_confused,
    plot_confusion_matrix,
)


def pairs_of_sequences(count=60):
    rng = np.random.default_rng(0)
    return [
        (rng.integers(0, 3, rng.integers(1, 8)), rng.integers(0, 3, rng.integers(0, 8)))
        for _ in range(count)
    ]


def edits(path):
    return sum(a != b for a, b in path)


@pytest.mark.parametrize(
    ("reference", "prediction", "path"),
    [
        ("abc", "abc", [("a", "a"), ("b", "b"), ("c", "c")]),
        ("abc", "ac", [("a", "a"), ("b", None), ("c", "c")]),
        ("ac", "axc", [("a", "a"), (None, "x"), ("c", "c")]),
        ("abc", "axc", [("a", "a"), ("b", "x"), ("c", "c")]),
        ("", "a", [(None, "a")]),
        ("a", "", [("a", None)]),
        ("", "", []),
    ],
)
def test_paths_by_hand(reference, prediction, path):
    assert edit_path(reference, prediction) == path


def test_a_sentence_going_wrong():
    # "she had" read as "sh hatt": one deletion, one substitution, one insertion.
    right = [(c, c) for c in "she had"]
    assert edit_path("she had", "she had") == right
    assert edit_path("she had", "sh hatt") == [
        *right[:2],
        ("e", None),
        *right[3:6],
        (None, "t"),
        ("d", "t"),
    ]
    assert edit_path("she had".split(), "she hat".split()) == [("she", "she"), ("had", "hat")]


def test_paths_are_as_short_as_the_edit_distance_and_hold_both_sides():
    for reference, prediction in pairs_of_sequences():
        path = edit_path(reference.tolist(), prediction.tolist())
        both = (tf.constant([side], tf.int64) for side in (prediction, reference))
        both = (tf.RaggedTensor.from_tensor(side).to_sparse() for side in both)
        distance = tf.edit_distance(*both, normalize=False)
        assert edits(path) == distance.numpy()[0]
        assert [a for a, _ in path if a is not None] == reference.tolist()
        assert [b for _, b in path if b is not None] == prediction.tolist()


def test_counts_add_up():
    references, predictions = zip(*pairs_of_sequences(), strict=True)
    counts = confusion_matrix(references, predictions, "abc")
    every = [edit_path(*pair) for pair in zip(references, predictions, strict=True)]
    assert counts.sum() - np.trace(counts) == sum(map(edits, every))
    spoken = np.bincount(np.concatenate(references), minlength=3)
    read = np.bincount(np.concatenate(predictions), minlength=3)
    np.testing.assert_array_equal(counts[:3].sum(axis=1), spoken)
    np.testing.assert_array_equal(counts[:, :3].sum(axis=0), read)
    assert counts[3, 3] == 0


BY_HAND = [[1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("reference", "prediction", "names"),
    [
        ([0, 1, 1], [0, 2], "abc"),
        (np.array([0, 1, 1], np.int32), np.array([0, 2]), "abc"),
        ("abb", "ac", "abc"),
        ("abb", [0, 2], "abc"),
        ("in no no".split(), "in a".split(), ["in", "no", "a"]),
    ],
)
def test_ids_texts_and_words_are_counted_alike(reference, prediction, names):
    assert confusion_matrix([reference], [prediction], names).tolist() == BY_HAND


def test_another_number_of_predictions_than_references_is_refused():
    with pytest.raises(ValueError, match="2 references but 1 predictions: give one of each"):
        confusion_matrix(["a", "b"], ["a"], "ab")


@pytest.mark.parametrize("label", ["x", 2, -1, 1.0, True])
def test_a_label_without_a_name_is_refused(label):
    with pytest.raises(ValueError, match=f"utterance 1: {label!r} is none of the names"):
        confusion_matrix(["a", "b"], ["a", [label]], "ab")


COUNTS = np.array([[9, 2, 0], [0, 8, 1], [3, 0, 0]])


def test_the_most_frequent_mistakes_come_first_and_what_is_right_does_not_come():
    mistakes = [(None, "a", 3), ("a", "b", 2), ("b", None, 1)]
    assert most_confused(COUNTS, "ab") == mistakes
    assert most_confused(COUNTS, "ab", top=2) == mistakes[:2]
    assert most_confused(np.diag([3, 3, 0]), "ab") == []
    assert most_confused(np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), "ab", 3) == [
        ("a", "b", 1),
        ("a", None, 1),
        ("b", "a", 1),
    ]


def drawn(ax):
    """{(row, column): count} by the names that stand at the axes."""
    rows, columns = (
        {float(tick): label.get_text() for tick, label in zip(ticks, labels, strict=True)}
        for ticks, labels in (
            (ax.get_yticks(), ax.get_yticklabels()),
            (ax.get_xticks(), ax.get_xticklabels()),
        )
    )
    places = [(text.get_position(), int(text.get_text())) for text in ax.texts]
    return {(rows[y], columns[x]): count for (x, y), count in places}


def test_the_picture_shows_mistakes_only():
    ax = plot_confusion_matrix(COUNTS, "ab")
    assert drawn(ax) == {("a", "b"): 2, ("b", "deletion"): 1, ("insertion", "a"): 3}
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("reference", "prediction")
    assert ax.yaxis_inverted()
    plt.close(ax.figure)


def test_labels_that_are_never_mistaken_have_no_row_and_no_column():
    letters = " abcdefghijklmnopqrstuvwxyz"
    ax = plot_confusion_matrix(confusion_matrix(["a bc d"], ["abx d"], letters), letters)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["␣", "c"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["x", "deletion"]
    assert drawn(ax) == {("␣", "deletion"): 1, ("c", "x"): 1}
    plt.close(ax.figure)


def test_the_picture_grows_with_the_labels_so_that_no_number_touches_the_next():
    names = "0123456789abcdefghijklmnopqrstuvwxyz"
    ax = plot_confusion_matrix(100 * np.ones((37, 37), int), names)
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in (*ax.texts, *ax.get_yticklabels())]
    assert len(boxes) == 37 * 36 + 37
    by_row = sorted((round(box.y0), box.x0, box.x1) for box in boxes)
    for (y, _, end), (next_y, start, _) in itertools.pairwise(by_row):
        assert end < start or y != next_y
    plt.close(ax.figure)


def test_no_mistakes_and_given_axes():
    _, given = plt.subplots()
    ax = plot_confusion_matrix(np.diag([3, 3, 0]), "ab", ax=given)
    assert ax is given and not ax.texts and ax.get_title() == "Mistakes: 0"
    plt.close(ax.figure)


@pytest.mark.parametrize("side", [3, [[1], [2]], np.ones((2, 2))])
def test_what_is_no_sequence_of_labels_is_refused(side):
    with pytest.raises(ValueError, match=r"prediction: .* is no text and no ids"):
        edit_path("ab", side)
    with pytest.raises(ValueError, match=r"utterance 0: .* is no text and no ids"):
        confusion_matrix([side], [[1]], "ab")


def test_texts_outside_of_a_list_are_refused():
    """ "abc" would count as three utterances."""
    with pytest.raises(ValueError, match="references must be a list"):
        confusion_matrix("abc", "abd", "abcd")


@pytest.mark.parametrize(
    ("names", "message"), [("aa", "twice"), (3, "names must"), ([1, 0], "names")]
)
def test_names_that_do_not_tell_labels_apart_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(["a"], ["a"], names)


@pytest.mark.parametrize(
    ("counts", "top", "message"),
    [
        (np.ones((2, 2), int), 10, r"integers \[3, 3\]"),
        (np.full((3, 3), np.nan), 10, "integers"),
        (np.full((3, 3), -1), 10, "integers"),
        (np.ones((3, 3), int), -1, "top is -1"),
    ],
)
def test_counts_of_other_names_are_refused(counts, top, message):
    with pytest.raises(ValueError, match=message):
        most_confused(counts, "ab", top)
