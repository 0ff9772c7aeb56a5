"""Sharded TFRecords: what is written comes back, in an order that seed and epoch decide."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ctc_tutorial.bucketing import bucketed_dataset, bucketed_stream
from ctc_tutorial.records import read_records, write_records


def utterances(count, dtype=np.float32):
    """Utterances that name themselves: the first feature of each is its number."""
    rng = np.random.default_rng(0)
    for number in range(count):
        features = rng.normal(size=(rng.integers(5, 30), 3)).astype(dtype)
        features[0, 0] = number
        yield features, rng.integers(0, 27, rng.integers(0, 5))


def numbers(stream):
    """Who is in a stream of utterances that name themselves, in its order."""
    return [int(features[0, 0]) for features, _ in stream]


@pytest.mark.parametrize("dtype", ["float32", "float16", ">f4"])
def test_what_is_written_comes_back_in_its_order(tmp_path, dtype):
    written = list(utterances(150, dtype))
    paths = write_records(iter(written), tmp_path / "new", 40)
    assert [path.name for path in paths] == [f"records-{i:05}-of-00004.tfrecord" for i in range(4)]
    assert sorted((tmp_path / "new").iterdir()) == paths
    read = list(read_records(paths, shuffle=False)())
    for (features, ids), (expected, expected_ids) in zip(read, written, strict=True):
        assert features.dtype == np.dtype(dtype).newbyteorder("<") and ids.dtype == np.int32
        np.testing.assert_array_equal(features, expected)
        np.testing.assert_array_equal(ids, expected_ids)


def test_the_format_is_the_one_of_tensorflow(tmp_path):
    """Read by hand: a record is an Example, and three of them fill a shard."""
    written = list(utterances(7))
    paths = write_records(written, tmp_path, 3)
    (record,) = (r.numpy() for r in tf.data.TFRecordDataset(os.fspath(paths[1])).skip(1).take(1))
    fields = tf.train.Example.FromString(record).features.feature
    features, ids = written[4]  # the second of the second shard
    assert fields["features"].bytes_list.value == [features.tobytes()]
    assert fields["dtype"].bytes_list.value == [b"<f4"]
    assert list(fields["shape"].int64_list.value) == list(features.shape)
    assert list(fields["ids"].int64_list.value) == list(ids)


def test_images_and_empty_utterances(tmp_path):
    written = [(np.ones((4, 6, 1), np.uint8), [1, 2]), (np.zeros((0, 6, 1), np.uint8), [])]
    (image, ids), (empty, none) = read_records(write_records(written, tmp_path, 9), shuffle=False)()
    assert image.shape == (4, 6, 1) and image.dtype == np.uint8 and ids.tolist() == [1, 2]
    assert empty.shape == (0, 6, 1) and none.shape == (0,)


def test_the_order_is_random_and_a_function_of_seed_and_epoch(tmp_path):
    paths = write_records(utterances(400), tmp_path, 20)

    def start(**options):
        return read_records(paths, buffer=50, **options)

    stream_fn = start(seed=3)
    epochs = [numbers(stream_fn()) for _ in range(3)]
    assert all(sorted(epoch) == list(range(400)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert numbers(start(seed=3)()) == epochs[0]
    assert numbers(start(seed=3, first_epoch=2)()) == epochs[2]
    assert numbers(start(seed=4)()) != epochs[0]
    tf.random.set_seed(7)  # nothing global decides
    assert numbers(start(seed=3)()) == epochs[0]
    places = np.argsort(epochs[0])  # of 400 neighbours, few are read one after the other
    assert np.mean(np.abs(np.diff(places)) < 10) < 0.2
    assert abs(np.corrcoef(places, np.arange(400))[0, 1]) < 0.3


def test_workers_share_the_shards(tmp_path):
    paths = write_records(utterances(40), tmp_path, 8)
    shares = [numbers(read_records(paths[worker::2])()) for worker in range(2)]
    assert sorted(shares[0] + shares[1]) == list(range(40))
    assert list(map(len, shares)) == [24, 16]


def test_batches_of_records_are_those_of_the_arrays(tmp_path):
    written = [(f, ids) for f, ids in utterances(60) if len(ids)]
    paths = write_records(written, tmp_path, 20)
    found = bucketed_stream(read_records(paths, shuffle=False), 4, shuffle=False)
    expected = bucketed_dataset(*zip(*written, strict=True), 4, shuffle=False)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a["features"], b["features"])
        np.testing.assert_array_equal(a["feature_length"], b["feature_length"])
        np.testing.assert_array_equal(*(tf.sparse.to_dense(x["labels"]) for x in (a, b)))
    again = bucketed_stream(read_records(paths), 4)
    passes = [np.concatenate([b["features"][:, 0, 0] for b in again]) for _ in range(2)]
    assert passes[0].tolist() != passes[1].tolist()
    for numbered in passes:
        np.testing.assert_array_equal(np.sort(numbered), [f[0, 0] for f, _ in written])


@pytest.mark.slow
def test_a_stream_is_read_only_as_far_as_needed(tmp_path):
    """Peak memory of another process, which draws from 100 of 64 MB of utterances."""
    if sys.platform == "win32":
        pytest.skip("no resource module")
    block = np.zeros((16_384, 1), np.float32)
    write_records(((block, [0]) for _ in range(1000)), tmp_path, 100)
    code = f"""
import resource
from pathlib import Path
from ctc_tutorial.records import read_records
paths = sorted(Path({os.fspath(tmp_path)!r}).iterdir())
next(read_records(paths[:1], buffer=20)())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert sum(1 for _ in read_records(paths, buffer=100)()) == 1000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 2**10
    assert int(run.stdout) * unit < 40e6


def test_no_utterances_and_empty_shards_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one utterance"):
        write_records([], tmp_path, 3)
    with pytest.raises(ValueError, match="per_shard=0"):
        write_records(utterances(2), tmp_path, 0)


def test_shards_are_neither_mixed_nor_overwritten(tmp_path):
    written = list(utterances(6))
    paths = write_records(written[:4], tmp_path, 2)
    for others in (written, written[4:]):  # more shards than there are, and fewer
        with pytest.raises(ValueError, match="holds shards: take another folder"):
            write_records(others, tmp_path, 2)
    assert sorted(tmp_path.iterdir()) == paths
    assert numbers(read_records(paths, shuffle=False)()) == [0, 1, 2, 3]


def test_what_is_read_can_be_changed_in_place(tmp_path):
    for features, _ in read_records(write_records(utterances(3), tmp_path, 2))():
        features -= features.mean()
        assert abs(features.mean()) < 1e-6


def test_missing_shards_are_named():
    with pytest.raises(ValueError, match="at least 1 shard"):
        read_records([])
    with pytest.raises(ValueError, match="no such shard: nowhere"):
        read_records(["nowhere"])


def test_a_run_that_ends_early_leaves_no_shards(tmp_path):
    def ends_early():
        yield from utterances(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(ends_early(), tmp_path, 2)
    assert not list(tmp_path.iterdir())


def test_damage_is_noticed(tmp_path):
    (path,) = write_records(utterances(5), tmp_path, 5)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(tf.errors.DataLossError):
        list(read_records([path])())
