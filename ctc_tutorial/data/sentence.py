# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""One spoken sentence, synthetic or real. Used from notebook 00_start_here on.

The bundled recording, `sentence.wav`, was spoken by a synthesiser (scripts/make_recording.py);
`sentence.csv` says when. The real one is LDC93S1, a sample of the corpus TIMIT that the Linguistic
Data Consortium has on its web site.

This file stands alone (with those two files beside it): it needs NumPy, SciPy and pooch.
"""

import csv
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pooch
from scipy.io import wavfile

BUNDLED = Path(__file__).parent / "sentence.wav"
SENTENCE = "she had your dark suit in greasy wash water all year"

LDC_URL = "https://catalog.ldc.upenn.edu/desc/addenda/"
LDC_SHA256 = {
    "LDC93S1.wav": "c7e8b51db10ec6a2aea8c92376f2b88af14c2b4950ed82db3d605a4b718c8f35",
    "LDC93S1.txt": "0b4ffafce18d6ec0df273c0189202a7c186cd0bbb9b40659490f5f2ad99e70a5",
}


class Utterance(NamedTuple):
    """One spoken text.

    Attributes:
        waveform: float32 [N], mono, on the 16-bit scale (-32768 to 32767).
        sample_rate: in Hz.
        text: what is said.

    >>> utterance = Utterance(np.zeros(16000, np.float32), 8000, "oh dear")
    >>> len(utterance.waveform) / utterance.sample_rate  # seconds
    2.0
    """

    waveform: np.ndarray
    sample_rate: int
    text: str

    def cut(self, start: float, end: float, text: str) -> "Utterance":
        """The part from `start` to `end` in seconds, in which `text` is spoken.

        Raises:
            ValueError: the recording has no such part.

        >>> utterance = Utterance(np.zeros(16000, np.float32), 8000, "oh dear")
        >>> utterance.cut(0.5, 2.0, "dear").waveform.shape
        (12000,)
        """
        seconds = len(self.waveform) / self.sample_rate
        told = all(isinstance(time, int | float | np.number) for time in (start, end))
        first = last = 0
        if told and 0 <= start <= end <= seconds + 1:  # neither NaN nor infinite
            first, last = int(start * self.sample_rate), int(end * self.sample_rate)
        if not first < last <= len(self.waveform):
            raise ValueError(
                f"can't cut {start} s to {end} s out of {self.text!r}: choose a start and a later "
                f"end between 0 and {seconds} s"
            )
        return Utterance(self.waveform[first:last], self.sample_rate, text)


def load_sentence() -> Utterance:
    """The sentence of LDC93S1 as a synthesiser speaks it: bundled, 3.6 s at 16 kHz.

    >>> whole = load_sentence()
    >>> whole.text
    'she had your dark suit in greasy wash water all year'
    >>> whole.waveform.shape, whole.sample_rate
    ((58354,), 16000)
    """
    return _read(BUNDLED, SENTENCE)


def load_word_times() -> list[tuple[str, float, float]]:
    """When each word of the bundled recording is spoken, as its synthesiser reports.

    A word ends where the next one begins. The real recording has no such table here.

    Returns:
        (word, start, end) of each word, in seconds.

    >>> load_word_times()[:2]
    [('she', 0.2, 0.3906), ('had', 0.3906, 0.6368)]
    """
    with BUNDLED.with_suffix(".csv").open(newline="", encoding="ascii") as file:
        return [(r["word"], float(r["start"]), float(r["end"])) for r in csv.DictReader(file)]


def fetch_ldc93s1(cache_dir: str | os.PathLike | None = None) -> Utterance:
    """The real recording, LDC93S1: one speaker, 2.9 s at 16 kHz.

    The files are taken from the cache folder, or downloaded into it once. Their sha256 is checked
    before every use; a download is moved into place only when it is whole and verified.

    Args:
        cache_dir: folder for the files; by default the environment variable CTC_TUTORIAL_DATA,
            else the user's cache folder.

    Raises:
        OSError: a file is not in the cache and can't be downloaded, or its content is wrong.

    Source:
        https://catalog.ldc.upenn.edu/LDC93S1

    >>> fetch_ldc93s1().waveform.shape  # doctest: +SKIP
    (46797,)
    """
    folder = Path(
        cache_dir or os.environ.get("CTC_TUTORIAL_DATA") or pooch.os_cache("ctc_tutorial")
    )
    pooch.get_logger().setLevel("WARNING")  # it would report the download on stderr
    fetcher = pooch.create(path=folder, base_url=LDC_URL, registry=LDC_SHA256)
    try:
        wav, txt = (fetcher.fetch(name) for name in LDC_SHA256)
    except Exception as error:  # requests' and pooch's errors have no common base
        raise OSError(
            f"can't get LDC93S1 ({error}): download {' and '.join(LDC_SHA256)} from {LDC_URL} "
            f"on a machine with access and put both into {folder}"
        ) from error
    _, _, sentence = Path(txt).read_text(encoding="ascii").strip().split(" ", 2)
    return _read(wav, sentence.lower().strip("."))


def make_lesson_pair(whole: Utterance) -> list[Utterance]:
    """The lesson's batch: the whole sentence, and four words cut out of it.

    One pair of times fits both recordings: the synthetic one was timed to match the real one.

    Args:
        whole: as `load_sentence` or `fetch_ldc93s1` returns it.

    Raises:
        ValueError: another text than theirs, so nobody knows what is said at these times.

    >>> whole, part = make_lesson_pair(load_sentence())
    >>> part.text
    'dark suit in greasy'
    >>> len(part.waveform) / part.sample_rate  # seconds
    1.2
    """
    if getattr(whole, "text", None) != SENTENCE:
        text = getattr(whole, "text", whole)
        raise ValueError(
            f"the lesson's pair is cut out of a recording of {SENTENCE!r}, not of {text!r}: "
            "pass what load_sentence() or fetch_ldc93s1() returns, or use `cut` with your own times"
        )
    return [whole, whole.cut(0.8, 2.0, whole.text[13:32])]


def _read(path: str | os.PathLike, text: str) -> Utterance:
    sample_rate, waveform = wavfile.read(path)  # both recordings are 16-bit and mono
    return Utterance(waveform.astype(np.float32), sample_rate, text)
