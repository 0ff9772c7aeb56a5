"""What SpecAugment hides, how much of it and when; noise of the right strength; other tempos."""

import keras
import numpy as np
import pytest

from ctc_tutorial.augmentation import SpecAugment, add_noise, stretch_time

B, T, F = 400, 60, 13
LENGTHS = np.tile([60, 41, 9, 1], B // 4)


def hidden(seed=0, lengths=LENGTHS, **options):
    """Which of the features a layer in training hides, bool [B, T, F]; no feature is 0 before."""
    features = np.random.default_rng(1).uniform(1, 2, (len(lengths), T, F)).astype(np.float32)
    result = np.array(SpecAugment(seed=seed, **options)(features, lengths, training=True))
    np.testing.assert_array_equal(result[result != 0], features[result != 0])
    return result == 0


def widths(rows):
    """How many places of each row are hidden, [B]; they must be neighbours."""
    for row in rows:
        places = np.flatnonzero(row)
        assert len(places) == 0 or places[-1] - places[0] + 1 == len(places)
    return rows.sum(axis=1)


def test_a_band_has_every_width_up_to_the_widest_at_every_place():
    found = hidden(frequency_masks=1, frequency_width=4, time_masks=0)
    bands = found[:, 0]  # [B, F]
    for row, length, band in zip(found, LENGTHS, bands, strict=True):
        np.testing.assert_array_equal(row[:length], np.tile(band, (length, 1)))
    counts = np.bincount(widths(bands), minlength=5)
    assert len(counts) == 5 and (counts > B / 5 * 0.6).all()  # of 80: 48, 4 deviations below
    assert bands.any(axis=0).all()


def test_a_span_is_limited_by_its_width_and_by_its_share_of_the_utterance():
    found = hidden(frequency_masks=0, time_masks=1, time_width=15, time_share=0.3)
    np.testing.assert_array_equal(found.any(axis=2), found.all(axis=2))  # all features or none
    spans = widths(found[:, :, 0])
    for length, most in ((60, 15), (41, 12), (9, 2), (1, 0)):
        mine = spans[length == LENGTHS]
        assert set(mine) <= set(range(most + 1)) and mine.max() == most
    long = found[LENGTHS == 60, :, 0]
    assert long[:, 0].any() and long[:, -1].any()  # the ends, too


def test_padding_is_left_alone():
    for row, length in zip(hidden(time_share=1.0), LENGTHS, strict=True):
        assert not row[length:].any()


def test_utterances_steps_and_seeds_differ_and_a_seed_repeats():
    one = hidden(seed=3)
    np.testing.assert_array_equal(one, hidden(seed=3))
    assert (one != hidden(seed=4)).any()
    assert len({row.tobytes() for row in one[LENGTHS == 60]}) > 90  # of 100
    layer, features = SpecAugment(seed=3), np.ones((4, T, F), np.float32)
    steps = [np.array(layer(features, LENGTHS[:4], training=True)) for _ in range(2)]
    assert (steps[0] != steps[1]).any()


def test_several_masks_hide_more():
    few, many = (hidden(frequency_masks=n, time_masks=n)[LENGTHS == 60].mean() for n in (1, 4))
    assert 1.5 * few < many


def test_prediction_is_not_touched_and_a_saved_model_comes_back(tmp_path):
    inputs = keras.Input((None, F)), keras.Input((), dtype="int32")
    model = keras.Model(inputs, SpecAugment(1, 6, time_share=0.5, seed=7)(*inputs))
    model.save(tmp_path / "model.keras")
    features = np.random.default_rng(0).normal(size=(8, T, F)).astype(np.float32)
    batch = [features, LENGTHS[:8].astype(np.int32)]
    for each in (model, keras.models.load_model(tmp_path / "model.keras")):
        np.testing.assert_array_equal(each.predict(batch, verbose=0), features)
        assert not each.get_weights()  # so the weights of a model are those without the layer
        assert each.layers[-1].get_config()["frequency_width"] == 6
        assert (np.array(each(batch, training=True)) != features).any()


def test_it_hides_the_same_in_a_compiled_step():
    layer, features = SpecAugment(seed=5), np.ones((4, T, F), np.float32)
    expected = np.array(layer(features, LENGTHS[:4], training=True))
    inputs = keras.Input((None, F)), keras.Input((), dtype="int32")
    model = keras.Model(inputs, SpecAugment(seed=5)(*inputs))
    step = keras.ops.convert_to_numpy(model([features, LENGTHS[:4]], training=True))
    np.testing.assert_array_equal(step, expected)


@pytest.mark.parametrize("option", ["frequency_masks", "time_width", "time_share"])
def test_negative_numbers_are_refused(option):
    with pytest.raises(ValueError, match=f"{option}=-1"):
        SpecAugment(**{option: -1})


def test_shares_above_one_and_bands_wider_than_the_features_are_refused():
    with pytest.raises(ValueError, match=r"time_share=1\.5: give 0 or more, .* at most 1"):
        SpecAugment(time_share=1.5)
    with pytest.raises(ValueError, match=r"frequency_width=14 is more .* at most 13"):
        SpecAugment(frequency_width=14)(np.ones((1, 5, 13)), np.array([5]))


@pytest.mark.parametrize("factor", [0.5, 0.83, 1, 1.21, 2])
def test_stretching_keeps_the_ends_and_the_shape_in_time(factor):
    curve = np.sin(np.linspace(0, 3, 80))[:, None] * [1, -2]
    stretched = stretch_time(curve, factor)
    assert stretched.dtype == np.float32 and stretched.shape == (round(factor * 80), 2)
    np.testing.assert_allclose(stretched[[0, -1]], curve[[0, -1]], atol=1e-6)
    expected = np.sin(np.linspace(0, 3, len(stretched)))[:, None] * [1, -2]
    np.testing.assert_allclose(stretched, expected, atol=2e-3)


def test_stretching_by_one_is_no_change_and_a_frame_is_always_left():
    features = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    np.testing.assert_array_equal(stretch_time(features, 1), features)
    np.testing.assert_array_equal(stretch_time(features, 0.01), features[:1])
    np.testing.assert_array_equal(stretch_time(features[:1], 3), features[[0, 0, 0]])


@pytest.mark.parametrize("decibels", [-6, 0, 20])
def test_noise_is_white_and_as_strong_as_told(decibels):
    tone = 3000 * np.sin(np.arange(80_000) * 0.3)
    noise = add_noise(tone, decibels, seed=1) - tone
    measured = 10 * np.log10(np.mean(tone**2) / np.mean(noise**2))
    assert abs(measured - decibels) < 0.1
    power = np.abs(np.fft.rfft(noise)[:40_000]).reshape(8, -1) ** 2
    assert power.mean(axis=1).min() > 0.9 * power.mean()  # as much in every band
    again, other = (add_noise(tone, decibels, seed) - tone for seed in (1, 2))
    np.testing.assert_array_equal(noise, again)
    assert abs(np.corrcoef(noise, other)[0, 1]) < 0.02


def test_what_can_not_be_stretched_or_heard_is_refused():
    for factor in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"factor=.* positive"):
            stretch_time(np.ones((4, 2)), factor)
    for features in (np.ones((0, 2)), np.ones(4)):
        with pytest.raises(ValueError, match="at least one frame"):
            stretch_time(features, 1.1)
    for waveform in (np.zeros(8), np.ones((8, 2)), []):
        with pytest.raises(ValueError, match="or is silent"):
            add_noise(waveform, 10, seed=0)


@pytest.mark.parametrize(("sound", "decibels"), [(np.nan, 20), (np.inf, 20), (1.0, np.nan)])
def test_noise_is_made_for_finite_numbers_alone(sound, decibels):
    with pytest.raises(ValueError, match="finite"):
        add_noise(np.array([1.0, sound]), decibels, seed=0)
