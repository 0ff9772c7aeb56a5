"""A whole folder, from files and a table to features and texts."""

import numpy as np
import pytest
from scipy.io import wavfile

from ctc_tutorial import (
    load_recordings,
    load_voices,
    make_practice_folder,
    mfcc_features,
    read_recording,
)

NUMERALS = dict(
    zip("0123456789", "zero one two three four five six seven eight nine".split(), strict=True)
)


def tone(rate, hertz=440.0, seconds=0.5):
    return 8000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


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


def test_sounds_that_are_too_long_too_short_or_too_slow_are_named(tmp_path):
    sounds = {
        "good": tone(8000),
        "long": tone(8000, seconds=3.0),
        "click": [0, 9000, 0],
        "slow": tone(500, 100.0),
    }
    for name, sound in sounds.items():
        rate = {"click": 48000, "slow": 500}.get(name, 8000)
        wavfile.write(tmp_path / f"{name}.wav", rate, np.array(sound, np.int16))
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["path,text", *(f"{n}.wav,on" for n in sounds)]), encoding="utf-8")
    recordings, problems = load_recordings(table, longest=2.0)
    assert [path.name for path in recordings.paths] == ["good.wav"]
    assert recordings.sample_rate == 8000
    for name, said in (("long", "lasts 3 s: cut it"), ("click", ""), ("slow", "500 samples")):
        assert [p for p in problems if f"{name}.wav" in p and said in p], (name, problems)
    assert len(problems) == 3


def test_a_text_needs_more_time_with_an_encoder_that_strides(tmp_path):
    wavfile.write(tmp_path / "a.wav", 8000, tone(8000, seconds=0.2).astype(np.int16))
    (tmp_path / "t.csv").write_text("path,text\na.wav,seven\n", encoding="utf-8")
    assert len(load_recordings(tmp_path / "t.csv")[0].texts) == 1  # 19 frames, 5 characters
    with pytest.raises(ValueError, match=r"0\.20 s, but CTC needs at least 0\.20 s for its text"):
        load_recordings(tmp_path / "t.csv", frames_per_label=4)


def test_a_recording_in_two_lines_is_learnt_once(tmp_path):
    for name in ("a.wav", "b.wav"):
        wavfile.write(tmp_path / name, 8000, tone(8000).astype(np.int16))
    table = tmp_path / "t.csv"
    table.write_text("path,text\na.wav,on\nb.wav,on\n./a.wav,no\n", encoding="utf-8")
    recordings, problems = load_recordings(table)
    assert recordings.texts == ["on", "on"] and len(set(recordings.speakers)) == 1
    assert len(problems) == 1 and "is in the table twice" in problems[0]
