"""Features in sharded TFRecord files, for data that memory does not hold. Stands alone."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

try:
    import tensorflow as tf
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "this module needs TensorFlow: pip install tensorflow-cpu (or tensorflow)"
    ) from error

_FIELDS = {
    "features": tf.io.FixedLenFeature((), tf.string),  # the array's bytes, in C order
    "dtype": tf.io.FixedLenFeature((), tf.string),  # as NumPy writes it: "<f4"
    "shape": tf.io.RaggedFeature(tf.int64),
    "ids": tf.io.RaggedFeature(tf.int64),
}


def write_records(
    pairs: Iterable[tuple[np.ndarray, Sequence[int]]], folder: str | os.PathLike, shards: int
) -> list[Path]:
    """Write utterances to several files, each a fair sample of all of them.

    Utterance i goes to shard i modulo `shards`, as a `tf.train.Example`: its features as bytes
    (float16 takes half of the space of float32), their dtype and shape, and its ids.

    Args:
        pairs: features [T_i, ...] and label ids [L_i]; can be a stream, which is read once.
        folder: made if it does not exist.
        shards: number of files. Reading is more random the more there are; files of 100 MB and
            more are read at full speed.

    Returns:
        The paths, `records-00000-of-00008.tfrecord` and so on. They appear when all is written: a
        run that was killed leaves none of them.

    Raises:
        ValueError: fewer utterances than shards.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"records-{i:05}-of-{shards:05}.tfrecord" for i in range(shards)]
    writers = [tf.io.TFRecordWriter(f"{path}.unfinished") for path in paths]
    count = 0
    for (features, ids), writer in zip(pairs, itertools.cycle(writers), strict=False):
        writer.write(_example(np.asarray(features), ids).SerializeToString())
        count += 1
    for writer in writers:
        writer.close()
    if count < shards:
        raise ValueError(f"{count} utterances are too few for {shards} shards")
    for path in paths:
        os.replace(f"{path}.unfinished", path)
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
            from a buffer. False: the order in which `write_records` was given them.
        seed, first_epoch: call n of the function depends on `seed` and `first_epoch + n` alone.
        buffer: utterances to draw from.

    Returns:
        A function that starts a stream of (features, ids), as `bucketed_dataset` takes it:
        features as they were written, ids int32 [L_i].

    Raises:
        ValueError: no paths, or one without a file.
        tf.errors.DataLossError: from the stream, a damaged file.
    """
    paths = [os.fspath(path) for path in paths]
    missing = [path for path in paths if not os.path.exists(path)]
    if missing or not paths:
        raise ValueError(f"no such shard: {missing[0]}" if missing else "expected at least 1 shard")
    epochs = itertools.count(first_epoch)

    def stream():
        rng = np.random.default_rng((seed, next(epochs)))
        if not shuffle:
            return _utterances(sorted(paths), len(paths))
        return _drawn(_utterances(rng.permutation(paths).tolist(), 16), buffer, rng)

    return stream


def _example(features, ids):
    def integers(values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def text(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    features = features.astype(features.dtype.newbyteorder("<"))
    fields = {
        "features": text(features.tobytes()),
        "dtype": text(features.dtype.str.encode()),
        "shape": integers(features.shape),
        "ids": integers(ids),
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
            yield array, ids.astype(np.int32)


def _drawn(items, buffer, rng):
    """The items in random order, each drawn from `buffer` of them."""
    held = list(itertools.islice(items, buffer))
    for item in items:
        place = rng.integers(len(held))
        yield held[place]
        held[place] = item
    rng.shuffle(held)
    yield from held
