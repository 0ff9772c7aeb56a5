"""Bucketing: what it yields, in which order, and what it refuses."""

import itertools
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.bucketing import bucketed_dataset, bucketed_stream
from ctc_tutorial.datasets import dense_labels
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
    return [list(batch["features"].numpy()[:, 0, 0].astype(int)) for batch in dataset]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("streamed", [True, False])
def test_every_utterance_comes_once_with_its_labels_and_zero_padding(shuffle, streamed):
    features, labels = utterances(1003)
    if streamed:
        dataset = bucketed_stream(stream(features, labels), 4, shuffle=shuffle)
    else:
        dataset = bucketed_dataset(features, labels, 4, shuffle=shuffle)
    seen = []
    for batch in dataset:
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
            return bucketed_stream(stream(features, labels), 4, **options)
        return bucketed_dataset(features, labels, 4, **options)

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
    lengths = [b["feature_length"].numpy() for b in bucketed_dataset(features, labels, 16)]
    assert 1 - sum(x.sum() for x in lengths) / sum(x.max() * len(x) for x in lengths) < 0.1
    lengths = np.array([len(f) for f in features]).reshape(-1, 16)  # without bucketing
    assert 1 - lengths.sum() / (lengths.max(axis=1) * 16).sum() > 0.4


def test_weights_and_a_second_label_stay_with_their_utterance():
    features, labels = utterances(30)
    others = {"word_labels": [[n, n] if n % 3 else [] for n in range(30)]}
    others |= {"sample_weight": np.arange(30) / 2, "place": np.arange(60).reshape(30, 2)}
    for batch in bucketed_dataset(features, labels, 4, **others):
        rows = batch["features"].numpy()[:, 0, 0].astype(int)
        words = tf.RaggedTensor.from_sparse(batch["word_labels"]).to_list()
        assert words == [others["word_labels"][n] for n in rows]
        np.testing.assert_array_equal(batch["sample_weight"], rows / 2)
        np.testing.assert_array_equal(batch["place"], others["place"][rows])


def test_without_labels_in_order_to_predict():
    features, _ = utterances(9)
    dataset = bucketed_dataset(features, batch_size=4, shuffle=False)
    assert list(itertools.chain(*numbers(dataset))) == list(range(9))
    assert set(dataset.element_spec) == {"features", "feature_length"}


def test_batches_are_cut_anew_in_every_pass():
    features, labels = utterances(43)
    dataset = bucketed_dataset(features, labels, 8)
    sizes = [sorted(map(len, numbers(dataset))) for _ in range(3)]
    assert sizes == [[3, 8, 8, 8, 8, 8]] * 3 and dataset.cardinality() == 6


def test_a_stream_is_read_only_as_far_as_needed():
    read = []

    def endless():
        for number in itertools.count():
            read.append(number)
            yield np.zeros((20, 3)), np.array([1])

    next(iter(bucketed_stream(endless, 2)))
    assert len(read) <= 3 * 64 * 2  # three windows, however long the stream


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x, y: bucketed_dataset([], []), "at least one utterance"),
        (lambda x, y: bucketed_stream(lambda: []), "at least one utterance"),
        (lambda x, y: bucketed_dataset(x, y[:3]), "4 utterances but 3 items of labels"),
        (lambda x, y: bucketed_dataset(x, y, speaker=[1]), "4 utterances but 1 items of speaker"),
        (lambda x, y: bucketed_dataset(3), "features must have an item"),
        (lambda x, y: bucketed_dataset(x, y, 1.5), "batch_size=1.5: a batch holds"),
        (lambda x, y: bucketed_dataset(x, feature_length=y), "feature_length is counted here"),
        (lambda x, y: bucketed_dataset(x, y, 0), "batch_size=0: a batch holds at least 1"),
    ],
)
def test_what_makes_no_batches_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(*utterances(4))


def dense_layer_model(dense):
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
    return model


def mean_loss(model, features, labels):
    kernel, bias = model.get_weights()
    losses = [
        tf.nn.ctc_loss(
            ids[None].astype(np.int32), (f @ kernel + bias)[:, None], [len(ids)], [len(f)],
            blank_index=-1,
        )
        for f, ids in zip(features, labels, strict=True)
    ]  # fmt: skip
    return np.mean(losses)


@pytest.mark.slow
@pytest.mark.parametrize("dense", [True, False])
def test_fit_takes_it_without_a_warning_and_gets_the_right_loss(dense):
    features, labels = utterances(8)
    model, dataset = dense_layer_model(dense), bucketed_dataset(features, labels, 2)
    dataset = dataset.map(dense_labels) if dense else dataset
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Your input ran out of data")
        history = model.fit(dataset, epochs=2, verbose=0)
    expected = [mean_loss(model, features, labels)] * 2
    np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-5)


@pytest.mark.slow
def test_a_repeated_stream_in_fit_does_not_run_out_of_data():
    features, labels = utterances(8)
    model, dataset = dense_layer_model(False), bucketed_stream(stream(features, labels), 2)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Your input ran out of data")
        history = model.fit(dataset.repeat(), epochs=3, steps_per_epoch=4, verbose=0)
    expected = [mean_loss(model, features, labels)] * 3
    np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-5)


@pytest.mark.slow
def test_keras_does_not_complain_of_shuffling():
    """Its warning that a dataset can't be shuffled is told to readers by no cell of a notebook."""
    code = (
        "import keras, numpy as np, warnings\n"
        "from ctc_tutorial import bucketed_dataset\n"
        "model = keras.Sequential([keras.layers.Dense(1)])\n"
        "data = bucketed_dataset([np.ones((3, 2))]).map(lambda x: (x['features'], x['features']))\n"
        "model.compile('sgd', 'mse'); model.fit(data, verbose=0)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0 and "shuffle" not in run.stderr, run.stderr


PAGE_FAULTS = """
import ctypes, resource
import numpy as np
import tensorflow as tf
from ctc_tutorial.datasets import dense_labels
from ctc_tutorial.bucketing import bucketed_dataset, bucketed_stream

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
list(bucketed_dataset([np.zeros((9, 2))], [[0]], 1))
assert faults(24 << 20) < 100
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="of glibc's malloc")
def test_other_buffers_are_not_fetched_from_the_kernel_every_time():
    """As they are in a process that has run TensorFlow 2.21's from_generator: see the source."""
    result = subprocess.run([sys.executable, "-c", PAGE_FAULTS], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_passes_can_overlap_and_be_left_before_their_end():
    features, labels = utterances(30)
    dataset = bucketed_dataset(features, labels, 4, shuffle=False)
    expected = [features[i][0, 0] for i in range(0, 30, 4)]
    passes = [iter(dataset) for _ in range(3)]
    seen = [[next(one)["features"].numpy()[0, 0, 0] for one in passes] for _ in expected]
    np.testing.assert_array_equal(seen, np.transpose([expected] * 3))
    assert all(next(one, None) is None for one in passes)
    for _ in range(20):
        assert next(iter(dataset))["features"][0, 0, 0] == 0


def test_a_long_pass_goes_on_while_others_start_and_are_left():
    """As in a validation of two steps, epoch after epoch, beside a pass of many epochs."""
    features, labels = utterances(60)
    dataset = bucketed_dataset(features, labels, 4, shuffle=False)
    whole = iter(dataset)
    for i in range(0, 60, 4):
        assert next(whole)["features"][0, 0, 0] == features[i][0, 0]
        for _ in range(3):
            next(iter(dataset))
    assert next(whole, None) is None


def test_whole_and_broken_numbers_in_one_column_and_texts_of_any_alphabet():
    features, labels = utterances(4)
    others = {"sample_weight": [1, 0.5, 2, 1], "text": ["a", "bcd", "é", "中"]}
    found = {}
    for batch in bucketed_dataset(features, labels, 2, **others):
        texts = [text.decode() for text in batch["text"].numpy()]
        found |= dict(zip(texts, batch["sample_weight"].numpy().tolist(), strict=True))
    assert found == {"a": 1.0, "bcd": 0.5, "é": 2.0, "中": 1.0}


@pytest.mark.parametrize("number", [{"seed": None}, {"seed": -1}, {"first_epoch": 0.5}])
def test_numbers_that_no_generator_takes_are_refused_at_once(number):
    with pytest.raises(ValueError, match="give an integer, at least 0"):
        bucketed_dataset([np.ones((9, 2))] * 3, [[1]] * 3, 2, **number)
