"""`spoken_numbers`: splits share no voices and no sequences; the sound is what the text says."""

import itertools

import numpy as np
import pytest

from ctc_tutorial.spoken_numbers import WORDS, spoken_numbers, spoken_words

PARTS = {"train": 20, "dev": 4, "final": 24, "test": 8}


def test_the_splits_share_no_voice():
    words = {split: spoken_words(split) for split in PARTS}
    for split, count in PARTS.items():
        assert [len(voice) for voice in words[split]] == [10] * count
    sounds = {split: {w.tobytes() for voice in words[split] for w in voice} for split in PARTS}
    for split, count in PARTS.items():
        assert len(sounds[split]) == 10 * count  # no two recordings are alike
    assert sounds["final"] == sounds["train"] | sounds["dev"]
    for one, other in (("train", "dev"), ("train", "test"), ("final", "test")):
        assert not sounds[one] & sounds[other]


def test_the_splits_share_no_sequence_and_cover_all_words():
    texts = {split: set(spoken_numbers(400, split, seed=1)[1]) for split in PARTS}
    for one, other in (("train", "dev"), ("train", "test"), ("final", "test")):
        assert not texts[one] & texts[other]
    for split in PARTS:
        assert set(" ".join(texts[split]).split()) == set(WORDS)
        assert {len(text.split()) for text in texts[split]} == {2, 3, 4, 5}


def test_utterances_are_16_bit_sound_at_8_khz_about_as_long_as_their_words():
    recordings, texts, voices = spoken_numbers(100, "test", seed=0)
    for samples, text in zip(recordings, texts, strict=True):
        assert samples.dtype == np.float32 and samples.ndim == 1
        assert 4000 < np.abs(samples).max() < 32768
        assert 0.15 < len(samples) / 8000 / len(text.split()) < 1.1
    assert set(voices) == set(range(8)) and voices.shape == (100,)


def test_voices_are_numbered_by_who_speaks(monkeypatch):
    pitches = np.array([400, 600, 900, 1350])  # Hz, further apart than the speeds

    def hums(split):
        return [[9000 * np.sin(np.arange(2000) * 2 * np.pi * p / 8000)] * 10 for p in pitches]

    monkeypatch.setattr("ctc_tutorial.spoken_numbers.spoken_words", hums)
    recordings, _, voices = spoken_numbers(40, "dev", seed=0)
    for samples, voice in zip(recordings, voices, strict=True):
        spectrum = np.abs(np.fft.rfft(samples))
        heard = spectrum.argmax() * 8000 / len(samples)
        assert voice == np.abs(np.log(pitches / heard)).argmin()
    assert set(voices) == {0, 1, 2, 3}


def test_the_words_are_heard_where_they_are_said():
    """Each word's own recording is the best match in the utterance, by spectra."""
    voices = spoken_words("test")

    def spectrum(samples):
        frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        return np.log1p(np.abs(np.fft.rfft(frames, 256)).mean(axis=0))

    means = {d: np.mean([spectrum(v[d]) for v in voices], axis=0) for d in range(10)}
    right = wrong = 0.0
    for samples, text in zip(*spoken_numbers(100, "test", 5, 2, 2)[:2], strict=True):
        own = {WORDS.index(word) for word in text.split()}
        heard = spectrum(samples)
        for pair in itertools.combinations(range(10), 2):
            distance = np.linalg.norm(
                heard - heard.mean() - sum(means[d] - means[d].mean() for d in pair) / 2
            )
            if set(pair) == own:
                right += distance / 100
            elif not own & set(pair):
                wrong += distance / (100 * 28)
    assert right < wrong


def test_the_seed_decides():
    one, again, other = (spoken_numbers(4, "train", seed) for seed in (1, 1, 2))
    assert one[1] == again[1] != other[1]
    for a, b in zip(one[0], again[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_bad_arguments():
    with pytest.raises(ValueError, match="'valid': choose one of train, dev, final, test"):
        spoken_words("valid")
    for limits in ((1, 3), (4, 3)):
        with pytest.raises(ValueError, match="allow no utterance"):
            spoken_numbers(1, "train", 0, *limits)
