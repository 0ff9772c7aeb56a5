"""The label error rate as a metric, against TensorFlow's decoder and edit distance."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.metrics import LabelErrorRate, label_error_rates

pytestmark = pytest.mark.slow  # XLA compiles much here

C = 6
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("longest", [12, 64, 150])  # 150: over three int64
@pytest.mark.parametrize("jit_compile", [False, True])
def test_error_rates_agree_with_tensorflow_ops(jit_compile, longest):
    frames, batch = 200, 32
    label_length = RNG.integers(1, longest + 1, batch).astype(np.int32)
    label_length[:2] = longest
    labels = RNG.integers(0, C - 1, (batch, 192)).astype(np.int32)
    paths = RNG.integers(0, C, (batch, frames))  # far from the labels, and half of them near
    paths[1::2] = labels[1::2].repeat(2, axis=1)[:, :frames]
    paths[RNG.random(paths.shape) < 0.1] = C - 1
    paths[2] = C - 1  # nothing but blanks
    logits = RNG.normal(size=(batch, frames, C)) + 10 * np.eye(C)[paths]
    logits = logits.astype(np.float32)
    lengths = np.minimum(2 * label_length, frames).astype(np.int32)
    lengths[0] = frames
    rates = tf.function(label_error_rates, jit_compile=jit_compile)(
        logits, labels, lengths, label_length
    )
    (decoded,), _ = tf.nn.ctc_greedy_decoder(logits.transpose(1, 0, 2), lengths)
    reference = tf.RaggedTensor.from_tensor(labels, lengths=label_length).to_sparse()
    expected = tf.edit_distance(decoded, tf.cast(reference, tf.int64))
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_error_rates_of_batches_of_any_width():
    """Perfect paths but for one wrong label."""
    for width in (1, 63, 64, 65, 130):
        labels = np.arange(width)[None] % (C - 1)
        paths = labels.copy()
        paths[0, width // 2] = C - 1
        logits = 10 * np.eye(C, dtype=np.float32)[paths]
        (rate,) = label_error_rates(logits, labels, np.array([width]), np.array([width]))
        assert float(rate) == pytest.approx(1 / width)


def read(*paths):
    return 10 * np.eye(C, dtype=np.float32)[np.array(paths)]


@pytest.mark.parametrize("graph", [False, True])
def test_the_metric_is_the_weighted_mean_of_the_rates(graph):
    """By hand: 1 of 2 labels wrong, 2 labels for 1, all right."""
    metric = LabelErrorRate()
    update = tf.function(metric.update_state) if graph else metric.update_state
    logits = read([0, 0, 5, 1], [2, 5, 2, 2], [3, 3, 3, 3])
    labels, lengths = np.array([[0, 2], [2, 0], [3, 0]]), np.array([2, 1, 1])
    update(logits, labels, np.array([4, 4, 2]), lengths)
    assert float(metric.result()) == pytest.approx((1 / 2 + 1 + 0) / 3)
    update(logits[:1], labels[:1], np.array([4]), lengths[:1])
    assert float(metric.result()) == pytest.approx((1 / 2 + 1 + 0 + 1 / 2) / 4)
    metric.reset_state()
    update(logits, labels, np.array([4, 4, 2]), lengths, np.array([1.0, 0.0, 3.0]))
    assert float(metric.result()) == pytest.approx(1 / 2 / 4)


def test_an_utterance_without_labels_is_left_out():
    metric = LabelErrorRate()
    metric.update_state(read([0, 0], [1, 1]), np.zeros((2, 1), int), [2, 2], [1, 0])
    assert metric.result() == 0
    metric.update_state(read([1, 1]), np.zeros((1, 1), int), [2], [0])
    assert metric.result() == 0
    metric.update_state(read([1, 1]), np.zeros((1, 1), int), [2], [1])
    assert float(metric.result()) == pytest.approx(1 / 2)


def test_the_metric_comes_back_from_its_configuration():
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(LabelErrorRate(name="words"))
    )
    assert isinstance(again, LabelErrorRate) and again.name == "words"


@pytest.mark.parametrize(
    ("logit_length", "label_length", "labels"),
    [(5, 1, [0, 0]), (-1, 1, [0, 0]), (3, 3, [0, 0]), (3, 1, [C - 1, 0]), (3, 1, [-1, 0])],
)
def test_the_rate_of_impossible_numbers_is_nan(logit_length, label_length, labels):
    """Not that of padding, which would count as class 0."""
    logits = read([0, 0, 0], [0, 5, 1])
    lengths, counts = np.array([logit_length, 3]), np.array([label_length, 2])
    rates = label_error_rates(logits, np.array([labels, [0, 1]]), lengths, counts)
    np.testing.assert_array_equal(rates, [np.nan, 0.0])


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_the_rate_of_frames_without_a_largest_logit_is_nan(jit_compile):
    """Eagerly, in a graph, and in one that XLA compiles whole."""
    logits = read([0, 0], [0, 0], [0, 0])
    logits[0, 0, 1], logits[1, 1] = np.nan, -np.inf
    rates_fn = label_error_rates
    if jit_compile is not None:
        rates_fn = tf.function(label_error_rates, jit_compile=jit_compile)
    rates = rates_fn(logits, np.zeros((3, 1), int), np.array([2, 2, 2]), np.ones(3, int))
    np.testing.assert_array_equal(rates, [np.nan, np.nan, 0.0])


@pytest.mark.parametrize("ids", [[[1.5]], [[2**32]], [[np.nan]]])
def test_ids_that_are_no_integers_are_not_cut(ids):
    """1.5 was 1, and 2**32 was 0."""
    (rate,) = label_error_rates(read([1, 1]), np.array(ids), np.array([2]), np.array([1]))
    assert np.isnan(rate)


@pytest.mark.parametrize(
    "strange",
    [
        {"labels": [["a"]]},
        {"labels": [1]},
        {"labels": [[1], [1]]},
        {"logit_length": [[2]]},
        {"label_length": [True]},
        {"logits": np.zeros((2, C))},
        {"logits": np.zeros((1, 2, C), complex)},
    ],
)
def test_another_rank_dtype_or_number_of_utterances_is_named(strange):
    (name,) = strange
    given = {"logits": read([1, 1]), "labels": [[1]], "logit_length": [2], "label_length": [1]}
    with pytest.raises(ValueError, match=name):
        label_error_rates(**{**given, **strange})
    with pytest.raises(ValueError, match="sample_weight"):
        LabelErrorRate().update_state(**given, sample_weight=[1, 2])


def test_in_a_vectorized_map_as_in_a_loop():
    """TensorFlow's vectorised `tf.pad` drops its constant."""
    logits = RNG.normal(size=(3, 2, 70, C)).astype("float32")
    rest = np.array([[1, 2, 0], [0, 3, 0]]), np.array([70, 30]), np.array([3, 2])
    found = tf.vectorized_map(lambda x: label_error_rates(x, *rest), logits)
    np.testing.assert_array_equal(found, np.stack([label_error_rates(x, *rest) for x in logits]))
