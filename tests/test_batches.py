import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.batches import pad_batch, pad_features, sparse_labels

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


def test_a_batch_by_name_with_weights_and_a_second_label():
    features, labels = [np.ones((5, 2)), np.ones((3, 2))], [[1, 0], [2]]
    batch = pad_batch(features, labels, word_labels=[[], [7]], sample_weight=[1, 0.5])
    assert list(batch) == ["features", "feature_length", "labels", "word_labels", "sample_weight"]
    np.testing.assert_array_equal(batch["features"], pad_features(features)[0])
    assert batch["feature_length"].tolist() == [5, 3]
    np.testing.assert_array_equal(tf.sparse.to_dense(batch["labels"], -1), [[1, 0], [2, -1]])
    np.testing.assert_array_equal(tf.sparse.to_dense(batch["word_labels"], -1), [[-1], [7]])
    assert batch["sample_weight"].tolist() == [1, 0.5]
    assert list(pad_batch(features)) == ["features", "feature_length"]


@pytest.mark.parametrize("others", [{"labels": [[1]]}, {"sample_weight": [1, 2, 3]}])
def test_an_input_with_another_number_of_items_is_named(others):
    message = rf"2 utterances but {len(*others.values())} items of {next(iter(others))}"
    with pytest.raises(ValueError, match=message):
        pad_batch([np.ones((5, 2))] * 2, **others)


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
    "ids", [[1.5], [np.nan], [True], ["1"], [[1, 2], [3, 4]], 3, [2**40], np.array([2**32 + 1])]
)
def test_labels_that_are_no_int32_ids_are_refused(ids):
    """Not cut to an integer, nor wrapped around."""
    with pytest.raises(ValueError, match=r"labels\[1\]"):
        sparse_labels([[1], ids])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"features": 3}, "features must be a list"),
        ({"features": [[["a"]]]}, r"features\[0\] must hold numbers"),
        ({"features": [[[1], [2, 3]]]}, r"features\[0\]: "),
        ({"feature_length": [1]}, "feature_length is counted here"),
        ({"weight": 3}, "weight must have an item for each"),
        ({"speaker": "a"}, "speaker must have an item for each"),
        ({"speaker": [[[1], [2, 3]]]}, "items of speaker cannot be stacked"),
    ],
)
def test_inputs_that_make_no_batch_are_named(inputs, message):
    with pytest.raises(ValueError, match=message):
        pad_batch(**{"features": [np.ones((2, 3))], **inputs})


def test_the_input_with_bad_labels_is_named():
    with pytest.raises(ValueError, match=r"in phone_labels: labels\[0\] must be"):
        pad_batch([np.ones((3, 2))], labels=[[1]], phone_labels=[[1.5]])
