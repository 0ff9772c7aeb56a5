"""What the pictures show, read back from the artists that were drawn."""

import itertools

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from brute_force import paths_of, states_of

from ctc_tutorial.plots import (
    plot_alignment,
    plot_emissions,
    plot_features,
    plot_history,
    plot_lattice,
)

PATH = [3, 0, 0, 3, 0, 2, 2, 3]  # characters "ab ", blank 3: reads "aa "
LOGITS = 5.0 * np.eye(4)[PATH]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_emissions_show_letters_over_their_first_frames():
    ax = plot_emissions(LOGITS, "ab ", frame_seconds=0.02)
    letters = [(text.get_text(), round(text.get_position()[0], 2)) for text in ax.texts]
    assert letters == [("a", 0.02), ("a", 0.08), ("␣", 0.1)]
    curves = [line.get_ydata() for line in ax.lines]
    assert len(curves) == 3  # the blank, and the two characters that are spoken
    e = np.exp(5.0)
    np.testing.assert_allclose(curves[0], np.where(np.array(PATH) == 3, e, 1) / (e + 3))
    np.testing.assert_allclose(curves[1], np.where(np.array(PATH) == 0, e, 1) / (e + 3))


def test_emissions_of_nothing_and_of_one_frame():
    assert not plot_emissions(5.0 * np.eye(4)[[3, 3]], "ab ").texts
    assert len(plot_emissions(5.0 * np.eye(4)[[0]], "ab ").texts) == 1


@pytest.mark.parametrize("logits", [LOGITS[None], LOGITS[:, :3], LOGITS[0]])
def test_emissions_of_another_alphabet_are_refused(logits):
    with pytest.raises(ValueError, match=r"logits must be \[T, 4\] for 3 characters and the blank"):
        plot_emissions(logits, "ab ")


def test_features_in_seconds():
    features = np.random.default_rng(0).normal(size=(50, 13))
    ax = plot_features(features)
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), features.T)
    assert list(image.get_extent()) == [0, 0.5, -0.5, 12.5]


def test_history_draws_what_is_there():
    history = {"loss": [9.0, 3.0], "ler": [1.0, 0.2], "val_ler": [1.0, 0.3], "skipped": [0, 0]}
    ax = plot_history(history)
    lines = {line.get_label(): line for a in ax.figure.axes for line in a.lines}
    assert set(lines) == {"loss", "ler", "val_ler"}
    for name, line in lines.items():
        np.testing.assert_array_equal(line.get_ydata(), history[name])
    assert ax.get_yscale() == "log"
    assert all(tick == int(tick) for tick in ax.get_xticks())  # there is no epoch 1.5


@pytest.mark.parametrize(("text", "frames"), [("abb", 5), ("aba", 6), ("a", 1), ("", 3)])
def test_lattice_draws_the_nodes_and_moves_of_all_paths(text, frames):
    letters = sorted(set(text))
    every = paths_of([letters.index(c) for c in text], frames, len(letters) + 1)
    paths = [list(enumerate(states_of(path, blank=len(letters)))) for path in every]
    moves = {move for path in paths for move in itertools.pairwise(path)}
    nodes = {node for path in paths for node in path}
    values = np.random.default_rng(0).uniform(size=(frames, 2 * len(text) + 1))

    ax = plot_lattice(values, text)
    lines, dots, circles = ax.collections
    drawn = [tuple((int(t), int(s)) for t, s in line) for line in lines.get_segments()]
    assert len(drawn) == len(moves) and set(drawn) == moves
    order = circles.get_offsets().astype(int)
    assert {(t, s) for t, s in order} == nodes and len(order) == len(nodes)
    assert len(dots.get_offsets()) == values.size - len(nodes)
    shown = values[order[:, 0], order[:, 1]]
    np.testing.assert_array_equal(circles.get_array(), shown)
    assert list(np.argsort(circles.get_sizes())) == list(np.argsort(shown))


def test_lattice_names_its_states_from_the_top():
    _, ax = plt.subplots()
    assert plot_lattice(np.zeros((4, 5)), "a ", ax=ax) is ax
    assert [label.get_text() for label in ax.get_yticklabels()] == ["-", "a", "-", "␣", "-"]
    assert ax.yaxis_inverted()


def test_lattice_of_too_few_frames_has_no_moves():
    lines, dots, circles = plot_lattice(np.zeros((2, 5)), "aa").collections
    assert len(lines.get_segments()) == len(circles.get_offsets()) == 0
    assert len(dots.get_offsets()) == 10


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.zeros((4, 4)), r"values must be \[T, 5\] for 'ab', not of shape \(4, 4\)"),
        (np.zeros(5), "values must be"),
        (np.full((4, 5), -0.1), "not logarithms"),
        (np.full((4, 5), 1.1), "between 0 and 1"),
        (np.full((4, 5), np.nan), "between 0 and 1"),
    ],
)
def test_a_lattice_of_another_shape_or_of_no_probabilities_is_refused(values, match):
    with pytest.raises(ValueError, match=match):
        plot_lattice(values, "ab")


def test_alignment_draws_every_span_with_its_name():
    waveform = np.random.default_rng(0).normal(size=8000)
    letters = [("a", 0.1, 0.2), (" ", 0.2, 0.25), ("b", 0.6, 0.61)]
    words = [("a", 0.1, 0.2), ("b", 0.6, 0.61)]
    ax = plot_alignment(waveform, 8000, letters, words)
    drawn = [[(bar.get_x(), bar.get_x() + bar.get_width()) for bar in c] for c in ax.containers]
    for bars, spans in zip(drawn, (words, letters), strict=True):
        np.testing.assert_allclose(bars, [span[1:] for span in spans])
    colours = [bar.get_facecolor()[:3] for bar in ax.containers[1]]
    assert colours[0] == colours[2] != colours[1]  # neighbours differ
    names = [(text.get_text(), round(text.get_position()[0], 3)) for text in ax.texts]
    assert names == [("a", 0.15), ("b", 0.605), ("a", 0.15), ("␣", 0.225), ("b", 0.605)]
    heights = [text.get_position()[1] for text in ax.texts]
    assert min(heights[:2]) > 1 > -1 > max(heights[2:])  # words above the wave, letters below
    assert len(set(heights[2:])) == 3  # on different lines, so that they can be read
    (wave,) = ax.lines
    np.testing.assert_allclose(wave.get_ydata(), waveform / np.abs(waveform).max())
    np.testing.assert_allclose(wave.get_xdata(), np.arange(8000) / 8000)
    assert ax.get_xlim() == (0, 1)


def test_alignment_of_nothing_and_of_silence():
    ax = plot_alignment(np.zeros(800), 8000, [], [])
    assert not ax.texts and not ax.patches and not ax.lines[0].get_ydata().any()


@pytest.mark.parametrize("span", [("x", 0.2, 0.1), ("x", 0.5, 1.1), ("x", -0.1, 0.1)])
def test_a_span_that_ends_before_it_starts_or_outside_the_waveform_is_refused(span):
    for letters, words in (([span], []), ([], [span])):
        with pytest.raises(ValueError, match=r"'x' is at .* of a waveform of 1\.0 s: give seconds"):
            plot_alignment(np.ones(8000), 8000, letters, words)


def test_draws_into_given_axes():
    _, ax = plt.subplots()
    assert plot_emissions(LOGITS, "ab ", ax=ax) is ax
    assert plot_features(LOGITS, ax=ax) is ax
    assert plot_alignment(np.ones(8), 8, [], [], ax=ax) is ax
    assert plot_history({"loss": [1.0]}, ax=ax) is ax


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_features(np.ones(4)), r"features must be \[T, F\]"),
        (lambda: plot_features([["a"]]), "features must be numbers"),
        (lambda: plot_emissions(np.ones((0, 3)), "ab"), "logits must be"),
        (lambda: plot_lattice(np.ones((0, 3)), "a"), "values must be"),
        (lambda: plot_alignment(np.ones(0), 8000, [], []), r"waveform must be \[N\]"),
        (lambda: plot_alignment(np.ones(9), 0, [], []), "sample_rate is 0"),
        (lambda: plot_alignment(np.ones(9), 9, [("a", "0", 1)], []), "'a' is at"),
        (lambda: plot_history({"loss": 3}), "loss of history"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_history_of_every_nth_epoch_is_drawn_where_it_was_measured():
    lines = plot_history({"loss": [3.0] * 20, "val_loss": [4.0, 3.0, 2.0, 1.0]}).get_lines()
    assert [line.get_xdata().tolist()[-1] for line in lines] == [20, 20]
    assert lines[1].get_xdata().tolist() == [5, 10, 15, 20]
    with pytest.raises(ValueError, match="val_loss: 2 values in 20 epochs, but in which of them"):
        plot_history({"loss": [3.0] * 20, "val_loss": [4.0, 3.0]})  # every 7th, 8th, 9th or 10th
