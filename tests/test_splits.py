"""Recordings held back by speaker."""

import numpy as np
import pytest

from ctc_tutorial import split_by_speaker


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.95])
def test_no_speaker_is_on_both_sides(seed, share):
    rng = np.random.default_rng(seed)
    speakers = rng.integers(0, rng.integers(2, 9), 60).tolist()
    kept, held_back = split_by_speaker(speakers, share, seed)
    assert sorted([*kept, *held_back]) == list(range(60)) and len(kept) and len(held_back)
    assert not {speakers[i] for i in kept} & {speakers[i] for i in held_back}


def test_many_speakers_come_near_to_the_share():
    speakers = [i // 3 for i in range(300)]
    for seed in range(5):
        assert len(split_by_speaker(speakers, 0.2, seed)[1]) == 60


@pytest.mark.parametrize(
    ("counts", "held_back"), [([10, 190], 10), ([60, 10, 10, 10, 10], 20), ([50, 30], 30)]
)
def test_who_speaks_most_is_not_held_back(counts, held_back):
    speakers = np.repeat(np.arange(len(counts)), counts).tolist()
    for seed in range(10):
        assert len(split_by_speaker(speakers, 0.2, seed)[1]) == held_back


def test_one_speaker_is_divided_by_recordings():
    kept, held_back = split_by_speaker(["ann"] * 10, 0.2)
    assert (len(kept), len(held_back)) == (8, 2)
    with pytest.raises(ValueError, match="1 recordings can't be divided"):
        split_by_speaker(["ann"])
    with pytest.raises(ValueError, match="share"):
        split_by_speaker(["ann"] * 3, 1.0)


@pytest.mark.parametrize(
    ("counts", "held_back"), [([60, 1], {12, 13}), ([1, 50, 50], {50}), ([1, 1, 60], {12, 13})]
)
def test_a_guest_with_a_recording_is_no_measure(counts, held_back):
    speakers = np.repeat(np.arange(len(counts)), counts).tolist()
    for seed in range(10):
        assert len(split_by_speaker(speakers, 0.2, seed)[1]) in held_back
