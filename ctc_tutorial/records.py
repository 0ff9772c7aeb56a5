# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
(
    """Features in sharded TFRecord files, for data that memory does not hold. Stands alone.

Taught in notebook 11_faster_and_many_devices.
"""
    ""
)

import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

_FIELDS = {
    "features": tf.io.FixedLenFeature((), tf.string),  # the array's bytes, in C order
    "dtype": tf.io.FixedLenFeature((), tf.string),  # as NumPy writes it: "<f4"
    "shape": tf.io.RaggedFeature(tf.int64),
    "ids": tf.io.RaggedFeature(tf.int64),
}


def write_records(
    pairs: Iterable[tuple[np.ndarray, Sequence[int]]], folder: str | os.PathLike, per_shard: int
) -> list[Path]:
    """Write utterances, in their order, to several files of which each has so many.

    An utterance is a `tf.train.Example`: its features as bytes (float16 takes half of the space of
    float32), their dtype and shape, and its ids.

    Args:
        pairs: features [T_i, ...] and class ids [L_i]; can be a stream, which is read once.
        folder: made if it does not exist; one of its own for each split of the data.
        per_shard: utterances in a file; the last one can have fewer. `read_records` mixes 16 files
            at a time, so there should be more of them, and files of 100 MB and more are read fast.

    Returns:
        The paths, `records-00000-of-00008.tfrecord` and so on. They get these names when all is
        written: a run that was killed leaves none.

    Raises:
        ValueError: no utterances, one that is no pair of numbers and int32 ids, a `per_shard` that
            is no integer from 1 on, or a folder that holds shards.

    >>> import tempfile
    >>> pairs = [(np.ones((9, 13), np.float16), [3, 5]) for _ in range(5)]
    >>> [path.name for path in write_records(pairs, tempfile.mkdtemp(), per_shard=3)]
    ['records-00000-of-00002.tfrecord', 'records-00001-of-00002.tfrecord']
    """
    _check_at_least(1, per_shard=per_shard)
    folder, pairs = Path(folder), enumerate(pairs)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("records-*.tfrecord")):
        raise ValueError(f"{folder} holds shards: take another folder, or remove them first")
    with tempfile.TemporaryDirectory(dir=folder, prefix="unfinished-") as beside:
        unfinished: list[Path] = []
        for first in pairs:
            unfinished.append(Path(beside, str(len(unfinished))))
            with tf.io.TFRecordWriter(os.fspath(unfinished[-1])) as writer:
                for pair in itertools.chain([first], itertools.islice(pairs, per_shard - 1)):
                    writer.write(_example(*pair).SerializeToString())
        if not unfinished:
            raise ValueError("expected at least one utterance")
        count = len(unfinished)
        paths = [folder / f"records-{i:05}-of-{count:05}.tfrecord" for i in range(count)]
        for old, new in zip(unfinished, paths, strict=True):
            old.replace(new)
    return paths


def read_records(
    paths: Sequence[str | os.PathLike],
    *,
    shuffle: bool = True,
    seed: int = 0,
    first_epoch: int = 0,
    buffer: int = 1024,
) -> Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]:
    """Stream utterances in random order; memory holds `buffer` of them, however many there are.

    Args:
        paths: of the shards; of several machines, each can take its part, `paths[worker::workers]`.
        shuffle: read the shards in random order, 16 at a time in turn, and draw the utterances
            from a buffer. False: in the order of the paths, as they were written.
        seed, first_epoch: call n of the function depends on `seed` and `first_epoch + n` alone.
        buffer: utterances to draw from.

    Returns:
        A function that starts a stream of (features, ids), as `bucketed_stream` takes it:
        features as they were written, ids int32 [L_i].

    Raises:
        ValueError: no paths, or one without a file; a number that is no integer, or too small.
        tf.errors.DataLossError, tf.errors.InvalidArgumentError: from the stream, a damaged file, or
            one of something else.

    >>> import tempfile
    >>> pairs = [(np.ones((9, 13), np.float16), [number]) for number in range(5)]
    >>> stream_fn = read_records(write_records(pairs, tempfile.mkdtemp(), per_shard=3))
    >>> sorted(int(ids[0]) for features, ids in stream_fn())
    [0, 1, 2, 3, 4]
    """
    _check_at_least(0, seed=seed, first_epoch=first_epoch)
    _check_at_least(1, buffer=buffer)
    if isinstance(paths, str | os.PathLike):
        raise ValueError(f"paths must be a list of shards, not {paths!r}")
    names = [os.fspath(path) for path in paths]
    missing = [name for name in names if not os.path.isfile(name)]
    if missing or not names:
        raise ValueError(f"no such shard: {missing[0]}" if missing else "expected at least 1 shard")
    epochs = itertools.count(first_epoch)

    def stream_fn() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng((seed, next(epochs)))
        if not shuffle:
            return _utterances(names, 1)
        return _drawn(_utterances(rng.permutation(names).tolist(), 16), buffer, rng)

    return stream_fn


def _check_at_least(least, **numbers):
    for name, number in numbers.items():
        if not isinstance(number, int | np.integer) or number < least:
            raise ValueError(f"{name}={number!r}: give an integer, at least {least}")


def _example(index, pair):
    try:
        features, ids = map(np.asarray, pair)
    except (TypeError, ValueError) as error:
        raise ValueError(f"utterance {index} is no pair of features and ids: {error}") from error
    if features.dtype.kind not in "fiub":
        raise ValueError(f"utterance {index}: features must be numbers, not {features.dtype}")
    whole = ids.ndim == 1 and (ids.dtype.kind in "iu" or not ids.size)  # [] is of floats
    if not whole or (ids.astype(np.int32) != ids).any():
        raise ValueError(f"utterance {index}: ids must be int32 [L], not {ids.dtype}: {ids}")

    def integers(values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def text(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    features = features.astype(features.dtype.newbyteorder("<"))
    fields = {
        "features": text(features.tobytes()),
        "dtype": text(features.dtype.str.encode()),
        "shape": integers(features.shape),
        "ids": integers(ids.astype(np.int32)),
    }
    return tf.train.Example(features=tf.train.Features(feature=fields))


def _utterances(paths, open_at_once):
    """The (features, ids) of the shards, of which so many are read in turn."""
    records = tf.data.Dataset.from_tensor_slices(paths).interleave(
        lambda path: tf.data.TFRecordDataset(path, buffer_size=1 << 20), open_at_once
    )
    batches = records.batch(64).map(lambda batch: tf.io.parse_example(batch, _FIELDS)).prefetch(2)
    options = tf.data.Options()
    options.autotune.enabled = False  # nothing here needs tuning
    for batch in batches.with_options(options):
        columns = batch["features"].numpy(), batch["dtype"].numpy()
        columns += batch["shape"].numpy(), batch["ids"].numpy()
        for features, dtype, shape, ids in zip(*columns, strict=True):
            array = np.frombuffer(features, dtype.decode()).reshape(shape)
            yield array.copy(), ids.astype(np.int32)  # the caller may change it


def _drawn(items, buffer, rng):
    """The items in random order, each drawn from `buffer` of them."""
    held = list(itertools.islice(items, buffer))
    for item in items:
        place = rng.integers(len(held))
        yield held[place]
        held[place] = item
    rng.shuffle(held)
    yield from held
