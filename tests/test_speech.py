import numpy as np
import pytest
import python_speech_features
from scipy.io import wavfile

from ctc_tutorial import load_sentence, speech

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


@pytest.mark.parametrize("coefficients", [1, 13, 20, 26])
def test_as_many_coefficients_as_asked(coefficients):
    """The cosine transform has 26 of them, of the logarithms of 26 mel filters."""
    waveform = RNG.integers(-9000, 9000, 16000, dtype=np.int16)
    raw = python_speech_features.mfcc(waveform, numcep=26)[:, :coefficients]
    features = speech.mfcc_features(
        waveform.astype(np.float32), 16000, coefficients=np.int64(coefficients)
    )
    expected = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    np.testing.assert_allclose(features, expected, atol=1e-4)


@pytest.mark.parametrize("coefficients", [0, -1, 27, 13.0, "13", None])
def test_numbers_of_coefficients_that_do_not_exist_are_refused(coefficients):
    with pytest.raises(ValueError, match="give an integer, 1 to 26"):
        speech.mfcc_features(RNG.normal(size=900), 16000, coefficients=coefficients)


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


@pytest.mark.parametrize("rate", [0, 5, np.nan, np.inf, 1e12, "8000"])
def test_rates_that_no_sound_has_are_refused(rate):
    """Not a division by zero, nor windows of gigabytes."""
    with pytest.raises(ValueError, match=r"sample_rate is .*: give Hz"):
        speech.mfcc_features(RNG.normal(size=900), rate)


@pytest.mark.parametrize("waveform", [["1", "2"], [1j, 2], [1e200, 2], [[1], [2, 3]]])
def test_waveforms_that_are_no_sound_are_refused(waveform):
    """1e200 squared is infinite, and the features would be NaN."""
    with pytest.raises(ValueError, match="the waveform"):
        speech.mfcc_features(waveform, 16000)


def test_a_header_without_a_rate_and_samples_of_64_bit_or_nan(tmp_path):
    wavfile.write(tmp_path / "x.wav", 8000, np.array([-7, 300], np.int64) << 48)
    assert speech.read_wav(tmp_path / "x.wav")[0].tolist() == [-7, 300]
    wavfile.write(tmp_path / "rate.wav", 0, np.ones(9, np.int16))
    with pytest.raises(ValueError, match=r"rate\.wav says 0 samples a second"):
        speech.read_wav(tmp_path / "rate.wav")
    wavfile.write(tmp_path / "nan.wav", 8000, np.full(9, np.nan, np.float32))
    with pytest.raises(ValueError, match=r"nan\.wav holds values that are not finite"):
        speech.read_wav(tmp_path / "nan.wav")


def test_one_window_has_no_mean_to_differ_from():
    sound = 1000 * np.sin(np.arange(280.0))
    with pytest.raises(ValueError, match="150 samples, one 25 ms window: too short"):
        speech.mfcc_features(sound[:150], 8000)
    assert speech.mfcc_features(sound, np.float32(8000)).shape == (2, 13)


def test_exact_zeros_outweigh_the_sound_and_quiet_noise_does_not():
    waveform, rate, _ = load_sentence()
    zeros = np.zeros(rate // 10)
    noise = np.random.default_rng(0).integers(-1, 2, rate // 10)
    frames = len(speech.mfcc_features(waveform, rate)) - 3

    def spread(tail):
        return speech.mfcc_features(np.append(waveform, tail), rate)[:frames, 0].std()

    assert spread(zeros) < 0.5 < 0.7 < spread(noise)


def test_a_file_that_ends_early_is_told_from_one_of_a_pipe(tmp_path, recwarn):
    path = tmp_path / "tone.wav"
    wavfile.write(path, 8000, np.arange(8000, dtype=np.int16))
    whole = path.read_bytes()
    path.write_bytes(whole[:9000])
    for _ in range(2):  # Python would pass over a warning that it has given already
        with pytest.raises(ValueError, match=r"tone\.wav ends after 9000 of 16044 bytes"):
            speech.read_wav(path)
    for size in (b"\xff\xff\xff\xff", (len(whole)).to_bytes(4, "little")):  # unknown; 8 too many
        path.write_bytes(whole[:4] + size + whole[8:40] + b"\xff\xff\xff\xff" + whole[44:])
        assert len(speech.read_wav(path)[0]) == 8000
    path.write_bytes(whole[:36] + b"LIST\x04\0\0\0INFO" + whole[36:])  # another chunk
    assert len(speech.read_wav(path)[0]) == 8000
    assert not recwarn.list
