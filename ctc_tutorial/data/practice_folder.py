# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""A folder of recordings as people have them, to practise on. Used in notebook 10_your_own_data.

Composed of the words "zero" to "nine": people's, where the Free Spoken Digit Dataset lies in the
cache folder; else the synthetic ones. Copy people.py and spoken_numbers.py (with its
`spoken_digits.npz`) with this file.
"""

import csv
import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pooch
from scipy.io import wavfile
from scipy.signal import resample_poly

from .people import ARCHIVE, fetch_people_words
from .spoken_numbers import SAMPLE_RATE, WORDS, load_spoken_words

# Widths of wav files: the type of a sample, its scale and its middle.
WIDTHS = {
    "8-bit.wav": (np.uint8, 1 / 256, 128),
    "16-bit.wav": (np.int16, 1, 0),
    "32-bit.wav": (np.int32, 65536, 0),
    "float.wav": (np.float32, 1 / 32768, 0),
}
Voices = Mapping[str, Sequence[Sequence[np.ndarray]]]


def load_voices(cache_dir: str | os.PathLike | None = None) -> tuple[Voices, str]:
    """People's voices where they can be had without a download, else synthetic ones.

    Args:
        cache_dir: where `fsdd.zip` lies, the archive of the Free Spoken Digit Dataset, v1.0.10; by
            default the environment variable CTC_TUTORIAL_DATA, else the user's cache folder.

    Returns:
        For each speaker, and there for each of "zero" to "nine", the takes: float32 [N], 8 kHz, on
        the 16-bit scale; and "people" or "synthetic voices".

    Raises:
        OSError: an archive of other content, and no download in its place.

    >>> voices, kind = load_voices("a folder without the archive")
    >>> kind, len(voices), len(voices["voice00"])
    ('synthetic voices', 32, 10)
    """
    folder = cache_dir or os.environ.get("CTC_TUTORIAL_DATA") or pooch.os_cache("ctc_tutorial")
    if Path(folder, ARCHIVE).exists():
        return fetch_people_words(folder), "people"
    words = load_spoken_words("final") + load_spoken_words("test")
    return {
        f"voice{i:02}": [[w] for w in voice] for i, voice in enumerate(words)
    }, "synthetic voices"


def make_practice_folder(folder: str | os.PathLike, voices: Voices, count: int, seed: int) -> Path:
    """Write `count` recordings and a table `transcripts.csv` with all that goes wrong in practice.

    A recording holds two to five words of one speaker. The files are wav of several widths and
    rates, mono and stereo, and flac, ogg and mp3 where `soundfile` is installed; the texts have
    capitals, punctuation and numerals. Six more lines of the table are bad: a file that is
    missing, an empty one, one that is no sound, one of silence, a text too long for its
    recording, and a recording without text.

    Args:
        folder: made if it does not exist.
        voices: as `load_voices` returns them.
        count: good recordings, at least one.
        seed: the same arguments write the same sounds and texts.

    Returns:
        The path of the table, with the columns path, speaker and text.

    Raises:
        ValueError: no recording asked for.

    >>> import tempfile
    >>> voices, _ = load_voices("a folder without the archive")
    >>> table = make_practice_folder(tempfile.mkdtemp(), voices, count=4, seed=0)
    >>> print(table.read_text(encoding="utf-8").splitlines()[0])
    path,speaker,text
    """
    if count < 1:
        raise ValueError(f"count={count}: give at least 1")
    folder, rng, rows = Path(folder), np.random.default_rng(seed), []
    compressed = ["flac", "ogg", "mp3"] if importlib.util.find_spec("soundfile") else []
    formats = [*WIDTHS, *compressed]
    for i in range(count):
        speaker = list(voices)[i % len(voices)]
        digits = rng.integers(0, 10, rng.integers(2, 6))
        (folder / speaker).mkdir(parents=True, exist_ok=True)
        waveform = _utterance([_any(voices[speaker][d], rng) for d in digits], rng)
        kind = formats[rng.integers(len(formats))]
        name = f"{speaker}/{i:04}.{kind.split('.')[-1]}"
        _write(folder / name, kind, waveform, rng)
        rows.append((name, speaker, _as_people_write(digits, rng)))
    shortest = min((voices[speaker][0][0] for speaker in voices), key=len)
    wavfile.write(folder / "short.wav", SAMPLE_RATE, shortest.astype(np.int16))
    wavfile.write(folder / "silence.wav", SAMPLE_RATE, np.zeros(SAMPLE_RATE, np.int16))
    (folder / "empty.wav").write_bytes(b"")
    (folder / "notes.wav").write_text("not a recording", encoding="ascii")
    bad = [
        ("missing.wav", "one two"),
        ("empty.wav", "three"),
        ("notes.wav", "four five"),
        ("silence.wav", "six"),
        ("short.wav", "Zero, one, two, three, four, five, six, seven, eight, nine. " * 2),
        (rows[0][0], ""),
    ]
    rows += [(name, "", text.strip()) for name, text in bad]
    with (folder / "transcripts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "speaker", "text"), *rows])
    return folder / "transcripts.csv"


def _any(takes: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    return takes[int(rng.integers(len(takes)))]


def _utterance(words: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """The words, each of a loudness of its own, with pauses of up to 0.2 s, in a little noise."""
    parts = [np.zeros(rng.integers(SAMPLE_RATE // 5))]
    for word in words:
        parts += [word * rng.uniform(0.5, 1.0), np.zeros(rng.integers(SAMPLE_RATE // 5))]
    waveform = np.concatenate(parts)
    return waveform + rng.uniform(10, 50) * rng.standard_normal(len(waveform))


def _as_people_write(digits: np.ndarray, rng: np.random.Generator) -> str:
    """With capitals, punctuation, and one numeral in ten."""
    words = [str(d) if rng.random() < 0.1 else WORDS[d] for d in digits]
    text = " ".join(word + (rng.random() < 0.2) * "," for word in words)
    return (text.upper() if rng.random() < 0.2 else text.capitalize()) + rng.choice([".", "!", ""])


def _write(path: Path, kind: str, waveform: np.ndarray, rng: np.random.Generator) -> None:
    """The waveform in one of the formats, at one of three rates, sometimes in stereo."""
    times = int(rng.choice([1, 2, 4]))
    waveform = np.clip(resample_poly(waveform, times, 1), -32768, 32767)
    if rng.random() < 0.3:
        waveform = np.stack([waveform, waveform / 2], axis=1)
    if kind in WIDTHS:
        dtype, scale, middle = WIDTHS[kind]
        wavfile.write(path, times * SAMPLE_RATE, (waveform * scale + middle).astype(dtype))
    else:
        import soundfile

        soundfile.write(path, waveform / 32768, times * SAMPLE_RATE)
