"""Edit paths against TensorFlow's edit distance, counts and picture against what they must hold."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.mistakes import confusions, edit_path, plot_confusions


def pairs_of_sequences(count=60):
    rng = np.random.default_rng(0)
    return [
        (rng.integers(0, 3, rng.integers(1, 8)), rng.integers(0, 3, rng.integers(0, 8)))
        for _ in range(count)
    ]


def edits(path):
    return sum(a != b for a, b in path)


@pytest.mark.parametrize(
    ("truth", "prediction", "path"),
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
def test_paths_by_hand(truth, prediction, path):
    assert edit_path(truth, prediction) == path


def test_paths_are_as_short_as_the_edit_distance_and_hold_both_sides():
    for truth, prediction in pairs_of_sequences():
        path = edit_path(truth.tolist(), prediction.tolist())
        both = (tf.constant([side], tf.int64) for side in (prediction, truth))
        both = (tf.RaggedTensor.from_tensor(side).to_sparse() for side in both)
        distance = tf.edit_distance(*both, normalize=False)
        assert edits(path) == distance.numpy()[0]
        assert [a for a, _ in path if a is not None] == truth.tolist()
        assert [b for _, b in path if b is not None] == prediction.tolist()


def test_counts_add_up():
    truths, predictions = zip(*pairs_of_sequences(), strict=True)
    counts = confusions(truths, predictions, 3)
    every = [edit_path(*pair) for pair in zip(truths, predictions, strict=True)]
    assert counts.sum() - np.trace(counts) == sum(map(edits, every))
    spoken = np.bincount(np.concatenate(truths), minlength=3)
    read = np.bincount(np.concatenate(predictions), minlength=3)
    np.testing.assert_array_equal(counts[:3].sum(axis=1), spoken)
    np.testing.assert_array_equal(counts[:, :3].sum(axis=0), read)
    assert counts[3, 3] == 0
    assert confusions([[0, 1, 1]], [[0, 2]], 3).tolist() == (
        [[1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    )


def test_different_counts_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        confusions([[0], [1]], [[0]], 2)


def test_picture_shows_mistakes_only():
    counts = np.array([[9, 2, 0], [0, 8, 1], [3, 0, 0]])
    ax = plot_confusions(counts, "ab")
    shown = {(t.get_position()[1], t.get_position()[0]): int(t.get_text()) for t in ax.texts}
    assert shown == {(0, 1): 2, (1, 2): 1, (2, 0): 3}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "missed"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "added"]
    plt.close(ax.figure)
