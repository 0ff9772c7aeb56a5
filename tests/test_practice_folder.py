"""The folder to practise on, and whose voices are in it."""

import importlib.util

import pytest

from ctc_tutorial import find_transcripts, load_voices, make_practice_folder, read_recording

with_soundfile = pytest.mark.skipif(
    importlib.util.find_spec("soundfile") is None, reason="soundfile is not installed"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("practice")
    voices, _ = load_voices(path / "no such folder")
    return make_practice_folder(path, voices, count=40, seed=3)


@with_soundfile
def test_the_practice_folder_has_every_kind_of_file(folder):
    good, _ = find_transcripts(folder)
    assert {line.path.suffix for line in good} == {".wav", ".flac", ".ogg", ".mp3"}
    rates = {read_recording(line.path)[1] for line in good if line.path.parent != folder.parent}
    assert rates == {8000, 16000, 32000}


def test_people_are_taken_where_they_lie(people):
    voices, kind = load_voices(people)
    assert kind == "people" and sorted(voices)[::5] == ["george", "yweweler"]
    assert {len(takes) for words in voices.values() for takes in words} == {50}


def test_an_archive_of_other_content_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr("ctc_tutorial.data.people.URL", "http://127.0.0.1:9/none.zip")
    (tmp_path / "fsdd.zip").write_bytes(b"PK")
    with pytest.raises(OSError, match="Free Spoken Digit Dataset"):
        load_voices(tmp_path)


def test_the_same_arguments_write_the_same_folder(tmp_path):
    voices, _ = load_voices(tmp_path)
    tables = [make_practice_folder(tmp_path / name, voices, 12, seed=1) for name in "ab"]
    assert tables[0].read_text(encoding="utf-8") == tables[1].read_text(encoding="utf-8")
    for one, two in zip(*(find_transcripts(table)[0] for table in tables), strict=True):
        if one.path.suffix in (".wav", ".flac"):  # ogg holds a number drawn anew
            assert one.path.read_bytes() == two.path.read_bytes()
    other = make_practice_folder(tmp_path / "c", voices, 12, seed=2)
    assert other.read_text(encoding="utf-8") != tables[0].read_text(encoding="utf-8")


def test_a_folder_of_no_recordings_is_refused(tmp_path):
    with pytest.raises(ValueError, match="count=0: give at least 1"):
        make_practice_folder(tmp_path, {}, count=0, seed=0)
