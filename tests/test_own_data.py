"""Folders of recordings, from files of all kinds to features, texts and groups of speakers."""

import builtins
import importlib.util
import unicodedata
from collections import Counter

import numpy as np
import pytest
from scipy.io import wavfile

from ctc_tutorial import (
    clean_texts,
    find_transcripts,
    load_recordings,
    load_voices,
    make_practice_folder,
    mfcc_features,
    read_recording,
    resample,
    split_by_speaker,
)

NUMERALS = dict(
    zip("0123456789", "zero one two three four five six seven eight nine".split(), strict=True)
)
with_soundfile = pytest.mark.skipif(
    importlib.util.find_spec("soundfile") is None, reason="soundfile is not installed"
)


def tone(rate, hertz=440.0, seconds=0.5):
    return 8000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


# Recordings of every kind.


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


# Texts.


@pytest.mark.parametrize(
    ("text", "cleaned", "dropped"),
    [
        ("Hello,  World!", "hello world", ",!"),
        ("DON’T 'quote' rock'n'roll'", "don't quote rock'n'roll", "'''"),
        ("twenty-one", "twenty one", "-"),
        ("Straße ÉCOLE", "straße école", ""),
        ("ｆｕｌｌ ﬁ", "full fi", ""),  # full width; a ligature
        ("हिन्दी में", "हिन्दी में", ""),  # vowel signs are marks, not letters
        ("7 of 9", "7 of 9", ""),
        ("?!…", "", "?!..."),  # NFKC writes the ellipsis as three
    ],
)
def test_what_is_kept_of_a_text_and_what_is_dropped(text, cleaned, dropped):
    assert clean_texts([text]) == ([cleaned], Counter(dropped))


def test_accents_are_written_one_way():
    apart = unicodedata.normalize("NFD", "café")
    assert len(apart) == 5 and clean_texts([apart])[0] == clean_texts(["café"])[0] == ["café"]


def test_numerals_are_spelled_where_the_caller_says_how():
    assert clean_texts(["Room 42, 5%"], {"4": "four", "2": "two", "%": "percent"}) == (
        ["room four two 5 percent"],
        Counter(","),
    )


def test_texts_that_are_none_are_refused():
    with pytest.raises(ValueError, match="put a single one into a list"):
        clean_texts("one")
    with pytest.raises(ValueError, match="text 1 is None"):
        clean_texts(["one", None])


# Tables.


def test_one_bad_line_does_not_stop_the_rest(tmp_path):
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "a.wav").touch()
    table = tmp_path / "t.csv"
    table.write_text(
        "speaker,path,text\nbob,ann/a.wav,One\n,none.wav,Two\n,ann/a.wav,Three\nx,ann/a.wav,\n"
        "x,,Four\nx,ann/a.wav,a,b\n",
        encoding="utf-8",
    )
    good, problems = find_transcripts(table)
    assert good == [
        (tmp_path / "ann" / "a.wav", "One", "bob"),
        (tmp_path / "ann" / "a.wav", "Three", "ann"),
    ]
    assert [int(p.split("line ")[1].split(":")[0]) for p in problems] == [3, 5, 6, 7]


# Speakers.


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.95])
def test_no_speaker_is_on_both_sides(seed, share):
    rng = np.random.default_rng(seed)
    speakers = rng.integers(0, rng.integers(2, 9), 60).tolist()
    kept, held_back = split_by_speaker(speakers, share, seed)
    assert sorted([*kept, *held_back]) == list(range(60)) and len(kept) and len(held_back)
    assert not {speakers[i] for i in kept} & {speakers[i] for i in held_back}


def test_many_speakers_come_near_to_the_share():
    speakers = [i // 3 for i in range(300)]
    for seed in range(5):
        assert len(split_by_speaker(speakers, 0.2, seed)[1]) == 60


def test_one_speaker_is_divided_by_recordings():
    kept, held_back = split_by_speaker(["ann"] * 10, 0.2)
    assert (len(kept), len(held_back)) == (8, 2)
    with pytest.raises(ValueError, match="1 recordings can't be divided"):
        split_by_speaker(["ann"])
    with pytest.raises(ValueError, match="share"):
        split_by_speaker(["ann"] * 3, 1.0)


# The whole folder.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("practice")
    voices, _ = load_voices(path / "no such folder")
    return make_practice_folder(path, voices, count=40, seed=3)


def test_a_folder_as_people_have_it(folder):
    recordings, problems = load_recordings(folder, NUMERALS, frames_per_label=4)
    assert len(recordings.paths) == 40 and recordings.sample_rate == 8000
    assert set(" ".join(recordings.texts).split()) <= set(NUMERALS.values())
    assert recordings.characters == "".join(sorted(set("".join(NUMERALS.values())) | {" "}))
    assert set(recordings.dropped) <= set(",.!") and recordings.dropped[","] > 3
    assert len(set(recordings.speakers)) == 32
    expected = ("missing", "no text", "empty", "notes", "silence", "short")
    for name in expected:
        assert len([p for p in problems if name in p]) == 1, (name, problems)
    assert len(problems) == len(expected)


@with_soundfile
def test_the_practice_folder_has_every_kind_of_file(folder):
    good, _ = find_transcripts(folder)
    assert {line.path.suffix for line in good} == {".wav", ".flac", ".ogg", ".mp3"}
    rates = {read_recording(line.path)[1] for line in good if line.path.parent != folder.parent}
    assert rates == {8000, 16000, 32000}


def test_features_are_those_of_the_sound_at_the_common_rate(tmp_path):
    for name, rate in (("a.wav", 8000), ("b.wav", 32000)):
        chirp = 5000 * np.sin(np.linspace(0, 60, rate) ** 2)
        wavfile.write(tmp_path / name, rate, chirp.astype(np.int16))
    (tmp_path / "t.csv").write_text("path,text\na.wav,on\nb.wav,on\n", encoding="utf-8")
    recordings, problems = load_recordings(tmp_path / "t.csv")
    assert recordings.sample_rate == 8000 and not problems
    expected = mfcc_features(*read_recording(tmp_path / "a.wav"))
    np.testing.assert_array_equal(recordings.features[0], expected)
    assert np.corrcoef(recordings.features[1].ravel(), expected.ravel())[0, 1] > 0.9


def test_a_text_needs_more_time_with_an_encoder_that_strides(tmp_path):
    wavfile.write(tmp_path / "a.wav", 8000, tone(8000, seconds=0.2).astype(np.int16))
    (tmp_path / "t.csv").write_text("path,text\na.wav,seven\n", encoding="utf-8")
    assert len(load_recordings(tmp_path / "t.csv")[0].texts) == 1  # 19 frames, 5 characters
    with pytest.raises(ValueError, match=r"0\.20 s, but CTC needs at least 0\.20 s for its text"):
        load_recordings(tmp_path / "t.csv", frames_per_label=4)


def test_people_are_taken_where_they_lie(tmp_path):
    import io
    import zipfile

    buffer = io.BytesIO()
    wavfile.write(buffer, 8000, np.arange(5, dtype=np.int16))
    with zipfile.ZipFile(tmp_path / "fsdd.zip", "w") as archive:
        archive.writestr("fsdd-1/recordings/7_ann_0.wav", buffer.getvalue())
    voices, kind = load_voices(tmp_path)
    assert kind == "people" and list(voices) == ["ann"]
    assert [len(takes) for takes in voices["ann"]] == [0] * 7 + [1, 0, 0]
    assert voices["ann"][7][0].tolist() == [0, 1, 2, 3, 4]
