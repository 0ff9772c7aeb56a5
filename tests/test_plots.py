"""What the pictures show, read back from the artists that were drawn."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ctc_tutorial.plots import plot_emissions, plot_features, plot_history, plot_utterance

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
def test_emissions_of_another_alphabet(logits):
    with pytest.raises(ValueError, match=r"expected logits \[T, 4\] for 3 characters"):
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


def test_utterance_shares_one_time_axis():
    samples = np.random.default_rng(0).normal(size=1600)
    figure = plot_utterance(samples, 8000, LOGITS, "ab ", title="aa")
    top, bottom = figure.axes
    assert top.get_xlim() == bottom.get_xlim() == (0, 0.2)
    np.testing.assert_array_equal(top.lines[0].get_ydata(), samples)
    assert len(top.lines) == 1 + 3 and len(bottom.texts) == 3


def test_draws_into_given_axes():
    _, ax = plt.subplots()
    assert plot_emissions(LOGITS, "ab ", ax=ax) is ax
    assert plot_features(LOGITS, ax=ax) is ax
    assert plot_history({"loss": [1.0]}, ax=ax) is ax
