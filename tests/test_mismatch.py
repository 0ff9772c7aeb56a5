"""One reason for many wrong ids; and none where each is wrong for its own."""

import numpy as np
import pytest

from ctc_tutorial import explain_mismatch
from ctc_tutorial.mismatch import named

TEXTS = [[3, 1, 2, 5], [0, 4, 4], [6, 2, 0, 1, 3, 5, 4], [5, 5, 2, 6], [1, 0, 3, 6, 4]]


@pytest.mark.parametrize("by", [1, -1])
def test_a_shift(by):
    shifted = [[i + by for i in row] for row in TEXTS]
    assert f"they are {by:+d} of" in explain_mismatch(TEXTS, shifted)


def test_other_utterances_with_a_mistake_among_them():
    predictions = [TEXTS[1], TEXTS[0], TEXTS[2], TEXTS[4], TEXTS[3]]
    predictions[2] = predictions[2][1:]  # a misreading of its own
    found = explain_mismatch(TEXTS, predictions)
    assert "between utterances 0, 1, 3 and 1 more" in found and "has the text of 1." in found


def test_another_order_of_classes():
    order = np.array([0, 1, 4, 3, 5, 2, 6])
    found = explain_mismatch(TEXTS * 2, [order[row] for row in TEXTS * 2])
    assert "ids 2 for 5, 4 for 2, 5 for 4" in found


def test_no_single_reason():
    rng = np.random.default_rng(0)
    assert explain_mismatch(TEXTS, TEXTS) is None
    rare = [[7, *TEXTS[0]], *TEXTS[1:]]  # one letter, always taken for another, and few of it
    assert explain_mismatch(rare, [[8, *TEXTS[0]], *TEXTS[1:]]) is None
    assert explain_mismatch(TEXTS, [[]] * 5) is None
    for _ in range(200):
        noise = [rng.integers(0, 7, rng.integers(1, 9)) for _ in TEXTS]
        assert explain_mismatch(TEXTS, noise) is None


def test_numbers_in_words():
    assert named([7]) == "7" and named(range(9)) == "0, 1, 2 and 6 more"
