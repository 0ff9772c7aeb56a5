# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Batches of utterances of similar length. Taught in notebook 08_reading_what_it_never_saw.

Copy batches.py with this file.
"""

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from .batches import check_items, int32_ids, pad_features

# Whenever fit gets a tf.data dataset, Keras warns that it can't shuffle it, unless told
# shuffle=False: noise here, as these batches are shuffled already, or always the same.
warnings.filterwarnings("ignore", "`shuffle=True` was passed, but will be ignored", module="keras")

_WINDOW = 64  # batches that are sorted by length together


def bucketed_dataset(
    features: Sequence[np.ndarray],
    labels: Sequence[Sequence[int] | np.ndarray] | None = None,
    batch_size: int = 32,
    *,
    shuffle: bool = True,
    seed: int = 0,
    first_epoch: int = 0,
    **others: Sequence,
) -> tf.data.Dataset:
    """Shuffled batches of utterances of similar length, as `fit` and `predict` take them.

    Args:
        features: arrays [T_i, ...]. Those CTC can't align: see `check_feasible` of feasibility.py.
        labels: class ids [L_i] of each; None to predict.
        batch_size: utterances per batch; one batch of a pass can have fewer.
        shuffle: False keeps the order, as `predict` needs it, and so does not bucket.
        seed, first_epoch: pass n over the dataset depends on `seed` and `first_epoch + n` alone;
            a run that is resumed at epoch 7 asks for first_epoch=7.
        others: more inputs, an item per utterance, as for `pad_batch`.

    Returns:
        A dataset of the dicts that `pad_batch` returns.

    Raises:
        ValueError: no utterances, a number below 0, an input with other items, or what `pad_batch`
            refuses of the first utterance; of the others it is an error while the dataset runs.

    >>> features = [np.ones((frames, 13)) for frames in (9, 3, 8, 2)]
    >>> dataset = bucketed_dataset(features, [[1], [2], [3], [4]], batch_size=2)
    >>> sorted(batch["feature_length"].numpy().tolist() for batch in dataset)
    [[2, 3], [8, 9]]
    """
    columns = {"features": features, **({} if labels is None else {"labels": labels}), **others}
    for name, items in columns.items():
        check_items(name, items, len(features) if hasattr(features, "__len__") else 0)
    for name, items in others.items():
        if not name.endswith("labels"):
            columns[name] = list(np.asarray(items))  # of one type, also [1, 0.5]
    rows = [dict(zip(columns, items, strict=True)) for items in zip(*columns.values(), strict=True)]
    if not rows:
        raise ValueError("expected at least one utterance")

    def pass_fn(rng: np.random.Generator) -> Iterator[dict]:
        return (rows[i] for i in (rng.permutation if shuffle else range)(len(rows)))

    dataset = _dataset(pass_fn, rows[0], batch_size, shuffle, seed, first_epoch)
    return dataset.apply(tf.data.experimental.assert_cardinality(-(-len(rows) // batch_size)))


def bucketed_stream(
    stream_fn: Callable[[], Iterable[tuple[np.ndarray, Sequence[int]]]],
    batch_size: int = 32,
    *,
    shuffle: bool = True,
    seed: int = 0,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """`bucketed_dataset` of what memory does not hold: 64 batches at a time are, and are shuffled.

    How many batches there are is not known beforehand: `fit(dataset.repeat(), steps_per_epoch=n)`.

    Args:
        stream_fn: starts a stream of (features [T_i, ...], ids [L_i]); called for each pass.
        batch_size, shuffle, seed, first_epoch: as for `bucketed_dataset`.

    Raises:
        ValueError: a stream without utterances.

    >>> def stream_fn():
    ...     return ((np.ones((frames, 13)), [1]) for frames in (9, 3, 8, 2))
    >>> dataset = bucketed_stream(stream_fn, batch_size=2)
    >>> sorted(batch["feature_length"].numpy().tolist() for batch in dataset)
    [[2, 3], [8, 9]]
    """

    def pass_fn(rng: np.random.Generator | None = None) -> Iterator[dict]:
        return ({"features": features, "labels": ids} for features, ids in stream_fn())

    first = next(pass_fn(), None)
    if first is None:
        raise ValueError("expected at least one utterance")
    return _dataset(pass_fn, first, batch_size, shuffle, seed, first_epoch)


def _dataset(pass_fn, first: dict, batch_size, shuffle, seed, first_epoch):
    """Batches of the rows that pass_fn(rng) yields, all of which are like the `first` one."""
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r}: a batch holds at least 1 utterance")
    for name, number in (("seed", seed), ("first_epoch", first_epoch)):
        if not isinstance(number, int | np.integer) or number < 0:
            raise ValueError(f"{name}={number!r}: give an integer, at least 0")
    batch_size = int(batch_size)
    pad_features([first["features"]])  # the first mistakes are told here
    epochs = itertools.count(first_epoch)
    signature = [tf.TensorSpec((None, None, *np.shape(first["features"])[1:]), tf.float32)]
    signature += [tf.TensorSpec((None,), tf.int32)]
    for name in list(first)[1:]:
        if name.endswith("labels"):  # the ids of all rows in a row, and how many each has
            signature += [tf.TensorSpec((None,), tf.int32)] * 2
        else:
            item = np.asarray(first[name])
            signature += [tf.TensorSpec((None, *item.shape), item.dtype)]

    def generator_fn() -> Iterator[list[np.ndarray]]:
        rng = np.random.default_rng((seed, next(epochs)))
        rows = iter(pass_fn(rng))
        while window := list(itertools.islice(rows, _WINDOW * batch_size)):
            for batch in _cut(window, batch_size, rng if shuffle else None):
                yield _flat({name: [row[name] for row in batch] for name in first})

    dataset = _from_generator(generator_fn, signature)
    dataset = dataset.map(lambda *arrays: _by_name(arrays, first)).prefetch(2)
    options = tf.data.Options()
    options.autotune.enabled = False  # see `repeat_batch` of datasets.py
    return dataset.with_options(options)


def _cut(window: list[dict], batch_size: int, rng: np.random.Generator | None) -> list[list]:
    """The window in batches: as it stands without `rng`, else by length and in random order."""
    if rng is not None:
        # Lengths are blurred by up to 5 %: else the same utterances meet in every epoch.
        lengths = [len(row["features"]) for row in window] * rng.uniform(1, 1.05, len(window))
        window = [window[i] for i in np.argsort(lengths)]
    batches = [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
    if rng is not None:
        rng.shuffle(batches)
    return batches


def _flat(columns: dict[str, list]) -> list[np.ndarray]:
    """The arrays of a batch that stand for it between NumPy and TensorFlow."""
    arrays = [*pad_features(columns["features"])]
    for name, items in list(columns.items())[1:]:
        if name.endswith("labels"):
            items = [
                int32_ids(ids, f"{name}, in a batch the item {i}") for i, ids in enumerate(items)
            ]
            arrays += [np.concatenate(items), np.array([len(ids) for ids in items], np.int32)]
        else:
            values = np.asarray(items)  # TensorFlow takes texts as bytes, ASCII without this
            arrays.append(np.char.encode(values, "utf-8") if values.dtype.kind == "U" else values)
    return arrays


def _by_name(arrays: tuple, names: Iterable[str]) -> dict:
    """The inverse of `_flat`, as tensors."""
    rest = iter(arrays)
    batch = {"features": next(rest), "feature_length": next(rest)}
    for name in list(names)[1:]:
        values = next(rest)
        if name.endswith("labels"):
            values = tf.RaggedTensor.from_row_lengths(values, next(rest)).to_sparse()
        batch[name] = values
    return batch


def _from_generator(generator_fn, signature):
    """What tf.data.Dataset.from_generator gives, by other ops.

    That one's op (TensorFlow 2.21, not yet 2.18) sets glibc's M_MMAP_THRESHOLD to 128 kB for the
    whole process: every larger buffer of any op is then fetched from the kernel, page by page, and
    given back, which can be 40 % of a training's CPU time (benchmarks/convolutions.md).
    """
    passes, started = {}, itertools.count()
    nothing = [np.zeros([0] * spec.shape.rank, spec.dtype.as_numpy_dtype) for spec in signature]

    def start(_):
        number = next(started)
        passes[number] = generator_fn()
        while len(passes) > 8:
            passes.pop(next(iter(passes)))  # not read for longest: was left before its end
        return np.int64(number)

    def read(number):
        rows = passes[int(number)] = passes.pop(int(number))  # the last one read is the last
        arrays = next(rows, None)
        return (np.bool_(arrays is not None), *(nothing if arrays is None else arrays))

    def one_pass(number):
        types = [tf.bool, *(spec.dtype for spec in signature)]
        dataset = tf.data.Dataset.from_tensors(number).repeat()
        dataset = dataset.map(lambda number: tuple(tf.numpy_function(read, [number], types)))
        return dataset.take_while(lambda more, *_: more)

    def shaped(_, *arrays):
        shapes = (spec.shape for spec in signature)
        return tuple(tf.ensure_shape(x, shape) for x, shape in zip(arrays, shapes, strict=True))

    once = tf.data.Dataset.from_tensors(0)
    once = once.map(lambda x: tf.numpy_function(start, [x], tf.int64))
    return once.flat_map(one_pass).map(shaped)
