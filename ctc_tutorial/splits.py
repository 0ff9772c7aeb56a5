# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Hold recordings back by speaker. Taught in notebook 10_your_own_data. Needs NumPy alone."""

from collections.abc import Hashable, Sequence

import numpy as np


def split_by_speaker(
    speakers: Sequence[Hashable], share: float = 0.2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Two groups of recordings without a common speaker: to train on, and held back.

    Speakers are taken in a random order as long as that brings the share of their recordings
    nearer to the one asked for; one stays to train on. A guest with a few recordings is no measure:
    where less than a fifth would be taken, it is the speaker with the fewest that are enough. If
    there is one such speaker only, or one in all, single recordings are held back: an error rate
    then speaks of this voice alone.

    Args:
        speakers: who speaks each of B recordings.
        share: of the recordings to hold back, between 0 and 1.
        seed: of the order.

    Returns:
        (kept, held_back): indices, int64, each in rising order; none is in both.

    Raises:
        ValueError: fewer than two recordings, or a share outside 0 to 1.

    >>> kept, held_back = split_by_speaker(["ann", "ann", "bob", "cid", "cid"], share=0.3)
    >>> kept.tolist(), held_back.tolist()
    ([2, 3, 4], [0, 1])
    """
    if len(speakers) < 2:
        raise ValueError(f"{len(speakers)} recordings can't be divided: two are needed at least")
    if not 0 < share < 1:
        raise ValueError(f"share is {share!r}: give a number between 0 and 1")
    rng = np.random.default_rng(seed)
    groups: dict[Hashable, list[int]] = {}
    for i, speaker in enumerate(speakers):
        groups.setdefault(speaker, []).append(i)
    wanted = share * len(speakers)
    held_back = _drawn(list(groups.values()), wanted, rng) if len(groups) > 1 else []
    enough = min(wanted, len(speakers) - wanted) / 5
    if len(held_back) < enough:
        many = [group for group in groups.values() if len(group) >= enough]
        if len(many) > 1:
            held_back = min((many[i] for i in rng.permutation(len(many))), key=len)
        else:
            held_back = _drawn([[i] for i in range(len(speakers))], wanted, rng) or [0]
    kept = np.setdiff1d(np.arange(len(speakers)), held_back)
    return kept, np.sort(np.array(held_back, dtype=np.int64))


def _drawn(groups, wanted, rng):
    """Of all groups but one, in a random order, as many as bring the count nearer to `wanted`."""
    drawn = []
    for place in rng.permutation(len(groups))[1:]:
        if len(drawn) + len(groups[place]) / 2 <= wanted:
            drawn += groups[place]
    return drawn
