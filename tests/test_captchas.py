"""Captchas: the pictures show their texts, the seed alone decides, and nothing else is touched."""

import hashlib
import random
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from matplotlib import font_manager

from ctc_tutorial.data import captchas
from ctc_tutorial.data.captchas import CHARACTERS, make_captchas

package = pytest.importorskip("captcha.image", reason='needs pip install "captcha>=0.7,<0.8"')
FONT = "data/DroidSansMono.ttf"


def digest(features, texts):
    found = hashlib.sha256("".join(texts).encode())
    for picture in features:
        found.update(np.ascontiguousarray(picture).tobytes())
    return found.hexdigest()


def test_shapes_and_limits():
    features, texts = make_captchas(150, seed=1)
    assert len(features) == len(texts) == 150
    assert {len(text) for text in texts} == {5}
    assert set("".join(texts)) == set(CHARACTERS) and len(CHARACTERS) == 36
    widths = [len(picture) for picture in features]
    assert 69 <= min(widths) < 75 and 110 < max(widths) <= 117
    for picture in features:
        assert picture.shape[1] == 32 and picture.dtype == np.float32
        assert picture.min() == 0 and picture.max() == 1
        assert np.median(picture) < 0.3  # ink is 1, and most of a picture is paper


def test_a_picture_is_what_the_package_draws(monkeypatch):
    """The package itself, its `secrets` replaced, gives the first picture, larger and upright."""
    rng = random.Random(7)
    text = "".join(rng.choices(CHARACTERS, k=5))
    monkeypatch.setattr(package, "secrets", captchas._Seeded(rng))
    image = package.ImageCaptcha(rng.randint(130, 220), 60).generate_image(text)
    large = np.asarray(image.convert("L"), float)  # [60, W]
    (picture,), (found,) = make_captchas(1, seed=7)
    assert found == text and len(picture) == round(large.shape[1] * 32 / 60)
    rows = np.linspace(0, 59, 32).round().astype(int)
    columns = np.linspace(0, large.shape[1] - 1, len(picture)).round().astype(int)
    assert np.corrcoef(picture.T.ravel(), -large[rows][:, columns].ravel())[0, 1] > 0.9


def test_the_seed_decides_in_another_process_too():
    one, other = digest(*make_captchas(5, seed=3)), digest(*make_captchas(5, seed=4))
    assert digest(*make_captchas(5, seed=3)) == one != other
    program = (
        "from test_captchas import digest, make_captchas\nprint(digest(*make_captchas(5, seed=3)))"
    )
    command = [sys.executable, "-c", program]
    folder = Path(__file__).parent
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.stdout.strip() == one, result.stderr


def test_nothing_else_is_seeded_or_patched():
    before = random.getstate()
    make_captchas(2, seed=0)
    assert package.secrets is secrets
    assert random.getstate() == before


def test_threads_do_not_disturb_each_other():
    wanted = [digest(*make_captchas(5, seed)) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda seed: digest(*make_captchas(5, seed)), range(4))) == wanted


def test_another_font_draws_other_pictures_of_the_same_texts():
    font = font_manager.findfont("DejaVu Sans")
    features, texts = make_captchas(3, seed=2, fonts=[font])
    usual, same = make_captchas(3, seed=2, fonts=[Path(package.__file__).parent / FONT])
    default, _ = make_captchas(3, seed=2)
    assert digest(usual, same) == digest(default, same)
    assert texts[0] == same[0] and digest(features, texts) != digest(default, texts)
    with pytest.raises(OSError, match="cannot open resource"):
        make_captchas(1, seed=0, fonts=["nowhere.ttf"])


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "captcha", None)
    monkeypatch.delitem(sys.modules, "captcha.image")
    with pytest.raises(ImportError, match=r'pip install "captcha>=0\.7,<0\.8"'):
        make_captchas(1, seed=0)
