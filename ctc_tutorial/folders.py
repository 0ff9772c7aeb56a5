# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""A folder of recordings as features and clean texts. Taught in notebook 10_your_own_data.

Copy transcripts.py, cleaning.py, recordings.py and speech.py with this file.
"""

import itertools
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .cleaning import clean_texts
from .recordings import read_recording, resample
from .speech import mfcc_features
from .transcripts import find_transcripts

LOWEST_RATE = 1000  # in Hz, of `mfcc_features`; all sounds get the lowest rate among them


class Recordings(NamedTuple):
    """The good recordings of a folder, an item of each list for each of them.

    Attributes:
        paths: the files.
        features: MFCC, float32 [T_i, 13], 100 frames a second.
        texts: what is said, cleaned.
        speakers: who says it: from the table, else the name of the file's folder.
        sample_rate: in Hz, of all sounds when their features were computed.
        characters: all that occur in the texts, sorted.
        dropped: how often each character was dropped from the texts.

    >>> Recordings([], [], ["no", "on"], ["ann", "bob"], 8000, "no", Counter("!")).characters
    'no'
    """

    paths: list[Path]
    features: list[np.ndarray]
    texts: list[str]
    speakers: list[str]
    sample_rate: int
    characters: str
    dropped: Counter


def load_recordings(
    csv_path: str | os.PathLike,
    spelled: Mapping[str, str] | None = None,
    frames_per_label: int = 1,
    longest: float = 60.0,
) -> tuple[Recordings, list[str]]:
    """Read all that can be read, and say what is wrong with the rest.

    All sounds are brought to one sample rate: the lowest among them, at most 16 kHz. (What a lower
    rate lost no higher one brings back, and a network would tell the two kinds apart.)

    Args:
        csv_path: a table with the columns `path`, `text` and, if known, `speaker`.
        spelled: what to write in place of a character, see `clean_texts`.
        frames_per_label: frames that a label takes at least, which is what the encoder makes one
            of: 4 for `audio_encoder`. Recordings with fewer frames than their text needs are bad.
        longest: in seconds. A batch is as long as its longest utterance, and the loss needs memory
            for its frames times its labels: a recording of ten minutes could fill it.

    Returns:
        The good recordings, and a sentence for each bad line.

    Raises:
        FileNotFoundError, ValueError: no such table, or none that can be read; or not one of its
            recordings is good.

    >>> import tempfile
    >>> from scipy.io import wavfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sound = np.arange(8000).astype(np.int16) ** 2  # a second
    ...     wavfile.write(f"{folder}/one.wav", 8000, sound)
    ...     wavfile.write(f"{folder}/two.wav", 8000, sound)
    ...     table = Path(folder, "table.csv")
    ...     _ = table.write_text("path,text\\none.wav,Hello!\\ntwo.wav,?\\n")
    ...     recordings, problems = load_recordings(table)
    >>> recordings.texts, recordings.features[0].shape, recordings.sample_rate
    (['hello'], (99, 13), 8000)
    >>> problems[0].split("two.wav: ")[1]
    "nothing is left of its text '?'"
    """
    lines, problems = find_transcripts(csv_path)
    texts, dropped = clean_texts([line.text for line in lines], spelled)
    readable, rates, seen = [], [16_000], set()
    # Twice through the files: kept at their own rates, all at once could fill the memory.
    for line, text in zip(lines, texts, strict=True):
        try:
            if not text:
                raise ValueError(f"{line.path}: nothing is left of its text {line.text!r}")
            file = line.path.resolve()
            if file in seen:  # it could be learnt, and held back as well
                raise ValueError(f"{line.path} is in the table twice: leave one line")
            waveform, rate = read_recording(line.path)
            _check_sound(line.path, len(waveform) / rate, rate, longest)
            seen.add(file)
            rates.append(rate)
            readable.append((line, text))
        except (ValueError, OSError) as error:
            problems.append(" ".join(str(error).split()))
    sample_rate, rows = min(rates), []
    for line, text in readable:
        try:
            waveform = resample(*read_recording(line.path), sample_rate)
            features = mfcc_features(waveform, sample_rate)
        except (ValueError, OSError) as error:  # the file may be gone by now
            problems.append(f"{line.path}: {error}")
            continue
        repeats = sum(a == b for a, b in itertools.pairwise(text))
        if len(features) // frames_per_label < len(text) + repeats:
            needed = (len(text) + repeats) * frames_per_label / 100
            problems.append(
                f"{line.path} lasts {len(waveform) / sample_rate:.2f} s, but CTC needs at least "
                f"{needed:.2f} s for its text of {len(text)} characters"
            )
        else:
            rows.append((line.path, features, text, line.speaker))
    if not rows:
        raise ValueError(f"{csv_path}: not one recording is good; the first problem: {problems[0]}")
    paths, features, texts, speakers = map(list, zip(*rows, strict=True))
    characters = "".join(sorted(set("".join(texts))))
    return Recordings(paths, features, texts, speakers, sample_rate, characters, dropped), problems


def _check_sound(path: Path, seconds: float, rate: int, longest: float) -> None:
    if rate < LOWEST_RATE:
        raise ValueError(f"{path} has {rate} samples a second: speech needs {LOWEST_RATE} at least")
    if seconds > longest:
        raise ValueError(
            f"{path} lasts {seconds:.0f} s: cut it into pieces of {longest:.0f} s at most, each "
            "with its text"
        )
