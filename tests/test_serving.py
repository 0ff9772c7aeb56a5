"""Decoding in chunks, and on all cores, gives exactly what decoding at once gives."""

import itertools
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.beam_search import beam_search_decode
from ctc_tutorial.decoding import greedy_decode
from ctc_tutorial.serving import GreedyStream, decode_in_processes

RNG = np.random.default_rng(0)


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


def pushed(stream, chunks):
    ids = [stream.push(chunk) for chunk in chunks]
    assert all(some.dtype == np.int32 for some in ids)
    return np.concatenate(ids)


@pytest.mark.parametrize("blank", [-1, 0])
def test_a_stream_reads_the_same_text_however_it_is_cut(blank):
    path = [0, 0, 2, 0, 1, 1, 2, 2, 1]  # with runs, and blanks between and within
    logits = np.eye(3)[path]
    (expected,) = greedy_decode(logits[None], [len(path)], blank)
    assert len(expected) > 3
    places = range(1, len(path))
    cuts = [c for n in range(len(path)) for c in itertools.combinations(places, n)]
    assert len(cuts) == 2 ** (len(path) - 1)
    for cut in cuts:
        chunks = np.split(logits, cut)
        np.testing.assert_array_equal(pushed(GreedyStream(blank), chunks), expected)


def test_a_stream_agrees_with_tensorflow_and_passes_over_empty_chunks():
    logits = RNG.normal(size=(200, 4)).astype(np.float32)
    (reference,), _ = tf.nn.ctc_greedy_decoder(logits[:, None], [200])
    cuts = np.sort(RNG.integers(201, size=150))
    assert (np.diff(cuts) == 0).any()
    chunks = [tf.constant(chunk) for chunk in np.split(logits, cuts)]
    np.testing.assert_array_equal(pushed(GreedyStream(), chunks), reference.values)


def test_a_stream_gives_a_label_out_as_soon_as_it_begins():
    stream = GreedyStream()
    assert [stream.push(np.eye(3)[[k]]).tolist() for k in (2, 0, 0, 1, 2, 1)] == [
        [], [0], [], [1], [], [1],
    ]  # fmt: skip


def test_a_stream_refuses_a_bad_chunk_and_goes_on():
    stream = GreedyStream()
    for shape in ((3,), (1, 2, 3)):
        with pytest.raises(ValueError, match=r"a chunk's logits must be \[T, C\], not of shape"):
            stream.push(np.zeros(shape))
    assert stream.push(np.eye(3)[[0]]).tolist() == [0]
    with pytest.raises(ValueError, match=r"must be \[T, 3\], not of shape \(1, 4\)"):
        stream.push(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="logits hold NaN"):
        stream.push([[0.0, 1.0, 0.0], [np.nan, 0.0, 0.0]])
    assert stream.push(np.eye(3)[[0, 1]]).tolist() == [1]  # the run of 0 goes on
    with pytest.raises(ValueError, match="blank_index 3 is outside the 3 classes"):
        GreedyStream(3).push(np.zeros((1, 3)))
