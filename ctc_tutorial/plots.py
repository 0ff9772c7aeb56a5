# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Pictures of features, emissions, training, lattices and alignments.

Taught in notebook 00_start_here. Every function draws into the axes it is given, or into those of a
new figure, and returns them. Colours are those of Okabe and Ito (2008), which colour-blind readers
can tell apart. This file stands alone: it needs NumPy and matplotlib.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"
FRAME_SECONDS = 0.01


def plot_features(
    features: np.ndarray, frame_seconds: float = FRAME_SECONDS, ax: Axes | None = None
) -> Axes:
    """Features float [T, F] as an image: time to the right in seconds, coefficients upwards.

    Raises:
        ValueError: features that are not numbers [T, F], with a frame at least.

    >>> ax = plot_features(np.ones((50, 13)), frame_seconds=0.01)
    >>> [round(float(seconds), 2) for seconds in ax.get_xlim()]
    [0.0, 0.5]
    """
    features = _numbers("features", features)
    if features.ndim != 2 or not features.size:
        raise ValueError(f"features must be [T, F], not of shape {features.shape}")
    ax = ax or _new_axes(2.5)
    extent = (0, len(features) * frame_seconds, -0.5, features.shape[1] - 0.5)
    image = ax.imshow(
        features.T, aspect="auto", origin="lower", extent=extent, cmap="cividis", rasterized=True
    )
    ax.figure.colorbar(image, ax=ax, label="value", pad=0.01)
    ax.set(xlabel="time (s)", ylabel="coefficient", title="Features")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def plot_emissions(
    logits: np.ndarray,
    characters: str,
    frame_seconds: float = FRAME_SECONDS,
    ax: Axes | None = None,
) -> Axes:
    """Probability of every class over time, and the decoded letter over its first frame.

    Args:
        logits: float [T, C] of one utterance; the last class is the blank.
        characters: the C - 1 characters in class order.
        frame_seconds: time from one frame to the next.
        ax: where to draw; by default a new figure.

    Raises:
        ValueError: another number of characters than classes besides the blank, or no frames.

    >>> ax = plot_emissions(9.0 * np.eye(3)[[2, 0, 0, 1]], "ab", frame_seconds=0.02)
    >>> [(text.get_text(), round(float(text.get_position()[0]), 2)) for text in ax.texts]
    [('a', 0.02), ('b', 0.06)]
    """
    logits = _numbers("logits", logits)
    if logits.ndim != 2 or not len(logits) or len(characters) != logits.shape[1] - 1:
        raise ValueError(
            f"logits must be [T, {len(characters) + 1}] for {len(characters)} characters and the "
            f"blank, not of shape {np.shape(logits)}"
        )
    ax = ax or _new_axes(3.2)
    probabilities = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    time = np.arange(len(logits)) * frame_seconds
    ax.plot(time, probabilities[:, -1], color=GREY, linestyle=":")
    spoken = np.unique([c for c, _ in _decoded(logits)]).astype(int)
    for k, c in enumerate(spoken):
        ax.plot(time, probabilities[:, c], color=(BLUE, ORANGE, GREEN)[k % 3], linewidth=1)
    for k, (c, frame) in enumerate(_decoded(logits)):
        height = 1.03 + 0.09 * (k % 3)  # neighbours on different lines
        ax.text(time[frame], height, _shown(characters[c]), ha="center", family="monospace")
    ax.set(xlabel="time (s)", ylabel="probability", ylim=(0, 1.35), xlim=(0, time[-1] or 1))
    ax.set(yticks=(0, 0.5, 1), title="Emissions: which frame speaks which letter (dotted: blank)")
    return ax


def plot_lattice(values: np.ndarray, text: str, ax: Axes | None = None) -> Axes:
    """The lattice of a text: frames to the right, states downwards, a line for each allowed move.

    Area and colour of a node show its value; a small grey dot is a state that no whole path
    passes at that frame. Readable up to about 12 frames and 11 states. Taught in notebook
    05_ctc_by_hand.

    Args:
        values: float [T, S], posteriors or other numbers from 0 to 1; S is 2 * len(text) + 1.
        text: the labels; blanks (-) are drawn before, between and after them.
        ax: where to draw; by default a new figure.

    Raises:
        ValueError: another number of states than the text has, or values outside 0 to 1.

    Source: the lattice is figure 3 of Graves et al. 2006, "Connectionist Temporal Classification".

    >>> ax = plot_lattice(np.full((4, 5), 0.2), "ab")
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['-', 'a', '-', 'b', '-']
    """
    values, names = _numbers("values", values), ["-"] * (2 * len(text) + 1)
    names[1::2] = [_shown(character) for character in text]
    if values.ndim != 2 or not len(values) or values.shape[1] != len(names):
        shape = values.shape
        raise ValueError(f"values must be [T, {len(names)}] for {text!r}, not of shape {shape}")
    if not (values >= 0).all() or (values > 1 + 1e-6).any():
        raise ValueError("values must lie between 0 and 1: pass posteriors, not logarithms")
    ax = ax or _new_axes(0.45 * len(names) + 0.8)
    passed, moves = _paths(len(values), names)
    ax.add_collection(LineCollection(moves, colors=GREY, linewidths=0.8, zorder=1))
    ax.scatter(*np.nonzero(~passed), s=4, color=GREY)
    style = {"cmap": "Blues", "vmin": 0, "vmax": 1, "edgecolors": "black", "linewidths": 0.8}
    shown = values[passed]
    nodes = ax.scatter(*np.nonzero(passed), s=20 + 280 * shown, c=shown, zorder=2, **style)
    ax.figure.colorbar(nodes, ax=ax, label="value", pad=0.01)
    ax.set(xlabel="frame", ylabel="state", title="Lattice", xticks=range(len(values)))
    ax.set_yticks(range(len(names)), names, family="monospace")
    ax.set(xlim=(-0.5, len(values) - 0.5), ylim=(len(names) - 0.4, -0.6))
    return ax


def plot_alignment(
    waveform: np.ndarray,
    sample_rate: int,
    letters: Sequence[tuple[str, float, float]],
    words: Sequence[tuple[str, float, float]],
    ax: Axes | None = None,
) -> Axes:
    """The waveform; over it where each word is, below it where each letter is.

    Neighbours differ in colour. A word's name stands in one of two rows, a letter's below its bar
    in one of three. Taught in notebook 07_alignment.

    Args:
        waveform: float32 [N], drawn relative to its loudest sample.
        sample_rate: in Hz.
        letters: (character, start, end) of each letter, in seconds.
        words: (word, start, end) of each word, in seconds.
        ax: where to draw; by default a new figure.

    Raises:
        ValueError: an end before its start, or outside the waveform; a waveform that is empty or
            not [N]; a sample_rate that is not positive.

    >>> letters = [("h", 0.1, 0.2), ("i", 0.3, 0.4)]
    >>> ax = plot_alignment(np.ones(8000), 16000, letters, words=[("hi", 0.1, 0.4)])
    >>> [text.get_text() for text in ax.texts]
    ['hi', 'h', 'i']
    """
    waveform = _numbers("waveform", waveform)
    if waveform.ndim != 1 or not waveform.size:
        raise ValueError(f"waveform must be [N] with N > 0, not of shape {waveform.shape}")
    if not isinstance(sample_rate, int | float | np.number) or not 0 < sample_rate < np.inf:
        raise ValueError(f"sample_rate is {sample_rate!r}: give Hz")
    seconds = len(waveform) / sample_rate
    for name, start, end in (*letters, *words):
        if isinstance(start, str) or isinstance(end, str) or not 0 <= start <= end <= seconds:
            raise ValueError(
                f"{name!r} is at {start} to {end} s of a waveform of {seconds} s: give seconds "
                "(frames times frame_seconds), the start before the end"
            )
    ax = ax or _new_axes(3.2)
    time, loudest = np.arange(len(waveform)) / sample_rate, np.abs(waveform).max() or 1
    ax.plot(time, waveform / loudest, color=GREY, linewidth=0.4)
    _bars(ax, words, bottom=-1, height=2, alpha=0.25)
    _bars(ax, letters, bottom=-1.3, height=0.2)
    for k, (word, start, end) in enumerate(words):
        ax.text((start + end) / 2, 1.1 + 0.3 * (k % 2), word, ha="center")
    for k, (character, start, end) in enumerate(letters):
        height = -1.6 - 0.28 * (k % 3)
        ax.text((start + end) / 2, height, _shown(character), ha="center", family="monospace")
    ax.set(xlabel="time (s)", title="Alignment", xlim=(0, seconds), ylim=(-2.3, 1.8), yticks=())
    return ax


def plot_history(history: Mapping[str, Sequence[float]], ax: Axes | None = None) -> Axes:
    """Loss (left axis, logarithmic) and label error rates (right axis) of `fit(...).history`.

    What was measured in every n-th epoch (`validation_freq=n`) is drawn where it was.

    Raises:
        ValueError: something else than numbers, one for each epoch or for every n-th, or so few
            that n could be more than one number.

    >>> ax = plot_history({"loss": [90.0, 9.0], "ler": [1.0, 0.1]})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['loss', 'ler']
    """
    for name, values in history.items():
        if _numbers(f"{name} of history", values).ndim != 1:
            raise ValueError(f"{name} of history must be a number for each epoch")
    count = max(map(len, history.values()), default=0)  # of epochs
    ax = ax or _new_axes(3)
    rates = ax.twinx()
    styles = {"loss": (ax, BLUE, "-"), "val_loss": (ax, BLUE, "--")}
    styles |= {"ler": (rates, ORANGE, "-"), "val_ler": (rates, ORANGE, "--")}
    lines = []
    for name, (axis, colour, style) in styles.items():
        if name in history:
            found = len(history[name])
            every = [n for n in range(1, count + 1) if count // n == found]
            if len(every) != 1:
                message = f"{name}: {found} values in {count} epochs, but in which of them?"
                raise ValueError(f"history's {message}")
            epochs = np.arange(every[0], count + 1, every[0])
            lines += axis.plot(epochs, history[name], color=colour, linestyle=style, label=name)
    ax.set(xlabel="epoch", ylabel="loss (nats per utterance)", yscale="log", title="Training")
    ax.xaxis.get_major_locator().set_params(integer=True)
    rates.set(ylabel="label error rate", ylim=(-0.03, None))
    ax.legend(handles=lines, loc="upper right")
    return ax


def _numbers(name: str, values) -> np.ndarray:
    try:
        values = np.asarray(values)
    except ValueError as error:  # lists of different lengths
        raise ValueError(f"{name}: {error}") from error
    if values.dtype.kind in "cOSU":
        raise ValueError(f"{name} must be numbers, not {values.dtype}")
    return values


def _new_axes(height: float) -> Axes:
    return plt.subplots(figsize=(12, height), layout="constrained")[1]


def _bars(ax: Axes, spans: Sequence[tuple[str, float, float]], **style) -> None:
    starts = [start for _, start, _ in spans]
    widths = [end - start for _, start, end in spans]
    colours = [(BLUE, ORANGE)[k % 2] for k in range(len(spans))]
    ax.bar(starts, width=widths, align="edge", color=colours, **style)


def _decoded(logits: np.ndarray) -> list[tuple[int, int]]:
    """(class, first frame) of every letter of the best path."""
    best = np.argmax(logits, axis=-1)
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    return [(int(best[t]), int(t)) for t in starts if best[t] != np.shape(logits)[1] - 1]


def _paths(frames: int, names: Sequence[str]) -> tuple[np.ndarray, list]:
    """Which of [T, S] nodes whole paths can pass, and all moves ((t, s), (t + 1, e)) of theirs."""
    size = len(names)
    allowed = np.eye(size, dtype=bool) | np.eye(size, k=1, dtype=bool)
    for s in range(3, size, 2):  # a blank may be left out between two different labels
        allowed[s - 2, s] = names[s] != names[s - 2]
    reached, ending = np.zeros((2, frames, size), dtype=bool)
    reached[0, :2] = ending[-1, -2:] = True
    for t in range(1, frames):
        reached[t] = reached[t - 1] @ allowed
        ending[-1 - t] = allowed @ ending[-t]
    starts = ((t, s, after) for t in range(frames - 1) for s, after in np.argwhere(allowed))
    moves = [((t, s), (t + 1, e)) for t, s, e in starts if reached[t, s] and ending[t + 1, e]]
    return reached & ending, moves


def _shown(character: str) -> str:
    return "␣" if character == " " else character
