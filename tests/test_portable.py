"""The layer on keras.ops.ctc_loss; `make backends` runs it on JAX and PyTorch, too."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from ctc_tutorial.lattice import forward_backward
from ctc_tutorial.portable import PortableCTCLossLayer

C = 6
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(3, 12, C)).astype(np.float32)
LENGTHS, LABEL_LENGTHS = np.array([12, 7, 9], np.int32), np.array([4, 1, 0], np.int32)
LABELS = np.array([[0, 1, 1, 4], [2, 0, 0, 0], [0, 0, 0, 0]], np.int32)


def test_the_loss_is_that_of_the_lattice_on_padded_batches():
    layer = PortableCTCLossLayer()
    layer(*map(keras.ops.convert_to_tensor, (LOGITS, LABELS, LENGTHS, LABEL_LENGTHS)))
    rows = zip(LOGITS, LABELS, LENGTHS, LABEL_LENGTHS, strict=True)
    losses = [forward_backward(x[:t], ids[:n]).loss for x, ids, t, n in rows]
    assert float(layer.losses[0]) == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_model_with_it_trains_and_comes_back_from_a_file(tmp_path):
    shapes = {"x": (None, 3), "labels": (None,), "length": (), "label_length": ()}
    x, *rest = (
        keras.Input(shape, name=name, dtype="float32" if name == "x" else "int32")
        for name, shape in shapes.items()
    )
    start = keras.initializers.GlorotUniform(0)
    scored = PortableCTCLossLayer()(keras.layers.Dense(C, kernel_initializer=start)(x), *rest)
    model = keras.Model([x, *rest], scored)
    model.compile(keras.optimizers.SGD(0.1))
    data = [LOGITS[:, :, :3], LABELS, LENGTHS, LABEL_LENGTHS]
    losses = model.fit(data, batch_size=3, epochs=5, verbose=0).history["loss"]
    assert (np.diff(losses) < 0).all()  # gradient descent on one batch, in small steps
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    found, expected = (m.evaluate(data, batch_size=3, verbose=0) for m in (again, model))
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_layer_for_tensorflow_says_what_to_take_elsewhere():
    pytest.importorskip("tensorflow")
    code = "import keras; keras.backend.backend = lambda: 'jax'; import ctc_tutorial.layers"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "needs Keras's TensorFlow backend, not jax" in run.stderr
    assert "take portable.py" in run.stderr


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_rounds_neither_logits_nor_labels(policy):
    logits = np.random.default_rng(0).normal(size=(1, 6, 600)).astype("float32")
    given = np.array([[511.0, 2]]), np.array([6]), np.array([2])
    expected = PortableCTCLossLayer()
    expected(logits, *given)
    keras.config.set_dtype_policy(policy)
    try:
        layer = PortableCTCLossLayer()
        passed_through = layer(logits, *given)
    finally:
        keras.config.set_dtype_policy("float32")
    assert keras.backend.standardize_dtype(passed_through.dtype) == "float32"
    np.testing.assert_allclose(float(layer.losses[0]), float(expected.losses[0]), rtol=1e-6)
