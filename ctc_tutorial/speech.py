"""Sound to features, and the recordings of the tutorial. Taught in notebook 00_start_here."""

import csv
import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pooch
from python_speech_features import mfcc
from scipy.io import wavfile

BUNDLED = Path(__file__).parent / "data" / "sentence.wav"
SENTENCE = "she had your dark suit in greasy wash water all year"

LDC_URL = "https://catalog.ldc.upenn.edu/desc/addenda/"
LDC_SHA256 = {
    "LDC93S1.wav": "c7e8b51db10ec6a2aea8c92376f2b88af14c2b4950ed82db3d605a4b718c8f35",
    "LDC93S1.txt": "0b4ffafce18d6ec0df273c0189202a7c186cd0bbb9b40659490f5f2ad99e70a5",
}


class Utterance(NamedTuple):
    """One spoken text: samples float32 [N] on the 16-bit scale, sample_rate in Hz, its text."""

    samples: np.ndarray
    sample_rate: int
    text: str

    def cut(self, start: float, end: float, text: str) -> "Utterance":
        """The part from `start` to `end` in seconds, in which `text` is spoken."""
        first, last = int(start * self.sample_rate), int(end * self.sample_rate)
        return Utterance(self.samples[first:last], self.sample_rate, text)


def read_wav(path: str | os.PathLike) -> tuple[np.ndarray, int]:
    """Read a wav file as mono.

    Returns:
        samples float32 [N] on the 16-bit integer scale (-32768 to 32767) whatever the width of
        the file (8, 16, 24, 32 bit or float), channels averaged; and the sample rate in Hz.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a wav file that SciPy can read, or one without samples.
    """
    try:
        sample_rate, samples = wavfile.read(path)
    except OSError:
        raise
    except Exception as error:  # SciPy raises ValueError, struct.error, ... for a malformed file
        raise ValueError(f"{path} is not a wav file that can be read: {error}") from error
    if samples.size == 0:
        raise ValueError(f"{path} holds no samples")
    scaled = samples.astype(np.float64)
    if samples.dtype == np.uint8:
        scaled = (scaled - 128) * 256
    elif samples.dtype == np.int32:  # SciPy left-justifies 24-bit samples in 32 bits
        scaled = scaled / 65536
    elif samples.dtype.kind == "f":
        scaled = scaled * 32768
    if scaled.ndim == 2:
        scaled = scaled.mean(axis=1)
    return scaled.astype(np.float32), sample_rate


def mfcc_features(
    samples: np.ndarray, sample_rate: int, per_coefficient: bool = True
) -> np.ndarray:
    """Mel-frequency cepstral coefficients of 25 ms windows every 10 ms, normalised.

    13 coefficients by python_speech_features, minus the mean and divided by the standard deviation
    over the frames of the utterance. (A deviation below 0.001 counts as 0.001.)

    Args:
        samples: [N], mono, on the 16-bit scale.
        sample_rate: in Hz.
        per_coefficient: each coefficient has a mean and a deviation of its own, which takes away
            much of what distinguishes voices and microphones. False takes one number each for all
            coefficients, as the program of 2020 does; small coefficients then stay small, and the
            lesson's LSTM needs twice the steps.

    Returns:
        float32 [T, 13].

    Raises:
        ValueError: samples that are not one-dimensional, empty, not finite, or constant
            (there is nothing to normalise by).
    """
    samples = np.asarray(samples, dtype=np.float64)
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"expected mono samples of shape [N], N > 0; got shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError("the samples hold values that are not finite")
    if np.ptp(samples) == 0:
        raise ValueError("the samples are all equal: a recording of silence has no features")
    # 512 is the default and right up to 20 kHz; beyond, it would cut every window short.
    nfft = max(512, 2 ** math.ceil(math.log2(0.025 * sample_rate)))
    features = mfcc(samples, sample_rate, nfft=nfft)
    axis = 0 if per_coefficient else None
    deviation = np.maximum(features.std(axis=axis), 1e-3)
    return ((features - features.mean(axis=axis)) / deviation).astype(np.float32)


def bundled_utterance() -> Utterance:
    """The sentence of LDC93S1 spoken by a synthesiser (scripts/make_recording.py)."""
    samples, sample_rate = read_wav(BUNDLED)
    return Utterance(samples, sample_rate, SENTENCE)


def bundled_word_times() -> list[tuple[str, float, float]]:
    """(word, start, end) in seconds of each word of the bundled recording, as its speaker reports.

    A word ends where the next one begins. The real recording has no such table here.
    """
    with open(BUNDLED.with_suffix(".csv"), newline="", encoding="ascii") as file:
        return [(r["word"], float(r["start"]), float(r["end"])) for r in csv.DictReader(file)]


def ldc93s1_utterance(cache_dir: str | os.PathLike | None = None) -> Utterance:
    """The real recording: LDC93S1 of the Linguistic Data Consortium (TIMIT), 2.9 s at 16 kHz.

    The files are taken from the cache folder, or downloaded into it once. Their sha256 is checked
    before every use; a download is moved into place only when it is whole and verified.

    Args:
        cache_dir: folder for the files; by default the environment variable CTC_TUTORIAL_DATA,
            else the user's cache folder.

    Raises:
        OSError: a file is not in the cache and can't be downloaded, or its content is wrong.
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
            f"can't get LDC93S1 ({error}). Download {' and '.join(LDC_SHA256)} from {LDC_URL} "
            f"on a machine with access and put both into {folder}"
        ) from error
    samples, sample_rate = read_wav(wav)
    _, _, sentence = Path(txt).read_text(encoding="ascii").strip().split(" ", 2)
    return Utterance(samples, sample_rate, sentence.lower().strip("."))
