"""The CTC functions of Keras 2 against `tf.keras.backend`, which TensorFlow still has."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial import compat
from ctc_tutorial.lattice import forward_backward

OLD = tf.keras.backend
B, T, C, L = 4, 14, 6, 5
FRAMES, LABELS = np.array([[14], [11], [9], [14]]), np.array([[5], [2], [1], [3]])
IDS = np.array([[0, 1, 1, 4, 2], [2, 2, 0, 0, 0], [3, 0, 0, 0, 0], [4, 0, 4, 0, 0]])


def probabilities(scale=2.0, seed=0):
    logits = scale * np.random.default_rng(seed).normal(size=(B, T, C))
    return tf.nn.softmax(logits.astype(np.float32))  # [B, T, C]


def cost_and_gradient(function, x, labels=IDS, frames=FRAMES, label_length=LABELS):
    upstream = tf.constant([[1.0], [2.0], [-1.0], [0.5]])  # each utterance with a weight of its own
    with tf.GradientTape() as tape:
        tape.watch(x)
        cost = function(labels, x, frames, label_length)
        total = tf.reduce_sum(cost * upstream)
    return cost, tape.gradient(total, x)


@pytest.mark.parametrize("scale", [0.1, 2, 6])
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_costs_and_gradients_are_the_old_ones(scale, dtype):
    x = probabilities(scale)
    cost, gradient = cost_and_gradient(compat.ctc_batch_cost, x, IDS.astype(dtype))
    expected, expected_gradient = cost_and_gradient(OLD.ctc_batch_cost, x, IDS.astype(dtype))
    assert cost.shape == (B, 1) and cost.dtype == tf.float32
    np.testing.assert_allclose(cost, expected, rtol=1e-5)
    # The gradient is divided by the probabilities, down to 1e-7: so, too, is the rounding.
    scaled = [g * (x + keras.config.epsilon()) for g in (gradient, expected_gradient)]
    np.testing.assert_allclose(*scaled, atol=2e-5)


def test_probabilities_of_zero_cost_what_epsilon_says_as_in_keras_2():
    x = tf.one_hot([[0, 5, 1, 5]], C)  # an utterance that reads "0 1" with certainty
    arguments = [[4, 4]], x, [[4]], [[2]]
    (new,), (old,) = compat.ctc_batch_cost(*arguments), OLD.ctc_batch_cost(*arguments)
    # "4" in two of the four frames: two blanks cost nothing. All others take three wrong frames.
    assert float(new[0]) == pytest.approx(-2 * np.log(1e-7), rel=1e-3)
    assert float(new[0]) == pytest.approx(float(old[0]), rel=1e-5)


def test_lengths_of_one_axis_and_padding_that_is_no_class():
    padded = np.where(np.arange(L) < LABELS, IDS, -1)
    expected = compat.ctc_batch_cost(IDS, probabilities(), FRAMES, LABELS)
    found = compat.ctc_batch_cost(padded, probabilities(), FRAMES[:, 0], LABELS[:, 0])
    np.testing.assert_array_equal(found, expected)


def test_empty_transcripts_and_impossible_ones_where_the_old_function_stopped():
    x, empty = probabilities(), np.array([[5], [2], [1], [0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="Labels length is zero in batch 3"):
        OLD.ctc_batch_cost(IDS, x, FRAMES, empty)
    cost = compat.ctc_batch_cost(IDS, x, FRAMES, empty)
    log = np.log(x[3] + 1e-7)
    assert float(cost[3, 0]) == pytest.approx(forward_backward(log, []).loss, rel=1e-5)

    short = np.array([[5], [11], [9], [14]])  # the first needs six frames: it has "11"
    cost, gradient = cost_and_gradient(compat.ctc_batch_cost, x, frames=short)
    assert np.isinf(cost[0]) and np.isfinite(cost[1:]).all()
    assert not np.any(gradient[0]) and np.isfinite(gradient).all()


def test_dense_to_sparse_is_the_old_one():
    for ids in (IDS, IDS.astype(np.float32)):
        new = compat.ctc_label_dense_to_sparse(ids, LABELS)
        old = OLD.ctc_label_dense_to_sparse(tf.constant(ids), tf.constant(LABELS[:, 0], tf.int32))
        assert new.dtype == old.dtype
        for part in ("indices", "values", "dense_shape"):
            np.testing.assert_array_equal(getattr(new, part), getattr(old, part))


@pytest.mark.parametrize("seed", range(5))
def test_greedy_decoding_is_the_old_one(seed):
    x = probabilities(seed=seed)
    (new,), new_score = compat.ctc_decode(x, FRAMES)
    (old,), old_score = OLD.ctc_decode(x, FRAMES[:, 0])
    assert new.shape == old.shape == (B, T) and new.dtype == old.dtype
    np.testing.assert_array_equal(new, old)
    assert new_score.shape == old_score.shape and new_score.dtype == old_score.dtype
    np.testing.assert_allclose(new_score, old_score, rtol=1e-5)
    assert (new_score > 0).numpy().all()  # minus a log probability


def merged(rows):
    """What the old beam search made of its texts: equal neighbours merged, padded anew."""
    out = np.full(rows.shape, -1)
    for row, ids in zip(out, np.array(rows), strict=True):
        kept = [c for c, _ in itertools.groupby(ids[ids >= 0])]
        row[: len(kept)] = kept
    return out


@pytest.mark.parametrize("seed", range(5))
def test_beam_search_is_the_old_one_but_for_double_labels(seed):
    # Beams wide enough for the sums to lose next to nothing by what each search prunes.
    x, wide = probabilities(4, seed), {"greedy": False, "beam_width": 400, "top_paths": 3}
    new, new_score = compat.ctc_decode(x, FRAMES, **wide)
    old, old_score = OLD.ctc_decode(x, FRAMES[:, 0], **wide)
    assert len(new) == len(old) == 3
    for one, other in zip(new, old, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        np.testing.assert_array_equal(merged(one), other)
    assert new_score.shape == old_score.shape == (B, 3)
    np.testing.assert_allclose(new_score, old_score, atol=0.03)
    assert (new_score < 0).numpy().all()  # a log probability


def test_the_log_probability_of_the_beam_is_minus_the_cost():
    x = probabilities(4)
    (ids,), score = compat.ctc_decode(x, FRAMES, greedy=False, beam_width=400)
    cost = compat.ctc_batch_cost(ids, x, FRAMES, tf.reduce_sum(tf.cast(ids >= 0, tf.int32), axis=1))
    np.testing.assert_allclose(score, -cost, atol=0.03)  # less what the beam pruned


def test_double_letters_stay():
    x = tf.one_hot([[0, 2, 0]], 3) * 0.999 + 0.001 / 3  # reads "aa" of the classes a, b, blank
    (old,), _ = OLD.ctc_decode(x, [3], greedy=False)
    (new,), _ = compat.ctc_decode(x, [3], greedy=False)
    assert old.numpy().tolist() == [[0, -1, -1]] and new.numpy().tolist() == [[0, 0, -1]]


def test_fewer_texts_than_top_paths():
    x = tf.constant([[[0.3, 0.7]]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="Less leaves in the beam search"):
        OLD.ctc_decode(x, [1], greedy=False, top_paths=3)
    paths, scores = compat.ctc_decode(x, [1], greedy=False, top_paths=3)
    assert np.concatenate(paths).tolist() == [[-1], [0], [-1]]
    np.testing.assert_allclose(scores, [[np.log(0.7), np.log(0.3), -np.inf]], atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"greedy": False, "beam_width": 9, "top_paths": 2}])
def test_decoding_in_a_graph_is_the_same(options):
    x = probabilities()
    expected, expected_scores = compat.ctc_decode(x, FRAMES, **options)
    graph = tf.function(lambda x, n: compat.ctc_decode(x, n, **options))
    found, scores = graph(x, FRAMES)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(scores, expected_scores)
    assert graph.get_concrete_function(x, FRAMES).structured_outputs[1].shape == scores.shape


class CTC(keras.layers.Layer):
    """As programs of 2020 wrote it, with the new functions in place of the old ones."""

    def call(self, labels, x, frames, label_length):
        cost = compat.ctc_batch_cost(labels, x, frames, label_length)
        self.add_loss(tf.reduce_mean(cost))
        return x


class Decode(keras.layers.Layer):
    def call(self, x, frames):
        return compat.ctc_decode(x, frames)[0][0]

    def compute_output_spec(self, x, frames):
        return keras.KerasTensor(x.shape[:2], "int64")


def test_a_functional_model_of_2020_trains_and_reads():
    features = keras.Input((None, C), name="features")
    others = [keras.Input(s, name=n) for s, n in (((None,), "ids"), ((1,), "t"), ((1,), "n"))]
    start = keras.initializers.GlorotUniform(0)
    x = keras.layers.Dense(C, activation="softmax", kernel_initializer=start)(features)
    model = keras.Model([features, *others], CTC()(others[0], x, *others[1:]))
    model.compile(keras.optimizers.SGD(0.001))
    data = [np.log(probabilities()), *(v.astype(np.float32) for v in (IDS, FRAMES, LABELS))]
    expected = tf.reduce_mean(OLD.ctc_batch_cost(IDS, model(data), FRAMES, LABELS))
    assert model.evaluate(data, batch_size=B, verbose=0) == pytest.approx(float(expected), rel=1e-5)
    losses = model.fit(data, batch_size=B, epochs=5, verbose=0).history["loss"]
    assert (np.diff(losses) < 0).all()  # gradient descent on one batch, in small steps

    reader = keras.Model([features, others[1]], Decode()(x, others[1]))
    found = reader.predict([data[0], data[2]], batch_size=B, verbose=0)
    (expected,), _ = OLD.ctc_decode(keras.Model(features, x)(data[0]), FRAMES[:, 0])
    np.testing.assert_array_equal(found, expected)
