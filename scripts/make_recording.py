"""Make the recording ctc_tutorial/data/sentence.wav, and sentence.csv: when each word is spoken.

It is the sentence of LDC93S1, spoken by the eSpeak NG library of the PyPI package
`espeakng-loader` (tried with 0.2.4; version 1.51 of the `espeak-ng` program makes the same
sound). The script drives it through ctypes, using the calls of its header `speak_lib.h`.
eSpeak NG is GPL-3.0-or-later; the files hold what it spoke and when, not its code or its data. The
silence in front and the speaking rate put "dark suit in greasy" at 0.8-2.0 s, as in the real
recording, so that one pair of times cuts the lesson's second utterance out of either.

    pip install espeakng-loader
    python scripts/make_recording.py
"""

import csv
import ctypes
from pathlib import Path

import espeakng_loader
import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

TEXT = "she had your dark suit in greasy wash water all year"
TARGET = Path(__file__).parent.parent / "ctc_tutorial" / "data" / "sentence.wav"
SILENCE_SECONDS = 0.2
WORDS_PER_MINUTE = 150

# Constants and types of speak_lib.h.
SYNCHRONOUS, RATE, POSITION_CHARACTER, UTF8, END, WORD = 2, 1, 1, 1, 0, 1


class Event(ctypes.Structure):
    """What the library reports beside the sound; of the text, the first character is 1."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event)
)


def speak() -> tuple[np.ndarray, int, list[tuple[str, int]]]:
    """Waveform int16 [N], its sample rate in Hz, and each word with the sample it begins at."""
    chunks, words = [], []

    def keep(sound, count, events):
        if sound and count > 0:
            chunks.append(np.ctypeslib.as_array(sound, (count,)).copy())
        for event in events:  # a pointer has no end: the type of the last event marks it
            if event.type == END:
                return 0
            if event.type == WORD:
                first = event.text_position - 1
                words.append((TEXT[first : first + event.length], event.sample))

    callback = CALLBACK(keep)  # kept: ctypes frees a callback nobody holds
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    folder = espeakng_loader.get_data_path().encode()
    sample_rate = library.espeak_Initialize(SYNCHRONOUS, 0, folder, 0)
    library.espeak_SetSynthCallback(callback)
    library.espeak_SetVoiceByName(b"en-us")
    library.espeak_SetParameter(RATE, WORDS_PER_MINUTE, 0)
    data = TEXT.encode() + b"\0"
    library.espeak_Synth(data, len(data), 0, POSITION_CHARACTER, 0, UTF8, None, None)
    library.espeak_Synchronize()
    return np.concatenate(chunks), sample_rate, words


def main() -> None:
    waveform, sample_rate, words = speak()
    assert sample_rate == 22050, sample_rate
    assert [word for word, _ in words] == TEXT.split(), words
    speech = resample_poly(waveform.astype(np.float64), 320, 441)  # 22,050 Hz to 16,000 Hz
    speech = speech[: np.flatnonzero(np.abs(speech) > 30)[-1]]  # without the silence at the end
    silence = np.zeros(int(SILENCE_SECONDS * 16000))
    # A word ends where the next one begins, the last one with the voice.
    times = [SILENCE_SECONDS + sample / sample_rate for _, sample in words]
    times.append(SILENCE_SECONDS + len(speech) / 16000)
    speech = np.concatenate([silence, speech, silence])
    # A faint noise floor: the log energy of digital silence would dwarf all other features.
    noise = np.random.default_rng(0).normal(0, 3, len(speech))
    speech = np.clip(np.round(speech + noise), -32768, 32767)
    wavfile.write(TARGET, 16000, speech.astype(np.int16))
    with open(TARGET.with_suffix(".csv"), "w", newline="", encoding="ascii") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("word", "start", "end"))
        for (word, _), start, end in zip(words, times[:-1], times[1:], strict=True):
            table.writerow((word, f"{start:.4f}", f"{end:.4f}"))


if __name__ == "__main__":
    main()
