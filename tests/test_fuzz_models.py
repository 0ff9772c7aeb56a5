"""Strange numbers, files, batches and `y` for what trains, stores and makes data.

See fuzz_strategies.py and test_fuzz.py. Functions and paths that are given are always such.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
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
    fuzz,
    integers,
    reals,
    write_report,
)
from hypothesis import strategies as st
from test_fuzz import NAMES, batches, countable, enough, even, float64_loss, too_large, utterances

import ctc_tutorial as ctc
from ctc_tutorial import aligner

pytestmark = pytest.mark.slow

number = st.sampled_from([n for n in NUMBERS if n != 10**12])  # so many would take for ever
_folder = tempfile.TemporaryDirectory()
FOLDER = Path(_folder.name)


@pytest.fixture(scope="module", autouse=True)
def counts_are_written():
    yield
    write_report()


def whole(n, least):
    return isinstance(n, int) and n >= least


def expected(logits, labels, frames, length):
    """The loss in float64, inf where CTC can't align."""
    blank = logits.shape[1] - 1
    if not countable(logits, labels, frames, length, blank):
        return np.inf
    return float64_loss(logits[: int(frames)], labels[: int(length)], blank)[0]


@fuzz(few=60, share=0.3, case=batches())
def test_sparse_op_loss(case):
    """What needs a label 80 nats below its frame's largest may be inf."""
    if isinstance(case["labels"], list) and not even(case["labels"]):
        return
    case = {**case, **{n: np.ravel(case[n]) for n in ("logit_length", "label_length")
                       if not isinstance(case[n], list)}}  # fmt: skip
    found = answer(f"{NAMES}|batch_size|class|Can't convert", ctc.sparse_op_loss, **case)
    rows = utterances(case)
    if found is REFUSED:
        assert rows is None or too_large(case) or not len(rows)
        return
    for row, loss in zip(rows or (), found, strict=False):
        wanted = expected(*row)
        if wanted < 80 or wanted == np.inf:
            np.testing.assert_allclose(loss, wanted, rtol=1e-4, atol=1e-4)


@fuzz(few=20, share=0.1, logits=reals(2, 4, 3), labels=integers(0, 2, 2, 2, pokes=(0, 1)),
      width=st.integers(0, 2), frames=integers(2, 5, 2, pokes=(4,)),
      strange=dressed(integers(0, 2, 2)))  # fmt: skip
def test_PortableCTCLossLayer(logits, labels, width, frames, strange):
    """The right mean where CTC can align all; columns of another shape are refused."""
    labels, lengths = labels[:, :width], np.minimum([2, 1], width)
    layer = ctc.PortableCTCLossLayer()
    answer("loss|logit", layer, logits, labels, frames, lengths)
    rows = list(zip(logits.astype(float), labels, frames, lengths, strict=True))
    wanted = np.mean([expected(*row) if enough(*row) else np.inf for row in rows])
    if (np.abs(logits) < 1e38).all() and wanted < 80:  # as float32, finite
        np.testing.assert_allclose(layer.losses[0], wanted, rtol=1e-4, atol=1e-4)
    if (
        array(strange, "iufb", 1) is None
        and hasattr(strange, "dtype")
        and strange.dtype.kind != "U"
    ):
        refused = answer("logit_length", layer, logits, labels, strange, lengths)
        assert np.ndim(strange) == 1 or refused is REFUSED


@fuzz(few=60, share=0.3, case=batches())
def test_decode_in_processes(case):
    """By threads here, which are quicker to start."""
    arguments = case["logits"], case["logit_length"]
    one = answer(NAMES, ctc.greedy_decode, *arguments)
    with ThreadPoolExecutor(2) as pool:
        found = answer(NAMES, ctc.decode_in_processes, ctc.greedy_decode, *arguments, pool)
    if found is REFUSED or one is REFUSED:
        assert found is one or not len(one or [0])
        return
    assert [ids.tolist() for ids in found] == [ids.tolist() for ids in one]


@fuzz(few=60, share=0.3, batch=st.one_of(dressed(integers(0, 5, 2, 2)), st.none(), st.just({})))
def test_repeat_batch(batch):
    found = answer("batch", ctc.repeat_batch, batch if isinstance(batch, dict) else {"x": batch})
    if found is not REFUSED:
        np.testing.assert_array_equal(next(iter(found))["x"], tf.convert_to_tensor(batch))


ITEM = st.tuples(dressed(reals(3, 2)), dressed(integers(0, 5, 3)))


@fuzz(few=40, share=0.1, pairs=st.lists(st.one_of(ITEM, ITEM.map(lambda p: p[:1])), max_size=3),
      per_shard=st.one_of(st.just(2), number), seed=st.one_of(st.just(0), number),
      buffer=st.one_of(st.just(2), number), shuffle=st.booleans())  # fmt: skip
def test_records(pairs, per_shard, seed, buffer, shuffle):
    """What is written comes back."""
    with tempfile.TemporaryDirectory() as folder:
        names = "utterance|per_shard"
        paths = answer(names, ctc.write_records, pairs, folder, per_shard)
        rows = [(array(p[0], "fiub", np.ndim(p[0]) if even(p[0]) else 0), array(p[-1], "iu", 1))
                for p in pairs]  # fmt: skip
        good = bool(pairs) and whole(per_shard, 1) and all(len(p) == 2 for p in pairs)
        good = good and all(a is not None and b is not None for a, b in rows)
        good = good and all((b.astype(np.int32) == b).all() for _, b in rows)
        assert good == (paths is not REFUSED)
        if not good:
            return
        stream = answer("seed|buffer", ctc.read_records, paths, seed=seed, buffer=buffer,
                        shuffle=shuffle)  # fmt: skip
        assert (whole(seed, 0) and whole(buffer, 1)) == (stream is not REFUSED)
        if stream is not REFUSED:
            found = [(a.tobytes(), b.tolist()) for a, b in stream()]
            wanted = [(np.asarray(a).tobytes(), b.tolist()) for a, b in rows]
            assert sorted(found) == sorted(wanted) and (shuffle or found == wanted)


SPLIT = st.sampled_from(("train", "dev", "final", "test") * 3 + ("all", 1, None, ()))
FEW = st.one_of(*[st.integers(0, 3)] * 4, number)


@fuzz(few=60, share=0.1, split=SPLIT, count=FEW, seed=FEW, least=FEW, most=FEW)
def test_made_data(split, count, seed, least, most):
    good = split in ("train", "dev", "final", "test") and whole(count, 0) and whole(seed, 0)
    for made, names, floor in (
        (ctc.make_digit_strings, ("min_digits", "max_digits"), 1),
        (ctc.make_spoken_numbers, ("min_words", "max_words"), 2),
    ):
        sizes = dict(zip(names, (least, most), strict=True))
        found = answer("split|count|seed|min_|max_", made, count, split, seed, **sizes)
        fits = good and whole(least, floor) and whole(most, least)
        assert fits == (found is not REFUSED)
        if fits:
            assert len(found[0]) == count
            assert all(least <= len(x if floor == 1 else x.split()) <= most for x in found[1])
    for load in (ctc.load_digit_images, ctc.load_spoken_words):
        found = answer("split", load, split)
        assert (split in ("train", "dev", "final", "test")) == (found is not REFUSED)


@fuzz(few=60, share=0.3, n=FEW, content=st.sampled_from(
    ('{"epoch": 3}', '{"epoch": 0}', "", "[]", "{}", '{"epoch": "x"}', '{"epoch": -1}', "3", "null")
))  # fmt: skip
def test_numbers_of_training(n, content):
    found = answer("steps", ctc.lesson_optimizer, n)
    assert whole(n, 1) == (found is not REFUSED)
    found = answer("every", ctc.DecodedSamples, None, None, [], None, every=n)
    assert whole(n, 1) == (found is not REFUSED)
    (FOLDER / "training_metadata.json").write_text(content)
    found = answer(r"training_metadata\.json", ctc.completed_epochs, FOLDER)
    assert found == {'{"epoch": 3}': 3, '{"epoch": 0}': 0}.get(content, REFUSED)


def mostly(right, strange):
    return st.one_of(right, right, right, strange)


@fuzz(few=6, share=0.01, features=mostly(reals(2, 5, 2), dressed(reals(2, 5, 2))),
      windows=mostly(st.just([1, 3]), st.lists(FEW, max_size=2)),
      lengths=mostly(integers(3, 5, 2), dressed(integers(1, 6, 2, pokes=LENGTHS))),
      classes=mostly(st.just(3), FEW))  # fmt: skip
def test_train_aligner(features, windows, lengths, classes):
    labels = ctc.sparse_labels([[0, 1], [1]])
    aligner.STEPS, steps = 2, aligner.STEPS
    try:
        names = "features|feature_length|windows|num_classes|labels"
        found = answer(names, ctc.train_aligner, features, labels, lengths, classes, ctc.ctc_loss,
                       windows)  # fmt: skip
    finally:
        aligner.STEPS = steps
    good = bool(windows) and all(whole(w, 1) and w % 2 for w in windows) and whole(classes, 2)
    assert found is REFUSED or (good and np.isfinite(found).all() and found.shape[2] == classes)


@fuzz(
    few=15,
    share=0.03,
    case=batches(),
    parts=st.permutations(range(3)),
    count=mostly(st.just(3), st.integers(0, 4)),
)
def test_CTCModel_y(case, parts, count):
    """In `evaluate`: the parts of y in any order and number, but right ones mostly."""
    x = keras.Input((None, np.shape(case["logits"])[-1] if np.ndim(case["logits"]) == 3 else 3))
    if any(not hasattr(v, "dtype") or v.dtype.kind in "Uc" for v in case.values()):
        return  # these Keras's data adapters take or refuse
    if np.ndim(case["logits"]) != 3 or any(len(np.atleast_1d(v)) != 2 for v in case.values()):
        return
    model = ctc.CTCModel(x, x)
    model.compile("sgd", run_eagerly=True)
    y = [case["labels"], case["logit_length"], case["label_length"]]
    y = tuple(y if count == 3 else [*(y[i] for i in parts), y[0]][:count])
    names = rf"{NAMES}|CTC cannot align|Unrecognized|\by\b"
    found = answer(names, model.evaluate, case["logits"], y, verbose=0, return_dict=True)
    rows = utterances(case)
    if count == 3 and found is not REFUSED and rows:
        wanted = np.mean([expected(*row) for row in rows])
        np.testing.assert_allclose(found["loss"], wanted, rtol=1e-4, atol=1e-4)


@fuzz(few=6, share=0.01, rounds=FEW, content=st.sampled_from((None, b"", b"junk", b"PK\3\4")),
      data=st.sampled_from((tf.data.Dataset.from_tensors([[1.0]]), 3, None)))  # fmt: skip
def test_train_in_rounds(rounds, content, data):
    layers = [keras.layers.Dense(1, kernel_initializer="ones")]
    layers += [keras.layers.ActivityRegularization(l2=1.0)]  # adds the loss sum(outputs ** 2)
    model = keras.Sequential([keras.Input((1,)), *layers])
    model.compile(keras.optimizers.SGD(0.125))
    with tempfile.TemporaryDirectory() as folder:
        if content is not None:
            Path(folder, "checkpoint.npz").write_bytes(content)
        strategy = tf.distribute.get_strategy()

        def run():
            return list(ctc.train_in_rounds(model, strategy, lambda _: data, rounds, folder))

        found = answer(r"rounds|checkpoint\.npz|data_fn", run)
    good = whole(rounds, 0) and content is None and (rounds == 0 or hasattr(data, "map"))
    assert good == (found is not REFUSED)
    if good:
        assert found == [(n, 4.0 ** (1 - n)) for n in range(1, rounds + 1)]


@fuzz(
    few=25,
    share=0.1,
    encoder=st.sampled_from((ctc.lstm_encoder, ctc.image_encoder, ctc.audio_encoder)),
    shape=st.tuples(
        mostly(st.just(2), st.integers(0, 3)),
        mostly(st.integers(8, 12), st.integers(0, 3)),
        mostly(st.integers(4, 9), st.integers(0, 3)),
    ),
    lengths=mostly(st.lists(st.integers(0, 8), min_size=2, max_size=2), st.lists(FEW, max_size=3)),
    seed=mostly(st.just(0), number),
)
def test_encoders(encoder, shape, lengths, seed):
    """An utterance in its batch is what it is alone, as far as the lengths say."""
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    names = r"features (of|must)|columns of|lengths? ?must|length=|seed="
    lengths = np.array(lengths, None if lengths else int)
    found = answer(names, encoder, x, lengths, seed=seed)
    if found is REFUSED or len(lengths) != len(x) or encoder is ctc.lstm_encoder:
        return
    assert whole(seed, 0) and (lengths >= 0).all()
    hidden, left = (np.array(part) for part in found)
    for row, frames, out, count in zip(x, lengths, hidden, left, strict=True):
        if 4 <= frames <= len(row):
            alone, n = encoder(row[None, :frames], np.array([frames], np.int32), seed=seed)
            assert count == n[0] == alone.shape[1]
            np.testing.assert_allclose(out[:count], alone[0], atol=1e-5)
