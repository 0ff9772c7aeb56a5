# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Your own recordings and their texts, from a table. Taught in 10_your_own_data.

This file stands alone: it needs nothing but Python.
"""

import csv
import itertools
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


def read_transcripts(csv_path: str | os.PathLike) -> list[tuple[Path, str]]:
    """Read a csv table with the columns `path` and `text`, one recording per line, and check it.

    Args:
        csv_path: UTF-8, with a header line in which commas, semicolons or tabs stand between the
            names of the columns, as in all other lines; more columns allowed. A relative `path`
            starts at the folder of the table, not at the working directory; Windows' backslashes
            and both ways to write an umlaut are understood.

    Returns:
        (path of an existing file, its text without surrounding blanks), in the order of the table.

    Raises:
        FileNotFoundError: no such table, or a recording that is not there, by its line.
        ValueError: a missing column, a line without path or text or with more fields than there
            are columns (as from a comma in a text without quotes), one that runs over several
            lines (as after a quotation mark that is not closed), a table without recordings, or no
            csv table in UTF-8.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "one.wav").touch()
    ...     _ = Path(folder, "table.csv").write_text("path,text\\none.wav, hello \\n")
    ...     ((path, text),) = read_transcripts(Path(folder, "table.csv"))
    >>> path.name, text
    ('one.wav', 'hello')
    """
    transcripts = []
    for row in _rows(Path(csv_path)):
        if isinstance(row, Exception):
            raise row
        transcripts.append((row.path, row.text))
    return transcripts


class Transcript(NamedTuple):
    """A line of the table, as `find_transcripts` returns it.

    Attributes:
        path: of an existing file.
        text: as it stands there, without surrounding blanks.
        speaker: who speaks.

    >>> Transcript(Path("ann/one.wav"), "Hello!", "ann").speaker
    'ann'
    """

    path: Path
    text: str
    speaker: str


def find_transcripts(csv_path: str | os.PathLike) -> tuple[list[Transcript], list[str]]:
    """All good lines of a table, and what is wrong with the others: one does not stop the rest.

    Args:
        csv_path: as for `read_transcripts`; who speaks stands in the column `speaker`. Where it is
            empty or missing, the folder of a recording counts as its speaker: `ann/a.wav` is by
            "ann", and `ann/clips/a.wav` by "ann/clips".

    Returns:
        The good lines in their order; and a sentence for each bad one.

    Raises:
        FileNotFoundError, ValueError: no such table, no csv table in UTF-8, a missing column, or
            a table without recordings.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "one.wav").touch()
    ...     lines = "path,speaker,text", "one.wav,ann,Hello!", "one.wav,bob,"
    ...     _ = Path(folder, "table.csv").write_text("\\n".join(lines))
    ...     good, problems = find_transcripts(Path(folder, "table.csv"))
    >>> good[0].text, good[0].speaker
    ('Hello!', 'ann')
    >>> [problem.split(", ")[-1] for problem in problems]
    ['line 3: no text for one.wav; write it or remove the line']
    """
    good, problems = [], []
    for row in _rows(Path(csv_path)):
        if isinstance(row, Exception):
            problems.append(str(row))
        else:
            good.append(row)
    return good, problems


def _rows(csv_path: Path) -> Iterator[Transcript | ValueError | FileNotFoundError]:
    """Each line, or what is wrong with it; raises what is wrong with the whole table."""
    last = 0
    try:
        with csv_path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a BOM
            header = file.readline()
            lines = itertools.chain([header], file)
            delimiter = max(",;\t", key=header.count)
            table = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True)
            columns = [name.strip().lower() for name in table.fieldnames or []]
            table.fieldnames = columns
            for name in ("path", "text"):
                if name not in columns:
                    raise ValueError(
                        f"{csv_path} has no column {name!r}: name it in the first line, "
                        f"now {columns}"
                    )
            for row in table:
                last = table.line_num
                yield _row(row, csv_path.parent, f"{csv_path}, line {last}")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{csv_path} is no csv table in UTF-8 ({error}): save it as 'CSV UTF-8'"
        ) from error
    except csv.Error as error:  # a field of more than 131,072 characters
        yield ValueError(
            f"{csv_path}, from line {last + 1} on: {error}, all of it is left out; close its "
            "quotation mark"
        )
    if not last:
        raise ValueError(f"{csv_path} lists no recordings: add lines below its header")


def _row(row: dict, folder: Path, where: str) -> Transcript | ValueError | FileNotFoundError:
    path, text, speaker = ((row.get(name) or "").strip() for name in ("path", "text", "speaker"))
    if any(field.strip() for field in row.get(None, [])):
        return ValueError(f"{where}: more fields than columns; put a text with a comma into quotes")
    if lines := max(path.count("\n"), text.count("\n")):
        return ValueError(
            f"{where}: what ends here began {lines} lines before, and all of it is left out; close "
            "its quotation mark, or write it into one line"
        )
    if not path:
        return ValueError(f"{where}: no path; remove the line or name the recording")
    if not text:
        return ValueError(f"{where}: no text for {path}; write it or remove the line")
    named, path = path, _existing(folder, path)
    if not path:
        return FileNotFoundError(f"{where}: there is no file {folder / named}; mend the path")
    if not speaker:  # not the name alone: ann/clips and bob/clips are two speakers
        parent = Path(path).parent
        speaker = parent.as_posix() if parent.name else folder.name
    return Transcript(folder / path, text, speaker)


def _existing(folder: Path, path: str) -> str:
    """The path as the file is called: from Windows, or with umlauts as macOS writes them; or ""."""
    slashes = path.replace("\\", "/")
    forms = (path, slashes, *(unicodedata.normalize(form, slashes) for form in ("NFC", "NFD")))
    # pathlib's is_file raises for odd names.
    return next((form for form in forms if os.path.isfile(folder / form)), "")
