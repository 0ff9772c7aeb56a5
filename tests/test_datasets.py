"""One batch over and over, and dense labels."""

import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.batches import pad_batch
from ctc_tutorial.datasets import dense_labels, repeat_batch


def test_dense_labels_of_a_batch_and_of_a_dataset():
    batch = pad_batch([np.ones((5, 2))] * 3, [[1, 0], [], [2, 2, 0]], sample_weight=[1, 2, 3])
    from_data = next(iter(tf.data.Dataset.from_tensors(batch).map(dense_labels)))
    for dense in (dense_labels(batch), from_data):
        np.testing.assert_array_equal(dense["labels"], [[1, 0, 0], [0, 0, 0], [2, 2, 0]])
        np.testing.assert_array_equal(dense["label_length"], [2, 0, 3])
        assert dense["labels"].dtype == dense["label_length"].dtype == tf.int32
        np.testing.assert_array_equal(dense["features"], batch["features"])
        np.testing.assert_array_equal(dense["sample_weight"], [1, 2, 3])


def test_a_repeated_batch_is_what_fit_takes():
    x = pad_batch([np.ones((3, 4))] * 2, [[1], [2, 3]])
    dataset = repeat_batch(x)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    assert not dataset.options().autotune.enabled
    for batch in dataset.take(3):
        np.testing.assert_array_equal(batch["features"], x["features"])
        again, expected = (tf.sparse.to_dense(b["labels"]) for b in (batch, x))
        np.testing.assert_array_equal(again, expected)
    pairs = repeat_batch((x, np.arange(2)))
    assert all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs.take(2))


@pytest.mark.parametrize("batch", [{}, {"labels": np.ones((2, 2), int)}])
def test_dense_labels_need_sparse_ones(batch):
    with pytest.raises(ValueError, match="needs sparse labels"):
        dense_labels(batch)
