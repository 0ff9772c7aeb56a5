"""Make `ctc_tutorial/data/spoken_digits.npz`: ten English words by 32 synthetic voices, 8 kHz.

The committed file is the output of this script, so readers need no speech synthesiser. It drives
the eSpeak NG library of the PyPI package `espeakng-loader` (tried with 0.2.4) through ctypes,
using the calls of its header `speak_lib.h`. eSpeak NG is GPL-3.0-or-later; this file holds sounds
that it made, not its code or its data. Needs NumPy and SciPy.

    pip install espeakng-loader
    python scripts/make_spoken_digits.py ctc_tutorial/data/spoken_digits.npz
"""

import ctypes
import pathlib
import sys

import espeakng_loader
import numpy as np
from scipy.signal import resample_poly

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Variants of eSpeak NG that neither whisper nor echo nor sound like robots, with formants 1 to 3 at
# 80 to 136 % of the plain voice's, and one of each family of near copies (by their definitions).
VARIANTS = (
    *("Alex", "Andrea", "Annie", "Denis", "Gene", "Mario", "Mike", "Nguyen", "anika", "antonio"),
    *("aunty", "belinda", "ed", "f1", "grandma", "grandpa", "ian", "iven", "john", "linda", "m3"),
    *("m4", "m5", "m6", "m7", "m8", "max", "paul", "pedro", "quincy", "rob", "steph"),
)
ACCENTS = ("en-US", "en")
SAMPLE_RATE = 8000

# Constants and types of speak_lib.h.
SYNCHRONOUS, RATE, PITCH, POSITION_CHARACTER, UTF8 = 2, 1, 3, 1, 1
CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Synthesiser:
    """eSpeak NG with one voice at a time."""

    def __init__(self):
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        folder = espeakng_loader.get_data_path().encode()
        self.sample_rate = self.library.espeak_Initialize(SYNCHRONOUS, 0, folder, 0)
        if self.sample_rate <= 0:
            raise RuntimeError(f"eSpeak NG did not start with the data folder {folder!r}")
        self.chunks = []
        self.callback = CALLBACK(self._keep)  # kept: ctypes frees a callback nobody holds
        self.library.espeak_SetSynthCallback(self.callback)

    def _keep(self, sound, count, events):
        if sound and count > 0:
            self.chunks.append(np.ctypeslib.as_array(sound, (count,)).copy())
        return 0

    def use_voice(self, name, words_per_minute, pitch):
        if self.library.espeak_SetVoiceByName(name.encode()):
            raise ValueError(f"eSpeak NG has no voice {name!r}")
        self.library.espeak_SetParameter(RATE, words_per_minute, 0)
        self.library.espeak_SetParameter(PITCH, pitch, 0)

    def say(self, text):
        """Waveform of `text`, int16 [N], at `self.sample_rate`."""
        self.chunks = []
        data = text.encode() + b"\0"
        self.library.espeak_Synth(data, len(data), 0, POSITION_CHARACTER, 0, UTF8, None, None)
        self.library.espeak_Synchronize()
        return np.concatenate(self.chunks)


def trimmed(waveform):
    """8 kHz, peak at half scale, silence (below 2 % of the peak) cut off both ends."""
    waveform = resample_poly(waveform.astype(np.float64), 160, 441)  # 22050 Hz to 8000 Hz
    waveform *= 16384 / np.abs(waveform).max()
    loud = np.flatnonzero(np.abs(waveform) > 0.02 * 16384)
    return waveform[loud[0] : loud[-1] + 1].round().astype(np.int16)


def main(path):
    synthesiser = Synthesiser()
    if synthesiser.sample_rate != 22050:
        raise RuntimeError(f"expected 22050 Hz from eSpeak NG, got {synthesiser.sample_rate} Hz")
    rng = np.random.default_rng(0)
    voices, pieces = [], []
    for number, variant in enumerate(rng.permutation(VARIANTS)):
        voice = f"{ACCENTS[number % len(ACCENTS)]}+{variant}"
        words_per_minute, pitch = int(rng.integers(130, 191)), int(rng.integers(35, 66))
        synthesiser.use_voice(voice, words_per_minute, pitch)
        voices.append(voice)
        pieces += [trimmed(synthesiser.say(word)) for word in WORDS]
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        samples=np.concatenate(pieces),
        ends=np.cumsum([len(piece) for piece in pieces], dtype=np.int32).reshape(-1, len(WORDS)),
        voices=np.array(voices),
        words=np.array(WORDS),
        sample_rate=np.int32(SAMPLE_RATE),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
