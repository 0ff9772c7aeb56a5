# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Strings of handwritten digits, to generalise on. Used in 08_reading_what_it_never_saw.

They are composed of the images of scikit-learn's `load_digits`. Those 1797 images of 8 x 8
pixels are the test portion of the UCI set "Optical Recognition of Handwritten Digits" (E. Alpaydin
and C. Kaynak, 1998, doi:10.24432/C50P49) and come from 13 writers. They ship inside scikit-learn,
so nothing is downloaded. The digits are real, but were never written side by side by one hand.

The images are split by their order in the set, before any string is made:

    "train"  images 0-1199      "dev"   images 1200-1399, to tune on
    "final"  images 0-1399      "test"  images 1400-1796, to report on once

This file stands alone: it needs NumPy and scikit-learn.
"""

import numpy as np
from sklearn.datasets import load_digits

HEIGHT = 12
SPLITS = {"train": (0, 1200), "dev": (1200, 1400), "final": (0, 1400), "test": (1400, 1797)}


def load_digit_images(split: str) -> tuple[np.ndarray, np.ndarray]:
    """The single digits of one split, D of them.

    Args:
        split: "train", "dev", "final" or "test".

    Returns:
        (images, digits): upright images float32 [D, 8, 8] in 0 to 1 (ink is 1), rows first; and
        what each shows, int32 [D].

    Raises:
        ValueError: an unknown split.

    >>> images, digits = load_digit_images("train")
    >>> images.shape, digits[:5]
    ((1200, 8, 8), array([0, 1, 2, 3, 4], dtype=int32))
    """
    if not isinstance(split, str) or split not in SPLITS:
        raise ValueError(f"there is no split {split!r}: choose one of {', '.join(SPLITS)}")
    start, stop = SPLITS[split]
    images, labels = load_digits(return_X_y=True)
    images = images[start:stop].reshape(-1, 8, 8) / 16  # grey values 0..16
    return images.astype(np.float32), labels[start:stop].astype(np.int32)


def make_digit_strings(
    count: int,
    split: str,
    seed: int,
    min_digits: int = 3,
    max_digits: int = 9,
    augment: bool = False,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Compose strings of `min_digits` to `max_digits` digits, drawn with replacement.

    Neighbours stand up to 4 columns apart or overlap by up to 2, each digit moves up or down by up
    to 2 rows and has its own darkness, and up to 3 empty columns lie at either end.

    Args:
        count: how many strings.
        split: "train", "dev", "final" or "test".
        seed: the same arguments give the same strings.
        min_digits: of a string; at least 1.
        max_digits: of a string.
        augment: warp every digit first (see `warp_images`), so that no two copies of an image are
            alike: meant for training only.

    Returns:
        (features, labels): pictures read from left to right, each float32 [T, F], where frame t is
        column t with its F = 12 pixels from top to bottom, in 0 to 1 (`features.T` is upright); and
        their digits, each int32 [L].

    Raises:
        ValueError: an unknown split, impossible numbers of digits, or what is no integer from 0 on.

    >>> features, labels = make_digit_strings(2, "train", seed=0)
    >>> [picture.shape for picture in features]
    [(80, 12), (66, 12)]
    >>> labels[0]
    array([4, 6, 2, 0, 1, 9, 1, 9], dtype=int32)
    """
    numbers = ("count", count, 0), ("seed", seed, 0), ("min_digits", min_digits, 1)
    for name, number, least in (*numbers, ("max_digits", max_digits, min_digits)):
        if not isinstance(number, int | np.integer) or number < least:
            raise ValueError(f"{name}={number!r}: give an integer, at least {least}")
    images, digits = load_digit_images(split)
    rng = np.random.default_rng(seed)
    lengths = rng.integers(min_digits, max_digits + 1, count)  # [count]
    chosen = rng.integers(0, len(images), lengths.sum())  # [sum of lengths]
    glyphs = images[chosen]  # [sum of lengths, 8, 8]
    if augment:
        glyphs = warp_images(glyphs, rng)
    glyphs = glyphs * rng.uniform(0.7, 1.0, (len(glyphs), 1, 1)).astype(np.float32)
    ends = np.cumsum(lengths)
    features = [_side_by_side(part, rng) for part in np.split(glyphs, ends)[:-1]]
    return features, np.split(digits[chosen], ends)[:-1]


def _side_by_side(glyphs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Columns [T, F] of one picture of the glyphs [L, 8, 8], overlaps showing the darker ink."""
    steps = 8 + rng.integers(-2, 5, len(glyphs))  # the distance to the next digit, overlap to gap
    lefts = rng.integers(0, 4) + np.cumsum(steps) - steps
    tops = rng.integers(0, HEIGHT - 8 + 1, len(glyphs))
    columns = np.zeros((lefts[-1] + 8 + rng.integers(0, 4), HEIGHT), np.float32)
    for glyph, top, left in zip(glyphs, tops, lefts, strict=True):
        place = columns[left : left + 8, top : top + 8]
        np.maximum(place, glyph.T, out=place)
    return columns


def warp_images(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each of D images turned, sheared, scaled, shifted and bent a little, at random.

    The output pixel at (row, column) takes the bilinear value of the input at a displaced place;
    the displacement is an affine map (turn up to 0.25 rad, shear up to 0.25, size 0.8 to 1.2 in
    each direction, shift up to 0.75 pixel) plus a smooth random field that is bilinear between the
    four corners and the centre lines.

    Args:
        images: float32 [D, 8, 8] in 0 to 1, rows first.
        rng: decides; it is advanced.

    Returns:
        float32 [D, 8, 8] in 0 to 1.

    Source:
        Simard, Steinkraus and Platt, ICDAR 2003, section 2 (elastic distortion).

    >>> images, _ = load_digit_images("train")
    >>> warped = warp_images(images, np.random.default_rng(0))
    >>> warped.shape, bool((warped == images).all())
    ((1200, 8, 8), False)
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
    """Images [D, 8, 8] read at real-valued rows and columns [D, 8, 8]; outside is empty."""
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2)))  # so that every neighbour exists
    rows, columns = np.clip(rows + 1, 0, 9), np.clip(columns + 1, 0, 9)
    top, left = rows.astype(np.int64), columns.astype(np.int64)
    down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    image = np.arange(len(images))[:, None, None]
    upper = padded[image, top, left] * (1 - right) + padded[image, top, left + 1] * right
    lower = padded[image, top + 1, left] * (1 - right) + padded[image, top + 1, left + 1] * right
    return upper * (1 - down) + lower * down
