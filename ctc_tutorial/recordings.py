# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Recordings as people have them: wav, flac, ogg or mp3, at any rate. Copy speech.py with this.

Taught in notebook 10_your_own_data. wav files need SciPy alone; all others the package `soundfile`.
"""

import importlib.util
import math
import os
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from .speech import read_wav


def read_recording(path: str | os.PathLike) -> tuple[np.ndarray, int]:
    """Read a recording as mono; whatever is not named .wav by `soundfile`, where it is installed.

    Returns:
        (waveform, sample_rate): float32 [N] on the 16-bit scale, channels averaged; and Hz.

    Raises:
        OSError: no such file, a folder, or one that may not be read.
        ValueError: a file that can't be read as sound, holds none, or holds nothing but silence;
            one that is not wav while `soundfile` is missing.

    >>> import tempfile
    >>> from scipy.io import wavfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     wavfile.write(f"{folder}/one.wav", 8000, np.array([-3, 5], np.int16))
    ...     read_recording(f"{folder}/one.wav")
    (array([-3.,  5.], dtype=float32), 8000)
    """
    path = Path(path)
    with path.open("rb") as file:  # no such file, no permission: in the words of the system
        if not file.read(1):
            raise ValueError(f"{path} is empty: record it again or leave it out")
    if path.suffix.lower() == ".wav":
        waveform, sample_rate = read_wav(path)
    else:
        waveform, sample_rate = _read_with_soundfile(path)
    if waveform.size == 0:
        raise ValueError(f"{path} holds no sound: record it again or leave it out")
    if not np.isfinite(waveform).all():
        raise ValueError(f"{path} holds values that are not finite: export the sound as PCM wav")
    if np.ptp(waveform) == 0:
        raise ValueError(f"{path} is silent throughout: record it again or leave it out")
    return waveform, sample_rate


def _read_with_soundfile(path: Path) -> tuple[np.ndarray, int]:
    if importlib.util.find_spec("soundfile") is None:
        raise ValueError(
            f"{path} is no wav file: install the package that reads it (pip install soundfile), "
            "or export it as wav"
        )
    import soundfile

    try:
        waveform, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except RuntimeError as error:  # the base of soundfile's errors
        raise ValueError(f"{path} can't be read as sound ({error}): export it as wav") from error
    return waveform.mean(axis=1) * np.float32(32768), sample_rate


def resample(waveform: np.ndarray, sample_rate: int, new_rate: int) -> np.ndarray:
    """The same sound at another rate; what the new rate can't hold is filtered out first.

    Args:
        waveform: float32 [N].
        sample_rate: its rate in Hz, an integer.
        new_rate: in Hz, an integer.

    Returns:
        float32 [N'] with N' = ceil(N * new_rate / sample_rate).

    Raises:
        ValueError: rates that are not positive integers, a waveform that is not [N].

    Source: https://docs.scipy.org/doc/scipy/reference/generated/scipy.signal.resample_poly.html

    >>> tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32)
    >>> half = resample(tone, sample_rate=16000, new_rate=8000)
    >>> half.shape, bool(np.abs(half - tone[::2])[100:-100].max() < 0.01)
    ((8000,), True)
    """
    for name, rate in (("sample_rate", sample_rate), ("new_rate", new_rate)):
        if not isinstance(rate, int | np.integer) or rate < 1:
            raise ValueError(f"{name} is {rate!r}: give Hz, a positive integer")
    if np.ndim(waveform) != 1:
        raise ValueError(f"the waveform has shape {np.shape(waveform)}, not [N]: average channels")
    divisor = math.gcd(int(sample_rate), int(new_rate))
    up, down = new_rate // divisor, sample_rate // divisor
    return resample_poly(np.asarray(waveform, np.float32), up, down).astype(np.float32)
