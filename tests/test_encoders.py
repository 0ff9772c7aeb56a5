"""Encoders: lengths after striding, and padding that changes nothing."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.encoders import (
    _normalized,
    audio_encoder,
    crnn_encoder,
    image_encoder,
    length_mask,
    lstm_encoder,
    strided_length,
)
from ctc_tutorial.models import build_models

pytestmark = pytest.mark.slow  # XLA compiles much here


def both_ways(features, lengths, seed=None):
    return lstm_encoder(features, lengths, 8, bidirectional=True, seed=seed)


def reducing_more(features, lengths, seed=None):
    return audio_encoder(features, lengths, reduction=8, seed=seed)


def pooled_early(features, lengths, seed=None):
    return crnn_encoder(features, lengths, 8, pools=((2, 2), (2, 2), (1, 2)), seed=seed)


ENCODERS = [
    (image_encoder, 12),
    (crnn_encoder, 12),
    (pooled_early, 16),
    (audio_encoder, 13),
    (reducing_more, 13),
    (both_ways, 13),
]


@pytest.mark.parametrize("encoder_fn", [lstm_encoder, image_encoder, crnn_encoder, audio_encoder])
@pytest.mark.parametrize("shape", [(2, 0, 8), (2, 8), (2, 1, 8)])
def test_too_few_frames_and_other_ranks_are_named(encoder_fn, shape):
    lengths = np.ones(2, np.int32)
    if encoder_fn is lstm_encoder and shape == (2, 1, 8):  # one frame is enough for it
        assert encoder_fn(np.ones(shape), lengths)[0].shape == (2, 1, 50)
        return
    with pytest.raises(ValueError, match=r"frames: at least \d are needed|must be \[B, T, F\]"):
        encoder_fn(np.ones(shape), lengths)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (2, 2), (3, 1), (3, 2), (5, 3), (2, 3)])
def test_strided_length_is_the_length_of_the_real_output(kernel, stride, padding):
    weights = np.ones((kernel, 1, 1), np.float32)
    lengths = np.arange(1, 201)
    predicted = strided_length(lengths, kernel, stride, padding)
    symbolic = strided_length(tf.constant(lengths), kernel, stride, padding)
    np.testing.assert_array_equal(predicted, symbolic)
    for length, frames in zip(lengths, predicted, strict=True):
        x = np.ones((1, length, 1), np.float32)
        of_int = strided_length(int(length), kernel, stride, padding)
        assert of_int == frames and type(of_int) is int
        if padding == "valid" and length < kernel:
            assert frames == 0
            continue
        assert tf.nn.conv1d(x, weights, stride, padding.upper()).shape[1] == frames
        assert tf.nn.max_pool1d(x, kernel, stride, padding.upper()).shape[1] == frames


def test_strided_length_with_dilation_and_with_a_wrong_padding():
    x = keras.layers.Conv1D(1, 3, dilation_rate=4)(np.ones((1, 30, 1), np.float32))
    assert x.shape[1] == strided_length(30, 4 * (3 - 1) + 1, 1, "valid")
    with pytest.raises(ValueError, match="'causal': choose"):
        strided_length(3, 2, 1, "causal")


def test_same_padding_with_a_wide_kernel_depends_on_the_padded_length():
    """The trap that the docstring of strided_length tells of."""
    x = np.random.default_rng(0).normal(size=(1, 10, 1)).astype(np.float32)
    pad = np.pad(x, ((0, 0), (0, 1), (0, 0)))
    for kernel, shifted in ((3, True), (2, False)):
        weights = np.arange(1, kernel + 1, dtype=np.float32).reshape(-1, 1, 1)
        one, other = (tf.nn.conv1d(y, weights, 2, "SAME").numpy()[:, :4] for y in (x, pad))
        assert (not np.allclose(one, other)) is shifted


def test_pools_decide_how_many_frames_are_left_and_there_are_three():
    x, lengths = np.ones((2, 41, 32), np.float32), np.array([41, 30])
    for pools, factor in ((((1, 2), (1, 2), (1, 4)), 1), (((2, 2), (2, 2), (2, 1)), 8)):
        hidden, frames = image_encoder(x, lengths, pools=pools)
        assert hidden.shape == (2, 41 // factor, 128)
        assert np.array(frames).tolist() == [41 // factor, 30 // factor]
    with pytest.raises(ValueError, match="each of the 3 convolutions"):
        crnn_encoder(x, lengths, pools=((2, 2), (2, 2)))
    with pytest.raises(ValueError, match=r"columns of 3 pixels.*below 4"):
        image_encoder(x[:, :, :3], lengths)


@pytest.mark.parametrize(("encoder", "num_features"), ENCODERS)
def test_padding_changes_nothing(encoder, num_features):
    """Neither outputs, in training and after it, nor the statistics that training leaves."""
    rng = np.random.default_rng(1)
    lengths = np.array([37, 24, 8, 13], np.int32)
    x = rng.normal(size=(4, 37, num_features)).astype(np.float32)
    padding = (np.arange(44) >= lengths[:, None])[..., None]
    longer = np.pad(x, ((0, 0), (0, 7), (0, 0)))
    results = []
    for features in (np.where(padding, 0, longer)[:, :37], np.where(padding, 99, longer)):
        _, model = build_models(encoder, num_features, 11, seed=0)
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0  # its pattern depends on the shape
        inputs = {"features": features, "feature_length": lengths}
        passes = [model(inputs, training=training) for training in (False, True, False)]
        frames = passes[0]["logit_length"].numpy()
        rows = [(p["logits"].numpy()[i, :n]) for p in passes for i, n in enumerate(frames)]
        results.append((frames, np.concatenate(rows), model.get_weights()))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    for one, other in zip(results[0][2], results[1][2], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-4)
    first, _, last = np.split(results[0][1], 3)
    if encoder is not both_ways:
        assert not np.allclose(first, last, atol=1e-3)  # training did move the statistics


@pytest.mark.parametrize(("encoder", "num_features"), ENCODERS)
def test_alone_or_in_a_batch_is_the_same(encoder, num_features):
    rng = np.random.default_rng(2)
    lengths = np.array([41, 30, 17, 9], np.int32)
    rows = [rng.normal(size=(n, num_features)).astype(np.float32) for n in lengths]
    batch = np.stack([np.pad(r, ((0, 41 - len(r)), (0, 0))) for r in rows])
    _, model = build_models(encoder, num_features, 11, seed=0)
    together = model({"features": batch, "feature_length": lengths})
    for i, row in enumerate(rows):
        alone = model({"features": row[None], "feature_length": lengths[i : i + 1]})
        frames = int(alone["logit_length"][0])
        assert frames == alone["logits"].shape[1] == int(together["logit_length"][i])
        np.testing.assert_allclose(
            alone["logits"][0], together["logits"][i, :frames], rtol=1e-4, atol=1e-5
        )


def test_the_norm_is_batch_norm_over_the_valid_frames():
    rng = np.random.default_rng(3)
    lengths = np.array([5, 2, 0], np.int32)
    for shape in ((3, 5, 4), (3, 5, 6, 4)):
        inputs = keras.Input(shape[1:]), keras.Input((), dtype="int32")
        model = keras.Model(inputs, _normalized(*inputs))
        (norm,) = [n for n in model.layers if isinstance(n, keras.layers.BatchNormalization)]
        x = rng.normal(1, 2, shape).astype(np.float32)
        y = model([x, lengths], training=True).numpy()
        valid = x[np.arange(5) < lengths[:, None]].reshape(-1, 4).astype(np.float64)
        mean, variance = valid.mean(axis=0), valid.var(axis=0)
        expected = np.maximum((x - mean) / np.sqrt(variance + 1e-3), 0)
        expected[np.arange(5) >= lengths[:, None]] = 0
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(norm.moving_mean, 0.1 * mean, rtol=1e-4)
        np.testing.assert_allclose(norm.moving_variance, 0.9 + 0.1 * variance, rtol=1e-4)


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 2), (3, 5, 4, 2)])
def test_the_length_mask_is_tensorflows_on_symbolic_tensors_too(shape):
    lengths = np.array([5, 0, 3], np.int32)
    expected = tf.sequence_mask(lengths, 5)
    np.testing.assert_array_equal(length_mask(np.ones(shape), lengths), expected)
    inputs = keras.Input((None, *shape[2:])), keras.Input((), dtype="int32")
    model = keras.Model(inputs, length_mask(*inputs))
    np.testing.assert_array_equal(model([np.full(shape, np.nan), lengths]), expected)


@pytest.mark.parametrize("encoder_fn", [encoder_fn for encoder_fn, _ in ENCODERS])
def test_no_two_weights_start_alike(encoder_fn):
    """A bidirectional LSTM whose directions share seeds would: Keras clones them."""
    _, model = build_models(encoder_fn, 13, 28, seed=3)
    matrices = [w for w in model.get_weights() if w.ndim > 1]
    for i, one in enumerate(matrices):
        for other in matrices[:i]:
            assert one.shape != other.shape or np.abs(one - other).max() > 0.01


@pytest.mark.slow
@pytest.mark.training
@pytest.mark.parametrize(("encoder", "num_features"), ENCODERS)
def test_the_models_share_weights_and_learn(encoder, num_features, training_seed):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(4, 40, num_features)).astype(np.float32)
    lengths = np.array([40, 40, 32, 36], np.int32)
    labels = tf.RaggedTensor.from_row_lengths([1, 2, 2, 3, 0, 1, 4], [2, 2, 1, 2]).to_sparse()
    arguments = (encoder, num_features, 6, None, training_seed)
    train, predict = build_models(*arguments)
    same = build_models(*arguments)[1]
    for a, b in zip(predict.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    inputs = {"features": x, "feature_length": lengths}
    data = {**inputs, "labels": tf.cast(labels, tf.int32)}
    train.compile(optimizer=keras.optimizers.Adam(1e-2))
    losses = []
    for _ in range(75):  # of 12 seeds the slowest ends at 0.21
        train.reset_metrics()  # some versions of Keras return means over all calls
        losses.append(float(train.train_on_batch(data, return_dict=True)["loss"]))
    assert losses[-1] < 0.3 * losses[0]
    before = predict.predict_on_batch(inputs)
    out = train.predict_on_batch(data)
    np.testing.assert_allclose(out, before["logits"], rtol=1e-5, atol=1e-5)


FROM_FILES = """
import sys; sys.modules["ctc_tutorial"] = None
import keras, numpy as np
for name in sys.argv[1:]:
    model, data = keras.models.load_model(name + ".keras"), np.load(name + ".npz")
    out = model.predict_on_batch({k: data[k] for k in ("features", "feature_length")})
    for k in out:
        np.testing.assert_allclose(out[k], data[k], rtol=1e-5, atol=1e-5, err_msg=name)
"""


def test_a_fresh_process_without_this_package_reads_with_their_files(tmp_path):
    rng, names = np.random.default_rng(5), []
    for encoder, num_features in ENCODERS:
        model = build_models(encoder, num_features, 6, seed=0)[1]
        x = rng.normal(2, 3, (4, 40, num_features)).astype(np.float32)
        inputs = {"features": x, "feature_length": np.array([40, 40, 32, 36], np.int32)}
        model(inputs, training=True)  # moves the statistics
        names.append(encoder.__name__)
        model.save(tmp_path / f"{names[-1]}.keras")
        np.savez(tmp_path / f"{names[-1]}.npz", **inputs, **model.predict_on_batch(inputs))
    subprocess.run([sys.executable, "-c", FROM_FILES, *names], check=True, cwd=tmp_path)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_strided_length_of_narrow_integers(dtype, padding):
    """3 - 5 is 254 in a byte, and 126 + 4 is -126."""
    lengths = np.array([3, 126], dtype)
    wanted = [strided_length(int(n), 5, 4, padding) for n in lengths]
    found = strided_length(lengths, 5, 4, padding)
    assert found.tolist() == wanted and found.dtype == dtype


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "message"),
    [(9, 3, 0, "stride=0"), (9, 2.5, 1, "kernel=2.5"), (-1, 3, 1, "length"), ([9], 3, 1, "length")],
)
def test_strided_length_of_nonsense_is_refused(length, kernel, stride, message):
    with pytest.raises(ValueError, match=message):
        strided_length(length, kernel, stride, "valid")


def test_length_mask_of_huge_lengths_and_of_none():
    """2**32 + 1 is 1 in an int32."""
    x = np.zeros((2, 3, 1))
    assert np.array(length_mask(x, np.array([2**32 + 1, -1]))).tolist() == [[True] * 3, [False] * 3]
    for lengths in (np.array([2]), np.array([[2, 3]]), np.array([True, True]), ["2", "3"]):
        with pytest.raises(ValueError, match="lengths must be 2 numbers"):
            length_mask(x, lengths)
    with pytest.raises(ValueError, match="x must be"):
        length_mask(np.zeros(2), [2, 3])


def test_the_audio_encoder_keeps_a_fourth_or_an_eighth_of_the_frames():
    features, lengths = np.ones((2, 43, 13), np.float32), np.array([43, 31])
    for reduction, frames in ((4, [10, 7]), (8, [5, 3])):
        hidden, left = audio_encoder(features, lengths, reduction=reduction, seed=0)
        assert hidden.shape == (2, frames[0], 64) and np.array(left).tolist() == frames
    for reduction in (2, 6, 16, None):
        with pytest.raises(ValueError, match="choose 4 or 8"):
            audio_encoder(features, lengths, reduction=reduction)


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize(
    ("encoder", "num_features"), [e for e in ENCODERS if e[0] is not both_ways]
)
def test_the_logarithm_of_nothing_in_the_padding_changes_nothing(encoder, num_features, bad):
    x = np.random.default_rng(0).normal(size=(2, 40, num_features)).astype(np.float32)
    lengths = np.array([40, 24], np.int32)
    x[1, 24:] = 0
    _, model = build_models(encoder, num_features, 11, seed=0)
    expected = model({"features": x, "feature_length": lengths})
    x[1, 24:] = bad
    found = model({"features": x, "feature_length": lengths})
    for i, frames in enumerate(expected["logit_length"].numpy()):
        np.testing.assert_array_equal(expected["logits"][i, :frames], found["logits"][i, :frames])
