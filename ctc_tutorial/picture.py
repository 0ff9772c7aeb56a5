# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""What CTC does with a recording, in one picture. Taught in notebook 00_start_here.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart. This file
stands alone: it needs NumPy and matplotlib.
"""

import itertools
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREY, DARK = "#0072B2", "#D55E00", "#999999", "#333333"  # letter, space, blank, sound
SHADE = "#E8EEF3"
FRAME_SECONDS, FRAME_MIDDLE = 0.01, 0.0125  # a frame starts every 10 ms and is 25 ms long


def plot_utterance(
    waveform: np.ndarray,
    sample_rate: int,
    logits: np.ndarray,
    characters: str,
    letters: Sequence[tuple[str, float, float]],
    spoken: Sequence[tuple[str, float, float]] = (),
) -> Figure:
    """The way from sound to words: waveform, probability of each class, letters, words.

    Args:
        waveform: float32 [N], drawn relative to its loudest sample.
        sample_rate: in Hz.
        logits: float [T, C] of the utterance, a frame every 10 ms; the last class is the blank.
        characters: the C - 1 characters in class order.
        letters: (character, start, end) of each character of the text in seconds, as `forced_align`
            and `spans_to_seconds` of lattice.py find them. A letter is written at the mean time
            between them, weighted with its probability; spaces part the words.
        spoken: (word, start, end) of each word in seconds, where it is known: shaded.

    Raises:
        ValueError: another number of characters than classes besides the blank, an unknown letter,
            or a letter outside the frames.

    >>> logits = 9.0 * np.eye(3)[[2, 0, 1, 2]]
    >>> letters = [("h", 0.01, 0.02), ("i", 0.02, 0.03)]
    >>> figure = plot_utterance(np.ones(400), 8000, logits, "hi", letters)
    >>> [text.get_text() for text in figure.axes[-1].texts]
    ['h', 'i', 'hi']
    """
    if np.ndim(logits) != 2 or len(characters) != np.shape(logits)[1] - 1:
        raise ValueError(
            f"logits must be [T, {len(characters) + 1}] for {len(characters)} characters and the "
            f"blank, not of shape {np.shape(logits)}"
        )
    probabilities = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    placed = [(c, _middle(c, start, end, probabilities, characters)) for c, start, end in letters]
    with plt.rc_context({"font.size": 13, "axes.titlesize": 13, "axes.titlelocation": "left"}):
        figure, axes = plt.subplots(
            3, 1, figsize=(12, 6.3), sharex=True, height_ratios=(1.2, 1.5, 1), layout="constrained"
        )
        _sound(axes[0], waveform, sample_rate)
        _emissions(axes[1], probabilities, characters, {c for c, _, _ in letters})
        _text(axes[2], placed)
        for ax in axes:
            for _, start, end in spoken[::2]:
                ax.axvspan(start, end, color=SHADE, linewidth=0, zorder=0)
            ax.spines[["top", "right", "left"]].set_visible(False)
        if spoken:
            axes[0].set_title("sound (shaded: every other word, as it was really spoken)")
        axes[2].set(xlabel="time (s)", xlim=(0, len(waveform) / sample_rate))
    return figure


def _middle(
    character: str, start: float, end: float, probabilities: np.ndarray, characters: str
) -> float:
    """The mean time between a letter's start and end, weighted with its probability."""
    first, last = round(start / FRAME_SECONDS), round(end / FRAME_SECONDS)
    if character not in characters or not 0 <= first < last <= len(probabilities):
        raise ValueError(
            f"{character!r} is at {start} to {end} s: give one of {characters!r}, within "
            f"{len(probabilities)} frames of {FRAME_SECONDS} s"
        )
    weights = probabilities[first:last, characters.index(character)] + 1e-30
    return np.average(np.arange(first, last), weights=weights) * FRAME_SECONDS + FRAME_MIDDLE


def _sound(ax: Axes, waveform: np.ndarray, sample_rate: int) -> None:
    """The waveform as the lowest and highest sample of every 4 ms."""
    step = max(1, sample_rate // 250)
    starts = np.arange(0, len(waveform), step)
    low, high = (f.reduceat(waveform, starts) for f in (np.minimum, np.maximum))
    loudest = np.abs(waveform).max() or 1
    ax.fill_between(
        starts / sample_rate, low / loudest, high / loudest, color=DARK, linewidth=0.3, step="post"
    )
    ax.set(title="sound", yticks=(), ylim=(-1.05, 1.05))


def _emissions(ax: Axes, probabilities: np.ndarray, characters: str, used: set[str]) -> None:
    """A filled curve for the blank and for each character that the text uses."""
    time = np.arange(len(probabilities)) * FRAME_SECONDS + FRAME_MIDDLE
    ax.plot(time, probabilities[:, -1], color=GREY, linewidth=1.5)
    for character in sorted(used):
        curve = probabilities[:, characters.index(character)]
        colour = _colour(character)
        ax.fill_between(time, curve, color=colour, alpha=0.5, linewidth=0)
        ax.plot(time, curve, color=colour, linewidth=1)
    for right, name, colour in (
        (0.83, "letter", BLUE),
        (0.92, "space", ORANGE),
        (1, "blank", GREY),
    ):
        ax.text(right, 1.04, name, color=colour, transform=ax.transAxes, ha="right", weight="bold")
    title = "network: how probable each symbol is, every 10 ms"
    ax.set(title=title, yticks=(0, 0.5, 1), ylim=(0, 1.05))


def _text(ax: Axes, placed: Sequence[tuple[str, float]]) -> None:
    """Letters at their times, in three rows so that neighbours stay legible; words below."""
    row_end = [-1.0] * 3
    for character, time in placed:
        row = int(np.argmax([time - end > 0.045 for end in row_end]))
        row_end[row] = time
        style = {"ha": "center", "va": "center", "family": "monospace", "fontsize": 16}
        shown = "␣" if character == " " else character
        ax.text(time, -0.6 - row, shown, color=_colour(character), **style)
    for space, group in itertools.groupby(placed, key=lambda letter: letter[0] == " "):
        if not space:
            group = list(group)
            first, last = group[0][1], group[-1][1]
            ax.plot((first, last), (-3.4, -3.4), color=DARK, linewidth=3, solid_capstyle="round")
            word = "".join(c for c, _ in group)
            ax.text((first + last) / 2, -4.3, word, ha="center", va="center", weight="bold")
    ax.set(
        title="text: where the network hears each letter, and the words they make",
        yticks=(),
        ylim=(-5, 0),
    )


def _colour(character: str) -> str:
    return ORANGE if character == " " else BLUE
