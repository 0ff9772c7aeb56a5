"""Spoken numbers: the splits share no voices and no sequences; the sound is what the text says."""

import itertools

import numpy as np
import pytest

from ctc_tutorial.data.spoken_numbers import (
    WORDS,
    compose_numbers,
    load_spoken_words,
    make_spoken_numbers,
)

PARTS = {"train": 20, "dev": 4, "final": 24, "test": 8}


def test_the_splits_share_no_voice():
    words = {split: load_spoken_words(split) for split in PARTS}
    for split, count in PARTS.items():
        assert [len(voice) for voice in words[split]] == [10] * count
    sounds = {split: {w.tobytes() for voice in words[split] for w in voice} for split in PARTS}
    for split, count in PARTS.items():
        assert len(sounds[split]) == 10 * count  # no two recordings are alike
    assert sounds["final"] == sounds["train"] | sounds["dev"]
    for one, other in (("train", "dev"), ("train", "test"), ("final", "test")):
        assert not sounds[one] & sounds[other]


def test_the_splits_share_no_sequence_and_cover_all_words():
    texts = {split: set(make_spoken_numbers(400, split, seed=1)[1]) for split in PARTS}
    for one, other in (("train", "dev"), ("train", "test"), ("final", "test")):
        assert not texts[one] & texts[other]
    for split in PARTS:
        assert set(" ".join(texts[split]).split()) == set(WORDS)
        assert {len(text.split()) for text in texts[split]} == {2, 3, 4, 5}


def test_utterances_are_16_bit_sound_at_8_khz_about_as_long_as_their_words():
    waveforms, texts, speakers = make_spoken_numbers(100, "test", seed=0)
    for waveform, text in zip(waveforms, texts, strict=True):
        assert waveform.dtype == np.float32 and waveform.ndim == 1
        assert 4000 < np.abs(waveform).max() < 32768
        assert 0.15 < len(waveform) / 8000 / len(text.split()) < 1.1
    assert set(speakers) == set(range(8)) and speakers.shape == (100,)


def test_voices_are_numbered_by_who_speaks(monkeypatch):
    pitches = np.array([400, 600, 900, 1350])  # Hz, further apart than the speeds

    def hums(split):
        return [[9000 * np.sin(np.arange(2000) * 2 * np.pi * p / 8000)] * 10 for p in pitches]

    monkeypatch.setattr("ctc_tutorial.data.spoken_numbers.load_spoken_words", hums)
    waveforms, _, speakers = make_spoken_numbers(40, "dev", seed=0)
    for waveform, speaker in zip(waveforms, speakers, strict=True):
        spectrum = np.abs(np.fft.rfft(waveform))
        heard = spectrum.argmax() * 8000 / len(waveform)
        assert speaker == np.abs(np.log(pitches / heard)).argmin()
    assert set(speakers) == {0, 1, 2, 3}


def test_the_words_are_heard_where_they_are_said():
    """Each word's own recording is the best match in the utterance, by spectra."""
    voices = load_spoken_words("test")

    def spectrum(waveform):
        frames = waveform[: len(waveform) // 160 * 160].reshape(-1, 160)
        return np.log1p(np.abs(np.fft.rfft(frames, 256)).mean(axis=0))

    means = {d: np.mean([spectrum(v[d]) for v in voices], axis=0) for d in range(10)}
    right = wrong = 0.0
    for waveform, text in zip(*make_spoken_numbers(100, "test", 5, 2, 2)[:2], strict=True):
        own = {WORDS.index(word) for word in text.split()}
        heard = spectrum(waveform)
        for pair in itertools.combinations(range(10), 2):
            distance = np.linalg.norm(
                heard - heard.mean() - sum(means[d] - means[d].mean() for d in pair) / 2
            )
            if set(pair) == own:
                right += distance / 100
            elif not own & set(pair):
                wrong += distance / (100 * 28)
    assert right < wrong


def test_the_same_seeds_give_the_same_sound_for_ever():
    """Numbers of version 0.1; logarithms may differ in the last digit between machines."""
    waveforms, texts, speakers = make_spoken_numbers(3, "test", seed=5)
    assert texts == ["eight zero eight four", "nine one three seven", "eight three seven five five"]
    assert speakers.tolist() == [4, 2, 0]
    assert [len(waveform) for waveform in waveforms] == [14261, 11892, 17264]
    np.testing.assert_allclose(waveforms[0][4000:4003], [549.74, 846.14, 1164.99], atol=0.02)

    waveforms, texts, speakers = make_spoken_numbers(3, "train", seed=5, augment=True)
    assert texts == ["one nine", "one nine seven five", "two zero five"]
    assert speakers.tolist() == [3, 10, 7]
    assert [len(waveform) for waveform in waveforms] == [11038, 15712, 11468]
    np.testing.assert_allclose(waveforms[0][4000:4003], [-1223.08, -1089.58, -847.72], atol=0.02)


def test_the_seed_decides():
    one, again, other = (make_spoken_numbers(4, "train", seed) for seed in (1, 1, 2))
    assert one[1] == again[1] != other[1]
    for a, b in zip(one[0], again[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_bad_arguments():
    with pytest.raises(ValueError, match="'valid': choose one of train, dev, final, test"):
        load_spoken_words("valid")
    for limits in ((1, 3), (4, 3)):
        with pytest.raises(ValueError, match="at least"):
            make_spoken_numbers(1, "train", 0, *limits)


def test_composing_draws_from_all_takes_and_refuses_what_would_never_end():
    voice = [[np.full(800, 1000.0 * (take + 1)) for take in range(3)] for _ in range(10)]
    waveforms, _, _ = compose_numbers([voice], (0, 1, 2, 3), 50, seed=0)
    loudest = [np.abs(waveform).max() for waveform in waveforms]
    assert max(loudest) > 2200 and min(loudest) < 2000  # takes of 1,000 to 3,000, times 0.5 to 1
    for voices in ([], [voice[:9]], [[*voice[:9], []]]):
        with pytest.raises(ValueError, match="at least one take of ten digits"):
            compose_numbers(voices, (0,), 1, seed=0)
    for word_speeds in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"word_speeds=.*: give a share"):
            compose_numbers([voice], (0,), 1, seed=0, word_speeds=word_speeds)
    with pytest.raises(ValueError, match=r"remainders=\(4,\): choose from"):
        compose_numbers([voice], (4,), 1, seed=0)


def test_every_word_has_a_speed_of_its_own():
    word = np.zeros(1000)
    word[100:120] = word[900:920] = 9000.0  # two clicks, 800 samples apart
    for spread, most, least in ((0.0, 800, 800), (0.2, 1000, 667)):
        waveforms, _, _ = compose_numbers([[[word]] * 10], (0, 1), 60, 0, word_speeds=spread)
        apart = []
        for waveform in waveforms:
            clicks = np.flatnonzero(np.diff((np.abs(waveform) > 2000).astype(int)) == 1)
            apart.append(clicks[1::2] - clicks[::2])
        every = np.concatenate(apart)
        assert least - 5 <= every.min() < least + 25 and most - 25 < every.max() <= most + 5
        assert all(np.ptp(some) > 2 for some in apart) == (spread > 0)
