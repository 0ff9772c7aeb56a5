"""recurrent.LSTM against keras.layers.LSTM: values, gradients, checkpoints, contexts."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial import recurrent
from ctc_tutorial.recurrent import LSTM

pytestmark = pytest.mark.slow  # XLA compiles much here

RNG = np.random.default_rng(0)


def pair(units=4, **options):
    """Keras's layer and ours with the same random weights."""
    layers = keras.layers.LSTM(units, **options), LSTM(units, **options)
    for layer in layers:
        layer.build((None, None, 7))
    # Halved: seventy steps with larger ones can multiply an error of rounding a hundred times.
    weights = [0.5 * RNG.normal(size=w.shape) for w in layers[0].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def values_and_gradients(layer, x, upstream=None, **call):
    """Everything that the layer gives out, and gradients by inputs, weights and states."""
    x = tf.constant(x)
    states = call.get("initial_state") or []
    with tf.GradientTape() as tape:
        tape.watch([x, *states])
        outputs = tf.nest.flatten(layer(x, **call))
        upstream = upstream or [RNG.normal(size=y.shape).astype("float32") for y in outputs]
        total = sum(
            tf.reduce_sum(tf.cast(y, tf.float32) * u)
            for y, u in zip(outputs, upstream, strict=True)
        )
    wanted = [x, *(v.value for v in layer.trainable_variables), *states]
    return [*outputs, *tape.gradient(total, wanted)], upstream


def assert_same(layers, x, tolerance=1e-5, **call):
    expected, upstream = values_and_gradients(layers[0], x, **call)
    found, _ = values_and_gradients(layers[1], x, upstream, **call)
    for a, b in zip(expected, found, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        a, b = (np.asarray(v, np.float64) for v in (a, b))
        assert np.abs(a - b).max() <= tolerance * (1 + np.abs(a).max())


@pytest.mark.parametrize("masked", [None, "right padded", "anywhere"])
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True},
        {"return_sequences": True, "return_state": True, "go_backwards": True},
        {"use_bias": False, "return_state": True},
        {"return_sequences": True, "zero_output_for_mask": True},  # as inside Bidirectional
    ],
)
@pytest.mark.parametrize("shape", [(1, 1, 7), (11, 70, 7)])
def test_values_and_gradients_are_those_of_keras(shape, options, with_state, masked):
    batch, frames, _ = shape
    call = {}
    if with_state:
        states = RNG.normal(size=(2, batch, 4)).astype("float32")
        call["initial_state"] = [tf.constant(s) for s in states]
    if masked == "right padded":
        call["mask"] = np.arange(frames) < RNG.integers(1, frames + 1, (batch, 1))
    elif masked:
        call["mask"] = RNG.random((batch, frames)) < 0.6
    assert_same(pair(**options), RNG.normal(size=shape).astype("float32"), **call)


@pytest.mark.parametrize("jit", [None, True])
@pytest.mark.parametrize("signature", [(2, 9, 7), (None, None, 7)])
def test_in_a_graph_with_known_and_unknown_shapes_and_in_code_that_xla_compiles(signature, jit):
    expected, found = pair(return_sequences=True)

    @tf.function(input_signature=[tf.TensorSpec(signature)], jit_compile=jit)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = found(x)
        return y, tape.gradient(y, x)

    x = RNG.normal(size=(2, 9, 7)).astype("float32")
    with tf.GradientTape() as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        y = expected(inputs)
    for a, b in zip((y, tape.gradient(y, inputs)), run(x), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_lengths_as_a_mask_inside_bidirectional_give_the_unpadded_result():
    layer = keras.layers.Bidirectional(LSTM(4, return_sequences=True))
    x = RNG.normal(size=(2, 9, 7)).astype("float32")
    mask = tf.sequence_mask([9, 5], 9)
    padded = layer(x, mask=mask)
    assert type(layer.forward_layer) is type(layer.backward_layer) is LSTM
    np.testing.assert_allclose(padded[1, :5], layer(x[1:, :5])[0], atol=1e-6)


@pytest.mark.parametrize("policy, tolerance", [("mixed_float16", 4e-3), ("mixed_bfloat16", 3e-2)])
def test_mixed_precision_gives_the_type_that_keras_gives(policy, tolerance):
    x = RNG.normal(size=(2, 9, 7)).astype("float32")
    assert_same(pair(return_sequences=True, dtype=policy), x, tolerance)


@pytest.mark.parametrize(
    "options, training",
    [
        ({"dropout": 0.5}, True),
        ({"recurrent_dropout": 0.5}, True),
        ({"activation": "relu"}, False),
        ({"recurrent_activation": "hard_sigmoid"}, False),
        ({"unroll": True}, False),
        ({"dtype": "float64"}, False),
    ],
)
def test_what_it_cannot_serve_is_left_to_keras(options, training, monkeypatch):
    def refuse(*_):
        raise AssertionError("our code was called")

    monkeypatch.setattr(recurrent, "_lstm", refuse)
    LSTM(4, **options)(np.zeros((2, 3, 7), "float32"), training=training)
    with pytest.raises(AssertionError, match="our code"):
        LSTM(4)(np.zeros((2, 3, 7), "float32"))


def test_stateful_layers_carry_their_state_on():
    expected, found = keras.layers.LSTM(4, stateful=True), LSTM(4, stateful=True)
    x = RNG.normal(size=(2, 5, 7)).astype("float32")
    for layer in (expected, found):
        layer.build(x.shape)
    found.set_weights(expected.get_weights())
    for _ in range(3):
        np.testing.assert_allclose(expected(x), found(x), atol=1e-6)


def test_a_new_length_or_batch_size_is_mostly_no_new_shape():
    layer = LSTM(3)
    shapes = [(batch, frames) for batch in (9, 12, 16) for frames in (5, 33, 64)]
    before = recurrent._compiled.experimental_get_tracing_count()
    for batch, frames in shapes:
        layer(np.zeros((batch, frames, 7), "float32"))
    assert recurrent._compiled.experimental_get_tracing_count() - before == 1


def test_a_second_derivative_is_nan_and_not_silently_zero():
    layer, x = LSTM(3), tf.ones((1, 4, 2))
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = layer(x)
        first = inner.gradient(y, x)
    assert np.isfinite(first).all() and np.isnan(outer.gradient(first, x)).all()


def small_model(layer_class):
    inputs = keras.Input((None, 7))
    hidden = keras.layers.Bidirectional(layer_class(4, return_sequences=True))(inputs)
    return keras.Model(inputs, layer_class(3)(hidden))


@pytest.mark.parametrize("kinds", [(LSTM, keras.layers.LSTM), (keras.layers.LSTM, LSTM)])
def test_weight_files_go_both_ways(kinds, tmp_path):
    source, target = map(small_model, kinds)
    source.save_weights(tmp_path / "m.weights.h5")
    target.load_weights(tmp_path / "m.weights.h5")
    x = RNG.normal(size=(2, 9, 7)).astype("float32")
    np.testing.assert_allclose(source(x), target(x), atol=1e-6)


LOAD = """
import keras, numpy as np, sys
model = keras.models.load_model(sys.argv[1])
assert model.layers[-1].__class__ is keras.layers.LSTM
np.save(sys.argv[2], model(np.ones((2, 9, 7), "float32")))
"""


@pytest.mark.slow
def test_a_saved_model_loads_here_with_this_layer_and_elsewhere_with_keras_alone(tmp_path):
    model = small_model(LSTM)
    model.save(tmp_path / "m.keras")
    here = keras.models.load_model(tmp_path / "m.keras")
    assert type(here.layers[-1]) is type(here.layers[1].backward_layer) is LSTM
    plain = keras.layers.deserialize(keras.layers.serialize(keras.layers.LSTM(3)))
    assert type(plain) is keras.layers.LSTM  # Keras's own layers are left alone
    arguments = [str(tmp_path / "m.keras"), str(tmp_path / "y.npy")]
    subprocess.run([sys.executable, "-c", LOAD, *arguments], check=True, cwd=tmp_path)
    expected = model(np.ones((2, 9, 7), "float32"))
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, atol=1e-6)


@pytest.mark.parametrize("masked", [True, False])
def test_with_every_function_run_eagerly(masked):
    """TensorFlow's switch for looking into a graph."""
    ours, theirs = pair()
    x = np.random.default_rng(0).normal(size=(2, 7, 7)).astype(np.float32)
    mask = {"mask": tf.constant(np.arange(7) < [[7], [4]])} if masked else {}
    expected, upstream = values_and_gradients(theirs, x, **mask)
    tf.config.run_functions_eagerly(True)
    try:
        found, _ = values_and_gradients(ours, x, upstream, **mask)
    finally:
        tf.config.run_functions_eagerly(False)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 9), (6, 9, 1)])
def test_masks_of_other_shapes_mean_what_they_mean_to_keras(shape):
    x = RNG.normal(size=(6, 9, 7)).astype("float32")
    assert_same(pair(return_sequences=True), x, mask=RNG.random(shape) < 0.6)


def test_a_transposed_mask_is_refused_as_by_keras():
    for layer in pair():
        with pytest.raises(tf.errors.InvalidArgumentError):
            layer(np.ones((6, 9, 7), "float32"), mask=np.ones((9, 6), bool))
