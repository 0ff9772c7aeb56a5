# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Your own recordings and their texts, from a table. Taught in 08_reading_what_it_never_saw.

This file stands alone: it needs nothing but Python.
"""

import csv
import os
from pathlib import Path


def read_transcripts(csv_path: str | os.PathLike) -> list[tuple[Path, str]]:
    """Read a csv table with the columns `path` and `text`, one recording per line, and check it.

    Args:
        csv_path: UTF-8, with a header line, more columns allowed. A relative `path` starts at the
            folder of the table, not at the working directory.

    Returns:
        (path of an existing file, its text without surrounding blanks), in the order of the table.

    Raises:
        FileNotFoundError: no such table, or a recording that is not there, by its line.
        ValueError: a missing column, a line without path or text or with more fields than there
            are columns (as from a comma in a text without quotes), a table without recordings, or
            no csv table in UTF-8.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "one.wav").touch()
    ...     _ = Path(folder, "table.csv").write_text("path,text\\none.wav, hello \\n")
    ...     ((path, text),) = read_transcripts(Path(folder, "table.csv"))
    >>> path.name, text
    ('one.wav', 'hello')
    """
    csv_path = Path(csv_path)
    try:
        transcripts = _read(csv_path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{csv_path} is no csv table in UTF-8 ({error}): save it as one"
        ) from error
    if not transcripts:
        raise ValueError(f"{csv_path} lists no recordings: add lines below its header")
    return transcripts


def _read(csv_path: Path) -> list[tuple[Path, str]]:
    transcripts = []
    with csv_path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a BOM
        table = csv.DictReader(file)
        columns = table.fieldnames or []
        for name in ("path", "text"):
            if name not in columns:
                raise ValueError(
                    f"{csv_path} has no column {name!r}: name it in the first line, now {columns}"
                )
        for row in table:
            where = f"{csv_path}, line {table.line_num}"
            path, text = ((row[name] or "").strip() for name in ("path", "text"))
            if None in row:
                raise ValueError(
                    f"{where}: more fields than columns; put a text with a comma into quotes"
                )
            if not path:
                raise ValueError(f"{where}: no path; remove the line or name the recording")
            if not text:
                raise ValueError(f"{where}: no text for {path}; write it or remove the line")
            if not os.path.isfile(csv_path.parent / path):  # pathlib's raises for odd names
                raise FileNotFoundError(
                    f"{where}: there is no file {csv_path.parent / path}; mend the path"
                )
            transcripts.append((csv_path.parent / path, text))
    return transcripts
