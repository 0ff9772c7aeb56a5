"""The two models in Keras's own hands: fit, evaluate, predict, save, load."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.batches import pad_batch, sparse_labels
from ctc_tutorial.bucketing import bucketed_dataset
from ctc_tutorial.datasets import repeat_batch
from ctc_tutorial.decoding import greedy_decode
from ctc_tutorial.encoders import audio_encoder, lstm_encoder
from ctc_tutorial.layers import CTCLossLayer
from ctc_tutorial.models import CTCModel, build_models

pytestmark = pytest.mark.slow  # XLA compiles much here

RNG = np.random.default_rng(0)
F, C = 4, 6
SEQUENCES = [RNG.normal(size=(t, F)).astype(np.float32) for t in (20, 9, 14, 30, 11)]
LABELS = [[0, 1, 1, 4], [2], [4, 0, 0], [3, 2, 1, 0, 0, 1], [2, 3]]
INPUTS, TO_PREDICT = pad_batch(SEQUENCES, LABELS), pad_batch(SEQUENCES)
X, LENGTHS = TO_PREDICT.values()


def lstm_models(num_features=F, num_classes=C, **options):
    return build_models(lstm_encoder, num_features, num_classes, **options)


def alone(predict_model, x):
    return predict_model({"features": x[None], "feature_length": np.array([len(x)])})["logits"]


def reference_loss(predict_model, sequences=SEQUENCES, labels=LABELS) -> float:
    """Mean over utterances, each alone and unpadded, by TensorFlow's dense op."""
    losses = []
    for x, ids in zip(sequences, labels, strict=True):
        logits = alone(predict_model, x)
        losses.append(tf.nn.ctc_loss([ids], logits, [len(ids)], [len(x)], False, None, C - 1)[0])
    return float(np.mean(losses))


@pytest.mark.slow
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padded_batch_equals_single_utterances(bidirectional):
    train_model, predict_model = lstm_models(bidirectional=bidirectional, seed=0)
    train_model.compile("sgd")
    result = train_model.evaluate(INPUTS, batch_size=5, return_dict=True, verbose=0)
    assert result["loss"] == pytest.approx(reference_loss(predict_model), rel=1e-5)
    padded = predict_model.predict(TO_PREDICT, verbose=0)["logits"]
    for row, x in zip(padded, SEQUENCES, strict=True):
        np.testing.assert_allclose(row[: len(x)], alone(predict_model, x)[0], atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_of_a_padded_batch(bidirectional):
    train_model, predict_model = lstm_models(bidirectional=bidirectional, seed=0)
    with tf.GradientTape() as tape:
        train_model(next(iter(repeat_batch(INPUTS))))  # as tensors, all of them
        (loss,) = train_model.losses
    gradients = tape.gradient(loss, train_model.trainable_variables)
    with tf.GradientTape() as tape:
        losses = [
            tf.nn.ctc_loss([ids], alone(predict_model, x), [len(ids)], [len(x)], False, None, C - 1)
            for x, ids in zip(SEQUENCES, LABELS, strict=True)
        ]
        expected_loss = tf.reduce_mean(tf.concat(losses, 0))
    expected = tape.gradient(expected_loss, predict_model.trainable_variables)
    assert len(gradients) == (8 if bidirectional else 5)
    for ours, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.slow
def test_four_label_routes_give_one_loss(pair):
    """Sparse, ragged, dense with lengths, and each utterance alone: all within 1e-4."""
    features, labels = zip(*pair, strict=True)
    train_model, predict_model = lstm_models(13, 28, seed=1)
    train_model.compile("sgd")
    inputs = pad_batch(features, labels)
    sparse, lengths = inputs["labels"], inputs["feature_length"]
    logits, layer = predict_model(pad_batch(features))["logits"], CTCLossLayer()
    dense, label_length = tf.sparse.to_dense(sparse), np.array([len(ids) for ids in labels])
    routes = [train_model.evaluate(inputs, verbose=0)[0]]
    for arguments in ((tf.RaggedTensor.from_sparse(sparse),), (dense, label_length)):
        layer(logits, arguments[0], lengths, *arguments[1:])
        routes += layer.losses
    expected = np.mean(
        [
            tf.nn.ctc_loss([i], alone(predict_model, f), [len(i)], [len(f)], False, blank_index=27)
            for f, i in pair
        ]
    )
    np.testing.assert_allclose(routes, expected, rtol=1e-4)


@pytest.mark.slow
def test_ways_to_feed_and_metrics_per_epoch():
    train_model, _ = lstm_models(units=8, seed=0)
    train_model.compile("sgd")
    whole = train_model.evaluate(INPUTS, verbose=0, batch_size=5)
    # Partial batches weigh each utterance the same, in the loss and in ler.
    partial = train_model.evaluate(INPUTS, verbose=0, batch_size=2)
    np.testing.assert_allclose(partial, whole, rtol=1e-5)
    bucketed = bucketed_dataset(SEQUENCES, LABELS, 2)
    for dataset in (tf.data.Dataset.from_tensor_slices(INPUTS).batch(2), bucketed):
        np.testing.assert_allclose(train_model.evaluate(dataset, verbose=0), whole, rtol=1e-5)


def test_a_dataset_of_bare_dicts_or_of_one_tuples_but_not_of_bare_tuples():
    train_model, predict_model = lstm_models(seed=0)
    train_model.compile("sgd")
    expected = reference_loss(predict_model)
    for element in (INPUTS, (INPUTS,)):
        data = tf.data.Dataset.from_tensors(element)
        result = train_model.evaluate(data, return_dict=True, verbose=0)
        assert result["loss"] == pytest.approx(expected, rel=1e-5)
    as_x_and_y = tf.data.Dataset.from_tensors((INPUTS, np.zeros(5)))  # two: Keras takes y from it
    with pytest.raises(ValueError, match="make them inputs"):
        train_model.evaluate(as_x_and_y, verbose=0)


def test_a_py_dataset_takes_sparse_labels():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return (INPUTS,)

    train_model, predict_model = lstm_models(seed=0)
    train_model.compile("sgd")
    result = train_model.evaluate(Batches(), return_dict=True, verbose=0)
    assert result["loss"] == pytest.approx(reference_loss(predict_model), rel=1e-5)


def test_a_subclassed_model_is_never_compiled_by_xla():
    """There the layer can't know its labels before its first call, so it says no from the start."""

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.ctc = keras.layers.Dense(C), CTCLossLayer()

        def call(self, inputs):
            x, labels, frames, count = inputs
            return self.ctc(self.dense(x), labels, frames, count)

    count = np.array([len(ids) for ids in LABELS], np.int32)
    dense = keras.utils.pad_sequences(LABELS, padding="post")
    inputs = X, dense.astype(np.int32), LENGTHS.astype(np.int32), count
    losses = {}
    for jit_compile in ("auto", True):
        keras.utils.set_random_seed(0)
        model = Own()
        model.compile("sgd", jit_compile=jit_compile)
        assert model.jit_compile is False
        losses[jit_compile] = model.fit(x=inputs, batch_size=5, verbose=0).history["loss"]
    assert losses["auto"] == pytest.approx(losses[True], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("encoder_fn", [lstm_encoder, audio_encoder])
def test_predicting_a_bucketed_dataset_is_predicting_one_by_one(encoder_fn):
    """Its batches differ in length, and Keras joins their logits to a ragged tensor."""
    _, predict_model = build_models(encoder_fn, F, C, seed=0)
    outputs = predict_model.predict(bucketed_dataset(SEQUENCES, batch_size=2, shuffle=False))
    alone = [predict_model.predict(pad_batch([x]), verbose=0) for x in SEQUENCES]
    for found, one in zip(greedy_decode(**outputs), alone, strict=True):
        np.testing.assert_array_equal(found, greedy_decode(**one)[0])


@pytest.mark.slow
def test_fit_reports_ler_of_each_epoch_and_of_validation():
    train_model, predict_model = lstm_models(units=8, seed=0)
    train_model.compile(keras.optimizers.SGD(0.0))
    arguments = {"epochs": 2, "batch_size": 5, "verbose": 0}
    history = train_model.fit(INPUTS, None, validation_data=(INPUTS, None), **arguments).history
    (decoded,), _ = tf.nn.ctc_greedy_decoder(
        tf.transpose(predict_model(TO_PREDICT)["logits"], [1, 0, 2]), LENGTHS, merge_repeated=True
    )
    distances = tf.edit_distance(decoded, tf.cast(INPUTS["labels"], tf.int64))
    assert set(history) == {"loss", "ler", "val_loss", "val_ler"}
    np.testing.assert_allclose(history["ler"], [np.mean(distances)] * 2, rtol=1e-6)
    np.testing.assert_allclose(history["val_ler"], history["ler"], rtol=1e-6)
    np.testing.assert_allclose(history["val_loss"], history["loss"], rtol=1e-6)


@pytest.mark.slow
def test_skipped_are_counted_per_epoch():
    layer = CTCLossLayer(infeasible="skip")
    train_model, predict_model = lstm_models(units=8, loss_layer=layer, seed=0)
    train_model.compile(keras.optimizers.SGD(0.0))
    inputs = {**INPUTS, "labels": sparse_labels([LABELS[0], [1] * 9, *LABELS[2:]])}
    history = train_model.fit(inputs, epochs=2, batch_size=5, verbose=0).history
    assert history["skipped"] == [1, 1]
    sequences, labels = ([x[0], *x[2:]] for x in (SEQUENCES, LABELS))
    expected = reference_loss(predict_model, sequences, labels)
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.training
def test_train_on_batch_learns_and_the_weights_are_shared(training_seed):
    train_model, predict_model = lstm_models(seed=training_seed)
    train_model.compile(keras.optimizers.Adam(0.02))
    before = predict_model.predict(TO_PREDICT, verbose=0)["logits"]
    untrained = reference_loss(predict_model)
    for _ in range(60):
        train_model.train_on_batch(INPUTS)
    assert reference_loss(predict_model) < 0.2 * untrained
    assert np.abs(predict_model.predict(TO_PREDICT, verbose=0)["logits"] - before).max() > 0.1
    assert reference_loss(predict_model) == pytest.approx(
        train_model.evaluate(INPUTS, verbose=0, batch_size=5)[0], rel=1e-5
    )


@pytest.mark.parametrize("result", [lambda x, n: x, lambda x, n: (x, n, n)])
def test_an_encoder_that_returns_something_else_is_told(result):
    with pytest.raises(ValueError, match="must return \\(hidden, lengths\\), not"):
        build_models(lambda x, n, seed: result(x, n), F, C)


def test_seed_fixes_the_weights():
    first, again = (lstm_models(seed=7)[1].get_weights() for _ in range(2))
    other, fresh = lstm_models(seed=8)[1].get_weights(), lstm_models()[1].get_weights()
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(first[0] - other[0]).max() > 0 and np.abs(first[0] - fresh[0]).max() > 0


@pytest.mark.slow
def test_save_and_load_both_models(tmp_path):
    train_model, predict_model = lstm_models(units=8, seed=0)
    train_model.compile(keras.optimizers.SGD(0.05, momentum=0.9))
    train_model.train_on_batch(INPUTS)
    train_model.save(tmp_path / "train.keras")
    predict_model.save(tmp_path / "predict.keras")
    loaded = keras.saving.load_model(tmp_path / "train.keras")
    train_model.reset_metrics()  # Keras 3.12 returns means over all calls
    # The momentum is saved too: both go on to the same weights.
    again, expected = (model.train_on_batch(INPUTS) for model in (loaded, train_model))
    np.testing.assert_allclose(again, expected, rtol=1e-6)
    for a, b in zip(loaded.get_weights(), train_model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    # In a fresh process, which has never heard of the package, with one utterance.
    np.savez(tmp_path / "x.npz", **pad_batch(SEQUENCES[:1]))
    expected = keras.saving.load_model(tmp_path / "predict.keras")(pad_batch(SEQUENCES[:1]))
    code = (
        "import keras, numpy as np; m = keras.saving.load_model('predict.keras');"
        "np.save('y.npy', m.predict(dict(np.load('x.npz')), verbose=0)['logits'])"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected["logits"], atol=1e-6)


@pytest.mark.training
def test_mixed_precision_trains(training_seed):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        train_model, _ = lstm_models(seed=training_seed)
    finally:
        keras.config.set_dtype_policy("float32")
    train_model.compile(keras.optimizers.Adam(0.02))
    losses = [train_model.train_on_batch(INPUTS)[0] for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("way", ["fit", "evaluate", "train_on_batch", "dataset"])
def test_weights_that_a_loss_layer_would_not_see_are_refused(way):
    train_model, _ = lstm_models(units=4)
    train_model.compile("sgd")
    weights = np.ones(len(SEQUENCES))
    calls = {
        "fit": lambda: train_model.fit(INPUTS, sample_weight=weights, verbose=0),
        "evaluate": lambda: train_model.evaluate(INPUTS, sample_weight=weights, verbose=0),
        "train_on_batch": lambda: train_model.train_on_batch(INPUTS, sample_weight=weights),
        "dataset": lambda: train_model.fit(repeat_batch((INPUTS, weights)).take(1), verbose=0),
    }
    with pytest.raises(ValueError, match="y and sample_weight do not reach a loss"):
        calls[way]()


def test_y_as_a_dict_is_refused_in_a_sentence():
    _, predict_model = build_models(lstm_encoder, F, C, seed=0)
    model = CTCModel(predict_model.input, predict_model.output)
    model.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match="y must be \\(labels, logit_length\\)"):
        model.train_on_batch(TO_PREDICT, {"labels": np.zeros((5, 2)), "label_length": np.ones(5)})


@pytest.mark.parametrize("encoder_fn", [lstm_encoder, audio_encoder])
def test_one_model_in_place_of_two(encoder_fn, tmp_path):
    """y = labels where the outputs say how long they are: the same loss, validated and saved."""
    if tuple(map(int, keras.__version__.split(".")[:2])) < (3, 12):
        pytest.skip("CTCModel needs Keras 3.12 or newer")
    train_model, predict_model = build_models(encoder_fn, F, C, seed=0)
    model = CTCModel(predict_model.input, predict_model.output, loss_layer=CTCLossLayer("skip"))
    model.compile(keras.optimizers.SGD(0.0))
    labels = [ids if len(ids) < 3 else ids[:2] for ids in LABELS]  # short enough for the strides
    y = sparse_labels(labels)
    log = model.fit(TO_PREDICT, y, validation_data=(TO_PREDICT, y), batch_size=5, verbose=0).history
    train_model.compile(keras.optimizers.SGD(0.0))
    log_of_two = train_model.evaluate(
        {**INPUTS, "labels": y}, batch_size=5, return_dict=True, verbose=0
    )
    assert set(log) == {"loss", "ler", "skipped", "val_loss", "val_ler", "val_skipped"}
    for name, value in log_of_two.items():
        assert log[f"val_{name}"][0] == pytest.approx(value, rel=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.loss_layer.infeasible == "skip"
    assert [m.name for m in again.metrics] == [m.name for m in model.metrics]
    for name, x in again.predict(TO_PREDICT, verbose=0).items():
        np.testing.assert_allclose(x, predict_model.predict(TO_PREDICT, verbose=0)[name], atol=1e-6)


def test_class_weights_are_refused():
    x = keras.Input((None, 3))
    train_model, _ = build_models(lstm_encoder, num_features=3, num_classes=5, units=2)
    for model in (CTCModel(x, keras.layers.Dense(4)(x)), train_model):
        model.compile("sgd")
        with pytest.raises(ValueError, match="class_weight has no meaning for CTC"):
            model.fit(np.zeros((1, 4, 3)), class_weight={0: 2.0})


def difference(y_true, y_pred):
    return y_true - y_pred


@pytest.mark.parametrize(
    "metric", ["accuracy", "mae", keras.metrics.MeanSquaredError(), difference]
)
def test_a_metric_in_compile_that_needs_y_is_refused_in_a_sentence(metric):
    train_model, _ = lstm_models(seed=0)
    train_model.compile("adam", metrics=[metric])
    for call in (train_model.fit, train_model.evaluate):
        with pytest.raises(ValueError, match=r"gets no y here .*None.*: leave it out"):
            call(INPUTS, verbose=0)


def test_a_metric_of_the_output_alone_stays():
    def largest(y_true, y_pred):
        return keras.ops.max(y_pred)

    train_model, predict_model = lstm_models(seed=0)
    train_model.compile("adam", metrics=[largest])
    logits = predict_model.predict(TO_PREDICT, verbose=0)["logits"]
    result = train_model.evaluate(INPUTS, verbose=0, return_dict=True)
    np.testing.assert_allclose(result["largest"], logits.max(), rtol=1e-5)


def test_a_loss_in_compile_is_refused_in_a_sentence():
    train_model, predict_model = lstm_models(seed=0)
    model = CTCModel(predict_model.input, predict_model.output)
    pairs = (train_model, (INPUTS,)), (model, (TO_PREDICT, INPUTS["labels"]))
    for refusing, data in pairs:
        refusing.compile("adam", "mse")
        with pytest.raises(ValueError, match="leave loss out of compile"):
            refusing.fit(*data, verbose=0)
