"""Strange logits, labels and lengths: the right value, or a clear error. See fuzz_strategies.py.

`make test` runs a few examples, always the same ones; `make fuzz` very many.
"""

import brute_force
import numpy as np
import pytest
import tensorflow as tf
from fuzz_strategies import (
    BLANKS,
    LENGTHS,
    NUMBERS,
    REFUSED,
    answer,
    array,
    blank_of,
    dressed,
    edit_distance,
    fuzz,
    integers,
    reals,
    write_report,
)
from hypothesis import strategies as st

import ctc_tutorial as ctc
from ctc_tutorial.metrics import label_error_rates

pytestmark = pytest.mark.slow  # XLA compiles much here

# XLA compiles for each number of utterances and classes, but not for frames and labels.
SHAPES = ((2, 3, 3), (2, 4, 3), (2, 3, 3), (2, 4, 3), (1, 2, 2), (2, 0, 3))
NAMES = "logits|labels|logit_length|label_length|blank_index|utterance"


@pytest.fixture(scope="module", autouse=True)
def counts_are_written():
    yield
    write_report()


@st.composite
def batches(draw):
    """A batch, right but for its values; one of its arrays may be something else entirely."""
    (b, t, c), width = draw(st.sampled_from(SHAPES)), draw(st.integers(0, 3))
    columns = {
        "logits": reals(b, t, c),
        "labels": integers(0, c - 1, b, width),
        "logit_length": integers(max(0, t - 1), t + 1, b, pokes=LENGTHS),
        "label_length": integers(0, width + 1, b, pokes=LENGTHS),
    }
    strange = draw(st.sampled_from((None, *columns)))
    return {
        name: draw(dressed(values) if name == strange else values)
        for name, values in columns.items()
    }


def utterances(case, kinds="iuf"):
    """(logits [T, C], labels [L], logit_length, label_length) of each in float64, or None where the
    arrays do not make a batch. What float32 can't tell from an infinity is one."""
    with np.errstate(over="ignore"):
        logits = array(case["logits"], "fiub", 3)
        logits = None if logits is None else logits.astype(np.float32).astype(np.float64)
    ranks = {"labels": 2, "logit_length": 1, "label_length": 1}
    columns = [logits, *(array(case[name], kinds, rank) for name, rank in ranks.items())]
    if any(column is None or len(column) != len(logits) for column in columns):
        return None
    return list(zip(*columns, strict=True))


def too_large(case):
    """Does it hold Python numbers that TensorFlow refuses to convert?"""
    for values in case.values():
        x = np.asarray(values) if isinstance(values, list) and even(values) else np.zeros(0)
        if x.dtype.kind not in "iuf":
            continue
        most = 3e38 if x.dtype.kind == "f" else 2**31 - 1
        if np.any(np.isfinite(x) & (np.abs(x) > most)):
            return True
    return False


def even(values) -> bool:
    """Have the lists in the list one length? (TensorFlow takes [[], [1]] for two empty ones.)"""
    try:
        return np.asarray(values).dtype.kind != "O"
    except ValueError:
        return False


def countable(logits, labels, frames, length, blank):
    """Do the lengths and ids of an utterance make sense, and has every frame probabilities?"""
    if not (0 <= frames <= len(logits) and 0 <= length <= len(labels)):
        return False
    if frames % 1 or length % 1:
        return False
    ids, logits = labels[: int(length)], logits[: int(frames)]
    known = (ids >= 0) & (ids < logits.shape[1]) & (ids != blank) & (ids % 1 == 0)
    return bool(known.all()) and _has_largest(logits)


def float64_loss(logits, ids, blank):
    """Loss and gradient in float64; the lattice is thrown at itself below."""
    if not len(logits):
        return (0.0 if not len(ids) else np.inf), np.zeros_like(logits)
    try:
        return ctc.forward_backward(logits, ids.astype(int), blank)[:2]
    except ValueError:  # too few frames, or probability 0
        return np.inf, np.zeros_like(logits)


@pytest.mark.slow
@fuzz(few=60, share=0.3, case=batches(), blank=BLANKS)
def test_ctc_loss(case, blank):
    """With its gradient, where the logits are a float tensor."""
    if isinstance(case["labels"], list) and not even(case["labels"]):
        return

    def loss_and_gradient(logits, **others):
        with tf.GradientTape() as tape:
            if not isinstance(logits, list):
                logits = tf.convert_to_tensor(logits)
                tape.watch(logits)
            loss = ctc.ctc_loss(logits, **others)
        return loss.numpy(), tape.gradient(loss, logits)

    watched = array(case["logits"], "f", 3) is not None  # else there is no gradient
    watched = watched and not isinstance(case["logits"], list)
    function = loss_and_gradient if watched else ctc.ctc_loss
    found = answer(NAMES, function, **case, blank_index=blank)
    rows = utterances(case)
    good = rows is not None and blank_of(blank, np.shape(case["logits"])[2]) is not None
    if found is REFUSED and too_large(case):
        return
    assert good == (found is not REFUSED)
    if not good:
        return
    losses, gradients = found if watched else (found.numpy(), [None] * len(rows))
    blank = blank_of(blank, np.shape(case["logits"])[2])
    for (logits, labels, frames, length), loss, gradient in zip(
        rows, losses, gradients, strict=True
    ):
        if not countable(logits, labels, frames, length, blank):
            assert np.isnan(loss)
            continue
        frames = int(frames)
        wanted, slope = float64_loss(logits[:frames], labels[: int(length)], blank)
        np.testing.assert_allclose(loss, wanted, rtol=1e-5, atol=1e-5)
        if gradient is not None and not 1e9 < wanted < np.inf:  # masks are alike to the gradient
            np.testing.assert_allclose(gradient[:frames], slope, atol=1e-4)
            assert not np.any(gradient[frames:])


def rate(logits, labels, frames, length):
    """Of one utterance; NaN where its numbers make no sense."""
    blank, frames, length = logits.shape[1] - 1, frames, length
    if not countable(np.where(logits == np.inf, 0, logits), labels, frames, length, blank):
        return np.nan
    best = logits[: int(frames)].argmax(axis=1)
    ids = tuple(labels[: int(length)].tolist())
    return edit_distance(ids, brute_force.text_of(best, blank)) / len(ids) if ids else 0.0


@fuzz(few=60, case=batches())
def test_label_error_rates(case):
    if isinstance(case["labels"], list) and not even(case["labels"]):
        return
    found = answer(NAMES, label_error_rates, **case)
    rows = utterances(case)
    if found is REFUSED and too_large(case):
        return
    assert (rows is not None) == (found is not REFUSED)
    if rows is not None:
        np.testing.assert_allclose(found, [rate(*row) for row in rows], rtol=1e-6)


@fuzz(few=30, share=0.2, case=batches(), weights=dressed(reals(2)))
def test_LabelErrorRate(case, weights):
    if isinstance(case["labels"], list) and not even(case["labels"]):
        return
    metric, given = ctc.LabelErrorRate(), weights
    found = answer(
        f"{NAMES}|sample_weight",
        lambda: metric.update_state(**case, sample_weight=weights) or metric.result(),
    )
    rows, weights = utterances(case), array(weights, "fiub", 1)
    good = rows is not None and weights is not None and len(rows) == len(weights)
    if found is REFUSED and too_large({**case, "weights": given}):
        return
    assert good == (found is not REFUSED)
    if good:
        with np.errstate(all="ignore"):
            weights = [
                w * (row[3] > 0) for w, row in zip(weights.astype(np.float32), rows, strict=True)
            ]
            rates = [rate(*row) for row in rows]
            total = np.float32(sum(weights))
            wanted = np.dot(weights, rates) / total if total else 0.0
        if np.isfinite(wanted) and abs(total) > 1e-3:
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@fuzz(
    few=60, share=0.3, data=st.data(), case=batches(), infeasible=st.sampled_from(("raise", "skip"))
)
def test_CTCLossLayer(data, case, infeasible):
    """Labels of every kind; a batch that sparse and ragged tensors can't hold is given dense."""
    try:
        case = {name: np.asarray(values) for name, values in case.items()}  # Keras refuses lists
    except ValueError:
        return
    for name in ("logit_length", "label_length"):  # [B] or [B, 1]
        case[name] = np.ravel(case[name])
    layer, rows = ctc.CTCLossLayer(infeasible=infeasible), utterances(case)
    given, kind = dict(case), data.draw(st.sampled_from(("dense", "ragged", "sparse")))
    held = utterances(case, kinds="iu")
    if kind != "dense" and held and all(0 <= n <= len(ids) for _, ids, _, n in held):
        ids = tf.RaggedTensor.from_tensor(case["labels"], case["label_length"])
        given["labels"] = ids if kind == "ragged" else ids.to_sparse()
        given.pop("label_length")
    found = answer(NAMES, layer, **given)
    if rows is None:
        assert found is REFUSED
        return
    blank = np.shape(case["logits"])[2] - 1
    good = [countable(*row, blank) and enough(*row) for row in rows]
    if infeasible == "raise" and not all(good):
        assert found is REFUSED
        return
    assert found is not REFUSED
    losses = [
        float64_loss(logits[: int(frames)], ids[: int(length)], blank)[0]
        for (logits, ids, frames, length), count in zip(rows, good, strict=True)
        if count
    ]
    np.testing.assert_allclose(layer.losses[0], np.mean(losses or [0]), rtol=1e-5, atol=1e-5)
    rates = [rate(*row) for row, count in zip(rows, good, strict=True) if count and row[3] > 0]
    np.testing.assert_allclose(layer.ler.result(), np.mean(rates or [0]), rtol=1e-5, atol=1e-6)
    if infeasible == "skip":
        assert float(layer.skipped.result()) == good.count(False)


def enough(logits, labels, frames, length):
    ids = labels[: int(length)]
    return frames >= len(ids) + np.sum(ids[1:] == ids[:-1])


# What needs NumPy only.


def decodable(logits, lengths, blank):
    """Logits [B, T, C], lengths and blank, as the decoders take them, or None."""
    logits, lengths = array(logits, "fiub", 3), array(lengths, "iu", 1)
    if logits is None or lengths is None or len(logits) != len(lengths):
        return None
    blank = blank_of(blank, logits.shape[2])
    if blank is None or not all(0 <= n <= logits.shape[1] for n in lengths):
        return None
    rows = [frames[:n] for frames, n in zip(logits.astype(float), lengths, strict=True)]
    return (rows, blank) if all(_has_largest(frames) for frames in rows) else None


def _has_largest(frames):
    """Whether every frame [T, C] has one: no NaN, no +inf, not all -inf."""
    return np.isfinite(frames.max(axis=1, initial=-np.inf)).all()


@fuzz(case=batches(), blank=BLANKS)
def test_greedy_decode(case, blank):
    given = {name: case[name] for name in ("logits", "logit_length")}
    found = answer(NAMES, ctc.greedy_decode, **given, blank_index=blank)
    good = decodable(*given.values(), blank)
    assert (good is not None) == (found is not REFUSED)
    if good:
        rows, blank = good
        wanted = [brute_force.text_of(frames.argmax(axis=1), blank) for frames in rows]
        assert [tuple(ids.tolist()) for ids in found] == wanted


@fuzz(logits=dressed(reals(4, 3)), cut=st.integers(0, 4), blank=BLANKS)
def test_GreedyStream(logits, cut, blank):
    stream = answer(NAMES, ctc.GreedyStream, blank)
    if stream is REFUSED:
        return
    chunks = [logits] if isinstance(logits, int) else [logits[:cut], logits[cut:]]
    chunks = [chunk for chunk in chunks if not isinstance(chunk, list) or chunk]  # [] has no rank
    found = [answer(NAMES, stream.push, chunk) for chunk in chunks]
    whole = array(logits, "fiub", 2)
    if not any(ids is REFUSED for ids in found) and whole is not None:
        (wanted,) = ctc.greedy_decode(whole[None].astype(float), [len(whole)], blank)
        assert np.concatenate(found).tolist() == wanted.tolist()
    elif whole is not None and whole.size and blank_of(blank, whole.shape[1]) is not None:
        assert not _has_largest(whole.astype(float))


WIDTHS = st.sampled_from((*(1, 2, 3, 300) * 4, *NUMBERS))


@fuzz(few=60, share=0.5, case=batches(), blank=BLANKS, beam_width=WIDTHS, top_paths=WIDTHS)
def test_beam_search_decode(case, blank, beam_width, top_paths):
    given = {name: case[name] for name in ("logits", "logit_length")}
    options = {"beam_width": beam_width, "top_paths": top_paths, "blank_index": blank}
    found = answer(f"{NAMES}|beam_width|top_paths", ctc.beam_search_decode, **given, **options)
    good = decodable(*given.values(), blank)
    if good:
        numbers = all(isinstance(n, int) for n in (beam_width, top_paths))
        good = good if numbers and 1 <= top_paths <= beam_width else None
    assert (good is not None) == (found is not REFUSED)
    if not good:
        return
    rows, blank = good
    for frames, hypotheses in zip(rows, found, strict=True):
        with np.errstate(over="ignore"):
            texts = brute_force.all_texts(frames, blank) if len(frames) else {(): 1.0}
        assert 1 <= len(hypotheses) <= top_paths
        scores = [h.score for h in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(h.ids.tolist()) for h in hypotheses}) == len(hypotheses)
        for h in hypotheses:
            p = texts.get(tuple(h.ids.tolist()), 0.0)
            if beam_width == 300 and p > 1e-290:
                assert h.log_probability == pytest.approx(np.log(p), rel=1e-9, abs=1e-9)
            assert h.log_probability <= max(np.log(max(p, 1e-300)), -600) + 1e-9
        if beam_width == 300:
            assert np.exp(scores[0]) == pytest.approx(max(texts.values()))


@st.composite
def one_utterance(draw):
    classes, frames = draw(st.integers(1, 3)), draw(st.integers(0, 4))
    logits, ids = reals(frames, classes), integers(0, classes - 1, draw(st.integers(0, 3)))
    strange = draw(st.sampled_from("nli"))
    return {
        "logits": draw(dressed(logits) if strange == "l" else logits),
        "ids": draw(dressed(ids) if strange == "i" else ids),
        "blank_index": draw(BLANKS),
    }


def alignable(logits, ids, blank_index):
    logits, ids = array(logits, "fiub", 2), array(ids, "iu", 1)
    if logits is None or ids is None or not len(logits):
        return None
    blank, logits = blank_of(blank_index, logits.shape[1]), logits.astype(np.float64)
    if blank is None or not countable(logits, ids, len(logits), len(ids), blank):
        return None
    if not enough(logits, ids, len(logits), len(ids)):
        return None
    with np.errstate(all="ignore"):
        log_p = logits - logits.max(axis=1, keepdims=True)
        log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
        paths = brute_force.paths_of(ids.tolist(), *logits.shape, blank)
        scores = [log_p[np.arange(len(path)), list(path)].sum() for path in paths]
    return (logits, ids, blank, paths, scores) if max(scores) > -np.inf else None


@fuzz(case=one_utterance())
def test_forward_backward(case):
    found = answer("logits|ids|blank_index|frame", ctc.forward_backward, **case)
    good = alignable(**case)
    assert (good is not None) == (found is not REFUSED)
    if good:
        logits, ids, blank, _, scores = good
        loss = -np.logaddexp.reduce(scores)
        assert found.loss == pytest.approx(loss, rel=1e-9, abs=1e-9)
        if loss < 600:
            _, slope = brute_force.loss_and_gradient(logits, ids, blank)
            np.testing.assert_allclose(found.gradient, slope, atol=1e-9)
        np.testing.assert_allclose(found.posteriors.sum(axis=1), 1, atol=1e-5)


@fuzz(case=one_utterance())
def test_forced_align(case):
    found = answer("logits|ids|blank_index|frame", ctc.forced_align, **case)
    good = alignable(**case)
    assert (good is not None) == (found is not REFUSED)
    if good:
        _, ids, blank, paths, scores = good
        assert found.score == pytest.approx(max(scores), rel=1e-9, abs=1e-9)
        ways = [tuple(brute_force.states_of(path, blank)) for path in paths]
        score = scores[ways.index(tuple(found.states.tolist()))]
        assert score == pytest.approx(max(scores), rel=1e-9, abs=1e-9)
        assert [span.id for span in found.spans] == ids.tolist()
        for i, span in enumerate(found.spans):
            states = found.states[span.start : span.end]
            assert len(states) and (states == 2 * i + 1).all()
