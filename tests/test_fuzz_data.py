"""Strange texts, ids, features, files and spans: the right value, or a clear error.

See fuzz_strategies.py and test_fuzz.py.
"""

import inspect
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import tensorflow as tf
from fuzz_strategies import (
    LENGTHS,
    NUMBERS,
    REFUSED,
    answer,
    array,
    dressed,
    edit_distance,
    fuzz,
    integers,
    reals,
    write_report,
)
from hypothesis import strategies as st
from scipy.io import wavfile

import ctc_tutorial as ctc

number = st.sampled_from(NUMBERS)
texts = st.text(st.sampled_from("ab cé\0\n\u3042"), max_size=6)


@pytest.fixture(scope="module", autouse=True)
def counts_are_written():
    yield
    plt.close("all")
    write_report()


@fuzz(
    share=0.2,
    name=st.sampled_from(ctc.__all__),
    keyword=st.from_regex(r"[a-z]{3,9}", fullmatch=True),
)
def test_wrong_keywords(name, keyword):
    function = getattr(ctc, name)
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind == p.VAR_KEYWORD or p.name == keyword for p in parameters):
        return
    names = f"{keyword}|takes no arguments"
    refused = answer(names, function, refusals=(TypeError, ValueError), **{keyword: 1})
    assert refused is REFUSED


# Texts and ids.

ids = st.one_of(
    st.integers(0, 4).flatmap(lambda n: integers(0, 2, n)),
    dressed(st.integers(0, 4).flatmap(lambda n: integers(0, 2, n))),
)
right_ids = st.integers(0, 4).flatmap(lambda n: integers(0, 2, n, pokes=(0, 1)))
items = st.one_of(st.lists(texts, max_size=3), st.lists(ids, max_size=3), texts, ids)


@st.composite
def two_sides(draw):
    """References and predictions, two times in three as many and of one kind."""
    if draw(st.integers(0, 2)) == 0:
        return draw(items), draw(items)
    item = draw(st.sampled_from((st.text(st.sampled_from("ab "), max_size=6), right_ids)))
    count = draw(st.integers(0, 3))
    return tuple([draw(item) for _ in range(count)] for _ in range(2))


@fuzz(
    characters=st.one_of(texts, number, st.lists(texts, max_size=3)), text=st.one_of(texts, number)
)
def test_Alphabet_encode(characters, text):
    alphabet = answer("alphabet", ctc.Alphabet, characters)
    good = isinstance(characters, str) and 0 < len(characters) == len(set(characters))
    assert good == (alphabet is not REFUSED)
    if good:
        found = answer("text|alphabet", alphabet.encode, text)
        assert (isinstance(text, str) and set(text) <= set(characters)) == (found is not REFUSED)
        if found is not REFUSED:
            assert found.dtype == np.int32
            assert found.tolist() == [characters.index(c) for c in text]


@fuzz(ids=st.one_of(ids, ids, number, texts))
def test_Alphabet_decode(ids):
    found = answer(r"\bids?\b", ctc.Alphabet("ab").decode, ids)
    empty = hasattr(ids, "__len__") and not len(ids)
    good = empty or (array(ids, "iu", 1) is not None and all(0 <= i < 2 for i in ids))
    assert good == (found is not REFUSED)
    if good:
        assert found == "".join("ab"[i] for i in ids)


def of_one_kind(references, predictions):
    """Both as tuples of labels for each utterance, or None."""
    pairs = []
    if not rank_of(references) or not rank_of(predictions) or len(references) != len(predictions):
        return None
    for pair in zip(references, predictions, strict=True):
        if all(isinstance(side, str) for side in pair):
            pairs.append(tuple(map(tuple, pair)))
            continue
        arrays = [array(side, "iu", 1) for side in pair]
        if any(isinstance(side, str) for side in pair) or any(a is None for a in arrays):
            return None
        pairs.append(tuple(tuple(a.tolist()) for a in arrays))
    return pairs


def rank_of(items) -> int:
    """0 for what is no list."""
    return 0 if isinstance(items, str) else 1 if isinstance(items, list) else np.ndim(items)


@fuzz(sides=two_sides())
def test_label_error_rate(sides):
    references, predictions = sides
    found = answer(
        "reference|prediction|utterance|expected", ctc.label_error_rate, references, predictions
    )
    pairs = of_one_kind(references, predictions)
    total = sum(len(a) for a, _ in pairs or [])
    assert bool(total) == (found is not REFUSED)
    if total:
        assert found == pytest.approx(sum(edit_distance(*pair) for pair in pairs) / total)


@fuzz(sides=two_sides())
def test_word_error_rate(sides):
    references, predictions = sides
    found = answer(
        "reference|prediction|utterance|expected", ctc.word_error_rate, references, predictions
    )
    pairs = of_one_kind(references, predictions)
    if pairs is None or not all(isinstance(x, str) for x in (*references, *predictions)):
        assert found is REFUSED
        return
    words = [
        tuple(tuple(side.split()) for side in p) for p in zip(references, predictions, strict=True)
    ]
    total = sum(len(a) for a, _ in words)
    assert bool(total) == (found is not REFUSED)
    if total:
        assert found == pytest.approx(sum(edit_distance(*pair) for pair in words) / total)


@fuzz(reference=st.one_of(texts, ids, number), prediction=st.one_of(texts, ids, number))
def test_edit_path(reference, prediction):
    found = answer("reference|prediction", ctc.edit_path, reference, prediction)
    sides = [
        array(side, "iu", 1) if not isinstance(side, str) else side
        for side in (reference, prediction)
    ]
    if any(side is None for side in sides):
        return  # other labels are allowed where Python can tell them apart
    assert found is not REFUSED
    assert [a for a, _ in found if a is not None] == list(reference)
    assert [b for _, b in found if b is not None] == list(prediction)
    assert sum(a is None or b is None or a != b for a, b in found) == edit_distance(
        tuple(reference), tuple(prediction)
    )


def numbers_of(side, names):
    """The number of each label's name, or None."""
    if isinstance(side, str):
        return tuple(map(list(names).index, side)) if set(side) <= set(names) else None
    try:
        side = np.asarray(side)
    except ValueError:
        return None
    if side.ndim and not len(side):
        return ()
    known = array(side, "iu", 1) is not None and all(0 <= i < len(names) for i in side)
    return tuple(side.tolist()) if known else None


@fuzz(
    sides=two_sides(),
    names=st.sampled_from(("ab", "ab c", "aa", "", ["x", "y"], 3)),
)
def test_confusion_matrix(sides, names):
    references, predictions = sides
    found = answer(
        "references|predictions|names|utterance",
        ctc.confusion_matrix,
        references,
        predictions,
        names,
    )
    good = names != 3 and len(set(names)) == len(names)
    good = good and rank_of(references) and rank_of(predictions)
    good = bool(good) and len(references) == len(predictions)
    pairs = []
    for pair in zip(references, predictions, strict=True) if good else ():
        pairs.append([numbers_of(side, names) for side in pair])
        good = good and None not in pairs[-1]
    assert good == (found is not REFUSED)
    if good:
        labels = sum(len(a) for a, _ in pairs), sum(len(b) for _, b in pairs)
        assert found[:-1].sum() == labels[0] and found[:, :-1].sum() == labels[1]
        wrong = found.sum() - np.trace(found)
        assert wrong == sum(edit_distance(*pair) for pair in pairs)


@fuzz(
    counts=dressed(integers(0, 5, 3, 3, pokes=(-1, 10**6))),
    names=st.sampled_from(("ab", "ab", "abc", "", 3)),
    top=st.one_of(st.just(10), st.integers(0, 4), number),
)
def test_most_confused(counts, names, top):
    found = answer("counts|names|top", ctc.most_confused, counts, names, top)
    table = array(counts, "iub", 2)
    good = table is not None and table.shape == (3, 3) and names == "ab" and table.min() >= 0
    assert (good and isinstance(top, int) and top >= 0) == (found is not REFUSED)
    if found is not REFUSED:
        both = [*"ab", None]
        wrong = {(both[i], both[j]): n for (i, j), n in np.ndenumerate(table) if i != j and n}
        assert [n for *_, n in found] == sorted(wrong.values(), reverse=True)[:top]
        assert all(wrong[a, b] == n for a, b, n in found)


# Batches.

sequences = st.one_of(
    st.lists(st.integers(0, 4).flatmap(lambda n: reals(n, 2)), max_size=3),
    st.lists(dressed(reals(3, 2)), max_size=3),
    dressed(reals(2, 3, 2)),
)
label_rows = st.one_of(st.lists(ids, max_size=3), dressed(integers(0, 5, 2, 2)))


@st.composite
def utterances(draw):
    """Features and labels, two times in three of the same utterances."""
    if draw(st.integers(0, 2)) == 0:
        return draw(sequences), draw(label_rows)
    frames = draw(st.lists(st.integers(0, 4), min_size=1, max_size=3))
    return [draw(reals(n, 2)) for n in frames], [draw(right_ids) for _ in frames]


def rows_of(items, kinds, rank):
    """As arrays of these kinds and this rank, or None."""
    if not rank_of(items):
        return None
    rows = [array(item, kinds, rank) for item in items]
    return None if any(row is None for row in rows) else rows


def padded(rows):
    shape = len(rows), max(map(len, rows)), *rows[0].shape[1:]
    result = np.zeros(shape, np.float32)
    for place, row in zip(result, rows, strict=True):
        with np.errstate(over="ignore"):
            place[: len(row)] = row
    return result


def good_features(features):
    rows = rows_of(features, "fiub", 2) or rows_of(features, "fiub", 3)
    return rows if rows and len({row.shape[1:] for row in rows}) == 1 else None


@fuzz(features=sequences)
def test_pad_features(features):
    found = answer("feature", ctc.pad_features, features)
    rows = good_features(features)
    assert (rows is not None) == (found is not REFUSED) or rank_of(features) > 3
    if rows and found is not REFUSED:
        np.testing.assert_array_equal(found[0], padded(rows))
        assert found[1].tolist() == [len(row) for row in rows]


def fits_int32(rows):
    return rows is not None and all((row == row.astype(np.int32)).all() for row in rows)


@fuzz(labels=label_rows)
def test_sparse_labels(labels):
    found = answer("labels", ctc.sparse_labels, labels)
    rows = rows_of(labels, "iu", 1)
    assert fits_int32(rows) == (found is not REFUSED)
    if found is not REFUSED:
        ragged = tf.RaggedTensor.from_sparse(found)
        assert [row.numpy().tolist() for row in ragged] == [row.tolist() for row in rows]


@fuzz(share=0.5, inputs=utterances(), weight=st.one_of(dressed(reals(2)), number))
def test_pad_batch_and_dense_labels(inputs, weight):
    features, labels = inputs
    batch = answer("feature|labels|weight", ctc.pad_batch, features, labels, weight=weight)
    rows, ids = good_features(features), rows_of(labels, "iu", 1)
    good = rows is not None and fits_int32(ids) and len(ids) == len(rows)
    if batch is REFUSED:
        weights = array(weight, "fiubUSc", 1)
        assert not (good and weights is not None and len(weights) == len(rows))
        return
    if good:
        assert batch["weight"].shape[0] == len(rows)
        np.testing.assert_array_equal(batch["features"], padded(rows))
        dense = answer("labels", ctc.dense_labels, batch)
        assert dense["label_length"].numpy().tolist() == [len(row) for row in ids]
        for place, row in zip(dense["labels"].numpy(), ids, strict=True):
            assert place[: len(row)].tolist() == row.tolist() and not place[len(row) :].any()


@fuzz(
    share=0.1,
    batch=st.dictionaries(st.sampled_from(("labels", "features")), dressed(integers(0, 5, 2, 2))),
)
def test_dense_labels_of_no_batch(batch):
    assert answer("labels", ctc.dense_labels, batch) is REFUSED


BATCH_SIZES = st.sampled_from((*(1, 2, 3, 9) * 4, *NUMBERS))


@fuzz(
    few=25,
    share=0.05,
    inputs=utterances(),
    batch_size=BATCH_SIZES,
    shuffle=st.booleans(),
    stream=st.booleans(),
)
def test_bucketed_dataset(inputs, batch_size, shuffle, stream):
    """And the same utterances as a stream, where they are such that they can be zipped."""
    features, labels = inputs
    both = rank_of(features) and rank_of(labels) and len(features) == len(labels) > 0
    stream = stream and both

    def batches():
        if stream:
            pairs = list(zip(features, labels, strict=True))
            return list(ctc.bucketed_stream(lambda: pairs, batch_size, shuffle=shuffle))
        return list(ctc.bucketed_dataset(features, labels, batch_size, shuffle=shuffle))

    found = answer("feature|labels|batch_size|utterance", batches)
    rows, ids = good_features(features), rows_of(labels, "iu", 1)
    good = rows is not None and fits_int32(ids) and len(ids) == len(rows)
    good = good and isinstance(batch_size, int) and batch_size >= 1
    assert good == (found is not REFUSED) or rank_of(features) > 3
    if good:
        assert len(found) == -(-len(rows) // batch_size)
        seen = [n for batch in found for n in batch["feature_length"].numpy()]
        assert sorted(seen) == sorted(len(row) for row in rows)
        given = [
            list(map(int, row)) for b in found for row in tf.RaggedTensor.from_sparse(b["labels"])
        ]
        wanted = [row.tolist() for row in ids]
        assert sorted(given) == sorted(wanted) and (shuffle or given == wanted)


sizes = st.one_of(*[st.integers(1, 9)] * 4, number)


def align_reason(ids, frames, classes):
    """Is CTC able to align? None where the question makes no sense."""
    ids = array(ids, "iu", 1)
    if ids is None or not all(isinstance(n, int | np.integer) for n in (frames, classes)):
        return None
    if classes < 1:
        return None
    return bool(((ids >= 0) & (ids < classes - 1)).all()) and frames >= len(ids) + int(
        (ids[1:] == ids[:-1]).sum()
    )


@fuzz(ids=ids, frames=sizes, classes=sizes)
def test_infeasible_reason(ids, frames, classes):
    found = answer("ids|logit_length|num_classes", ctc.infeasible_reason, ids, frames, classes)
    good = align_reason(ids, frames, classes)
    assert (good is None) == (found is REFUSED)
    if good is not None:
        assert (found is None) == good


@fuzz(
    labels=st.one_of(label_rows, *[st.lists(right_ids, min_size=2, max_size=2)] * 2),
    frames=dressed(integers(0, 9, 2, pokes=LENGTHS)),
    classes=st.one_of(*[st.just(3)] * 4, number),
    infeasible=st.sampled_from(("raise", "skip", "skip", "drop")),
)
def test_check_feasible(labels, frames, classes, infeasible):
    found = answer(
        "label|logit_length|num_classes|infeasible|utterance",
        ctc.check_feasible, labels, frames, classes, infeasible,
    )  # fmt: skip
    lengths = array(frames, "iu", 1)
    if lengths is None or isinstance(labels, int) or len(labels) != len(lengths):
        assert found is REFUSED
        return
    good = [align_reason(row, n, classes) for row, n in zip(labels, lengths, strict=True)]
    if infeasible == "drop" or None in good or (infeasible == "raise" and not all(good)):
        assert found is REFUSED or not len(labels)
    elif len(labels):
        assert found.tolist() == np.flatnonzero(good).tolist()


# Lengths.


@fuzz(
    length=st.one_of(
        st.integers(-2, 9),
        integers(0, 99, 3, pokes=LENGTHS),
        dressed(integers(0, 9, 3, pokes=LENGTHS)),
    ),
    kernel=sizes,
    stride=sizes,
    padding=st.sampled_from(("valid", "same", "valid", "same", "causal")),
)
def test_strided_length(length, kernel, stride, padding):
    found = answer(
        "length|kernel|stride|padding", ctc.strided_length, length, kernel, stride, padding
    )
    lengths = array(length, "iu", np.ndim(length) if not isinstance(length, list) else 1)
    good = lengths is not None and not isinstance(length, list) and (lengths >= 0).all()
    good = good and all(isinstance(n, int) and n >= 1 for n in (kernel, stride))
    good = good and padding != "causal"
    assert good == (found is not REFUSED)
    if good:
        for n, m in zip(np.ravel(length).tolist(), np.ravel(found).tolist(), strict=True):
            fitting = -(-n // stride) if padding == "same" else max(0, (n - kernel) // stride + 1)
            assert m == fitting


@fuzz(share=0.3, x=dressed(reals(2, 3, 1)), lengths=dressed(integers(0, 4, 2, pokes=LENGTHS)))
def test_length_mask(x, lengths):
    if isinstance(x, int | list):  # it has no shape
        return
    found = answer("x|lengths", ctc.length_mask, x, lengths)
    counts = array(lengths, "iuf", 1)
    good = np.ndim(x) >= 2 and counts is not None and len(counts) == len(x)
    assert good == (found is not REFUSED)
    if good:
        wanted = [[t + 1 <= n for t in range(x.shape[1])] for n in counts]
        assert np.array(found).tolist() == wanted or not len(x)


@fuzz(words=st.one_of(st.lists(ids, max_size=2), ids), bonus=st.one_of(st.just(2.0), number))
def test_hot_words(words, bonus):
    """The bonus counts for each label of a hot word that stands alone."""
    score_fn = answer("word|bonus", ctc.hot_words, words, bonus)
    rows = rows_of(words, "iu", 1)
    good = rows is not None and all(map(len, rows))
    good = good and not isinstance(bonus, str) and np.isfinite(bonus)
    assert good == (score_fn is not REFUSED)
    if good and rows:
        total, state = 0.0, ()
        for label in (*rows[0].tolist(), None):
            added, state = score_fn(state, label)
            total += added
        assert total == pytest.approx(bonus * len(rows[0]))


# Sound and files.

_folder = tempfile.TemporaryDirectory()
FOLDER = Path(_folder.name)
RATES = st.one_of(st.sampled_from((8000, 16000)), number)


@fuzz(
    share=0.3,
    waveform=dressed(reals(2000)),
    rate=RATES,
    per_coefficient=st.booleans(),
    count=st.sampled_from((1, 13, 20, 26)) | st.sampled_from((0, 27, 2.0, None)),
)
def test_mfcc_features(waveform, rate, per_coefficient, count):
    told = "waveform|sample_rate|coefficients"
    found = answer(told, ctc.mfcc_features, waveform, rate, per_coefficient, count)
    sound = array(waveform, "fiub", 1)
    good = sound is not None and len(sound) and rate in (8000, 16000)
    good = good and np.isfinite(sound).all() and np.ptp(sound.astype(float)) > 0
    good = good and count in (1, 13, 20, 26)
    if found is REFUSED:
        assert not good or np.abs(sound).max() > 1e20
        return
    assert good and found.shape[1] == count and np.isfinite(found).all()
    mean = found.mean(axis=0 if per_coefficient else None)
    np.testing.assert_allclose(mean, 0, atol=1e-3)
    deviation = found.std(axis=0 if per_coefficient else None)
    assert ((deviation < 1) | np.isclose(deviation, 1, atol=1e-3)).all()


def wav_bytes(dtype):
    rng = np.random.default_rng(0)
    samples = rng.uniform(-1, 1, (20, 2)) if dtype == "float32" else rng.integers(0, 100, 20)
    wavfile.write(FOLDER / "whole.wav", 8000, samples.astype(dtype))
    return (FOLDER / "whole.wav").read_bytes()


WHOLE = [wav_bytes(dtype) for dtype in ("uint8", "int16", "int32", "int64", "float32")]


@st.composite
def broken_wavs(draw):
    content = bytearray(draw(st.one_of(st.sampled_from(WHOLE), st.binary(max_size=60))))
    for place, value in draw(
        st.lists(st.tuples(st.integers(0, 59), st.integers(0, 255)), max_size=2)
    ):
        if place < len(content):
            content[place] = value
    return bytes(content[: draw(st.sampled_from((None, None, -1, 30, 44)))])


@fuzz(start=st.one_of(st.floats(0, 1), number), end=st.one_of(st.floats(0, 2), number))
def test_Utterance_cut(start, end):
    whole = ctc.Utterance(np.arange(2000, dtype=np.float32), 1000, "oh dear")
    found = answer("can't cut", whole.cut, start, end, "dear")
    good = not isinstance(start, str) and not isinstance(end, str)
    if good and 0 <= start <= end <= 2 and int(start * 1000) < int(end * 1000):
        assert found.waveform.tolist() == list(range(int(start * 1000), int(end * 1000)))
    elif found is not REFUSED:
        assert len(found.waveform) and 0 <= start <= end <= 2.01


@fuzz(content=broken_wavs())
def test_read_wav(content):
    (FOLDER / "x.wav").write_bytes(content)
    found = answer(r"x\.wav", ctc.read_wav, FOLDER / "x.wav")
    if found is REFUSED:
        assert content not in WHOLE
        return
    waveform, rate = found
    assert waveform.dtype == np.float32 and waveform.ndim == 1 and waveform.size
    assert rate == int.from_bytes(content[24:28], "little") > 0 and np.isfinite(waveform).all()
    if content[:4] == b"RIFF" and content[20] == 1:
        assert np.abs(waveform).max() <= 32768


(FOLDER / "here.wav").touch()
LINES = ("here.wav,a text\n", 'here.wav,"a, b"\r\n', "here.wav, é \n", "\n", " here.wav ,x\n")
ODD = ("here.wav,a, b\n", ",a\n", "here.wav,\n", "gone.wav,a\n", '"', "\0", ",", "\r", "x" * 5000)
lines = st.one_of(st.sampled_from(LINES), st.sampled_from(LINES), st.sampled_from(ODD))


@fuzz(
    head=st.sampled_from((*["path,text\n"] * 6, "text,path\n", "path,words\n", "")),
    content=st.lists(lines, max_size=4),
    junk=st.binary(max_size=3),
)
def test_read_transcripts(head, content, junk):
    written = head.encode() + "".join(content).encode() + (junk if len(junk) > 2 else b"")
    (FOLDER / "t.csv").write_bytes(written)
    refusals = ValueError, FileNotFoundError
    found = answer(r"t\.csv", ctc.read_transcripts, FOLDER / "t.csv", refusals=refusals)
    right = set(content) <= set(LINES) and len(junk) < 3 and head == "path,text\n"
    if right and set(content) - {"\n"}:
        texts = [line.strip().split(",", 1)[1].strip('" ') for line in content if line != "\n"]
        assert found == [(FOLDER / "here.wav", text) for text in texts]
    elif found is not REFUSED:
        assert all(path.is_file() and text for path, text in found)


# Spans, words and pictures.

SPAN = st.tuples(*[st.sampled_from((0, 1, 2, 3, 0, 1, 2, 3, -1, 9, 0.5, np.nan, "1"))] * 4)
spans = st.lists(st.one_of(SPAN, SPAN.map(lambda s: s[:3])), max_size=2)


def in_frames(spans, frames, classes):
    for span in spans:
        if len(span) != 4 or not all(isinstance(n, int) for n in span[:3]):
            return False
        if not (0 <= span[0] < classes and 0 <= span[1] < span[2] <= frames):
            return False
    return True


@fuzz(logits=dressed(reals(3, 3)), spans=spans)
def test_middle_frames(logits, spans):
    found = answer("logits|span", ctc.middle_frames, logits, spans)
    frames = array(logits, "fiub", 2)
    good = frames is not None and frames.size and in_frames(spans, *frames.shape)
    good = good and np.isfinite(frames.max(axis=1)).all()
    if not good:
        assert found is REFUSED or not spans
        return
    frames = frames.astype(float)
    for middle, (label, a, b, _) in zip(found, spans, strict=True):
        with np.errstate(over="ignore"):
            p = np.exp(frames - frames.max(axis=1, keepdims=True))
        p = (p / p.sum(axis=1, keepdims=True))[a:b, label] + 1e-30
        assert middle == pytest.approx((np.arange(a, b) * p).sum() / p.sum())


@fuzz(spans=spans, frame_seconds=st.one_of(st.just(0.01), number))
def test_spans_to_seconds(spans, frame_seconds):
    found = answer("span|frame_seconds", ctc.spans_to_seconds, spans, frame_seconds)
    good = not isinstance(frame_seconds, str) and 0 < frame_seconds < np.inf
    good = good and all(len(s) == 4 and "1" not in s[1:3] and s[1:3] == s[1:3] for s in spans)
    good = good and all(np.isfinite(s[1:3]).all() for s in spans)
    assert good == (found is not REFUSED)
    if good:
        wanted = [(s[0], s[1] * frame_seconds, s[2] * frame_seconds, s[3]) for s in spans]
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_equal(tuple(a), b)


WORD = st.tuples(st.sampled_from(("ab", "c", "", "a c")), number, number)


@fuzz(
    words=st.lists(st.one_of(st.just(("ab", 0, 1)), st.just(("c", 1, 2.5)), WORD), max_size=2),
    data=st.data(),
    tolerance=st.one_of(st.just(0.05), number),
)
def test_share_in_words(words, data, tolerance):
    text = data.draw(st.one_of(st.just(" ".join(word for word, *_ in words)), texts))
    seconds = data.draw(dressed(reals(len(text))))
    found = answer(
        "seconds|text|words?|tolerance|time", ctc.share_in_words, text, seconds, words, tolerance
    )
    times = array(seconds, "fiub", 1)
    good = times is not None and len(times) == len(text) and text == " ".join(w for w, *_ in words)
    good = good and not any(" " in word or "1" in ends for word, *ends in words) and text.strip()
    good = (
        good and not np.isnan([t for w in words for t in w[1:]]).any() and not np.isnan(times).any()
    )
    good = bool(good) and not isinstance(tolerance, str) and not np.isnan(tolerance)
    assert good == (found is not REFUSED)
    if good:
        starts, inside = 0, []
        for word, start, end in words:
            own = times[starts : starts + len(word)].tolist()  # or bounds become float32
            inside += [start - tolerance <= t <= end + tolerance for t in own]
            starts += len(word) + 1
        assert found == pytest.approx(np.mean(inside))


@fuzz(
    few=12,
    share=0.02,
    logits=dressed(reals(4, 3)),
    letters=st.lists(WORD, max_size=2),
    rate=RATES,
    history=st.dictionaries(st.sampled_from(("loss", "ler")), dressed(reals(3))),
)
def test_plots(logits, letters, rate, history):
    """An axis with something in it, or a clear error."""
    plt.close("all")
    for culprits, function, *arguments in (
        ("features", ctc.plot_features, logits),
        ("logits", ctc.plot_emissions, logits, "ab"),
        ("values", ctc.plot_lattice, logits, "a"),
        ("waveform|sample_rate| s ", ctc.plot_alignment, logits, rate, letters, letters),
        ("history", ctc.plot_history, history),
        ("counts|names", ctc.plot_confusion_matrix, logits, "ab"),
    ):
        found = answer(culprits, function, *arguments)
        assert found is REFUSED or found.get_title()
