import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.batches import check_feasible, pad_features, repeat_batch, sparse_labels

RNG = np.random.default_rng(0)


def test_padding_agrees_with_keras():
    import keras

    features = [RNG.normal(size=(t, 13)) for t in (5, 1, 9)]
    padded, lengths = pad_features(features)
    expected = keras.utils.pad_sequences(features, dtype="float32", padding="post")
    np.testing.assert_array_equal(padded, expected)
    assert padded.dtype == np.float32
    assert lengths.dtype == np.int32 and lengths.tolist() == [5, 1, 9]


def test_padding_images_of_different_widths():
    padded, lengths = pad_features([np.ones((2, 8, 1)), np.ones((3, 8, 1))])
    assert padded.shape == (2, 3, 8, 1) and padded.sum() == 40 and lengths.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([], "at least one"),
        ([np.ones((3, 2)), np.ones((3, 4))], r"features\[1\] has shape \(3, 4\)"),
        ([np.ones(3)], r"features\[0\] has shape \(3,\)"),
    ],
)
def test_features_that_do_not_stack(features, message):
    with pytest.raises(ValueError, match=message):
        pad_features(features)


def test_a_repeated_batch_is_what_fit_takes():
    labels = sparse_labels([[1], [2, 3]])
    x, y = {"features": np.ones((2, 3, 4), np.float32), "labels": labels}, np.arange(2)
    for elements in ((x,), (x, y)):
        dataset = repeat_batch(*elements)
        assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
        assert not dataset.options().autotune.enabled
        for batch in dataset.take(3):
            assert isinstance(batch, tuple) and len(batch) == len(elements)
            np.testing.assert_array_equal(batch[0]["features"], x["features"])
            again, expected = (tf.sparse.to_dense(v["labels"]) for v in (batch[0], x))
            np.testing.assert_array_equal(again, expected)
            np.testing.assert_array_equal(batch[-1] if len(batch) == 2 else y, y)


def test_sparse_labels_agree_with_ragged():
    labels = [np.array([1, 0, 2]), [], [5]]
    sparse = sparse_labels(labels)
    expected = tf.ragged.constant([[1, 0, 2], [], [5]], dtype=tf.int32).to_sparse()
    np.testing.assert_array_equal(sparse.indices, expected.indices)
    np.testing.assert_array_equal(sparse.values, expected.values)
    assert sparse.values.dtype == tf.int32
    assert sparse.shape == (3, 3)


def test_sparse_labels_without_any_label():
    assert sparse_labels([[], []]).shape == (2, 1)
    assert sparse_labels([]).shape == (0, 1)
    np.testing.assert_array_equal(tf.sparse.to_dense(sparse_labels([[], []])), np.zeros((2, 1)))


@pytest.mark.parametrize(
    ("ids", "frames", "message"),
    [
        ([1, 2, 3], 2, "utterance 1 has 2 logit frames but needs at least 3: 3 labels"),
        ([1, 1, 1], 4, r"utterance 1 has 4 .* needs at least 5: 3 labels \+ 2 adjacent repeats"),
        ([0, 27], 9, "utterance 1 has label id 27 at position 1: ids must be 0 to 26"),
        ([-1], 9, "utterance 1 has label id -1 at position 0"),
        ([], 9, "utterance 1 has no labels"),
    ],
)
def test_infeasible_utterances_are_named(ids, frames, message):
    with pytest.raises(ValueError, match=message):
        check_feasible([[1, 2], ids], [2, frames], 28)


def test_feasible_up_to_the_last_frame():
    check_feasible([[1, 2, 3], [1, 1, 1], [0, 26]], np.array([3, 5, 2]), 28)


def test_as_many_lengths_as_labels():
    with pytest.raises(ValueError, match="2 label sequences but 1 lengths"):
        check_feasible([[1], [2]], [5], 28)


@pytest.mark.parametrize("ids", [[1, 2, 0], [1, 1], [2, 2, 2, 0], [0, 1, 1]])
def test_the_rule_is_the_one_of_the_lattice(ids):
    """Brute force: some path of that many frames collapses to the labels, and none of one less."""
    needed = next(t for t in range(1, 9) if _some_path(ids, t))
    check_feasible([ids], [needed], 4)
    with pytest.raises(ValueError, match=f"at least {needed}"):
        check_feasible([ids], [needed - 1], 4)


def _some_path(ids, frames):
    paths = np.stack(np.meshgrid(*[range(4)] * frames), -1).reshape(-1, frames)
    for path in paths:
        merged = path[np.diff(path, prepend=-1) != 0]
        if merged[merged != 3].tolist() == ids:
            return True
    return False
