"""Which utterances CTC can align: named, left out, and the rule by brute force."""

import numpy as np
import pytest
from brute_force import paths_of

from ctc_tutorial.feasibility import check_feasible, infeasible_reason


@pytest.mark.parametrize(
    ("ids", "frames", "message"),
    [
        ([1, 2, 3], 2, "utterance 1 has 2 logit frames but needs at least 3: 3 labels"),
        ([1, 1, 1], 4, r"utterance 1 has 4 .* needs at least 5: 3 labels \+ 2 adjacent repeats"),
        ([0, 27], 9, "utterance 1 has label id 27 at position 1: ids must be 0 to 26"),
        ([-1], 9, "utterance 1 has label id -1 at position 0"),
    ],
)
def test_infeasible_utterances_are_named(ids, frames, message):
    with pytest.raises(ValueError, match=message):
        check_feasible([[1, 2], ids], [2, frames], 28)


def test_feasible_up_to_the_last_frame():
    labels = [[1, 2, 3], [1, 1, 1], [0, 26], []]
    assert check_feasible(labels, np.array([3, 5, 2, 0]), 28).tolist() == [0, 1, 2, 3]


def test_skipping_names_what_is_left_out():
    with pytest.warns(UserWarning) as warned:
        kept = check_feasible([[1], [1, 1], [27], [2]], [1, 2, 9, 9], 28, infeasible="skip")
    assert kept.tolist() == [0, 3] and kept.dtype == np.int64
    messages = [str(w.message) for w in warned]
    assert messages == [
        "skipped: utterance 1 " + infeasible_reason([1, 1], 2, 28),
        "skipped: utterance 2 " + infeasible_reason([27], 9, 28),
    ]
    with pytest.raises(ValueError, match="not 'drop'"):
        check_feasible([], [], 28, infeasible="drop")


def test_as_many_lengths_as_labels():
    with pytest.raises(ValueError, match="2 label sequences but 1 lengths"):
        check_feasible([[1], [2]], [5], 28)


@pytest.mark.parametrize("ids", [[], [1, 2, 0], [1, 1], [2, 2, 2, 0], [0, 1, 1]])
def test_the_rule_is_the_one_of_the_lattice(ids):
    """Brute force: some path of that many frames reads the labels, and none of one less."""
    needed = next(t for t in range(9) if paths_of(ids, t, 4))
    assert infeasible_reason(ids, needed, 4) is None
    if needed:
        assert f"at least {needed}" in infeasible_reason(ids, needed - 1, 4)


@pytest.mark.parametrize("ids", [[1.5], [np.nan], ["1"], [[1], [2]], 3])
def test_ids_that_are_not_integers_are_refused(ids):
    """NaN is neither below nor above a limit."""
    with pytest.raises(ValueError, match="labels of utterance 0 must be integers"):
        check_feasible([ids], [9], 28, infeasible="skip")


@pytest.mark.parametrize(
    ("frames", "classes", "message"),
    [
        (np.nan, 28, "logit_length"),
        ([3], 28, "logit_length"),
        (9, 2.5, "classes"),
        (9, 0, "below|0"),
    ],
)
def test_numbers_that_are_not_integers_are_refused(frames, classes, message):
    with pytest.raises(ValueError, match=message):
        infeasible_reason([1], frames, classes)
