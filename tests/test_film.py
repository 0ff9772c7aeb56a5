"""docs/learning.gif and the script that makes it."""

import itertools

import make_film
import numpy as np
from PIL import Image

from ctc_tutorial import forward_backward


def test_the_film_is_small_and_moves():
    assert make_film.TARGET.stat().st_size < 1.5e6
    with Image.open(make_film.TARGET) as film:
        count, pictures = film.n_frames, []
        for k in (0, count // 2, count - 1):
            film.seek(k)
            pictures.append(np.asarray(film.convert("L"), float))
    assert count > 40
    # The sound stands still; below it the curves and the letters move.
    for earlier, later in itertools.pairwise(pictures):
        sound = slice(0, len(earlier) // 5)
        assert np.abs(later - earlier)[sound].mean() < 1
        assert np.abs(later - earlier).mean() > 2


def test_letter_times_are_means_over_all_paths():
    # Paths aa, a- and -a: the label is as often in the first frame as in the second.
    lattice = forward_backward(np.log([[0.4, 0.6]] * 2), [0])
    np.testing.assert_allclose(make_film.letter_times(lattice), [0.5 * 0.01 + 0.0125])
    # Certain frames: a in the second, b in the fifth of five.
    certain = np.full((5, 3), -30.0)
    certain[range(5), [2, 0, 2, 2, 1]] = 0
    times = make_film.letter_times(forward_backward(certain, [0, 1]))
    np.testing.assert_allclose(times, [0.01 + 0.0125, 0.04 + 0.0125], atol=1e-9)


def test_the_film_shows_the_first_and_the_last_state():
    shown = make_film.shown_updates(401)
    assert shown[0] == 0 and shown[-1] == 400 and 200 in shown
    assert shown == sorted(set(shown))
    assert shown[1] - shown[0] < shown[len(shown) // 2 - 1] - shown[len(shown) // 2 - 2]
