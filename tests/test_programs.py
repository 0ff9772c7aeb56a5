"""The layer and the model in other people's programs: what Keras can do with them, one by one.

The table in docs/what_works.md says the same in words; a test holds the two together.
"""

import inspect
import re
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.batches import pad_batch, sparse_labels
from ctc_tutorial.datasets import dense_labels
from ctc_tutorial.layers import CTCLossLayer, sparse_op_loss
from ctc_tutorial.losses import ctc_loss
from ctc_tutorial.models import CTCModel

pytestmark = pytest.mark.slow  # XLA compiles much here

PACKAGE = Path(__file__).parents[1] / "ctc_tutorial"
C, F = 6, 3
RNG = np.random.default_rng(0)
ROWS = [RNG.normal(size=(t, F)).astype(np.float32) for t in (20, 13, 9, 17)]
LABELS = [[0, 1, 1, 4], [2], [4, 0, 0], [3, 3]]
BATCH = pad_batch(ROWS, LABELS)
DENSE = {name: np.array(x) for name, x in dense_labels(BATCH).items()}
X, LENGTHS = BATCH["features"], BATCH["feature_length"]


def dense_layer(classes=C, seed=0):
    return keras.layers.Dense(classes, kernel_initializer=keras.initializers.GlorotUniform(seed))


def label_input(kind):
    options = {"sparse": {"sparse": True}, "ragged": {"ragged": True}, "dense": {}}[kind]
    return keras.Input((None,), dtype="int32", name="labels", **options)


def layer_model(kind="sparse", loss_layer=None):
    """The layer's way: labels are an input."""
    inputs = {"features": keras.Input((None, F)), "feature_length": keras.Input((), dtype="int32")}
    inputs["labels"] = label_input(kind)
    rest = [inputs["labels"], inputs["feature_length"]]
    if kind == "dense":
        inputs["label_length"] = keras.Input((), dtype="int32")
        rest.append(inputs["label_length"])
    logits = dense_layer()(inputs["features"])
    return keras.Model(inputs, (loss_layer or CTCLossLayer())(logits, *rest))


def ctc_model():
    """The model's way: labels and lengths are y."""
    if tuple(map(int, keras.__version__.split(".")[:2])) < (3, 12):
        pytest.skip("CTCModel needs Keras 3.12 or newer")
    x = keras.Input((None, F))
    return CTCModel(x, dense_layer()(x))


def data(kind):
    ragged = tf.ragged.constant(LABELS, dtype=tf.int32)
    return {"sparse": BATCH, "ragged": {**BATCH, "labels": ragged}, "dense": DENSE}[kind]


Y = DENSE["labels"], LENGTHS, DENSE["label_length"]


class Subclassed(keras.Model):
    """Layers called in `call`, labels among the inputs."""

    def __init__(self):
        super().__init__()
        self.dense, self.loss_layer = dense_layer(), CTCLossLayer()

    def call(self, inputs):
        logits = self.dense(inputs["features"])
        return self.loss_layer(logits, inputs["labels"], inputs["feature_length"])


def nested():
    inputs = {"features": keras.Input((None, F)), "feature_length": keras.Input((), dtype="int32")}
    inputs["labels"] = label_input("sparse")
    return keras.Model(inputs, layer_model()(inputs))


def train(model, inputs, y=None, optimizer=None, **options):
    """Loss and label error rate of three steps, and the weights after them."""
    model.compile(optimizer or keras.optimizers.SGD(0.1), **options)
    history = model.fit(inputs, y, batch_size=4, epochs=3, shuffle=False, verbose=0).history
    kernel = next(w for w in model.get_weights() if w.shape == (F, C))
    return np.array(history["loss"]), np.array(history["ler"]), kernel


@pytest.fixture(scope="module")
def expected():
    """The same three steps by TensorFlow's op and arithmetic, one utterance at a time."""
    kernel = np.array(dense_layer().kernel_initializer((F, C)))
    bias, losses = np.zeros(C, np.float32), []
    for _ in range(3):
        weights = [tf.Variable(kernel), tf.Variable(bias)]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(
                [
                    tf.nn.ctc_loss([ids], (x @ weights[0] + weights[1])[None], [len(ids)], [len(x)],
                                   False, blank_index=-1)[0]
                    for x, ids in zip(ROWS, LABELS, strict=True)
                ]
            )  # fmt: skip
        losses.append(float(loss))
        gradients = tape.gradient(loss, weights)
        kernel, bias = (w - 0.1 * g for w, g in zip((kernel, bias), gradients, strict=True))
    return np.array(losses), np.array(kernel)


WAYS = {
    "functional, sparse labels": lambda: train(layer_model(), BATCH),
    "functional, ragged labels": lambda: train(layer_model("ragged"), data("ragged")),
    "functional, dense labels": lambda: train(layer_model("dense"), DENSE),
    "subclassed": lambda: train(Subclassed(), BATCH),
    "nested": lambda: train(nested(), BATCH),
    "run_eagerly": lambda: train(layer_model(), BATCH, run_eagerly=True),
    "jit_compile=True": lambda: train(layer_model("dense"), DENSE, jit_compile=True),
    "clone_model": lambda: train(keras.models.clone_model(layer_model("dense")), DENSE),
    "CTCModel": lambda: train(ctc_model(), X, Y),
    "CTCModel, run_eagerly": lambda: train(ctc_model(), X, Y, run_eagerly=True),
    "CTCModel, jit_compile=True": lambda: train(ctc_model(), X, Y, jit_compile=True),
    "CTCModel, clone_model": lambda: train(keras.models.clone_model(ctc_model()), X, Y),
}


@pytest.mark.parametrize("way", WAYS)
def test_three_steps_are_those_of_tensorflows_op(way, expected):
    if "ragged" in way and "ragged" not in inspect.signature(keras.Input).parameters:
        pytest.skip("keras.Input has no ragged=True before Keras 3.9")
    keras.utils.set_random_seed(0)
    losses, rates, kernel = WAYS[way]()
    np.testing.assert_allclose(losses, expected[0], rtol=1e-5)
    np.testing.assert_allclose(kernel, expected[1], atol=1e-5)
    assert rates.shape == (3,) and (rates > 0).all()


@pytest.mark.parametrize(
    "make", [lambda: (layer_model(), BATCH, None), lambda: (ctc_model(), X, Y)]
)
def test_several_steps_in_one_execution(make, expected):
    model, x, y = make()
    elements = (x,) if y is None else (x, y)
    model.compile(keras.optimizers.SGD(0.1), steps_per_execution=3)
    repeated = tf.data.Dataset.from_tensors(elements).repeat()
    model.fit(repeated, epochs=1, steps_per_epoch=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], expected[1], atol=1e-5)


@pytest.mark.parametrize("way", ["sparse", "dense", "ragged", "model"])
def test_two_half_batches_with_gradient_accumulation_are_one(way):
    make, x, y = ctc_model, X, Y
    if way != "model":
        make, x, y = partial(layer_model, way), data(way), None
    model, kernel = make(), train(make(), x, y)[2]
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    model.compile(optimizer)
    model.fit(x, y, batch_size=2, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], kernel, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "chosen"),
    [
        (partial(layer_model, "sparse"), False),
        (partial(layer_model, "dense"), True),
        (Subclassed, False),
        (ctc_model, False),
    ],
)
def test_jit_compile_auto_on_a_gpu(make, chosen, monkeypatch):
    """Keras decides in `compile`, by the devices and by what the layers say; without a GPU, no."""
    cpu, gpu = (tf.config.PhysicalDevice(f"/physical_device:{x}:0", x) for x in ("CPU", "GPU"))
    model, plain = make(), keras.Sequential([keras.Input((F,)), keras.layers.Dense(1)])
    for devices, expected in (([cpu], (False, False)), ([cpu, gpu], (chosen, True))):
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda found=devices: found)
        for each in (model, plain):
            each.compile("sgd", jit_compile="auto")
        assert (model.jit_compile, plain.jit_compile) == expected


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("way", ["layer", "model"])
def test_dtype_policies(policy, way):
    """Loss and error rate are computed in float32 from the logits as they are."""
    keras.config.set_dtype_policy(policy)
    try:
        model, x, y = (layer_model(), BATCH, None) if way == "layer" else (ctc_model(), X, Y)
        model.compile(keras.optimizers.SGD(0.1))
        logits = tf.cast(model.predict(x, verbose=0), "float32")
        losses = model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0).history["loss"]
    finally:
        keras.config.set_dtype_policy("float32")
    arguments = DENSE["labels"], logits, DENSE["label_length"], LENGTHS, False
    expected = tf.reduce_mean(tf.nn.ctc_loss(*arguments, blank_index=-1))
    np.testing.assert_allclose(losses[0], expected, rtol=1e-5)
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("way", ["layer", "model"])
def test_files_of_models_and_of_weights(way, tmp_path):
    make, x, y = (layer_model, BATCH, None) if way == "layer" else (ctc_model, X, Y)
    model = make()
    train(model, x, y)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    loaded, other = keras.saving.load_model(tmp_path / "model.keras"), make()
    other.compile("sgd")
    other.load_weights(tmp_path / "model.weights.h5")
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    for again in (loaded, other):
        found = again.evaluate(x, y, verbose=0, return_dict=True)
        assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("loss_fn", [None, sparse_op_loss])
def test_a_saved_model_comes_back_with_its_loss(loss_fn, tmp_path):
    layer_model(loss_layer=CTCLossLayer(loss_fn=loss_fn)).save(tmp_path / "model.keras")
    layers = keras.saving.load_model(tmp_path / "model.keras").layers
    (again,) = [layer for layer in layers if isinstance(layer, CTCLossLayer)]
    assert again.loss_fn is (loss_fn or ctc_loss)


def test_exported_prediction_models_give_the_same_logits(tmp_path):
    x = keras.Input((None, F))
    logits = dense_layer()(x)
    for name, model in {"plain": keras.Model(x, logits), "ctc": CTCModel(x, logits)}.items():
        model.export(tmp_path / name, verbose=False)
        loaded = tf.saved_model.load(tmp_path / name)
        np.testing.assert_allclose(loaded.serve(X), model(X), atol=1e-6)


def test_what_keras_does_not_allow():
    """Known limits, with Keras's own words: a train model is for training, export the other one."""
    clone = keras.models.clone_model(layer_model("sparse"))
    assert not any(x.sparse for x in clone.inputs)  # sparse=True is lost: build the model anew
    with pytest.raises(ValueError, match='name "ctc" is used 2 times'):
        two_heads(None, None)


def two_heads(first, second):
    inputs = {"features": keras.Input((None, F)), "feature_length": keras.Input((), dtype="int32")}
    inputs["labels"] = label_input("sparse")
    inputs["word_labels"] = keras.Input((None,), dtype="int32", sparse=True)
    hidden = keras.layers.Dense(8, activation="relu")(inputs["features"])
    outputs = []
    for layer, name in ((first, "labels"), (second, "word_labels")):
        layer = layer or CTCLossLayer()
        outputs.append(layer(dense_layer()(hidden), inputs[name], inputs["feature_length"]))
    return keras.Model(inputs, outputs)


def test_two_heads_each_under_its_own_name_and_with_its_weight():
    words = [[1], [], [], [2, 2]]  # older Keras can't take rows of which the last is empty
    inputs = pad_batch(ROWS, LABELS, word_labels=words)
    model = two_heads(CTCLossLayer(name="letters"), CTCLossLayer(name="words", weight=0.3))
    model.compile(keras.optimizers.SGD(0.0))
    log = model.evaluate(inputs, verbose=0, return_dict=True)
    assert set(log) == {"loss", "letters_loss", "letters_ler", "words_loss", "words_ler"}
    assert log["loss"] == pytest.approx(log["letters_loss"] + 0.3 * log["words_loss"], rel=1e-6)
    for output, labels, name in zip(
        model(next(iter(tf.data.Dataset.from_tensors(inputs)))),
        (LABELS, words),
        ("letters", "words"),
        strict=True,
    ):
        one = CTCLossLayer()
        one(output, sparse_labels(labels), LENGTHS)
        assert log[f"{name}_loss"] == pytest.approx(float(one.losses[0]), rel=1e-5)
        assert log[f"{name}_ler"] == pytest.approx(float(one.ler.result()), rel=1e-5)


def test_the_loss_at_two_depths():
    """Intermediate CTC: the logits of a lower layer are scored, too, and go on."""
    inputs = {"features": keras.Input((None, F)), "feature_length": keras.Input((), dtype="int32")}
    inputs["labels"] = label_input("sparse")
    rest = inputs["labels"], inputs["feature_length"]
    lower = CTCLossLayer(name="lower", weight=0.5)(dense_layer()(inputs["features"]), *rest)
    upper = CTCLossLayer(name="upper")(dense_layer(seed=1)(keras.layers.Softmax()(lower)), *rest)
    model = keras.Model(inputs, upper)
    model.compile(keras.optimizers.Adam(0.05))
    history = model.fit(BATCH, batch_size=4, epochs=20, verbose=0).history
    assert {"lower_loss", "lower_ler", "upper_loss", "upper_ler"} < set(history)
    together = np.array(history["upper_loss"]) + 0.5 * np.array(history["lower_loss"])
    np.testing.assert_allclose(history["loss"], together, rtol=1e-5)
    assert history["lower_loss"][-1] < history["lower_loss"][0]


def test_sample_weights_of_the_model_and_by_an_input_of_the_layer():
    weights = np.array([1.0, 0.5, 0.0, 2.0], np.float32)
    model = ctc_model()
    model.compile(keras.optimizers.SGD(0.0))
    with_y = model.evaluate(X, Y, sample_weight=weights, verbose=0, return_dict=True)
    inputs = {"features": keras.Input((None, F)), "feature_length": keras.Input((), dtype="int32")}
    inputs |= {"labels": label_input("sparse"), "sample_weight": keras.Input(())}
    logits = dense_layer()(inputs["features"])
    scored = CTCLossLayer()(
        logits, inputs["labels"], inputs["feature_length"], sample_weight=inputs["sample_weight"]
    )
    layered = keras.Model(inputs, scored)
    layered.compile(keras.optimizers.SGD(0.0))
    as_input = layered.evaluate(
        pad_batch(ROWS, LABELS, sample_weight=weights), verbose=0, return_dict=True
    )
    losses = [
        tf.nn.ctc_loss([ids], model(x[None]), [len(ids)], [len(x)], False, blank_index=-1)[0]
        for x, ids in zip(ROWS, LABELS, strict=True)
    ]
    assert with_y == pytest.approx(as_input, rel=1e-5)
    assert with_y["loss"] == pytest.approx(np.mean(weights * losses), rel=1e-5)


@pytest.mark.parametrize("make", [layer_model, Subclassed])
def test_weights_given_to_fit_do_not_reach_a_layer_in_a_model_of_ones_own(make):
    """Keras weighs only what `compile(loss=...)` names; only `build_models` makes models that know.

    If this fails, docs/what_works.md and README have to change."""
    models = make(), make()
    for model, weights in zip(models, (None, np.array([1, 0.5, 0, 2])), strict=True):
        model.compile(keras.optimizers.SGD(0.1))
        model.fit(BATCH, sample_weight=weights, batch_size=4, shuffle=False, verbose=0)
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)


NEW_USER = """
    import sys
    sys.modules["ctc_tutorial"] = None
    import losses  # the user's own, which has nothing to do with ours
    import keras, numpy as np
    import ctc.batches, ctc.encoders, ctc.layers

    rng = np.random.default_rng(0)
    images = [rng.random((w, 12)).astype("float32") for w in (60, 44, 52, 60)]
    text, place = [[1, 2, 3], [4], [5, 5], [0, 1]], [[], [2], [], [1]]
    batch = ctc.batches.pad_batch(images, text, place_labels=place, sample_weight=[1, 0.5, 1, 0.5])
    features = keras.Input((None, 12), name="features")
    width = keras.Input((), dtype="int32", name="feature_length")
    labels = keras.Input((None,), dtype="int32", sparse=True, name="labels")
    places = keras.Input((None,), dtype="int32", sparse=True, name="place_labels")
    weight = keras.Input((), name="sample_weight")
    hidden, frames = ctc.encoders.crnn_encoder(features, width, units=8, seed=0)
    heads = []
    for name, ids, classes in (("text", labels, 7), ("place", places, 4)):
        layer = ctc.layers.CTCLossLayer(name=name)
        assert layer.loss_fn.__module__ == "ctc.losses"
        logits = keras.layers.Dense(classes)(hidden)
        heads.append(layer(logits, ids, frames, sample_weight=weight))
    model = keras.Model([features, width, labels, places, weight], heads)
    model.compile("adam")
    log = model.fit(batch, epochs=2, verbose=0).history
    print(sorted(log))
    assert all(np.isfinite(values).all() for values in log.values())
    model.save("model.keras")
    keras.saving.load_model("model.keras")
"""


def test_a_new_users_program_runs_without_workarounds(tmp_path):
    """Two heads on a CRNN, one often empty, weights, and a losses.py of the user's own."""
    (tmp_path / "losses.py").write_text("def focal(): ...\n")
    (tmp_path / "ctc").mkdir()
    for name in ("batches", "encoders", "layers", "losses", "metrics", "recurrent"):
        (tmp_path / "ctc" / f"{name}.py").write_text((PACKAGE / f"{name}.py").read_text("utf-8"))
    program = [sys.executable, "-c", textwrap.dedent(NEW_USER)]
    run = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    names = "'loss', 'place_ler', 'place_loss', 'text_ler', 'text_loss'"
    assert names in run.stdout


def test_alone_the_layer_ignores_what_lies_beside_it(tmp_path):
    (tmp_path / "losses.py").write_text("def ctc_loss(*_): raise RuntimeError('not mine')\n")
    (tmp_path / "layers.py").write_text((PACKAGE / "layers.py").read_text("utf-8"))
    program = "import layers; assert layers.CTCLossLayer().loss_fn is layers.sparse_op_loss"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)


def test_a_model_saved_with_a_loss_that_is_not_there_says_so(tmp_path):
    layer_model().save(tmp_path / "model.keras")  # with ctc_loss, which layers.py alone is without
    (tmp_path / "layers.py").write_text((PACKAGE / "layers.py").read_text("utf-8"))
    program = "import keras, layers; keras.saving.load_model('model.keras')"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert "was saved with the loss ctc_loss: import the file that it stands in" in run.stderr


def test_the_table_of_what_works_names_tests_that_are_here():
    table = (PACKAGE.parent / "docs" / "what_works.md").read_text("utf-8")
    named = set(re.findall(r"`(test_\w+)`", table))
    here = {name for name in globals() if name.startswith("test_") and "table" not in name}
    elsewhere = "".join(f.read_text("utf-8") for f in Path(__file__).parent.glob("test_*.py"))
    assert here <= named and all(f"def {name}(" in elsewhere for name in named)
