# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Sound to features. Taught in notebook 00_start_here.

This file stands alone: it needs NumPy, SciPy and python_speech_features.
"""

import math
import os
import re
import warnings

import numpy as np
from python_speech_features import mfcc
from scipy.io import wavfile


def read_wav(path: str | os.PathLike) -> tuple[np.ndarray, int]:
    """Read a wav file as mono.

    Returns:
        (waveform, sample_rate): float32 [N] on the 16-bit scale (-32768 to 32767) whatever the
        width of the file (8, 16, 24, 32 bit or float), channels averaged; and Hz.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a wav file that SciPy can read, one that ends before its header says, one
            without sound or with the rate 0, or one that holds NaN or infinities.

    >>> import tempfile
    >>> stereo = np.array([[100, 300], [-5, 5]], np.int16)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     wavfile.write(f"{folder}/stereo.wav", 8000, stereo)
    ...     read_wav(f"{folder}/stereo.wav")
    (array([200.,   0.], dtype=float32), 8000)
    """
    try:
        with warnings.catch_warnings(record=True) as remarks:
            warnings.simplefilter("always", wavfile.WavFileWarning)
            sample_rate, waveform = wavfile.read(path)
    except OSError:
        raise
    except Exception as error:  # SciPy raises ValueError, struct.error, ... for a malformed file
        raise ValueError(
            f"{path} is not a wav file that can be read ({error}): export the sound as PCM wav"
        ) from error
    for remark in remarks:  # of other chunks, such as a title; and of an early end
        _check_end(path, str(remark.message))
    if waveform.size == 0:
        raise ValueError(f"{path} holds no sound: record it again or leave it out")
    if sample_rate == 0:
        raise ValueError(f"{path} says 0 samples a second: its header is broken, export it again")
    scaled = waveform.astype(np.float64)
    if waveform.dtype == np.uint8:
        scaled = (scaled - 128) * 256
    elif waveform.dtype.kind == "i":  # SciPy left-justifies 24-bit samples in 32 bits
        scaled = scaled / 2 ** (8 * waveform.dtype.itemsize - 16)
    elif waveform.dtype.kind == "f":
        scaled = scaled * 32768
    if scaled.ndim == 2:
        scaled = scaled.mean(axis=1)
    with np.errstate(over="ignore"):
        scaled = scaled.astype(np.float32)
    if not np.isfinite(scaled).all():
        raise ValueError(f"{path} holds values that are not finite: export the sound as PCM wav")
    return scaled, sample_rate


def _check_end(path, remark):
    """A program that writes into a pipe knows no length, and some count a few bytes too many."""
    found = re.search(r"EOF.* (\d+) bytes.* (\d+) bytes", remark)
    end, expected = map(int, found.groups()) if found else (0, 0)
    if end < 0.99 * expected and expected < 0.99 * 2**31:
        raise ValueError(f"{path} ends after {end} of {expected} bytes: copy or record it again")


def mfcc_features(
    waveform: np.ndarray,
    sample_rate: int,
    per_coefficient: bool = True,
    coefficients: int = 13,
) -> np.ndarray:
    """Mel-frequency cepstral coefficients of 25 ms windows every 10 ms, normalised.

    13 coefficients by python_speech_features, minus the mean and divided by the standard deviation
    over the frames of the utterance. (A deviation below 0.001 counts as 0.001.)

    Args:
        waveform: [N], mono, on the 16-bit scale. Cut off long stretches of exact zeros, as padding
            and noise gates leave them: unlike the quietest sound, they outweigh all else in the
            mean and the deviation.
        sample_rate: in Hz.
        per_coefficient: each coefficient has a mean and a deviation of its own, which takes away
            much of what distinguishes voices and microphones. False takes one number each for all
            coefficients, as the program of 2020 does; small coefficients then stay small, and the
            lesson's LSTM needs twice the steps.
        coefficients: how many of the 26 to keep, F. 13 are the custom; 20 tell more about voices
            that training knows (benchmarks/people.md).

    Returns:
        float32 [T, F].

    Raises:
        ValueError: a waveform that is not one-dimensional, empty, not finite, beyond 1e30, or
            constant or of a single window (there is nothing to normalise by); a sample_rate outside
            1,000 to 1,000,000; coefficients that are no integer from 1 to 26.

    >>> chirp = 9000 * np.sin(np.arange(8000) ** 2 / 8000)  # one second
    >>> features = mfcc_features(chirp, sample_rate=8000)
    >>> features.shape
    (99, 13)
    >>> set(features.std(axis=0).round(3).tolist())
    {1.0}
    """
    if not isinstance(sample_rate, int | float | np.number) or not 1e3 <= sample_rate <= 1e6:
        raise ValueError(f"sample_rate is {sample_rate!r}: give Hz, 1,000 to 1,000,000")
    if not isinstance(coefficients, int | np.integer) or not 1 <= coefficients <= 26:
        raise ValueError(f"coefficients={coefficients!r}: give an integer, 1 to 26")
    try:
        waveform = np.asarray(waveform)
    except ValueError as error:  # lists of different lengths
        raise ValueError(f"the waveform is not [N]: {error}") from error
    if waveform.dtype.kind in "cOSU":
        raise ValueError(f"the waveform must hold numbers, not {waveform.dtype}")
    waveform = waveform.astype(np.float64)
    if waveform.ndim != 1 or waveform.size == 0:
        raise ValueError(
            f"the waveform has shape {waveform.shape}, not [N] with N > 0: take or average channels"
        )
    if not (np.abs(waveform) < 1e30).all():
        raise ValueError("the waveform holds values that are not finite: repair or leave it out")
    if np.ptp(waveform) == 0:
        raise ValueError("the waveform is constant, silence has no features: leave it out")
    # 512 is the default and right up to 20 kHz; beyond, it would cut every window short.
    nfft = max(512, 2 ** math.ceil(math.log2(0.025 * sample_rate)))
    features = mfcc(waveform, float(sample_rate), numcep=coefficients, nfft=nfft)
    if per_coefficient and len(features) < 2:
        raise ValueError(f"the waveform has {len(waveform)} samples, one 25 ms window: too short")
    axis = 0 if per_coefficient else None
    deviation = np.maximum(features.std(axis=axis), 1e-3)
    return ((features - features.mean(axis=axis)) / deviation).astype(np.float32)
