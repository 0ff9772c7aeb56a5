"""Make docs/learning.gif: a network learns the recording, and letters settle in their words.

    python scripts/make_film.py

The network is the aligner's, two rounds of 200 updates. After each of some updates the film shows
the probabilities that it gives, and where it expects each letter of the text: the mean time of the
letter over all paths through the lattice. Drawn with matplotlib and written with Pillow, which
comes with it. Takes about a minute; the training is the same each time on the same machine.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import matplotlib

matplotlib.use("agg")  # files, not windows

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from PIL import Image

import ctc_tutorial as ctc
from ctc_tutorial.picture import BLUE, DARK, FRAME_MIDDLE, FRAME_SECONDS, GREY, ORANGE, SHADE

TARGET = Path(__file__).parent.parent / "docs" / "learning.gif"
PICTURES = 70  # more of them early in each round, where more changes
PICTURE_SECONDS, LAST_SECONDS = 0.1, 3.0


def watched_training(alphabet: ctc.Alphabet, whole: ctc.Utterance) -> list[np.ndarray]:
    """The logits [T, C] before every update of the aligner's training, and after the last one.

    It learns from the recording and from four words of it, as `python -m ctc_tutorial` does.
    """
    pair = ctc.make_lesson_pair(whole)
    features = [ctc.mfcc_features(u.waveform, u.sample_rate) for u in pair]
    batch = ctc.pad_batch(features, [alphabet.encode(u.text) for u in pair])
    seen = []

    def loss_fn(logits, *others):
        tf.numpy_function(lambda x: seen.append(x.copy()), [logits[0]], [])
        return ctc.ctc_loss(logits, *others)

    trained = ctc.train_aligner(**batch, num_classes=alphabet.num_classes, loss_fn=loss_fn)
    return [*seen, trained[0]]


def shown_updates(count: int, rounds: int = 2) -> list[int]:
    """Which of so many states the film shows: in each round close at first, then further apart."""
    steps = (count - 1) // rounds
    places = np.linspace(0, 1, PICTURES // rounds) ** 2 * steps
    return sorted({int(r * steps + place) for r in range(rounds) for place in places.round()})


def letter_times(lattice) -> np.ndarray:
    """The mean time of each label over all paths, in seconds, float64 [L]."""
    weights = lattice.posteriors[:, 1::2]  # [T, L]
    frames = np.arange(len(weights)) @ weights / weights.sum(axis=0)
    return frames * FRAME_SECONDS + FRAME_MIDDLE


def draw(utterance, alphabet, words, logits, title) -> Image.Image:
    """One picture: sound, probabilities, letters under their sounds."""
    lattice = ctc.forward_backward(logits, alphabet.encode(utterance.text))
    read = alphabet.decode(ctc.greedy_decode(logits[None], [len(logits)])[0])
    with plt.rc_context({"font.size": 10, "axes.titlesize": 10, "axes.titlelocation": "left"}):
        figure, axes = plt.subplots(
            3, 1, figsize=(8, 3.9), dpi=100, sharex=True, height_ratios=(0.8, 1.3, 1)
        )
        figure.subplots_adjust(left=0.02, right=0.98, top=0.92, bottom=0.02, hspace=0.28)
        draw_sound(axes[0], utterance)
        draw_probabilities(axes[1], logits, alphabet, utterance.text)
        draw_letters(axes[2], utterance.text, letter_times(lattice), words)
        axes[1].set_title(f"network, {title}: loss {lattice.loss:.1f}")
        axes[2].set_title(f"reads: {read}", family="monospace")
        for ax in axes:
            for _, start, end in words[::2]:
                ax.axvspan(start, end, color=SHADE, linewidth=0, zorder=0)
            ax.set(xlim=(0, len(utterance.waveform) / utterance.sample_rate), xticks=(), yticks=())
            ax.spines[:].set_visible(False)
        figure.canvas.draw()
        picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
        plt.close(figure)
    return picture


def draw_sound(ax, utterance) -> None:
    step = utterance.sample_rate // 250
    starts = np.arange(0, len(utterance.waveform), step)
    low, high = (f.reduceat(utterance.waveform, starts) for f in (np.minimum, np.maximum))
    ax.fill_between(starts / utterance.sample_rate, low, high, color=DARK, linewidth=0.3)
    ax.set_title("sound (shaded: every other word, as it was spoken)")


def draw_probabilities(ax, logits, alphabet, text) -> None:
    probabilities = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    time = np.arange(len(logits)) * FRAME_SECONDS + FRAME_MIDDLE
    ax.plot(time, probabilities[:, -1], color=GREY, linewidth=1.2)
    for character in sorted(set(text)):
        curve = probabilities[:, alphabet.characters.index(character)]
        colour = ORANGE if character == " " else BLUE
        ax.fill_between(time, curve, color=colour, alpha=0.45, linewidth=0)
        ax.plot(time, curve, color=colour, linewidth=0.8)
    ax.set_ylim(0, 1.05)
    for right, name, colour in (
        (0.855, "letter", BLUE),
        (0.93, "space", ORANGE),
        (1, "blank", GREY),
    ):
        ax.text(right, 1.06, name, color=colour, transform=ax.transAxes, ha="right", weight="bold")


def draw_letters(ax, text, times, words) -> None:
    """Letters at their times, in two rows by turns; below them each word at its place."""
    for i, (character, time) in enumerate(zip(text, times, strict=True)):
        if character != " ":
            style = {"ha": "center", "va": "center", "family": "monospace", "fontsize": 12}
            ax.text(time, -0.6 - 0.6 * (i % 2), character, color=BLUE, **style)
    for word, start, end in words:
        ax.text((start + end) / 2, -2.2, word, ha="center", va="center", color=DARK, weight="bold")
    ax.set_ylim(-2.8, 0)


def main() -> None:
    utterance, words, alphabet = ctc.load_sentence(), ctc.load_word_times(), ctc.Alphabet()
    states = watched_training(alphabet, utterance)
    chosen = shown_updates(len(states))
    titles = [f"after {update} of {len(states) - 1} updates" for update in chosen]
    pictures = [
        draw(utterance, alphabet, words, states[update], title)
        for update, title in zip(chosen, titles, strict=True)
    ]
    # One palette for all, so that what stands still is the same in each picture and costs nothing.
    palette = pictures[-1].quantize(48)
    first, *others = [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]
    durations = [int(1000 * PICTURE_SECONDS)] * len(others) + [int(1000 * LAST_SECONDS)]
    first.save(TARGET, save_all=True, append_images=others, duration=durations, loop=0)
    ids = alphabet.encode(utterance.text)
    times = letter_times(ctc.forward_backward(states[-1], ids))
    share = ctc.share_in_words(utterance.text, times, words)
    size = TARGET.stat().st_size / 1e6
    print(f"{TARGET.name}: {len(pictures)} pictures, {size:.2f} MB; {share:.0%} of the letters lie")
    print("in their word at the end, give or take 0.05 s")


if __name__ == "__main__":
    main()
