import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import python_speech_features
from scipy.io import wavfile

from ctc_tutorial import speech

RNG = np.random.default_rng(0)
LDC_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.mark.parametrize(
    "samples",
    [
        np.array([0, 64, 128, 192, 255], np.uint8),
        np.array([-32768, -16384, 0, 16384, 32512], np.int16),
        np.array([-32768, -16384, 0, 16384, 32512], np.int32) << 16,
        np.array([-1, -0.5, 0, 0.5, 0.9921875], np.float32),
    ],
)
def test_every_width_on_the_16_bit_scale(tmp_path, samples):
    wavfile.write(tmp_path / "x.wav", 8000, samples)
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
    with pytest.raises(ValueError, match="holds no samples"):
        speech.read_wav(tmp_path / "silent.wav")


@pytest.mark.parametrize(("rate", "nfft"), [(8000, 512), (16000, 512), (44100, 2048)])
def test_features_are_those_of_the_2020_program(rate, nfft):
    samples = RNG.integers(-9000, 9000, rate, dtype=np.int16)
    raw = python_speech_features.mfcc(samples, samplerate=rate, nfft=nfft)
    features = speech.mfcc_features(samples.astype(np.float32), rate, per_coefficient=False)
    expected = (raw - np.mean(raw)) / np.std(raw)
    assert features.dtype == np.float32 and features.shape == (99, 13)
    np.testing.assert_array_equal(features, expected.astype(np.float32))


def test_every_coefficient_is_normalised_by_itself():
    samples = RNG.integers(-9000, 9000, 16000, dtype=np.int16)
    raw = python_speech_features.mfcc(samples)
    features = speech.mfcc_features(samples.astype(np.float32), 16000)
    expected = [(column - np.mean(column)) / np.std(column) for column in raw.T]
    np.testing.assert_allclose(features, np.transpose(expected), atol=1e-5)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((9, 2)), r"shape \(9, 2\)"),
        (np.zeros(0), r"shape \(0,\)"),
        (np.zeros(900), "all equal"),
        (np.array([0.0, np.nan]), "not finite"),
    ],
)
def test_samples_without_features(samples, message):
    with pytest.raises(ValueError, match=message):
        speech.mfcc_features(samples, 16000)


def test_bundled_recording():
    whole = speech.bundled_utterance()
    assert whole.sample_rate == 16000 and whole.text == speech.SENTENCE
    assert speech.mfcc_features(whole.samples, 16000).shape == (364, 13)
    part = whole.cut(0.8, 2.0, "dark suit in greasy")
    np.testing.assert_array_equal(part.samples, whole.samples[12800:32000])
    assert part.text == "dark suit in greasy" and part.sample_rate == 16000


def test_word_times_of_the_bundled_recording():
    whole, times = speech.bundled_utterance(), speech.bundled_word_times()
    assert [word for word, _, _ in times] == whole.text.split()
    starts, ends = np.array([span[1:] for span in times]).T
    assert starts[0] == 0.2 and (starts < ends).all()
    np.testing.assert_array_equal(starts[1:], ends[:-1])
    # Heard in the sound: silence before the first word and after the last, a voice in each.
    loud = np.abs(whole.samples) > 100
    first, *_, last = np.flatnonzero(loud) / whole.sample_rate
    assert abs(first - starts[0]) < 0.02 and abs(last - ends[-1]) < 0.02
    assert all(loud[int(16000 * a) : int(16000 * b)].mean() > 0.4 for a, b in times_of(times))


def times_of(words):
    return [(start, end) for _, start, end in words]


def test_ldc93s1(ldc93s1):
    assert ldc93s1.sample_rate == 16000 and ldc93s1.samples.shape == (46797,)
    assert ldc93s1.text == speech.SENTENCE
    assert speech.mfcc_features(ldc93s1.samples, 16000).shape == (291, 13)


@pytest.fixture
def server(ldc93s1, monkeypatch):
    """The recording's web page on this machine; `server.broken` cuts a file short."""

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            content = (LDC_DATA / self.path.lstrip("/")).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            served.requests += 1
            self.wfile.write(content[:-9] if served.broken else content)

        def log_message(self, *_):
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.broken, served.requests = False, 0
    threading.Thread(target=served.serve_forever, daemon=True).start()
    monkeypatch.setattr(speech, "LDC_URL", f"http://127.0.0.1:{served.server_port}/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield served
    served.shutdown()
    served.server_close()


def test_download_happens_once(server, tmp_path):
    first = speech.ldc93s1_utterance(tmp_path)
    again = speech.ldc93s1_utterance(tmp_path)
    np.testing.assert_array_equal(first.samples, again.samples)
    assert server.requests == 2  # the wav and its text
    assert sorted(f.name for f in tmp_path.iterdir()) == ["LDC93S1.txt", "LDC93S1.wav"]


def test_interrupted_download_leaves_nothing(server, tmp_path):
    server.broken = True
    with pytest.raises(OSError, match=r"Download LDC93S1.wav and LDC93S1.txt from .* and put both"):
        speech.ldc93s1_utterance(tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.broken = False
    assert speech.ldc93s1_utterance(tmp_path).text == speech.SENTENCE


def test_corrupt_file_is_replaced_not_used(server, tmp_path):
    (tmp_path / "LDC93S1.wav").write_bytes(b"RIFF")
    assert speech.ldc93s1_utterance(tmp_path).samples.shape == (46797,)


def test_concurrent_downloads(server, tmp_path):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(speech.ldc93s1_utterance(tmp_path)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r.samples.shape for r in results] == [(46797,)] * 8


def test_offline_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(speech, "LDC_URL", "http://127.0.0.1:9/")  # nothing listens there
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("CTC_TUTORIAL_DATA", str(tmp_path))
    with pytest.raises(OSError, match="can't get LDC93S1") as error:
        speech.ldc93s1_utterance()
    assert str(tmp_path) in str(error.value)
