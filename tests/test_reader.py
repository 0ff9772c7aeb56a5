"""A saved model that knows its alphabet, and what the best path says."""

import itertools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from ctc_tutorial import (
    audio_encoder,
    build_models,
    characters_and_rate,
    greedy_decode,
    lstm_encoder,
    pad_batch,
    read_best_path,
    reading_model,
)

CHARACTERS = " 'abéह"
ALONE = """
import sys
sys.modules["ctc_tutorial"] = None  # any import of it fails
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
assert int(model.get_layer("sample_rate").offset) == 11025
assert "".join(model.get_layer("alphabet").get_vocabulary()[:-1]) == " 'abéह"
batch = {"features": np.load(sys.argv[2]), "feature_length": np.array([40, 23])}
np.savez(sys.argv[3], **model.predict(batch, verbose=0))
"""


@pytest.mark.parametrize("encoder", [audio_encoder, lstm_encoder])
def test_another_process_without_this_package_reads_the_same(encoder, tmp_path):
    _, predict_model = build_models(encoder, 13, len(CHARACTERS) + 1, seed=0)
    features = np.random.default_rng(0).normal(size=(2, 40, 13)).astype(np.float32)
    features[1, 23:] = 0
    model = reading_model(predict_model, CHARACTERS, 11025)
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", features)
    (tmp_path / "alone.py").write_text(ALONE, encoding="utf-8")
    job = subprocess.run(
        [sys.executable, "-I", "alone.py", "m.keras", "x.npy", "y.npz"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )
    assert job.returncode == 0, job.stderr
    expected = predict_model.predict(pad_batch([features[0], features[1, :23]]), verbose=0)
    found = np.load(tmp_path / "y.npz", allow_pickle=True)
    np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-5)
    names = [*CHARACTERS, "<blank>"]
    for row, ids in zip(found["best_path"], expected["logits"].argmax(axis=-1), strict=True):
        assert [c.decode() for c in row] == [names[i] for i in ids]


def test_characters_must_be_those_of_the_model():
    _, predict_model = build_models(lstm_encoder, 13, 4, seed=0)
    with pytest.raises(ValueError, match="4 characters for a model of 4 classes"):
        reading_model(predict_model, "abcd", 8000)


def test_the_alphabet_comes_back_in_its_order():
    _, predict_model = build_models(lstm_encoder, 13, 5, seed=0)
    assert characters_and_rate(reading_model(predict_model, "dbca", 16000)) == ("dbca", 16000)


@pytest.mark.parametrize("seed", range(30))
def test_the_text_is_that_of_greedy_decoding_and_each_word_has_its_frames(seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rng.integers(1, 40), 4)) * 5
    reading = read_best_path(logits, "ab ", frame_seconds=1.0)
    text = "".join("ab "[i] for i in greedy_decode(logits[None], [len(logits)])[0])
    assert reading.text == " ".join(text.split())
    assert " ".join(word for word, _, _ in reading.words) == reading.text
    edges = [edge for _, start, end in reading.words for edge in (start, end)]
    assert all(a <= b for a, b in itertools.pairwise(edges)) and edges == sorted(edges)
    path = logits.argmax(axis=1)
    for word, start, end in reading.words:
        assert "ab -"[path[int(start)]] == word[0] and "ab -"[path[int(end) - 1]] == word[-1]


def test_the_confidence_is_the_mean_probability_of_a_character():
    logits = np.log([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.3, 0.6, 0.1]])  # a, blank, b
    reading = read_best_path(logits, "ab", 0.01)
    assert reading.text == "ab"
    assert reading.confidence == pytest.approx((0.8 * 0.8 * 0.6) ** (1 / 2))
    # A text without a character: the probability of its path.
    assert read_best_path(logits[1:2], "ab", 0.01).confidence == pytest.approx(0.8)


def test_logits_of_another_alphabet_are_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 5\), not \[T', 3\]"):
        read_best_path(np.zeros((3, 5)), "ab", 0.01)


def test_a_model_of_another_make_is_refused():
    x = keras.Input((3,))
    with pytest.raises(ValueError, match="holds no alphabet"):
        characters_and_rate(keras.Model(x, keras.layers.Dense(2)(x)))


def test_nan_is_no_reading():
    with pytest.raises(ValueError, match="hold NaN"):
        read_best_path(np.full((3, 3), np.nan), "ab", 0.01)


def test_mixed_precision_does_not_round_the_sample_rate():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        features, length = keras.Input((None, 3)), keras.Input((), dtype="int32")
        outputs = {"logits": keras.layers.Dense(3)(features), "logit_length": length}
        model = reading_model(keras.Model([features, length], outputs), "ab", 22050)
    finally:
        keras.config.set_dtype_policy("float32")
    found = model([np.zeros((2, 4, 3), np.float32), np.array([4, 2])])["sample_rate"]
    assert np.array(found).tolist() == [22050, 22050]
