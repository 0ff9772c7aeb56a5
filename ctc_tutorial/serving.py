# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Greedy decoding chunk by chunk, and any decoding on all cores. Taught in notebooks 11 and 13.

Copy decoding.py with this file.
"""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
from numpy.typing import ArrayLike

from .decoding import _array, _merged, checked_logits


class GreedyStream:
    """`greedy_decode` of one utterance that arrives in chunks: the same text, whatever the cuts.

    A new utterance needs a new stream. A label is given out in the first frame of its run. The
    logits must be those of the whole utterance, too: the encoder may not look ahead, and its own
    state has to go from chunk to chunk.

    Args:
        blank_index: as for `greedy_decode`.

    >>> stream = GreedyStream()
    >>> frames = np.eye(3)[[0, 0, 2, 0, 1]]  # as in the example of greedy_decode
    >>> [stream.push(chunk).tolist() for chunk in (frames[:1], frames[1:3], frames[3:])]
    [[0], [], [0, 1]]
    """

    def __init__(self, blank_index: int = -1):
        if not isinstance(blank_index, int | np.integer):
            raise ValueError(f"blank_index {blank_index!r} is no class")
        self.blank_index = blank_index
        self._classes: int | None = None  # unknown until the first chunk
        self._last = -1  # the class of the last frame; -1 is none

    def push(self, logits: ArrayLike) -> np.ndarray:
        """The ids that begin in the next frames.

        Args:
            logits: float [T, C], without padding; T may be 0.

        Returns:
            int32 [L]; L may be 0. All that push returned, put together, is the text so far.

        Raises:
            ValueError: another shape or number of classes than before, a blank outside the classes,
                or a frame as `greedy_decode` refuses. The stream is as it was before, then.
        """
        logits = _array("logits", logits)
        if logits.ndim != 2 or self._classes not in (None, logits.shape[1]):
            expected = "[T, C]" if self._classes is None else f"[T, {self._classes}]"
            raise ValueError(f"a chunk's logits must be {expected}, not of shape {logits.shape}")
        logits, _, blank = checked_logits(logits[None], [len(logits)], self.blank_index)
        best = logits[0].argmax(axis=-1).astype(np.int32)
        ids = _merged(best, self._last, blank)
        self._classes, self._last = logits.shape[2], int(best[-1]) if len(best) else self._last
        return ids


def decode_in_processes(
    decode_fn: Callable[[np.ndarray, np.ndarray], list],
    logits: ArrayLike,
    logit_length: ArrayLike,
    pool: Executor,
) -> list:
    """decode_fn(logits, logit_length), by the processes of a pool, a part of the batch per core.

    Args:
        decode_fn: a function of a module, not a lambda: `greedy_decode`, or
            `functools.partial(beam_search_decode, beam_width=50)`.
        logits, logit_length: as for `greedy_decode`.
        pool: kept open for all batches, as starting it takes about a second. A script does that
            below `if __name__ == "__main__":`, as the processes import the script.

    Raises:
        ValueError: another shape; or as from decode_fn, which counts the utterances of its part
            from 0: the message says with which utterance of the batch that part starts.

    >>> from concurrent.futures import ProcessPoolExecutor
    >>> from multiprocessing import get_context
    >>> from .decoding import greedy_decode
    >>> with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
    ...     decode_in_processes(greedy_decode, np.eye(3)[[[0, 2, 1]]], [3], pool)
    [array([0, 1], dtype=int32)]
    """
    logits, lengths = _array("logits", logits), _array("logit_length", logit_length)
    if logits.ndim != 3 or lengths.shape != logits.shape[:1]:
        shapes = f"{logits.shape} and {lengths.shape}"
        raise ValueError(f"logits [B, T, C] and logit_length [B] have the shapes {shapes}")
    edges = np.linspace(0, len(logits), (os.cpu_count() or 1) + 1).astype(int)
    parts = [slice(*pair) for pair in itertools.pairwise(edges)]
    tasks = [pool.submit(decode_fn, logits[part], lengths[part]) for part in parts]
    results = []
    for part, task in zip(parts, tasks, strict=True):
        try:
            results += task.result()
        except ValueError as error:
            raise ValueError(f"in the part from utterance {part.start} on: {error}") from error
    return results
