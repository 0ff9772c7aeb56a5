"""What the picture shows, read back from the artists that were drawn."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from ctc_tutorial.picture import BLUE, ORANGE, plot_utterance

PATH = [3, 0, 0, 3, 2, 1, 3, 3, 3, 3]  # characters "ab ", blank 3: reads "a b", each 10 ms
LOGITS = 20.0 * np.eye(4)[PATH]
LETTERS = [("a", 0.01, 0.03), (" ", 0.04, 0.05), ("b", 0.05, 0.09)]  # b's span holds blanks
WAVEFORM = np.random.default_rng(0).normal(size=1000)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def draw(**changes):
    arguments = {"waveform": WAVEFORM, "sample_rate": 8000, "logits": LOGITS, "characters": "ab "}
    return plot_utterance(**{**arguments, "letters": LETTERS, **changes}).axes


def test_letters_stand_at_the_middle_of_their_probability_and_words_are_named():
    *_, bottom = draw()
    drawn = {text.get_text(): text for text in bottom.texts}
    assert [text.get_text() for text in bottom.texts] == ["a", "␣", "b", "a", "b"]
    at = [text.get_position()[0] for text in bottom.texts]
    # Frames 1 and 2, frame 4, frame 5; a frame's window is 25 ms long.
    np.testing.assert_allclose(at[:3], [0.0275, 0.0525, 0.0625], atol=1e-6)
    np.testing.assert_allclose(at[3:], [0.0275, 0.0625], atol=1e-6)
    assert drawn["␣"].get_color() == ORANGE != bottom.texts[0].get_color() == BLUE
    heights = [text.get_position()[1] for text in bottom.texts]
    assert len(set(heights[:3])) == 3  # so close that each has a row of its own
    assert min(heights[:3]) > max(heights[3:])  # words are below


def test_words_reach_from_their_first_letter_to_their_last():
    letters = [("a", 0, 0.01), ("b", 0.05, 0.06), (" ", 0.07, 0.08), ("a", 0.09, 0.1)]
    *_, bottom = draw(letters=letters)
    bars = [line.get_xdata() for line in bottom.lines]
    np.testing.assert_allclose(bars, [[0.0125, 0.0625], [0.1025, 0.1025]])
    assert [text.get_text() for text in bottom.texts[-2:]] == ["ab", "a"]


def test_emissions_are_the_probabilities_of_the_blank_and_the_letters_used():
    _, middle, _ = draw()
    e = np.exp(20.0)
    colours = [to_hex(line.get_color()).upper() for line in middle.lines]
    assert colours[1:] == [ORANGE, BLUE, BLUE] and colours[0] not in (ORANGE, BLUE)
    for line, symbol in zip(middle.lines, (3, 2, 0, 1), strict=True):
        np.testing.assert_allclose(line.get_xdata(), np.arange(10) * 0.01 + 0.0125)
        expected = np.where(np.array(PATH) == symbol, e, 1) / (e + 3)
        np.testing.assert_allclose(line.get_ydata(), expected)
    named = {text.get_text(): text for text in middle.texts}
    assert {k: to_hex(t.get_color()).upper() for k, t in named.items()} == {
        "letter": BLUE,
        "space": ORANGE,
        "blank": colours[0],
    }
    assert all(text.get_position()[1] > 1 for text in named.values())  # not over the data
    assert [t.get_text() for t in draw(letters=LETTERS[:1])[1].texts] == list(named)
    assert len(draw(letters=LETTERS[:1])[1].lines) == 2  # b and the space are not used


def test_the_envelope_holds_every_sample():
    top, *_ = draw()
    (area,) = top.collections
    corners = area.get_paths()[0].vertices
    for k in range(0, 1000, 32):
        piece = WAVEFORM[k : k + 32] / np.abs(WAVEFORM).max()
        for extreme in (piece.min(), piece.max()):
            found = np.isclose(corners, (k / 8000, extreme)).all(axis=1)
            assert found.any(), (k, extreme)
    assert top.get_xlim() == (0, 0.125)


def test_spoken_words_are_shaded_every_other_one_and_said_so():
    spoken = [("a", 0.01, 0.03), ("b", 0.03, 0.05), ("ab", 0.06, 0.08)]
    for ax in draw(spoken=spoken):
        spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches]
        np.testing.assert_allclose(spans, [(0.01, 0.03), (0.06, 0.08)])
    assert "shaded" in draw(spoken=spoken)[0].get_title("left")
    for ax in draw():
        assert not ax.patches and "shaded" not in ax.get_title("left")


def test_silence_and_no_letters():
    top, _, bottom = draw(waveform=np.zeros(1000), letters=[])
    assert not bottom.texts and np.isfinite(top.collections[0].get_paths()[0].vertices).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": LOGITS[None]}, r"logits must be \[T, 4\]"),
        ({"characters": "ab"}, r"logits must be \[T, 3\]"),
        ({"letters": [("c", 0, 0.01)]}, "'c' is at 0 to 0.01 s: give one of 'ab '"),
        ({"letters": [("a", 0.02, 0.02)]}, "'a' is at"),
        ({"letters": [("a", 0.09, 0.12)]}, "within 10 frames of 0.01 s"),
        ({"letters": [("a", -0.01, 0.02)]}, "'a' is at"),
    ],
)
def test_another_alphabet_and_letters_outside_the_frames_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        draw(**changes)
