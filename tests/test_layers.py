"""CTCLossLayer against tf.nn.ctc_loss on the single, unpadded utterances."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.layers import CTCLossLayer, sparse_op_loss
from ctc_tutorial.losses import ctc_loss

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


def test_ler_cannot_be_replaced_by_what_nobody_updates():
    with pytest.raises(AttributeError):
        CTCLossLayer().ler = keras.metrics.Mean(name="mine")


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
    "too long": (LONG_LABELS, LENGTHS, 1, ".* repeats 0 on 7 of 12 frames"),
    "repeats": ([[0], [1, 1, 1], [1]], SHORT, 1, ".* repeats 2 on 4 of 12 frames"),
    "length beyond T": ([[0], [1], [1]], LONG, 1, ".* on 13 of 12 frames"),
    "negative length": ([[0], [], [1]], np.array([12, -1, 9]), 1, ".* on -1 of 12 frames"),
    "nan": ([[0], [1], [1]], LENGTHS, 2, "labels 1 .* on 9 of 12 frames .* no NaN no inf"),
    "inf": ([[0], [1], [1]], LENGTHS, 0, "labels 0 .* on 12 of 12 frames .* no NaN no inf"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("graph", [False, True])
def test_bad_utterances_are_named(logits, case, graph):
    labels, lengths, row, message = BAD[case]
    logits[row, 2, 3] = {"nan": np.nan, "inf": np.inf}.get(case, 0)
    layer = CTCLossLayer()
    call = tf.function(layer) if graph else layer
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        call(tf.constant(logits), ragged(labels), tf.constant(lengths))
    words = " ".join(re.findall(r"[\w-]+", re.sub("b'", "", str(error.value))))
    assert re.search(f"CTC cannot align utterance {row} of the batch {message}", words), words
    if not graph:
        assert "\n" not in error.value.message and "[" not in error.value.message.split("labels")[0]


@pytest.mark.parametrize("case", BAD)
def test_skipping_leaves_out_the_bad_one_only(logits, case):
    labels, lengths, bad, _ = BAD[case]
    good = [i for i in range(3) if i != bad]
    logits[bad] = np.inf if case == "inf" else np.nan
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
    _, loss, gradient = run(layer, logits, ragged([[5], [5], [5]]))
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
    assert output.dtype == "float32"  # as it came
    np.testing.assert_allclose(loss, one_by_one(logits)[0], rtol=1e-5)


def test_unknown_policy_is_named():
    with pytest.raises(ValueError, match="not 'drop'"):
        CTCLossLayer(infeasible="drop")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_logits_come_back_in_the_type_they_came_in(logits, dtype):
    output, loss, gradient = run(CTCLossLayer(), tf.cast(logits, dtype), ragged(LABELS))
    assert output.dtype == dtype and loss.dtype == np.float32
    np.testing.assert_allclose(loss, one_by_one(tf.cast(output, "float32"))[0], rtol=1e-5)
    assert np.isfinite(gradient.astype(np.float32)).all()


def test_float64_is_refused_in_plain_words():
    with pytest.raises(ValueError, match="computes in float32: leave out dtype"):
        CTCLossLayer(dtype="float64")


def blanks_alone(logits, row):
    """Minus the sum of log p(blank) over an utterance's frames, in float64."""
    x = logits[row, : LENGTHS[row]].astype(np.float64)
    return (np.log(np.exp(x).sum(axis=1)) - x[:, -1]).sum()


@pytest.mark.parametrize("loss_fn", [None, sparse_op_loss])
def test_an_empty_transcript_is_blanks_alone_and_has_no_error_rate(logits, loss_fn):
    layer = CTCLossLayer(loss_fn=loss_fn)
    _, loss, gradient = run(layer, logits, ragged([LABELS[0], [], LABELS[2]]))
    others = one_by_one(logits[[0, 2]], [LABELS[0], LABELS[2]], LENGTHS[[0, 2]])
    np.testing.assert_allclose(3 * loss, 2 * others[0] + blanks_alone(logits, 1), rtol=1e-5)
    frames = logits[1, :7].astype(np.float64)
    softmax = np.exp(frames) / np.exp(frames).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(gradient[1, :7], (softmax - np.eye(C)[-1]) / 3, atol=1e-5)
    rates = CTCLossLayer()
    rates(logits[[0, 2]], ragged([LABELS[0], LABELS[2]]), LENGTHS[[0, 2]])
    assert float(layer.ler.result()) == pytest.approx(float(rates.ler.result()))


def test_sample_weights_count_in_the_loss_and_in_the_error_rate(logits):
    weights = np.array([1.0, 0.5, 0.0])
    layer = CTCLossLayer()
    x = tf.Variable(logits)
    with tf.GradientTape() as tape:
        layer(x, ragged(LABELS), LENGTHS, sample_weight=weights)
        (loss,) = layer.losses
    alone = [one_by_one(logits[i : i + 1], LABELS[i : i + 1], LENGTHS[i : i + 1]) for i in range(3)]
    np.testing.assert_allclose(loss, np.mean(weights * [a[0] for a in alone]), rtol=1e-5)
    expected = np.concatenate([w / 3 * a[1] for w, a in zip(weights, alone, strict=True)])
    np.testing.assert_allclose(tape.gradient(loss, x), expected, atol=1e-5)
    rates = [CTCLossLayer() for _ in range(3)]
    for i, one in enumerate(rates):
        one(logits[i : i + 1], ragged(LABELS[i : i + 1]), LENGTHS[i : i + 1])
    rates = [float(one.ler.result()) for one in rates]
    assert float(layer.ler.result()) == pytest.approx(np.average(rates, weights=weights))


def test_batches_without_rows_frames_or_labels():
    for shape in ((0, 5, C), (2, 0, C), (0, 0, C)):
        layer = CTCLossLayer()
        lengths = np.full(shape[0], shape[1], np.int32)
        labels = tf.RaggedTensor.from_row_lengths(np.zeros(0, np.int32), 0 * lengths)
        _, loss, gradient = run(layer, np.zeros(shape, np.float32), labels, lengths)
        assert loss == 0 and gradient.shape == shape and layer.ler.result() == 0


def test_config_round_trip():
    layer = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(
            CTCLossLayer(infeasible="skip", weight=0.3, name="words")
        )
    )
    assert isinstance(layer, CTCLossLayer)
    assert (layer.infeasible, layer.name, layer.dtype) == ("skip", "words", "float32")
    assert layer.weight == 0.3 and layer.loss_fn is ctc_loss
    assert [m.name for m in layer.metrics] == ["words_ler", "words_loss", "words_skipped"]


@pytest.mark.parametrize(
    "strange",
    [
        {"labels": np.array([[b"a"], [b"a"]])},
        {"labels": np.array([1, 1])},
        {"labels": np.array([[1]])},
        {"logit_length": np.array([2])},
        {"label_length": np.array([True, True])},
        {"logits": np.zeros((2, 3), np.float32)},
        {"sample_weight": np.ones(3, np.float32)},
    ],
)
def test_another_rank_dtype_or_number_of_utterances_is_named(strange):
    """A single length counted for all utterances."""
    (name,) = strange
    given = {
        "logits": np.zeros((2, 2, 3), np.float32),
        "labels": np.array([[1], [1]]),
        "logit_length": np.array([2, 2]),
        "label_length": np.array([1, 1]),
    }
    with pytest.raises(ValueError, match=name):
        CTCLossLayer()(**{**given, **strange})


@pytest.mark.parametrize("labels", [[[1.5]], [[2**32]], [[np.nan]]])
def test_ids_that_are_no_integers_are_not_cut(labels):
    """1.5 was 1, and 2**32 was 0."""
    lengths = np.array([2]), np.array([1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="cannot align utterance 0"):
        CTCLossLayer()(np.zeros((1, 2, 3), np.float32), np.array(labels), *lengths)


def test_a_frame_of_nothing_but_inf_is_skipped():
    logits = np.zeros((2, 2, 3), np.float32)
    logits[0, 1] = -np.inf
    layer = CTCLossLayer(infeasible="skip")
    layer(logits, np.array([[1], [1]]), np.array([2, 2]), np.array([1, 1]))
    assert float(layer.skipped.result()) == 1
    np.testing.assert_allclose(layer.losses[0], -np.log(3 / 9), rtol=1e-6)  # aa, a-, -a of 9


def small_batch():
    logits = np.random.default_rng(0).normal(size=(3, 9, 4)).astype("float32")
    return logits, np.array([[0, 1], [2, 0], [1, 1]]), np.array([9, 7, 8]), np.array([2, 1, 2])


def test_a_loss_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"must return the losses \[B\], not the shape \(3, 1\)"):
        CTCLossLayer(loss_fn=lambda *batch: ctc_loss(*batch)[:, None])(*small_batch())


def test_a_named_layer_reports_the_loss_that_it_adds():
    layer = CTCLossLayer(name="words")
    layer(*small_batch(), sample_weight=np.array([0.5, 0.0, 2.0]))
    np.testing.assert_allclose(layer.own_loss.result(), layer.losses[0], rtol=1e-6)


def test_a_layer_without_a_name_of_its_own_has_metrics_with_one():
    names = [metric.name for metric in CTCLossLayer(name=None).metrics]
    assert names and not any("None" in name for name in names)


def test_labels_that_are_a_constant():
    logits = keras.Input((9, 4), batch_size=3)
    given, *others = small_batch()
    model = keras.Model(logits, CTCLossLayer()(logits, *map(tf.constant, others)))
    model(given)
    expected = np.mean(ctc_loss(given, *others))
    np.testing.assert_allclose(model.losses[0], expected, rtol=1e-6)


def test_what_keras_says_of_a_lambda_is_not_hidden():
    with pytest.warns(UserWarning, match="lambda"):
        config = CTCLossLayer(loss_fn=lambda *batch: ctc_loss(*batch)).get_config()
    with pytest.raises(ValueError, match=r"safe_mode|lambda"):
        CTCLossLayer.from_config(config)
