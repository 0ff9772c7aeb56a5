# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Spoken number words, to generalise on. Used in notebook 09_hearing_what_it_never_heard.

The words "zero" to "nine" were spoken once by each of 32 voices of eSpeak NG (US and British
English), by the repository's script `scripts/make_spoken_digits.py`, and are kept in
`spoken_digits.npz`. They are synthetic: a model trained on them does not carry over to people.
They are kept as a file because a synthesiser would be a native library on every reader's machine,
and because its noise differs from run to run.

The splits share neither voices nor sequences of words (a sequence belongs to "test" or to "dev" by
the remainder of the sum of its digits divided by 4):

    "train"  20 voices, remainders 2, 3       "dev"   4 voices, remainder 1, to tune on
    "final"  24 voices, remainders 1, 2, 3    "test"  8 voices, remainder 0, to report on once

This file stands alone (with `spoken_digits.npz` beside it): it needs NumPy.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "spoken_digits.npz"
SAMPLE_RATE = 8000
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# First and last voice (excluded), and the remainders of the sequences.
SPLITS = {
    "train": (0, 20, (2, 3)),
    "dev": (20, 24, (1,)),
    "final": (0, 24, (1, 2, 3)),
    "test": (24, 32, (0,)),
}


def load_spoken_words(split: str) -> list[list[np.ndarray]]:
    """The single words of one split.

    Args:
        split: "train", "dev", "final" or "test".

    Returns:
        For each voice ten waveforms, "zero" to "nine": float32 [N], 8 kHz, on the 16-bit scale.

    Raises:
        ValueError: an unknown split.

    >>> voices = load_spoken_words("test")
    >>> len(voices), len(voices[0])
    (8, 10)
    >>> voices[0][WORDS.index("seven")].shape
    (3509,)
    """
    if not isinstance(split, str) or split not in SPLITS:
        raise ValueError(f"there is no split {split!r}: choose one of {', '.join(SPLITS)}")
    first, last, _ = SPLITS[split]
    with np.load(DATA) as data:
        waveforms = np.split(data["samples"].astype(np.float32), data["ends"].ravel()[:-1])
    return [waveforms[10 * voice : 10 * voice + 10] for voice in range(first, last)]


def make_spoken_numbers(
    count: int,
    split: str,
    seed: int,
    min_words: int = 2,
    max_words: int = 5,
    augment: bool = False,
) -> tuple[list[np.ndarray], list[str], np.ndarray]:
    """Compose utterances of `min_words` to `max_words` words, each by one voice of the split.

    A voice speaks up to 10 % faster (and higher) or slower in every utterance, with pauses of up
    to 0.12 s, words of different loudness and a little white noise.

    Args:
        count: how many utterances.
        split: "train", "dev", "final" or "test".
        seed: the same arguments give the same utterances.
        min_words: of an utterance; at least 2, so that every split has sequences of every length.
        max_words: of an utterance.
        augment: each word has a speed of its own, up to 25 % off: meant for training only.

    Returns:
        (waveforms, texts, speakers): sound, each float32 [N], mono, 8 kHz, on the 16-bit scale;
        what is said, such as "four one nine"; and who says it, as voice numbers of the split,
        int64 [B].

    Raises:
        ValueError: an unknown split, impossible numbers of words, or what is no integer from 0 on.

    >>> waveforms, texts, speakers = make_spoken_numbers(2, "test", seed=0)
    >>> texts
    ['six five two three zero', 'three six six five']
    >>> [round(len(waveform) / SAMPLE_RATE, 1) for waveform in waveforms]  # seconds
    [2.0, 2.3]
    """
    return compose_numbers(
        [[[word] for word in voice] for voice in load_spoken_words(split)],
        *(SPLITS[split][2], count, seed, min_words, max_words, 0.25 if augment else None),
    )


def compose_numbers(
    voices: Sequence[Sequence[Sequence[np.ndarray]]],
    remainders: Sequence[int],
    count: int,
    seed: int,
    min_words: int = 2,
    max_words: int = 5,
    word_speeds: float | None = None,
) -> tuple[list[np.ndarray], list[str], np.ndarray]:
    """`make_spoken_numbers` with recordings of your own.

    Args:
        voices: of each voice, of each digit, its takes: one waveform [N] or more, 8 kHz, on the
            16-bit scale; in sound from -1 to 1 the noise would drown the words.
        remainders: sequences whose sum of digits, divided by 4, leaves one of these are said.
        count, seed, min_words, max_words: as for `make_spoken_numbers`.
        word_speeds: each word has a speed of its own, up to this share faster or slower; by default
            an utterance has one for all of its words, up to 10 % off.

    Raises:
        ValueError: no voice, a digit without a take, no remainder, impossible numbers of words, or
            word_speeds outside 0 to 1.

    >>> beeps = [[np.full(800, 9000.0)] for digit in range(10)]
    >>> waveforms, texts, speakers = compose_numbers([beeps], (0, 1), count=2, seed=0)
    >>> texts, speakers.tolist()
    (['six five two three zero', 'two three'], [0, 0])
    """
    numbers = ("count", count, 0), ("seed", seed, 0), ("min_words", min_words, 2)
    for name, number, least in (*numbers, ("max_words", max_words, min_words)):
        if not isinstance(number, int | np.integer) or number < least:
            raise ValueError(f"{name}={number!r}: give an integer, at least {least}")
    if word_speeds is not None and not 0 <= word_speeds < 1:
        raise ValueError(f"word_speeds={word_speeds!r}: give a share, at least 0 and below 1")
    if not set(remainders) & {0, 1, 2, 3}:
        raise ValueError(f"remainders={remainders!r}: choose from 0, 1, 2 and 3")
    if not voices or not all(len(voice) == 10 and all(voice) for voice in voices):
        raise ValueError("give at least one voice, and each voice at least one take of ten digits")
    rng = np.random.default_rng(seed)
    waveforms: list[np.ndarray] = []
    texts: list[str] = []
    speakers: list[int] = []
    while len(texts) < count:
        digits = rng.integers(0, 10, rng.integers(min_words, max_words + 1))
        if digits.sum() % 4 in remainders:
            speakers.append(int(rng.integers(len(voices))))
            takes = [voices[speakers[-1]][int(digit)] for digit in digits]
            words = [take[int(rng.integers(len(take)))] for take in takes]
            waveforms.append(_utterance(words, rng, word_speeds))
            texts.append(" ".join(WORDS[d] for d in digits))
    return waveforms, texts, np.array(speakers, np.int64)


def _utterance(
    words: list[np.ndarray], rng: np.random.Generator, word_speeds: float | None
) -> np.ndarray:
    """The words with pauses before, between and after them, in noise: float32 [N]."""
    if word_speeds is None:
        speeds = [rng.uniform(0.9, 1.1)] * len(words)
    else:
        speeds = rng.uniform(1 - word_speeds, 1 + word_speeds, len(words)).tolist()
    parts = []
    for word, speed in zip(words, speeds, strict=True):
        spoken = _at_speed(word, speed) * rng.uniform(0.5, 1.0)
        parts += [_pause(rng), spoken]
    waveform = np.concatenate([*parts, _pause(rng)])
    noise = rng.uniform(20, 200) * rng.standard_normal(len(waveform))
    return (waveform + noise).astype(np.float32)


def _at_speed(waveform: np.ndarray, speed: float) -> np.ndarray:
    """Played faster, and so higher, where speed is above 1."""
    return np.interp(np.arange(0, len(waveform) - 1, speed), np.arange(len(waveform)), waveform)


def _pause(rng: np.random.Generator) -> np.ndarray:
    return np.zeros(rng.integers(0, int(0.12 * SAMPLE_RATE)))
