"""The recordings of the sentence: bundled, cut, timed, and the real one through the network."""

import threading
from pathlib import Path

import numpy as np
import pytest

from ctc_tutorial.data import sentence
from ctc_tutorial.speech import mfcc_features, read_wav

LDC_DATA = Path(__file__).parents[2] / "shared" / "data"


def test_bundled_recording():
    whole = sentence.load_sentence()
    assert whole.sample_rate == 16000 and whole.text == sentence.SENTENCE
    assert mfcc_features(whole.waveform, 16000).shape == (364, 13)
    part = whole.cut(0.8, 2.0, "dark suit in greasy")
    np.testing.assert_array_equal(part.waveform, whole.waveform[12800:32000])
    assert part.text == "dark suit in greasy" and part.sample_rate == 16000


def test_the_bundled_recording_is_what_the_reader_of_wav_files_makes_of_it():
    waveform, sample_rate = read_wav(sentence.BUNDLED)
    whole = sentence.load_sentence()
    np.testing.assert_array_equal(whole.waveform, waveform)
    assert whole.waveform.dtype == waveform.dtype == np.float32 and whole.sample_rate == sample_rate


@pytest.mark.parametrize(("start", "end"), [(1, 1), (2, 1), (-0.5, 1), (3, 3.7)])
def test_what_can_not_be_cut(start, end):
    with pytest.raises(ValueError, match=rf"{start} s to {end} s out of 'she .* and 3.647125 s"):
        sentence.load_sentence().cut(start, end, "year")


def test_a_cut_may_reach_the_end():
    whole = sentence.load_sentence()
    part = whole.cut(0, len(whole.waveform) / 16000, whole.text)
    np.testing.assert_array_equal(part.waveform, whole.waveform)


def test_the_pair_holds_four_words_where_they_are_spoken():
    whole = sentence.load_sentence()
    both, part = sentence.make_lesson_pair(whole)
    assert both is whole and part.text == "dark suit in greasy" and part.sample_rate == 16000
    np.testing.assert_array_equal(part.waveform, whole.waveform[12800:32000])
    # A window of 1.2 s that holds these words and not half of another, by the speaker's own times.
    inside = [
        word
        for word, start, end in sentence.load_word_times()
        if min(end, 2.0) - max(start, 0.8) > (end - start) / 2
    ]
    assert " ".join(inside) == part.text


def test_the_pair_of_the_real_recording(ldc93s1):
    both, part = sentence.make_lesson_pair(ldc93s1)
    assert both is ldc93s1 and part.text == "dark suit in greasy"
    np.testing.assert_array_equal(part.waveform, ldc93s1.waveform[12800:32000])
    assert mfcc_features(part.waveform, 16000).shape == (119, 13)


def test_no_pair_of_another_recording():
    other = sentence.Utterance(np.ones(60000, np.float32), 16000, "don't ask me to carry")
    with pytest.raises(ValueError, match=r"not of \"don't ask me to carry\": pass what load_sente"):
        sentence.make_lesson_pair(other)


def test_word_times_of_the_bundled_recording():
    whole, times = sentence.load_sentence(), sentence.load_word_times()
    assert [word for word, _, _ in times] == whole.text.split()
    starts, ends = np.array([span[1:] for span in times]).T
    assert starts[0] == 0.2 and (starts < ends).all()
    np.testing.assert_array_equal(starts[1:], ends[:-1])
    # Heard in the sound: silence before the first word and after the last, a voice in each.
    loud = np.abs(whole.waveform) > 100
    first, *_, last = np.flatnonzero(loud) / whole.sample_rate
    assert abs(first - starts[0]) < 0.02 and abs(last - ends[-1]) < 0.02
    assert all(loud[int(16000 * a) : int(16000 * b)].mean() > 0.4 for a, b in times_of(times))


def times_of(words):
    return [(start, end) for _, start, end in words]


def test_ldc93s1(ldc93s1):
    assert ldc93s1.sample_rate == 16000 and ldc93s1.waveform.shape == (46797,)
    assert ldc93s1.text == sentence.SENTENCE
    assert mfcc_features(ldc93s1.waveform, 16000).shape == (291, 13)


@pytest.fixture
def server(server, ldc93s1, monkeypatch):
    """The recording's web page on this machine."""
    server.reply = lambda path: (LDC_DATA / path.lstrip("/")).read_bytes()
    monkeypatch.setattr(sentence, "LDC_URL", f"{server.url}/")
    return server


def test_download_happens_once(server, tmp_path):
    first = sentence.fetch_ldc93s1(tmp_path)
    again = sentence.fetch_ldc93s1(tmp_path)
    np.testing.assert_array_equal(first.waveform, again.waveform)
    assert server.requests == 2  # the wav and its text
    assert sorted(f.name for f in tmp_path.iterdir()) == ["LDC93S1.txt", "LDC93S1.wav"]


def test_interrupted_download_leaves_nothing(server, tmp_path):
    server.cut = 9
    with pytest.raises(OSError, match=r"download LDC93S1.wav and LDC93S1.txt from .* and put both"):
        sentence.fetch_ldc93s1(tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.cut = 0
    assert sentence.fetch_ldc93s1(tmp_path).text == sentence.SENTENCE


def test_corrupt_file_is_replaced_not_used(server, tmp_path):
    (tmp_path / "LDC93S1.wav").write_bytes(b"RIFF")
    assert sentence.fetch_ldc93s1(tmp_path).waveform.shape == (46797,)


def test_concurrent_downloads(server, tmp_path):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(sentence.fetch_ldc93s1(tmp_path)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r.waveform.shape for r in results] == [(46797,)] * 8


def test_offline_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(sentence, "LDC_URL", "http://127.0.0.1:9/")  # nothing listens there
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("CTC_TUTORIAL_DATA", str(tmp_path))
    with pytest.raises(OSError, match="can't get LDC93S1") as error:
        sentence.fetch_ldc93s1()
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("times", [(0, np.inf), (np.nan, 1), ("0", 1), (0, 1e300)])
def test_times_that_are_none_cut_nothing(times):
    with pytest.raises(ValueError, match="can't cut"):
        sentence.Utterance(np.zeros(16000, np.float32), 8000, "oh dear").cut(*times, "dear")
