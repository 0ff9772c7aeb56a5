"""Exported files against Keras: each is run by its own runtime, in a process without TensorFlow."""

import importlib.util
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial import (
    LSTM,
    Alphabet,
    CTCLossLayer,
    audio_encoder,
    build_models,
    crnn_encoder,
    export_model,
    greedy_decode,
    image_encoder,
    lstm_encoder,
    streaming_model,
    text_model,
)

CHARACTERS = " abcdefgé中😀"  # one, two, three and four bytes in UTF-8
LENGTHS = (57, 16, 90)
BIDIRECTIONAL = {"bidirectional": True}
ENCODERS = [(lstm_encoder, {}), (lstm_encoder, BIDIRECTIONAL), (audio_encoder, {})]
IMAGE_ENCODERS = [(image_encoder, {}), (crnn_encoder, {})]

# One file, many inputs, no state but what the inputs hold.
RUN = """
import json, sys
import numpy as np

path, inputs, outputs, chunk = sys.argv[1:]
if path.endswith(".tflite"):
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(path)
    operations = {op["op_name"] for op in interpreter._get_ops_details()}
    assert not any(name.startswith("Flex") or name == "CUSTOM" for name in operations), operations
    signature = interpreter.get_signature_runner()
    run = lambda feeds: signature(**feeds)
    width = {n: d["shape"] for n, d in signature.get_input_details().items()}
else:
    import onnxruntime
    session = onnxruntime.InferenceSession(path)
    names = [o.name for o in session.get_outputs()]
    run = lambda feeds: dict(zip(names, session.run(None, feeds)))
    width = {i.name: i.shape for i in session.get_inputs()}
texts, logits = [], []
for x in np.load(inputs).values():
    if int(chunk):
        state, parts = np.zeros((1, width["state"][1]), np.float32), []
        for start in range(0, x.shape[1], int(chunk)):
            parts.append(run({"features": x[:, start : start + int(chunk)], "state": state}))
            state = parts[-1]["next_state"]
        found = {k: np.concatenate([p[k] for p in parts], 1) for k in ("logits", "code_points")}
    else:
        lengths = np.full(len(x), x.shape[1], np.int32)
        found = run({"features": x, "feature_length": lengths})
    logits.append(found["logits"])
    texts.append(["".join(map(chr, row[row > 0])) for row in found["code_points"]])
np.savez(outputs, *logits)
assert not {"tensorflow", "keras", "ctc_tutorial"} & set(sys.modules)
print(json.dumps(texts))
"""


def needs(ending):
    modules = {".tflite": ["ai_edge_litert"], ".onnx": ["tf2onnx", "onnx", "onnxruntime"]}[ending]
    for name in modules:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed (the extra `ship`)")


def make_model(encoder_fn, features=13, **options):
    """An untrained model that says many different characters: no class is ahead on average."""
    shape = {"num_features": features, "num_classes": len(CHARACTERS) + 1}
    _, predict_model = build_models(encoder_fn, **shape, seed=0, **options)
    predict_model.set_weights([w * 2 for w in predict_model.get_weights()])
    x = make_features(features)[0]
    outputs = predict_model({"features": x, "feature_length": np.array([x.shape[1]])})
    kernel, bias = predict_model.get_layer("logits").get_weights()
    bias -= np.mean(outputs["logits"], axis=(0, 1))
    predict_model.get_layer("logits").set_weights([kernel, bias])
    return predict_model


def make_features(features=13, batch=1):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(batch, n, features)).astype("float32") * 3 for n in LENGTHS]


def expected(predict_model, utterances):
    """Texts and logits by Keras and by decoding.py, which knows nothing of export.py."""
    texts, logits = [], []
    for x in utterances:
        inputs = {"features": x, "feature_length": np.full(len(x), x.shape[1], np.int32)}
        outputs = predict_model.predict(inputs, verbose=0)
        texts.append([Alphabet(CHARACTERS).decode(ids) for ids in greedy_decode(**outputs)])
        logits.append(outputs["logits"])
    assert len({c for row in texts for t in row for c in t}) > 2, "too quiet for a test"
    return texts, logits


def run_alone(path, utterances, chunk=0):
    folder = path.parent
    (folder / "run.py").write_text(RUN, encoding="utf-8")
    np.savez(folder / "in.npz", *utterances)
    job = subprocess.run(
        [sys.executable, "-I", "run.py", path.name, "in.npz", "out.npz", str(chunk)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert job.returncode == 0, job.stderr
    return json.loads(job.stdout), list(np.load(folder / "out.npz").values())


def assert_same(found, wanted):
    assert found[0] == wanted[0]
    for ours, theirs in zip(found[1], wanted[1], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".tflite", ".onnx"])
@pytest.mark.parametrize(("encoder_fn", "options"), ENCODERS + IMAGE_ENCODERS)
def test_a_file_without_tensorflow_gives_the_text_of_keras(encoder_fn, options, ending, tmp_path):
    needs(ending)
    width = 16 if (encoder_fn, options) in IMAGE_ENCODERS else 13
    predict_model, utterances = make_model(encoder_fn, width, **options), make_features(width)
    export_model(text_model(predict_model, CHARACTERS), tmp_path / f"m{ending}")
    assert_same(run_alone(tmp_path / f"m{ending}", utterances), expected(predict_model, utterances))


def test_onnx_takes_any_batch(tmp_path):
    needs(".onnx")
    predict_model, utterances = make_model(lstm_encoder), make_features(batch=3)
    export_model(text_model(predict_model, CHARACTERS), tmp_path / "m.onnx")
    assert_same(run_alone(tmp_path / "m.onnx", utterances), expected(predict_model, utterances))


@pytest.mark.parametrize(("encoder_fn", "options"), ENCODERS)
def test_a_saved_model_gives_strings(encoder_fn, options, tmp_path):
    predict_model, utterances = make_model(encoder_fn, **options), make_features(batch=2)
    export_model(text_model(predict_model, CHARACTERS), tmp_path / "m")
    serve = tf.saved_model.load(tmp_path / "m").signatures["serving_default"]
    texts, _ = expected(predict_model, utterances)
    for x, wanted in zip(utterances, texts, strict=True):
        lengths = tf.constant([x.shape[1]] * len(x), tf.int32)
        outputs = serve(features=tf.constant(x), feature_length=lengths)
        assert [t.decode() for t in outputs["text"].numpy()] == wanted


def test_padding_says_nothing():
    predict_model = make_model(lstm_encoder)
    x = make_features(batch=2)[0]
    inputs = {"features": x, "feature_length": np.array([57, 20], np.int32)}
    outputs = text_model(predict_model, CHARACTERS).predict(inputs, verbose=0)
    wanted = greedy_decode(outputs["logits"], [57, 20])
    for row, ids in zip(outputs["code_points"], wanted, strict=True):
        assert "".join(map(chr, row[row > 0])) == Alphabet(CHARACTERS).decode(ids)
    assert not outputs["code_points"][1, 20:].any()


def test_equal_logits_are_decoded_as_by_numpy():
    silent = make_model(lstm_encoder)
    silent.set_weights([w * 0 for w in silent.get_weights()])
    inputs = {"features": np.zeros((1, 5, 13), "float32"), "feature_length": np.array([5])}
    outputs = text_model(silent, CHARACTERS)(inputs)
    assert outputs["code_points"].numpy().tolist() == [[ord(" "), 0, 0, 0, 0]]


ALONE = """
import sys
sys.modules["ctc_tutorial"] = None  # importing it fails
import keras, numpy as np
x = np.load("x.npy")
inputs = {"features": x, "feature_length": np.array([x.shape[1]])}
row = keras.saving.load_model("m.keras").predict(inputs, verbose=0)["code_points"][0]
print(ascii("".join(map(chr, row[row > 0]))))
"""


@pytest.mark.slow
def test_a_saved_model_of_keras_loads_without_this_package(tmp_path):
    predict_model, x = make_model(lstm_encoder, **BIDIRECTIONAL), make_features()[0]
    text_model(predict_model, CHARACTERS).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", x)
    command = [sys.executable, "-I", "-c", ALONE]
    job = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert job.returncode == 0, job.stderr
    assert job.stdout.strip() == ascii(expected(predict_model, [x])[0][0][0])


def stacked_encoder(features, lengths, seed=None):
    """Two LSTMs of different sizes, with layers between."""
    x = keras.layers.LSTM(12, return_sequences=True)(features)
    x = keras.layers.LayerNormalization()(keras.layers.Dropout(0.5)(x))
    return keras.layers.LSTM(20, return_sequences=True)(x), lengths


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("encoder_fn", [lstm_encoder, stacked_encoder])
def test_a_stream_gives_the_same_text_whatever_the_chunk(encoder_fn, chunk):
    predict_model, utterances = make_model(encoder_fn), make_features(batch=2)
    stream = streaming_model(predict_model, CHARACTERS)
    wanted, logits = expected(predict_model, utterances)
    for x, texts, whole in zip(utterances, wanted, logits, strict=True):
        state = np.zeros((2, stream.input["state"].shape[1]), "float32")
        found, parts = ["", ""], []
        for start in range(0, x.shape[1], chunk):
            outputs = stream.predict_on_batch(
                {"features": x[:, start : start + chunk], "state": state}
            )
            state = outputs["next_state"]
            parts.append(outputs["logits"])
            for i, row in enumerate(outputs["code_points"]):
                found[i] += "".join(map(chr, row[row > 0]))
        assert found == texts
        np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=1e-4)


@pytest.mark.parametrize("ending", [".tflite", ".onnx"])
def test_an_exported_stream_without_tensorflow_gives_the_same_text(ending, tmp_path):
    needs(ending)
    predict_model, utterances = make_model(stacked_encoder), make_features()
    export_model(streaming_model(predict_model, CHARACTERS), tmp_path / f"m{ending}")
    wanted = expected(predict_model, utterances)
    for chunk in (1, 10, 1000):
        assert_same(run_alone(tmp_path / f"m{ending}", utterances, chunk), wanted)


@pytest.mark.parametrize(("encoder_fn", "options"), ENCODERS[1:])
def test_what_looks_ahead_cannot_be_streamed(encoder_fn, options):
    with pytest.raises(ValueError, match="may need frames of other chunks"):
        streaming_model(make_model(encoder_fn, **options), CHARACTERS)


def test_two_heads_are_no_chain():
    features = keras.Input((None, 3), name="features")
    length = keras.Input((), dtype="int32", name="feature_length")
    hidden = keras.layers.LSTM(4, return_sequences=True)(features)
    outputs = {"other": keras.layers.Dense(2)(hidden), "logits": keras.layers.Dense(3)(hidden)}
    model = keras.Model([features, length], {**outputs, "logit_length": length})
    with pytest.raises(ValueError, match="no chain"):
        streaming_model(model, "ab")


@pytest.mark.parametrize("make", [text_model, streaming_model])
def test_characters_must_be_those_of_the_model(make):
    with pytest.raises(ValueError, match="2 characters for a model of 12 classes"):
        make(make_model(lstm_encoder), "ab")


def test_only_what_reads_is_exported(tmp_path):
    predict_model = make_model(lstm_encoder)
    with pytest.raises(ValueError, match="code_points"):
        export_model(predict_model, tmp_path / "m")
    with pytest.raises(ValueError, match=r"m\.pb: end it in"):
        export_model(text_model(predict_model, CHARACTERS), tmp_path / "m.pb")


def test_the_model_that_was_given_stays_as_it_was():
    predict_model = make_model(lstm_encoder)
    before = [w.copy() for w in predict_model.get_weights()]
    copied = text_model(predict_model, CHARACTERS)
    copied.set_weights([w * 0 for w in copied.get_weights()])
    for ours, theirs in zip(before, predict_model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not any(isinstance(layer, CTCLossLayer) for layer in copied.layers)


def normalized_model(normalization):
    """No LSTM: each frame alone."""
    features = keras.Input((None, 3), name="features")
    length = keras.Input((), dtype="int32", name="feature_length")
    logits = keras.layers.Dense(3)(normalization(features))
    return keras.Model([features, length], {"logits": logits, "logit_length": length})


@pytest.mark.parametrize("make", [text_model, streaming_model])
def test_statistics_of_the_training_set_are_copied(make):
    x = np.random.default_rng(0).normal(5, 3, (4, 6, 3)).astype("float32")
    adapted = keras.layers.Normalization()
    adapted.adapt(x)
    given = keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0])
    for normalization in (adapted, given):
        model = normalized_model(normalization)
        kernel, bias = (np.array(w, "float64") for w in model.layers[-1].get_weights())
        scaled = (x - np.array(normalization.mean)) / np.sqrt(np.array(normalization.variance))
        copied = make(model, "ab")
        feeds = {"features": x, "feature_length": np.full(4, 6), "state": np.zeros((4, 1))}
        names = [i.name for i in tf.nest.flatten(copied.input)]
        found = copied.predict({name: feeds[name] for name in names}, verbose=0)["logits"]
        np.testing.assert_allclose(found, scaled @ kernel + bias, atol=1e-5)


def test_what_onnx_does_not_know_is_an_error(tmp_path):
    needs(".onnx")
    features = keras.Input((None, 3), name="features")
    bits = keras.layers.Lambda(lambda x: tf.bitcast(x, tf.int32), output_shape=(None, 3))
    codes = bits(features)[:, :, 0]
    with pytest.raises(ValueError, match=r"ONNX can't hold this model: .*Bitcast"):
        export_model(keras.Model(features, {"code_points": codes}), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".tflite", ".onnx"])
def test_an_encoder_that_is_a_model_inside(ending, tmp_path):
    needs(ending)
    x = keras.Input((None, 13))
    inside = keras.Model(x, LSTM(7, return_sequences=True)(x), name="inside")
    _, model = build_models(
        lambda features, lengths, seed: (inside(features), lengths), 13, len(CHARACTERS) + 1, seed=0
    )
    utterances = make_features()
    path = tmp_path / f"model{ending}"
    export_model(text_model(model, CHARACTERS), path)
    _, logits = run_alone(path, utterances)
    for x, found in zip(utterances, logits, strict=True):
        inputs = {"features": x, "feature_length": np.array([x.shape[1]])}
        np.testing.assert_allclose(found, model(inputs)["logits"], atol=1e-4)
