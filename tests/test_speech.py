import numpy as np
import pytest
import python_speech_features
from scipy.io import wavfile

from ctc_tutorial import speech

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "stored",
    [
        np.array([0, 64, 128, 192, 255], np.uint8),
        np.array([-32768, -16384, 0, 16384, 32512], np.int16),
        np.array([-32768, -16384, 0, 16384, 32512], np.int32) << 16,
        np.array([-1, -0.5, 0, 0.5, 0.9921875], np.float32),
    ],
)
def test_every_width_on_the_16_bit_scale(tmp_path, stored):
    wavfile.write(tmp_path / "x.wav", 8000, stored)
    read, rate = speech.read_wav(tmp_path / "x.wav")
    assert rate == 8000 and read.dtype == np.float32
    np.testing.assert_array_equal(read, [-32768, -16384, 0, 16384, 32512])


def test_24_bit(tmp_path):
    import wave

    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setparams((1, 3, 16000, 0, "NONE", ""))
        file.writeframes(b"".join((v << 8).to_bytes(3, "little", signed=True) for v in (-7, 300)))
    read, _ = speech.read_wav(tmp_path / "x.wav")
    assert read.tolist() == [-7, 300]


def test_stereo_is_averaged(tmp_path):
    wavfile.write(tmp_path / "x.wav", 44100, np.array([[100, 300], [-5, 5]], np.int16))
    read, rate = speech.read_wav(tmp_path / "x.wav")
    assert rate == 44100 and read.tolist() == [200, 0]


def test_files_that_are_no_recordings(tmp_path):
    with pytest.raises(FileNotFoundError):
        speech.read_wav(tmp_path / "none.wav")
    for name, content in {"empty.wav": b"", "text.wav": b"she had your dark suit"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is not a wav file"):
            speech.read_wav(tmp_path / name)
    wavfile.write(tmp_path / "silent.wav", 16000, np.zeros(0, np.int16))
    with pytest.raises(ValueError, match=r"silent\.wav holds no sound"):
        speech.read_wav(tmp_path / "silent.wav")


@pytest.mark.parametrize(("rate", "nfft"), [(8000, 512), (16000, 512), (44100, 2048)])
def test_features_are_those_of_the_2020_program(rate, nfft):
    waveform = RNG.integers(-9000, 9000, rate, dtype=np.int16)
    raw = python_speech_features.mfcc(waveform, samplerate=rate, nfft=nfft)
    features = speech.mfcc_features(waveform.astype(np.float32), rate, per_coefficient=False)
    expected = (raw - np.mean(raw)) / np.std(raw)
    assert features.dtype == np.float32 and features.shape == (99, 13)
    np.testing.assert_array_equal(features, expected.astype(np.float32))


def test_every_coefficient_is_normalised_by_itself():
    waveform = RNG.integers(-9000, 9000, 16000, dtype=np.int16)
    raw = python_speech_features.mfcc(waveform)
    features = speech.mfcc_features(waveform.astype(np.float32), 16000)
    expected = [(column - np.mean(column)) / np.std(column) for column in raw.T]
    np.testing.assert_allclose(features, np.transpose(expected), atol=1e-5)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros((9, 2)), r"shape \(9, 2\)"),
        (np.zeros(0), r"shape \(0,\)"),
        (np.zeros(900), "constant"),
        (np.array([0.0, np.nan]), "not finite"),
    ],
)
def test_sound_without_features(waveform, message):
    with pytest.raises(ValueError, match=message):
        speech.mfcc_features(waveform, 16000)
