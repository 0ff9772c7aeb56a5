"""CTCLossLayer against tf.nn.ctc_loss on the single, unpadded utterances."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.layers import CTCLossLayer

C = 6
LENGTHS = np.array([12, 7, 9], np.int32)
LABELS = [[0, 1, 1, 4], [2], [4, 0, 0]]


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(0, 3, (3, 12, C)).astype(np.float32)


def one_by_one(logits, labels=LABELS, lengths=LENGTHS):
    """Mean loss and its gradient, from TensorFlow's dense op on each utterance alone, unpadded."""
    x = tf.Variable(logits)
    with tf.GradientTape() as tape:
        losses = [
            tf.nn.ctc_loss([ids], x[i : i + 1, :t], [len(ids)], [t], False, blank_index=C - 1)
            for i, (ids, t) in enumerate(zip(labels, lengths, strict=True))
        ]
        loss = tf.reduce_mean(tf.concat(losses, 0))
    return loss.numpy(), tf.convert_to_tensor(tape.gradient(loss, x)).numpy()


def run(layer, logits, labels, lengths=LENGTHS, *label_length):
    x = tf.Variable(logits)
    with tf.GradientTape() as tape:
        output = layer(x, labels, lengths, *label_length)
        (loss,) = layer.losses
    return output, loss.numpy(), tf.convert_to_tensor(tape.gradient(loss, x)).numpy()


def ragged(labels):
    return tf.ragged.constant(labels, dtype=tf.int32)


ROUTES = {
    "sparse": lambda: (ragged(LABELS).to_sparse(), LENGTHS),
    "ragged": lambda: (ragged(LABELS), LENGTHS),
    "dense": lambda: (ragged(LABELS).to_tensor(), LENGTHS, np.array([4, 1, 3], np.int32)),
    "lengths (B, 1)": lambda: (
        ragged(LABELS).to_tensor(),
        LENGTHS[:, None],
        np.array([[4], [1], [3]], np.int32),
    ),
}


@pytest.mark.parametrize("route", ROUTES)
def test_every_kind_of_labels(logits, route):
    layer = CTCLossLayer()
    output, loss, gradient = run(layer, logits, *ROUTES[route]())
    expected_loss, expected_gradient = one_by_one(logits)
    np.testing.assert_array_equal(output, logits)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-5)


def test_dense_labels_need_lengths(logits):
    with pytest.raises(ValueError, match="dense labels need label_length"):
        CTCLossLayer()(logits, ragged(LABELS).to_tensor(), LENGTHS)


def test_ler_is_the_mean_of_the_rates():
    """Greedy paths written by hand: 1 of 2 labels wrong, 2 labels for 1, all right."""
    paths = [[0, 0, 5, 1], [2, 5, 2, 2], [3, 3, 3, 3]]
    layer = CTCLossLayer()
    layer(10 * np.eye(C, dtype=np.float32)[paths], ragged([[0, 2], [2], [3]]), np.array([4, 4, 2]))
    assert float(layer.ler.result()) == pytest.approx((1 / 2 + 1 / 1 + 0) / 3)
    layer(10 * np.eye(C, dtype=np.float32)[paths[2:]], ragged([[3]]), np.array([4]))
    assert float(layer.ler.result()) == pytest.approx((1 / 2 + 1 + 0 + 0) / 4)


SHORT, LONG = np.array([12, 4, 9]), np.array([12, 13, 9])
LONG_LABELS = [[0], [0, 1, 2, 3, 4, 0, 1, 2], [1]]
BAD = {  # labels, logit lengths, the utterance, and what the error says of it
    "blank": ([[0], [5], [1]], LENGTHS, 1, "labels 5 .* from 0 to 4"),
    "no class": ([[0], [1], [1, 6]], LENGTHS, 2, "labels 1 6 .* from 0 to 4"),
    "negative": ([[-1], [1], [1]], LENGTHS, 0, "labels -1"),
    "too long": (LONG_LABELS, LENGTHS, 1, ".* repeats 0 and logit_length 7 of 12 frames"),
    "repeats": ([[0], [1, 1, 1], [1]], SHORT, 1, ".* repeats 2 and logit_length 4"),
    "empty": ([[0], [1], []], LENGTHS, 2, "labels with adjacent repeats 0 .* needs 1 or more"),
    "length beyond T": ([[0], [1], [1]], LONG, 1, ".* logit_length 13 of 12 frames"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("graph", [False, True])
def test_bad_utterances_are_named(logits, case, graph):
    labels, lengths, row, message = BAD[case]
    layer = CTCLossLayer()
    call = tf.function(layer) if graph else layer
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        call(tf.constant(logits), ragged(labels), tf.constant(lengths))
    words = " ".join(re.findall(r"[\w-]+", re.sub("b'", "", str(error.value))))
    assert re.search(f"CTC cannot align utterance {row} of the batch {message}", words), words


@pytest.mark.parametrize("case", BAD)
def test_skipping_leaves_out_the_bad_one_only(logits, case):
    labels, lengths, bad, _ = BAD[case]
    good = [i for i in range(3) if i != bad]
    if case != "length beyond T":
        logits[bad] = np.nan
    layer = CTCLossLayer(infeasible="skip")
    _, loss, gradient = run(layer, logits, ragged(labels), lengths)
    expected_loss, expected_gradient = one_by_one(
        logits[good], [labels[i] for i in good], [lengths[i] for i in good]
    )
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    np.testing.assert_allclose(gradient[good], expected_gradient, atol=1e-5)
    np.testing.assert_array_equal(gradient[bad], 0)
    assert layer.skipped.result() == 1
    assert np.isfinite(layer.ler.result())


def test_skipping_a_whole_batch(logits):
    layer = CTCLossLayer(infeasible="skip")
    _, loss, gradient = run(layer, logits, ragged([[], [], []]))
    assert loss == 0 and not gradient.any()
    assert layer.skipped.result() == 3 and layer.ler.result() == 0


def test_gaps_of_a_scipy_matrix_are_refused(logits):
    dropped = tf.sparse.from_dense([[1, 0, 2], [1, 0, 0], [3, 3, 0]])  # the zeros were labels
    with pytest.raises(tf.errors.InvalidArgumentError, match="not right-ragged"):
        CTCLossLayer()(logits, dropped, LENGTHS)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_float32_inside_whatever_the_policy(logits, policy):
    keras.config.set_dtype_policy(policy)
    try:
        layer = CTCLossLayer()
        output, loss, _ = run(layer, logits, ragged(LABELS))
    finally:
        keras.config.set_dtype_policy("float32")
    assert output.dtype == "float32"
    np.testing.assert_allclose(loss, one_by_one(logits)[0], rtol=1e-5)


def test_unknown_policy_is_named():
    with pytest.raises(ValueError, match="not 'drop'"):
        CTCLossLayer(infeasible="drop")


def test_config_round_trip():
    layer = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(CTCLossLayer(infeasible="skip", name="ctc"))
    )
    assert isinstance(layer, CTCLossLayer)
    assert (layer.infeasible, layer.name, layer.dtype) == ("skip", "ctc", "float32")
