"""check_encoder finds what is wrong with an encoder, and nothing where nothing is."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from ctc_tutorial.encoder_check import check_encoder
from ctc_tutorial.encoders import audio_encoder, crnn_encoder, image_encoder, length_mask
from ctc_tutorial.encoders import lstm_encoder as lstm


def image(features):
    return layers.Reshape((-1, 12, 1))(features)


def convolution_and_norm(features, lengths, seed=None):
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(image(features))
    return layers.Reshape((-1, 96))(layers.BatchNormalization()(x)), lengths


def norm_without_its_mask(features, lengths, seed=None):
    """What image_encoder would be with the mask of its batch norm deleted."""
    valid = keras.ops.cast(keras.ops.expand_dims(length_mask(features, lengths), -1), "float32")
    return layers.BatchNormalization()(features * valid) * valid, lengths


def backwards_without_a_mask(features, lengths, seed=None):
    return layers.Bidirectional(layers.LSTM(4, return_sequences=True))(features), lengths


def lengths_before_pooling(features, lengths, seed=None):
    return layers.MaxPooling1D(2)(layers.Dense(3)(features)), lengths


def lengths_of_the_batch(features, lengths, seed=None):
    return layers.Dense(3)(features), keras.ops.max(lengths) + 0 * lengths


def same_padding_with_a_wide_kernel(features, lengths, seed=None):
    """Which frames an output sees depends on the padded length: 31 frames alone, 48 in a batch."""
    valid = keras.ops.cast(keras.ops.expand_dims(length_mask(features, lengths), -1), "float32")
    x = layers.Conv1D(4, 3, strides=2, padding="same")(features * valid)
    return x, (lengths + 1) // 2


WRONG = {
    convolution_and_norm: "in prediction, what stands in the padding changes the output",
    norm_without_its_mask: "in training, what stands in the padding|in training, padding changes",
    backwards_without_a_mask: "in prediction, what stands in the padding changes the output",
    lengths_before_pooling: "a length of 48 frames, but there are 24",
    lengths_of_the_batch: "what stands in the padding|has 31 alone and 48 in a batch",
    same_padding_with_a_wide_kernel: "an utterance alone differs by",
}


@pytest.mark.parametrize("encoder_fn", WRONG, ids=lambda f: f.__name__)
def test_what_is_wrong_is_said(encoder_fn):
    with pytest.raises(ValueError, match=WRONG[encoder_fn]):
        check_encoder(encoder_fn, num_features=12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder_fn", "options"),
    [
        (lstm, {"units": 8}),
        (lstm, {"units": 8, "bidirectional": True}),
        (image_encoder, {}),
        (crnn_encoder, {"units": 8}),
        (audio_encoder, {}),
    ],
)
def test_the_encoders_of_this_package_pass(encoder_fn, options):
    check_encoder(encoder_fn, num_features=12, **options)


def test_the_leak_of_a_plain_convolution_is_as_large_as_said():
    """With zeros in the padding, too: the norm moves them, and the next convolution sees that."""
    features, lengths = keras.Input((None, 12)), keras.Input((), dtype="int32")
    x, _ = convolution_and_norm(features, lengths)
    x = layers.Conv1D(28, 3, padding="same")(x)
    model = keras.Model([features, lengths], x)
    row = np.random.default_rng(0).normal(size=(1, 20, 12)).astype(np.float32)
    padded = np.pad(row, ((0, 0), (0, 12), (0, 0)))
    for norm in model.layers:
        if isinstance(norm, layers.BatchNormalization):
            norm.beta.assign(tf.ones_like(norm.beta))  # as training makes it: not zero
    alone, together = (model([r, np.array([20])])[:, :20] for r in (row, padded))
    assert np.abs(alone - together).max() > 0.1


def raw_sound(features, lengths, seed=None):
    """A frame of 160 samples, and nothing done about padding."""
    x = layers.Conv1D(4, 401, padding="same", use_bias=False)(features)
    return layers.AveragePooling1D(160)(x), lengths // 160


def test_an_encoder_that_leaves_nothing_is_not_passed():
    with pytest.raises(ValueError, match="nothing is left of 17 frames: give shortest="):
        check_encoder(raw_sound, num_features=1)
    with pytest.raises(ValueError, match="in prediction, what stands in the padding changes"):
        check_encoder(raw_sound, num_features=1, shortest=1700)


def test_nan_is_not_passed():
    def hidden_nan(features, lengths, seed=None):
        short = keras.ops.expand_dims(lengths < 20, (1, 2))
        x = layers.Dense(3)(features)
        return keras.ops.where(keras.ops.logical_and(short, x > 0), np.nan, x), lengths

    with pytest.raises(ValueError, match="by nan"):
        check_encoder(hidden_nan, num_features=5)


def test_the_programs_own_random_numbers_stay_as_they_were():
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002 - what a caller may do
    expected = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    check_encoder(lstm, num_features=4, units=3)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == expected  # noqa: NPY002
