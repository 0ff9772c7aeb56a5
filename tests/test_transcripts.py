"""`read_transcripts`: good tables are read, bad ones are refused by name."""

import pytest

from ctc_tutorial.transcripts import find_transcripts, read_transcripts


@pytest.fixture
def table(tmp_path):
    """A function that writes a table beside two recordings, one in a folder below."""
    (tmp_path / "more").mkdir()
    for name in ("a.wav", "more/b, c.wav"):
        (tmp_path / name).write_bytes(b"sound")

    def write(text, encoding="utf-8"):
        (tmp_path / "table.csv").write_bytes(text.encode(encoding))
        return tmp_path / "table.csv"

    return write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_paths_start_at_the_table_whatever_the_working_directory(
    table, encoding, newline, tmp_path, monkeypatch
):
    monkeypatch.chdir("/")
    lines = ["path,speaker,text", "a.wav,x, eins zwei ", '"more/b, c.wav",y,"drei, fünf"', ""]
    assert read_transcripts(str(table(newline.join(lines), encoding))) == [
        (tmp_path / "a.wav", "eins zwei"),
        (tmp_path / "more" / "b, c.wav", "drei, fünf"),
    ]


def test_an_absolute_path_stays(table, tmp_path):
    assert read_transcripts(table(f"text,path\nx,{tmp_path / 'a.wav'}\n")) == [
        (tmp_path / "a.wav", "x")
    ]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("path,words\na.wav,x\n", ValueError, r"no column 'text'.*\['path', 'words'\]"),
        ("a.wav,x\n", ValueError, "no column 'path'"),
        ("", ValueError, "no column 'path'"),
        ("path,text\n", ValueError, "lists no recordings"),
        ("path,text\na.wav,x\na.wav,  \n", ValueError, "line 3: no text for a.wav"),
        ("path,text\na.wav\n", ValueError, "line 2: no text for a.wav"),
        ("path,text\n,x\n", ValueError, "line 2: no path"),
        ("path,text\na.wav,x\nz.wav,x\n", FileNotFoundError, "line 3: there is no file .*z.wav"),
        ("path,text\na.wav,hello, world\n", ValueError, "line 2: more fields than columns"),
        ("path,text\n" + "a" * 9000 + ",x\n", FileNotFoundError, "line 2: there is no file .*aa"),
        ("path,text\nmore,x\n", FileNotFoundError, "line 2: there is no file .*more"),
        ('path,text\na.wav,"x\na.wav,y\na.wav,z\n', ValueError, "line 4: .*began 2 lines before"),
        ('path,text\n"a.wav,x\na.wav,y\n', ValueError, "line 3: .*close its quotation mark"),
    ],
)
def test_what_is_wrong_is_named(table, text, error, message):
    with pytest.raises(error, match=message):
        read_transcripts(table(text))


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv"):
        read_transcripts(tmp_path / "nothing.csv")


def test_a_table_in_another_encoding_is_named(tmp_path):
    (tmp_path / "t.csv").write_bytes("path,text\na.wav,é\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"t\.csv is no csv table in UTF-8"):
        read_transcripts(tmp_path / "t.csv")


def test_folders_of_the_same_name_are_different_speakers(tmp_path):
    names = ["ann/clips/a.wav", "bob/clips/a.wav", "ann/a.wav", "./a.wav", f"{tmp_path}/bob/a.wav"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["path,text", *(f"{n},x" for n in names)]), encoding="utf-8")
    good, problems = find_transcripts(table)
    absolute = (tmp_path / "bob").as_posix()
    assert not problems
    assert [row.speaker for row in good] == [
        "ann/clips",
        "bob/clips",
        "ann",
        tmp_path.name,
        absolute,
    ]


def test_an_open_quotation_mark_is_named_and_the_rest_goes_on(tmp_path):
    (tmp_path / "a.wav").touch()
    lines = ["path,text", "a.wav,one", 'a.wav,"two', "a.wav,three", 'a.wav,"four"', "a.wav,five"]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    good, problems = find_transcripts(table)
    assert [row.text for row in good] == ["one", "five"]
    assert len(problems) == 1 and "line 5: what ends here began 2 lines before" in problems[0]


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


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_as_spreadsheets_of_many_countries_write_it(table, tmp_path, between):
    lines = [["Path", " Speaker", "TEXT "], ["a.wav", "x", '"eins; zwei, drei"']]
    found = read_transcripts(table("\r\n".join(between.join(line) for line in lines), "utf-8-sig"))
    assert found == [(tmp_path / "a.wav", "eins; zwei, drei")]


def test_paths_from_other_systems(table, tmp_path):
    decomposed = "fu\u0308r.wav"  # as macOS writes an umlaut
    (tmp_path / "more" / decomposed).write_bytes(b"sound")
    lines = "path,text", '"more\\b, c.wav",x', "more/f\u00fcr.wav,y"
    good, problems = find_transcripts(table("\n".join(lines)))
    assert [t.path.name for t in good] == ["b, c.wav", decomposed] and not problems
    assert {t.speaker for t in good} == {"more"}


def test_a_field_without_an_end_does_not_take_the_lines_before_it(tmp_path):
    (tmp_path / "a.wav").touch()
    lines = ["path,text", "a.wav,one", 'a.wav,"two', *["a.wav,three"] * 12_000]
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    good, problems = find_transcripts(tmp_path / "t.csv")
    assert [row.text for row in good] == ["one"]
    assert len(problems) == 1 and "from line 3 on" in problems[0] and "quotation" in problems[0]


def test_blanks_before_quotes_and_delimiters_at_the_end(table, tmp_path):
    found = read_transcripts(table('path, text\na.wav, "one, two"\n'))
    assert found == [(tmp_path / "a.wav", "one, two")]
    assert read_transcripts(table("path;text\na.wav;one two;\n"))[0][1] == "one two"
