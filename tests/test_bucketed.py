"""`bucketed_dataset`: what it yields, in which order, and what it refuses."""

import itertools
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.batches import bucketed_dataset
from ctc_tutorial.layers import CTCLossLayer

CLASSES = 6


def utterances(count, seed=0):
    """Utterances that name themselves: the first feature of each is its number."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.lognormal(4, 0.5, count), 12, 400).astype(int)
    features = [rng.normal(size=(n, 3)).astype(np.float32) for n in lengths]
    for number, frames in enumerate(features):
        frames[0, 0] = number
    return features, [rng.integers(0, 5, rng.integers(1, 7)) for _ in lengths]


def stream(features, labels):
    """A function that starts a stream of the pairs."""
    return lambda: zip(features, labels, strict=True)


def numbers(dataset):
    return [list(batch["features"].numpy()[:, 0, 0].astype(int)) for (batch,) in dataset]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("streamed", [True, False])
def test_every_utterance_comes_once_with_its_labels_and_zero_padding(shuffle, streamed):
    features, labels = utterances(1003)
    source = (stream(features, labels), None) if streamed else (features, labels)
    dataset = bucketed_dataset(*source, 4, CLASSES, shuffle=shuffle)
    seen = []
    for (batch,) in dataset:
        ids = tf.sparse.to_dense(batch["labels"], default_value=-1).numpy()
        assert batch["labels"].dtype == batch["feature_length"].dtype == tf.int32
        rows = zip(batch["features"].numpy(), batch["feature_length"].numpy(), ids, strict=True)
        for frames, length, row in rows:
            number = int(frames[0, 0])
            np.testing.assert_array_equal(frames[:length], features[number])
            assert length == len(features[number]) and not frames[length:].any()
            np.testing.assert_array_equal(row[row >= 0], labels[number])
            seen.append(number)
    assert (seen == list(range(1003))) is not shuffle
    assert sorted(seen) == list(range(1003))
    if not streamed:
        assert dataset.cardinality() == 251
    assert not dataset.options().autotune.enabled  # its thread can make fit return late


@pytest.mark.parametrize("streamed", [True, False])
def test_the_order_is_a_function_of_seed_and_epoch(streamed):
    features, labels = utterances(600)

    def dataset(**options):
        if streamed:
            return bucketed_dataset(stream(features, labels), None, 4, CLASSES, **options)
        return bucketed_dataset(features, labels, 4, CLASSES, **options)

    one = dataset(seed=3)
    epochs = [numbers(one) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert numbers(dataset(seed=3)) == epochs[0]
    assert numbers(dataset(seed=3, first_epoch=2)) == epochs[2]
    assert numbers(dataset(seed=4)) != epochs[0]
    together = [
        {frozenset(pair) for b in e for pair in itertools.combinations(b, 2)} for e in epochs
    ]
    assert len(together[0] & together[1]) < 0.5 * len(together[0])  # other company every epoch


def test_less_than_a_tenth_of_the_frames_is_padding():
    features, labels = utterances(4000)
    lengths = [
        b["feature_length"].numpy() for (b,) in bucketed_dataset(features, labels, 16, CLASSES)
    ]
    assert 1 - sum(x.sum() for x in lengths) / sum(x.max() * len(x) for x in lengths) < 0.1
    lengths = np.array([len(f) for f in features]).reshape(-1, 16)  # without bucketing
    assert 1 - lengths.sum() / (lengths.max(axis=1) * 16).sum() > 0.4


def test_dense_labels_for_distribution():
    features, labels = utterances(30)
    dataset = bucketed_dataset(features, labels, 4, CLASSES, dense_labels=True)
    batches = [batch for (batch,) in dataset]
    assert dataset.cardinality() == len(batches) == 7
    assert dataset.element_spec[0]["features"].shape == (4, None, 3)
    for batch in batches:
        rows = zip(*(batch[k].numpy() for k in ("features", "labels", "label_length")), strict=True)
        for frames, row, length in rows:
            np.testing.assert_array_equal(row[:length], labels[int(frames[0, 0])])
            assert not row[length:].any()


def test_a_full_last_batch_costs_other_utterances_every_pass_not_the_longest():
    features, labels = utterances(43)
    dataset = bucketed_dataset(features, labels, 8, CLASSES, dense_labels=True)
    missing = [set(range(43)) - set(itertools.chain(*numbers(dataset))) for _ in range(4)]
    assert [len(m) for m in missing] == [3] * 4 and len(set.union(*missing)) > 6
    with pytest.raises(ValueError, match="one batch"):
        bucketed_dataset(features[:7], labels[:7], 8, CLASSES, dense_labels=True)


BAD = [
    ([], "has no labels"),
    ([1, 5], "label id 5 at position 1"),
    ([-1, 2], "label id -1 at position 0"),
    ([1] * 4, "needs at least 7"),
]


@pytest.mark.parametrize(("ids", "problem"), BAD)
def test_what_ctc_cannot_score_is_refused_or_left_out_by_number(ids, problem):
    features, labels = utterances(9)
    features[5], labels[5] = features[5][:12], np.array(ids, int)
    options = {"num_classes": CLASSES, "logit_length": lambda frames: frames // 2}
    with pytest.raises(ValueError, match=f"utterance 5 .*{problem}"):
        bucketed_dataset(features, labels, 2, **options)
    streamed = bucketed_dataset(stream(features, labels), None, 2, **options)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"utterance 5 .*{problem}"):
        list(streamed)
    with pytest.warns(UserWarning, match=f"left out: utterance 5 .*{problem}"):
        dataset = bucketed_dataset(features, labels, 2, infeasible="drop", **options)
    assert sorted(itertools.chain(*numbers(dataset))) == [0, 1, 2, 3, 4, 6, 7, 8]


def test_the_rule_for_logit_lengths_decides():
    features, labels = [np.zeros((12, 3))], [np.array([1, 1, 2, 3, 4])]  # five labels, one repeat
    for rule in (lambda n: n, lambda n: n // 2):
        bucketed_dataset(features, labels, 1, CLASSES, logit_length=rule)
    with pytest.raises(ValueError, match="utterance 0 has 4 logit frames but needs at least 6"):
        bucketed_dataset(features, labels, 1, CLASSES, logit_length=lambda n: n // 3)


def test_a_stream_is_read_only_as_far_as_needed():
    read = []

    def endless():
        for number in itertools.count():
            read.append(number)
            yield np.zeros((20, 3)), np.array([1])

    next(iter(bucketed_dataset(endless, None, 2, CLASSES)))
    assert len(read) <= 3 * 64 * 2  # three windows, however long the stream


def test_bad_arguments():
    features, labels = utterances(4)
    with pytest.raises(ValueError, match="at least one utterance"):
        bucketed_dataset([], [], 2, CLASSES)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        bucketed_dataset(features, labels[:3], 2, CLASSES)
    with pytest.raises(ValueError, match="labels is None"):
        bucketed_dataset(stream(features, labels), labels, 2, CLASSES)
    with pytest.raises(ValueError, match="infeasible"):
        bucketed_dataset(features, labels, 2, CLASSES, infeasible="ignore")


@pytest.mark.parametrize("dense", [True, False])
def test_fit_takes_it_and_gets_the_right_loss(dense):
    features, labels = utterances(8)
    inputs = {
        "features": keras.Input((None, 3), name="features"),
        "feature_length": keras.Input((), dtype="int32", name="feature_length"),
        "labels": keras.Input((None,), dtype="int32", sparse=not dense, name="labels"),
    }
    if dense:
        inputs["label_length"] = keras.Input((), dtype="int32", name="label_length")
    logits = keras.layers.Dense(CLASSES)(inputs["features"])
    rest = [inputs[k] for k in ("labels", "feature_length", "label_length") if k in inputs]
    model = keras.Model(inputs, CTCLossLayer()(logits, *rest))
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    dataset = bucketed_dataset(features, labels, 2, CLASSES, dense_labels=dense)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = model.fit(dataset, epochs=2, verbose=0, shuffle=False)
    kernel, bias = model.get_weights()
    losses = [
        tf.nn.ctc_loss(
            ids[None].astype(np.int32), (f @ kernel + bias)[:, None], [len(ids)], [len(f)],
            blank_index=-1,
        )
        for f, ids in zip(features, labels, strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(history.history["loss"], [np.mean(losses)] * 2, rtol=1e-5)


PAGE_FAULTS = """
import ctypes, resource
import numpy as np
import tensorflow as tf
from ctc_tutorial.batches import bucketed_dataset

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def faults(size):
    for n in range(4):
        if n == 2:  # glibc has seen the size: from here on it keeps what is freed
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        buffer = libc.malloc(size)
        libc.memset(buffer, 1, size)
        libc.free(buffer)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

assert faults(8 << 20) < 100  # of 4 kB each
list(bucketed_dataset([np.zeros((9, 2))], [[0]], 1, 3))
assert faults(24 << 20) < 100
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc's malloc")
def test_other_buffers_are_not_fetched_from_the_kernel_every_time():
    """As they are in a process that has run TensorFlow 2.21's from_generator: see the source."""
    result = subprocess.run([sys.executable, "-c", PAGE_FAULTS], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_passes_can_overlap_and_be_left_before_their_end():
    features, labels = utterances(30)
    dataset = bucketed_dataset(features, labels, 4, CLASSES, shuffle=False)
    expected = [features[i][0, 0] for i in range(0, 30, 4)]
    passes = [iter(dataset) for _ in range(3)]
    seen = [[next(one)[0]["features"].numpy()[0, 0, 0] for one in passes] for _ in expected]
    np.testing.assert_array_equal(seen, np.transpose([expected] * 3))
    assert all(next(one, None) is None for one in passes)
    for _ in range(20):
        assert next(iter(dataset))[0]["features"][0, 0, 0] == 0
