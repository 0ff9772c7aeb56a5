"""Decoding on all cores gives exactly what decoding in this process gives."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.beam_search import beam_search_decode
from ctc_tutorial.decoding import decode_in_processes, greedy_decode


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("batch", [0, 1, 7])
def test_the_same_results_in_the_same_order(pool, batch, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    logits = np.random.default_rng(0).normal(0, 3, (batch, 20, 6)).astype(np.float32)
    lengths = np.arange(14, 14 + batch)
    for a, b in zip(
        decode_in_processes(greedy_decode, logits, lengths, pool),
        greedy_decode(logits, lengths),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    search = partial(beam_search_decode, beam_width=5, top_paths=2)
    found = decode_in_processes(search, logits, lengths, pool)
    for few, expected in zip(found, search(logits, lengths), strict=True):
        for a, b in zip(few, expected, strict=True):
            assert (a.log_probability, a.score) == (b.log_probability, b.score)
            np.testing.assert_array_equal(a.ids, b.ids)


def test_ragged_logits_are_padded(pool):
    rows = np.random.default_rng(0).normal(size=(8, 3))
    ragged = tf.RaggedTensor.from_row_lengths(rows, [5, 3])
    found = decode_in_processes(greedy_decode, ragged, [5, 3], pool)
    for a, b in zip(found, greedy_decode(ragged, [5, 3]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_bad_utterance_can_be_found(pool, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    logits = np.zeros((4, 5, 3))
    logits[3] = np.nan
    with pytest.raises(ValueError, match="part from utterance 2 on: utterance 1: logits hold NaN"):
        decode_in_processes(greedy_decode, logits, np.full(4, 5), pool)
