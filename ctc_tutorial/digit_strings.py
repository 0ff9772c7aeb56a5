"""Strings of handwritten digits, composed from scikit-learn's `load_digits`, to generalise on.

Taught in notebook 07_reading_what_it_never_saw.

The 1797 images of 8 x 8 pixels are the test portion of the UCI set "Optical Recognition of
Handwritten Digits" (E. Alpaydin and C. Kaynak, 1998, doi:10.24432/C50P49) and come from 13 writers.
They ship inside scikit-learn, so nothing is downloaded. The strings are composed: real digits, but
never written side by side by one hand.

The images are split by their order in the set, before any string is made:

    "train"  images 0-1199      "dev"   images 1200-1399, to tune on
    "final"  images 0-1399      "test"  images 1400-1796, to report on once

This file stands alone: it needs NumPy and scikit-learn.
"""

import numpy as np
from sklearn.datasets import load_digits

HEIGHT = 12
SPLITS = {"train": (0, 1200), "dev": (1200, 1400), "final": (0, 1400), "test": (1400, 1797)}


def digit_images(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Single digits of one split: images float32 [N, 8, 8] in 0..1 (ink is 1), labels int32 [N].

    Raises ValueError if `split` is not one of "train", "dev", "final", "test".
    """
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}: choose one of {', '.join(SPLITS)}.")
    start, stop = SPLITS[split]
    images, labels = load_digits(return_X_y=True)
    images = images[start:stop].reshape(-1, 8, 8) / 16  # grey values 0..16
    return images.astype(np.float32), labels[start:stop].astype(np.int32)


def digit_strings(
    count: int,
    split: str,
    seed: int,
    min_digits: int = 3,
    max_digits: int = 9,
    augment: bool = False,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Compose `count` strings of `min_digits` to `max_digits` digits, drawn with replacement.

    Neighbours stand up to 4 columns apart or overlap by up to 2, each digit moves up or down by up
    to 2 rows and has its own darkness, and up to 3 empty columns lie at either end. With `augment`
    every digit is warped first (see `warp_images`), so that no two copies of an image are alike:
    meant for training only.

    Returns (features, labels): images float32 [12, W_i] of varying width in 0..1, and the digits
    int32 [L_i]. The same arguments give the same strings. Raises ValueError for an unknown split or
    for impossible numbers of digits.
    """
    if not 1 <= min_digits <= max_digits:
        raise ValueError(
            f"min_digits={min_digits} and max_digits={max_digits} allow no string: "
            "both are at least 1 and min_digits is not the larger."
        )
    images, digits = digit_images(split)
    rng = np.random.default_rng(seed)
    lengths = rng.integers(min_digits, max_digits + 1, count)  # [count]
    chosen = rng.integers(0, len(images), lengths.sum())  # [sum of lengths]
    glyphs = images[chosen]  # [sum of lengths, 8, 8]
    if augment:
        glyphs = warp_images(glyphs, rng)
    glyphs = glyphs * rng.uniform(0.7, 1.0, (len(glyphs), 1, 1)).astype(np.float32)
    cuts = np.cumsum(lengths)[:-1]
    features = [_side_by_side(part, rng) for part in np.split(glyphs, cuts)]
    return features, np.split(digits[chosen], cuts)


def _side_by_side(glyphs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One image [12, W] of the glyphs [L, 8, 8], overlaps showing the darker ink."""
    steps = 8 + rng.integers(-2, 5, len(glyphs))  # the distance to the next digit, overlap to gap
    lefts = rng.integers(0, 4) + np.cumsum(steps) - steps
    tops = rng.integers(0, HEIGHT - 8 + 1, len(glyphs))
    line = np.zeros((HEIGHT, lefts[-1] + 8 + rng.integers(0, 4)), np.float32)
    for glyph, top, left in zip(glyphs, tops, lefts, strict=True):
        place = line[top : top + 8, left : left + 8]
        np.maximum(place, glyph, out=place)
    return line


def warp_images(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image [N, 8, 8] turned, sheared, scaled, shifted and bent a little, at random.

    The output pixel at (row, column) takes the bilinear value of the input at a displaced place;
    the displacement is an affine map (turn up to 0.25 rad, shear up to 0.25, size 0.8 to 1.2 in
    each direction, shift up to 0.75 pixel) plus a smooth random field that is bilinear between the
    four corners and the centre lines (elastic distortion: Simard, Steinkraus and Platt, ICDAR
    2003, section 2).
    """
    count = len(images)
    angle, shear = rng.uniform(-0.25, 0.25, (2, count, 1, 1))
    tall, wide = rng.uniform(0.8, 1.2, (2, count, 1, 1))
    shift = rng.uniform(-0.75, 0.75, (2, count, 1, 1))
    row, column = np.meshgrid(np.arange(8) - 3.5, np.arange(8) - 3.5, indexing="ij")
    spread = np.maximum(0, 1 - np.abs(np.arange(8) - 3.5 - np.array([[-3.5], [0], [3.5]])) / 3.5)
    bend = np.einsum("kr,dnkl,lc->dnrc", spread, rng.normal(0, 0.4, (2, count, 3, 3)), spread)
    sheared = column + shear * row
    rows = (np.cos(angle) * row - np.sin(angle) * sheared) / tall + shift[0] + bend[0] - row
    columns = (np.sin(angle) * row + np.cos(angle) * sheared) / wide + shift[1] + bend[1] - column
    strength = rng.uniform(0, 1, (count, 1, 1))  # many images stay nearly as they are, and sharp
    warped = _bilinear(images, row + 3.5 + strength * rows, column + 3.5 + strength * columns)
    return warped ** rng.uniform(0.7, 1.4, (count, 1, 1)).astype(np.float32)


def _bilinear(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Images [N, 8, 8] read at real-valued rows and columns [N, 8, 8]; outside is empty."""
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2)))  # so that every neighbour exists
    rows, columns = np.clip(rows + 1, 0, 9), np.clip(columns + 1, 0, 9)
    top, left = rows.astype(np.int64), columns.astype(np.int64)
    down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    image = np.arange(len(images))[:, None, None]
    upper = padded[image, top, left] * (1 - right) + padded[image, top, left + 1] * right
    lower = padded[image, top + 1, left] * (1 - right) + padded[image, top + 1, left + 1] * right
    return upper * (1 - down) + lower * down
