"""Sound files of every kind, at any rate."""

import builtins
import importlib.util

import numpy as np
import pytest
from scipy.io import wavfile

from ctc_tutorial import read_recording, resample

with_soundfile = pytest.mark.skipif(
    importlib.util.find_spec("soundfile") is None, reason="soundfile is not installed"
)


def tone(rate, hertz=440.0, seconds=0.5):
    return 8000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


@with_soundfile
@pytest.mark.parametrize(("kind", "off"), [("flac", 1), ("ogg", 400), ("mp3", 400)])
def test_compressed_sound_is_on_the_scale_of_wav(tmp_path, kind, off):
    import soundfile

    stereo = np.stack([tone(16000), tone(16000) / 2], axis=1)
    soundfile.write(tmp_path / f"one.{kind}", stereo / 32768, 16000)
    waveform, rate = read_recording(tmp_path / f"one.{kind}")
    assert rate == 16000 and waveform.dtype == np.float32
    # The codecs may shift by a few samples: the level is compared.
    middle = waveform[2000:6000]
    expected = 0.75 * tone(16000)[2000:6000]
    assert abs(np.abs(middle).max() - np.abs(expected).max()) < off + 1


@with_soundfile
def test_flac_is_exact(tmp_path):
    import soundfile

    samples = tone(8000).astype(np.int16)
    soundfile.write(tmp_path / "one.flac", samples, 8000)
    wavfile.write(tmp_path / "one.wav", 8000, samples)
    for a, b in zip(
        read_recording(tmp_path / "one.flac"), read_recording(tmp_path / "one.wav"), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_without_soundfile_a_line_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "one.mp3").write_bytes(b"sound")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"one\.mp3 is no wav file: .*pip install soundfile"):
        read_recording(tmp_path / "one.mp3")


def test_wav_does_not_need_soundfile(tmp_path, monkeypatch):
    wavfile.write(tmp_path / "one.WAV", 8000, tone(8000).astype(np.int16))
    real = builtins.__import__

    def without(name, *arguments, **others):
        assert name != "soundfile"
        return real(name, *arguments, **others)

    monkeypatch.setattr(builtins, "__import__", without)
    assert read_recording(tmp_path / "one.WAV")[1] == 8000


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("none.wav", None, FileNotFoundError, "none.wav"),
        ("empty.flac", b"", ValueError, "empty.flac is empty"),
        ("notes.wav", b"not a recording", ValueError, "notes.wav is not a wav file"),
        pytest.param(
            "notes.ogg",
            b"not a recording",
            ValueError,
            "notes.ogg can't be read as sound",
            marks=with_soundfile,
        ),
        ("silence.wav", np.zeros(800, np.int16), ValueError, "silence.wav is silent throughout"),
        ("nothing.wav", np.zeros(0, np.int16), ValueError, "nothing.wav holds no sound"),
    ],
)
def test_what_is_no_recording_is_named(tmp_path, name, content, error, message):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        wavfile.write(tmp_path / name, 8000, content)
    with pytest.raises(error, match=message):
        read_recording(tmp_path / name)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100])
def test_resampling_keeps_a_tone_and_its_height(rate):
    result = resample(tone(rate), rate, 16000)
    assert len(result) == 8000 and result.dtype == np.float32
    # The spectrum's peak, in steps of 2 Hz; and away from the ends the tone itself.
    assert np.argmax(np.abs(np.fft.rfft(result))) == 220
    np.testing.assert_allclose(result[800:-800], tone(16000)[800:-800], atol=0.01 * 8000)


def test_resampling_does_not_fold_what_the_new_rate_can_not_hold():
    assert np.abs(resample(tone(16000, 6000), 16000, 8000)[400:-400]).max() < 0.01 * 8000


@pytest.mark.parametrize("rates", [(0, 8000), (8000, -1), (8000.5, 8000)])
def test_impossible_rates_are_refused(rates):
    with pytest.raises(ValueError, match="give Hz, a positive integer"):
        resample(tone(8000), *rates)
    with pytest.raises(ValueError, match="average channels"):
        resample(np.ones((2, 9)), 8000, 8000)
