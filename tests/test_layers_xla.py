"""CTCLossLayer with either loss, and inside a training step that XLA compiles whole."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.layers import CTCLossLayer, sparse_op_loss
from ctc_tutorial.losses import ctc_loss

pytestmark = pytest.mark.slow  # XLA compiles much here

C = 6
RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 20, 3)).astype(np.float32)
LENGTHS = np.array([20, 13, 9, 17], np.int32)
LABELS = np.array([[0, 1, 1, 4], [2, 0, 0, 0], [4, 0, 0, 0], [3, 3, 0, 0]], np.int32)
LABEL_LENGTHS = np.array([4, 1, 3, 2], np.int32)
INPUTS = [X, LABELS, LENGTHS, LABEL_LENGTHS]


def dense_label_model(loss_fn=None, jit_compile=False):
    """A model with dense labels, which XLA can take in: the same weights every time."""
    shapes = {"x": (None, 3), "labels": (None,), "length": (), "label_length": ()}
    inputs = [
        keras.Input(shape, name=name, dtype="float32" if name == "x" else "int32")
        for name, shape in shapes.items()
    ]
    kernel = keras.initializers.GlorotUniform(seed=0)
    logits = keras.layers.Dense(C, kernel_initializer=kernel)(inputs[0])
    model = keras.Model(inputs, CTCLossLayer(loss_fn=loss_fn)(logits, *inputs[1:]))
    model.compile(keras.optimizers.SGD(0.1), jit_compile=jit_compile)
    return model


@pytest.mark.slow
def test_three_ways_to_the_same_weights():
    results = []
    for loss_fn, jit_compile in ((sparse_op_loss, False), (None, False), (None, True)):
        model = dense_label_model(loss_fn, jit_compile)
        assert model.jit_compile is jit_compile
        history = model.fit(INPUTS, batch_size=4, epochs=3, shuffle=False, verbose=0).history
        results.append([*history["loss"], *history["ler"], *model.get_weights()[0].ravel()])
    np.testing.assert_allclose(results[1], results[0], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(results[2], results[0], rtol=2e-5, atol=1e-6)


def test_the_default_is_exact_where_the_sparse_op_gives_inf():
    logits = np.zeros((1, 6, C), np.float32)
    logits[:, :, 0] = -90.0
    arguments = logits, np.array([[0]]), np.array([6]), np.array([1])
    ours, theirs = CTCLossLayer(), CTCLossLayer(loss_fn=sparse_op_loss)
    ours(*arguments), theirs(*arguments)
    # One of six frames speaks the label: log(6 e^-90 5^-6), in nats.
    np.testing.assert_allclose(ours.losses[0], 90 - np.log(6) + 6 * np.log(5), rtol=1e-6)
    assert np.isinf(theirs.losses[0])


@pytest.mark.slow
def test_under_xla_an_infeasible_utterance_shows_in_the_loss():
    model = dense_label_model(jit_compile=True)
    inputs = [X, LABELS, np.array([20, 13, 2, 17], np.int32), LABEL_LENGTHS]
    assert model.evaluate(inputs, verbose=0)[0] == np.inf
    inputs = [X, LABELS, LENGTHS, np.array([4, 5, 3, 2], np.int32)]  # more labels than there are
    assert np.isnan(model.evaluate(inputs, verbose=0)[0])


def test_a_loss_of_the_readers_own_is_saved_by_name():
    layer = CTCLossLayer(loss_fn=sparse_op_loss)
    config = layer.get_config()
    CTCLossLayer.from_config(config)
    again = CTCLossLayer.from_config(config)  # the first did not change it
    assert again.loss_fn is sparse_op_loss
    assert CTCLossLayer.from_config(CTCLossLayer().get_config()).loss_fn is ctc_loss


def test_xla_compiles_once_for_all_values():
    """The same program for other logits, labels and lengths: none of them is a constant in it."""
    if tuple(map(int, tf.__version__.split(".")[:2])) < (2, 19):
        pytest.skip("older TensorFlow: the program's text holds constants of the example")
    layer = CTCLossLayer()

    @tf.function(jit_compile=True, autograph=False)
    def loss(*inputs):
        layer(*inputs)
        return layer.losses[0]

    logits = RNG.normal(size=(2, 4, 20, C)).astype(np.float32)
    first = logits[0], LABELS, LENGTHS, LABEL_LENGTHS
    second = logits[1], LABELS[::-1], LENGTHS[::-1], LABEL_LENGTHS[::-1]
    programs = {
        loss.experimental_get_compiler_ir(*map(tf.constant, inputs))(stage="hlo")
        for inputs in (first, second)
    }
    assert len(programs) == 1
