"""People's number words: who is in which split, and the archive through the network."""

import hashlib
import io
import zipfile

import numpy as np
import pytest
from scipy.io import wavfile

from ctc_tutorial.data import people as room
from ctc_tutorial.data.people import SPEAKERS, fetch_people_words, make_people_numbers


def hum(digit, speaker, take):
    """A tone whose pitch tells the digit, and whose length the speaker and the take."""
    samples = np.arange(800 + 50 * SPEAKERS.index(speaker) + take)
    return 1000 * np.sin(samples * 2 * np.pi * (300 + 200 * digit) / 8000)


def archive(recordings):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("of-the-tag/README.md", "no recording")
        for name, content in recordings.items():
            opened.writestr(f"of-the-tag/recordings/{name}", content)
    return file.getvalue()


@pytest.fixture(scope="module")
def hums():
    """3,000 small wav files, named as the real ones."""
    files = {}
    for digit in range(10):
        for speaker in SPEAKERS:
            for take in range(50):
                file = io.BytesIO()
                wavfile.write(file, 8000, hum(digit, speaker, take).astype(np.int16))
                files[f"{digit}_{speaker}_{take}.wav"] = file.getvalue()
    return files


@pytest.fixture
def fake(hums, monkeypatch):
    """The digest of the hums in place of the recordings', computed as sha256sum would."""
    lines = [f"{hashlib.sha256(hums[name]).hexdigest()}  {name}\n" for name in sorted(hums)]
    monkeypatch.setattr(room, "SHA256", hashlib.sha256("".join(lines).encode()).hexdigest())
    return archive(hums)


@pytest.fixture
def server(server, fake, monkeypatch):
    """The archive's address on this machine; `server.content` is what it sends."""
    server.content, server.reply = fake, lambda path: server.content
    monkeypatch.setattr(room, "URL", f"{server.url}/v1.0.10.zip")
    return server


def test_download_happens_once_and_every_recording_lands_in_its_place(server, tmp_path):
    folder = tmp_path / "made when needed"
    for _ in range(2):
        words = fetch_people_words(folder)
    assert server.requests == 1 and [f.name for f in folder.iterdir()] == ["fsdd.zip"]
    assert list(words) == list(SPEAKERS)
    for speaker, digits in words.items():
        assert [len(takes) for takes in digits] == [50] * 10
        for digit, take in ((0, 0), (3, 49), (9, 10)):
            waveform = digits[digit][take]
            assert waveform.dtype == np.float32
            np.testing.assert_allclose(waveform, hum(digit, speaker, take), atol=1)


def test_an_archive_that_is_packed_otherwise_is_the_same_data(server, hums, tmp_path):
    server.content = archive(dict(reversed(hums.items())))
    assert len(fetch_people_words(tmp_path)) == 6


@pytest.mark.parametrize("change", ["cut", "changed", "missing", "page"])
def test_a_wrong_download_leaves_nothing(server, hums, tmp_path, change):
    right = server.content
    first, *others = hums
    server.content = {
        "cut": right[:-9],
        "changed": archive({**hums, first: hums[others[0]]}),
        "missing": archive({name: hums[name] for name in others}),
        "page": b"<html>please log in</html>",
    }[change]
    with pytest.raises(OSError, match=r"download http.* and put it into .* as fsdd.zip"):
        fetch_people_words(tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.content = right
    assert len(fetch_people_words(tmp_path)) == 6


def test_a_corrupt_file_is_replaced_not_used(server, fake, tmp_path):
    for content in (b"PK", fake[: len(fake) // 2]):
        (tmp_path / "fsdd.zip").write_bytes(content)
        assert len(fetch_people_words(tmp_path)) == 6
    assert server.requests == 2


def test_offline_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "URL", "http://127.0.0.1:9/v1.0.10.zip")  # nothing listens there
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("CTC_TUTORIAL_DATA", str(tmp_path))
    with pytest.raises(OSError, match="can't get the Free Spoken Digit Dataset") as error:
        make_people_numbers(1, "test", seed=0)
    assert str(tmp_path) in str(error.value)


@pytest.fixture
def drawn_from(fake, tmp_path, monkeypatch):
    """A function that says which (speaker, take) a split draws from, of the hums."""
    (tmp_path / "fsdd.zip").write_bytes(fake)
    compose, voices = room.compose_numbers, []

    def spy(recordings, *arguments, **options):
        voices[:] = recordings
        return compose(recordings, *arguments, **options)

    monkeypatch.setattr(room, "compose_numbers", spy)

    def drawn(split, held_out, augment=False):
        make_people_numbers(1, split, 0, held_out, augment, cache_dir=tmp_path)
        assert len(voices) == 1 or not augment  # a person may be followed by any other
        found = [[[divmod(len(w) - 800, 50) for w in takes] for takes in v] for v in voices]
        assert all(takes == voice[0] for voice in found for takes in voice)  # as many of each word
        return {(SPEAKERS[place], take) for voice in found for place, take in voice[0]}

    return drawn


def test_the_official_split_has_other_takes_of_the_same_people(drawn_from):
    train, test = drawn_from("train", None), drawn_from("test", None)
    assert test == {(speaker, take) for speaker in SPEAKERS for take in range(5)}
    assert train == {(speaker, take) for speaker in SPEAKERS for take in range(5, 50)}


def test_who_is_held_out_is_heard_in_the_test_alone(drawn_from):
    train, test = drawn_from("train", "lucas"), drawn_from("test", "lucas")
    assert test == {("lucas", take) for take in range(50)}
    assert train == {(speaker, take) for speaker in SPEAKERS for take in range(50)} - test


@pytest.mark.parametrize("held_out", [None, "theo"])
def test_augmented_words_come_from_the_same_takes(drawn_from, held_out):
    assert drawn_from("train", held_out, augment=True) == drawn_from("train", held_out)


def test_in_augmented_utterances_nobody_is_the_speaker(people):
    waveforms, texts, speakers = make_people_numbers(9, "train", 1, "theo", True, cache_dir=people)
    assert len(waveforms) == len(texts) == 9 and speakers.tolist() == [-1] * 9


def test_speakers_are_places_in_the_list_and_sequences_are_not_shared(people):
    train = make_people_numbers(300, "train", 1, "lucas", cache_dir=people)
    test = make_people_numbers(100, "test", 1, "lucas", cache_dir=people)
    assert set(train[2]) == {0, 1, 3, 4, 5} and set(test[2]) == {2}
    assert not set(train[1]) & set(test[1])
    for waveforms, texts, speakers in (train, test):
        assert len(waveforms) == len(texts) == len(speakers)
        assert {len(text.split()) for text in texts} == {2, 3, 4, 5}
        for waveform in waveforms:
            assert waveform.dtype == np.float32 and 8000 < np.abs(waveform).max() < 32768


def test_the_same_arguments_give_the_same_utterances(people):
    one, again, other = (make_people_numbers(3, "train", s, cache_dir=people) for s in (1, 1, 2))
    assert one[1] == again[1] != other[1]
    for a, b in zip(one[0], again[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_bad_arguments():
    with pytest.raises(ValueError, match="no split 'dev': choose train or test"):
        make_people_numbers(1, "dev", 0)
    with pytest.raises(
        ValueError, match=r"nobody is called 'Theo': hold out george, .* or yweweler"
    ):
        make_people_numbers(1, "test", 0, held_out="Theo")


def test_the_real_recordings(people):
    words = fetch_people_words(people)
    lengths = {name: np.median([len(w) for d in words[name] for w in d]) for name in words}
    assert all(1000 < length < 5000 for length in lengths.values())
    peaks = {name: np.median([np.abs(w).max() for w in words[name][5]]) for name in words}
    assert peaks["theo"] < 2000 < peaks["jackson"] < 32768
