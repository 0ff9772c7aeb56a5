# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Captchas of the package `captcha`, to read end to end. Used in 08_reading_what_it_never_saw.

The package (H. Yang, BSD licence, https://github.com/lepture/captcha) turns, bends and squeezes
each character, lets neighbours overlap, and draws thirty dots and an arc over them. It brings one
font, DroidSansMono; others can be named. Here it draws five characters of 36, digits and small
letters, 60 pixels high as is its default, and 130 to 220 wide: its default, always 160, would leave
nothing to learn about lengths. Then they are scaled down to 32 rows.

This file stands alone: it needs NumPy and `pip install "captcha>=0.7,<0.8"`, which brings Pillow.
"""

import importlib.util
import random
import string
from collections.abc import Sequence
from types import ModuleType

import numpy as np

HEIGHT = 32
CHARACTERS = string.digits + string.ascii_lowercase
_DRAWN_HEIGHT, _DRAWN_WIDTHS = 60, (130, 220)  # pixels


def make_captchas(
    count: int, seed: int, fonts: Sequence[str] | None = None
) -> tuple[list[np.ndarray], list[str]]:
    """Draw captchas of five characters, each drawn at random from the 36 of `CHARACTERS`.

    Small letters, because each character is stretched to the same height: a capital O is then
    nearly a zero. A small one still is, at times, and neighbours may hide each other: there are
    captchas that nobody can read.

    Args:
        count: how many.
        seed: the same arguments give the same captchas, with the same version of Pillow. Another
            seed gives others: train on one, judge on another.
        fonts: paths of TrueType files to draw from; by default the font that the package brings.

    Returns:
        (features, texts): pictures read from left to right, each float32 [W, 32] with W from 69 to
        117, where frame t is column t from top to bottom; the darkest pixel of each is 1 and the
        lightest 0 (`features.T` is upright). And what each shows.

    Raises:
        ImportError: the package `captcha` is not installed.
        OSError: a font file that is not there or can't be read.

    >>> features, texts = make_captchas(2, seed=0)
    >>> [picture.shape[1] for picture in features], [len(text) for text in texts]
    ([32, 32], [5, 5])
    """
    rng = random.Random(seed)
    image_module = _seeded_image_module(rng)
    drawer = image_module.ImageCaptcha(
        height=_DRAWN_HEIGHT, fonts=[str(font) for font in fonts] if fonts else None
    )
    features, texts = [], []
    for _ in range(count):
        text = "".join(rng.choices(CHARACTERS, k=5))
        drawer._width = rng.randint(*_DRAWN_WIDTHS)  # a new drawer would load its fonts again
        features.append(_columns(drawer.generate_image(text)))
        texts.append(text)
    return features, texts


def _columns(image) -> np.ndarray:
    """An image of the package, scaled to 32 rows: columns [W, 32], ink is 1."""
    width = round(image.width * HEIGHT / image.height)
    grey = np.asarray(image.convert("L").resize((width, HEIGHT)), np.float32).T  # [W, 32]
    lightest, darkest = grey.max(), grey.min()
    return (lightest - grey) / (lightest - darkest)


class _Seeded:
    """What the package uses of the module `secrets`, repeatable."""

    def __init__(self, rng: random.Random) -> None:
        self.randbelow, self.choice, self.randbits = rng.randrange, rng.choice, rng.getrandbits


def _seeded_image_module(rng: random.Random) -> ModuleType:
    """A copy of the module `captcha.image` that draws from `rng` instead of `secrets`.

    A copy of its own for each call: the module that others import stays as it is, and threads do
    not disturb each other.
    """
    try:
        spec = importlib.util.find_spec("captcha.image")
    except ModuleNotFoundError as error:
        message = 'captchas are drawn by the package captcha: pip install "captcha>=0.7,<0.8"'
        raise ImportError(message) from error
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module)["secrets"] = _Seeded(rng)
    return module
