"""Pictures of features, emissions and training. Taught in notebook 00_start_here.

Every function draws into the axes it is given, or into a new figure, and returns them.
Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"
FRAME_SECONDS = 0.01


def plot_features(
    features: np.ndarray, frame_seconds: float = FRAME_SECONDS, ax: Axes | None = None
) -> Axes:
    """Features [T, F] as an image: time to the right in seconds, coefficients upwards."""
    ax = ax or _new_axes(2.5)
    extent = (0, len(features) * frame_seconds, -0.5, features.shape[1] - 0.5)
    image = ax.imshow(
        features.T, aspect="auto", origin="lower", extent=extent, cmap="cividis", rasterized=True
    )
    ax.figure.colorbar(image, ax=ax, label="value", pad=0.01)
    ax.set(xlabel="time (s)", ylabel="coefficient", title="Features")
    return ax


def plot_emissions(
    logits: np.ndarray,
    characters: str,
    frame_seconds: float = FRAME_SECONDS,
    ax: Axes | None = None,
) -> Axes:
    """Probability of every class over time, and the decoded letter over its first frame.

    Args:
        logits: [T, C] of one utterance; the last class is the blank.
        characters: the C - 1 characters in class order.
        frame_seconds: time from one frame to the next.
        ax: where to draw; by default a new figure.

    Raises:
        ValueError: another number of characters than classes besides the blank.
    """
    if np.ndim(logits) != 2 or len(characters) != np.shape(logits)[1] - 1:
        raise ValueError(
            f"expected logits [T, {len(characters) + 1}] for {len(characters)} characters and the "
            f"blank; got shape {np.shape(logits)}"
        )
    ax = ax or _new_axes(3.2)
    probabilities = _softmax(logits)
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


def plot_history(history: Mapping[str, Sequence[float]], ax: Axes | None = None) -> Axes:
    """Loss (left axis, logarithmic) and error rates (right axis) of `fit(...).history`."""
    ax = ax or _new_axes(3)
    rates = ax.twinx()
    styles = {"loss": (ax, BLUE, "-"), "val_loss": (ax, BLUE, "--")}
    styles |= {"ler": (rates, ORANGE, "-"), "val_ler": (rates, ORANGE, "--")}
    lines = []
    for name, (axis, colour, style) in styles.items():
        if name in history:
            epochs = np.arange(1, len(history[name]) + 1)
            lines += axis.plot(epochs, history[name], color=colour, linestyle=style, label=name)
    ax.set(xlabel="epoch", ylabel="loss (nats per utterance)", yscale="log", title="Training")
    rates.set(ylabel="label error rate", ylim=(-0.03, None))
    ax.legend(handles=lines, loc="upper right")
    return ax


def plot_utterance(
    samples: np.ndarray,
    sample_rate: int,
    logits: np.ndarray,
    characters: str,
    frame_seconds: float = FRAME_SECONDS,
    title: str = "",
) -> Figure:
    """The main job in one picture: the waveform above, the emissions and their letters below."""
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(12, 5.5), sharex=True, height_ratios=(1, 1.6), layout="constrained"
    )
    top.plot(np.arange(len(samples)) / sample_rate, samples, color=BLUE, linewidth=0.4)
    top.set(ylabel="sample value", title=title or "Waveform")
    plot_emissions(logits, characters, frame_seconds, bottom)
    for _, frame in _decoded(logits):
        top.axvline(frame * frame_seconds, color=ORANGE, linewidth=0.6, alpha=0.7)
    bottom.set_xlim(0, len(samples) / sample_rate)
    return figure


def _new_axes(height: float) -> Axes:
    return plt.subplots(figsize=(12, height), layout="constrained")[1]


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def _decoded(logits: np.ndarray) -> list[tuple[int, int]]:
    """(class, first frame) of every letter of the best path."""
    best = np.argmax(logits, axis=-1)
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    return [(int(best[t]), int(t)) for t in starts if best[t] != np.shape(logits)[1] - 1]


def _shown(character: str) -> str:
    return "␣" if character == " " else character
