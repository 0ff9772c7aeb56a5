"""Sequences of different lengths to tensors. Taught in notebook 03_sparse_inputs
(bucketed_dataset in 07_reading_what_it_never_saw).
"""

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

try:
    import tensorflow as tf
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "this module needs TensorFlow: pip install tensorflow-cpu (or tensorflow)"
    ) from error


def pad_features(features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Stack feature sequences into one array, zero padded at the end.

    Args:
        features: B arrays [T_i, ...] that differ in T_i only.

    Returns:
        float32 [B, T, ...] with T the longest T_i; and the lengths T_i, int32 [B].

    Raises:
        ValueError: no sequences, or one whose other dimensions differ from the first one's.
    """
    features = [np.asarray(f, dtype=np.float32) for f in features]
    if not features:
        raise ValueError("expected at least one feature sequence")
    for index, f in enumerate(features):
        if f.ndim < 2 or f.shape[1:] != features[0].shape[1:]:
            raise ValueError(
                f"features[{index}] has shape {f.shape}; expected [T, ...] with the trailing "
                f"dimensions of features[0], which has shape {features[0].shape}"
            )
    lengths = np.array([len(f) for f in features], dtype=np.int32)
    padded = np.zeros((len(features), lengths.max(), *features[0].shape[1:]), dtype=np.float32)
    for row, f in zip(padded, features, strict=True):
        row[: len(f)] = f
    return padded, lengths


def sparse_labels(labels: Sequence[Sequence[int]]) -> tf.SparseTensor:
    """Label sequences as the sparse tensor that CTC wants; it holds their lengths too.

    Args:
        labels: B sequences of class ids [L_i].

    Returns:
        int32 SparseTensor [B, L] with L the longest L_i (at least 1).
    """
    lengths = [len(ids) for ids in labels]
    indices = [(row, place) for row, length in enumerate(lengths) for place in range(length)]
    values = np.concatenate([np.asarray(ids, dtype=np.int32).reshape(-1) for ids in labels] or [[]])
    return tf.SparseTensor(
        indices=np.array(indices, dtype=np.int64).reshape(-1, 2),
        values=values.astype(np.int32),
        dense_shape=(len(lengths), max(lengths, default=1) or 1),
    )


def repeat_batch(*elements: Any) -> tf.data.Dataset:
    """The same batch for ever, for `fit(..., steps_per_epoch=n, shuffle=False)`.

    Given arrays, `fit` sets the data up anew in every epoch; given this, it simply goes on.

    Args:
        elements: x, or x and y: arrays, tensors (sparse ones too), or a tuple or dict of them.

    Returns:
        An endless dataset of tuples of the elements: a 1-tuple where there is no y.
    """
    return _without_autotuning(tf.data.Dataset.from_tensors(elements).repeat())


def _without_autotuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    # With it fit (TensorFlow 2.21) returned seconds late in 11 of 60 runs, without it in none
    # (benchmarks/autotuning.md). Nothing here needs tuning.
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def check_feasible(
    labels: Sequence[Sequence[int]], logit_lengths: Sequence[int], num_classes: int
) -> None:
    """Check before training that CTC can align every utterance.

    A path needs one frame per label, and one more, for a blank, between two equal neighbours.

    Args:
        labels: B sequences of class ids [L_i].
        logit_lengths: B frame counts of the logits (after any striding), not of the features.
        num_classes: classes of the logits, the blank (last) included.

    Raises:
        ValueError: naming the utterance, what it has and what it needs.
    """
    if len(labels) != len(logit_lengths):
        raise ValueError(f"got {len(labels)} label sequences but {len(logit_lengths)} lengths")
    for index, (ids, frames) in enumerate(zip(labels, logit_lengths, strict=True)):
        if problem := _problem(np.asarray(ids).reshape(-1), frames, num_classes):
            raise ValueError(f"utterance {index} {problem}")


def _problem(ids: np.ndarray, frames: int, num_classes: int) -> str | None:
    """What keeps CTC from aligning `ids` [L] with so many logit frames, if anything does."""
    wrong = np.flatnonzero((ids < 0) | (ids >= num_classes - 1))
    repeats = int(np.sum(ids[1:] == ids[:-1]))
    if ids.size == 0:
        return "has no labels: it needs at least one"
    if wrong.size:
        return (
            f"has label id {ids[wrong[0]]} at position {wrong[0]}: ids must "
            f"be 0 to {num_classes - 2} (the last of {num_classes} classes is the blank)"
        )
    if frames < ids.size + repeats:
        return (
            f"has {frames} logit frames but needs at least "
            f"{ids.size + repeats}: {ids.size} labels + {repeats} adjacent repeats"
        )
    return None


def bucketed_dataset(
    features: Sequence[np.ndarray] | Callable[[], Iterable[tuple]],
    labels: Sequence[Sequence[int]] | None,
    batch_size: int,
    num_classes: int,
    *,
    shuffle: bool = True,
    seed: int = 0,
    first_epoch: int = 0,
    logit_length: Callable[[int], int] = lambda frames: frames,
    infeasible: str = "raise",
    dense_labels: bool = False,
) -> tf.data.Dataset:
    """Shuffled batches of utterances of similar length, as `fit` and `CTCLossLayer` take them.

    Args:
        features: arrays [T_i, F], shuffled as a whole; or a function that starts a stream of
            (features, ids) pairs, of which 64 batches at a time are held and shuffled.
        labels: class ids [L_i] of each array; None for a stream.
        batch_size: utterances per batch; one batch of a pass can have fewer.
        num_classes: the blank (last class) included.
        shuffle: False keeps the order, and so does not bucket.
        seed, first_epoch: pass n over the dataset depends on `seed` and `first_epoch + n` alone;
            a run that is resumed at epoch 7 asks for first_epoch=7.
        logit_length: the encoder's rule from frames to logit frames, for `infeasible`.
        infeasible: utterances that `check_feasible` refuses are refused too ("raise"), or left
            out with a warning that names them ("drop").
        dense_labels: for tf.distribute: labels zero padded [B, L], their lengths as
            `label_length` int32 [B], and no smaller batch: each pass leaves out a random few
            utterances (without shuffling or from a stream, the last few).

    Returns:
        A dataset of 1-tuples of a dict: `features` float32 [B, T, F], `feature_length` int32 [B],
        `labels` int32 SparseTensor [B, L]. With it, Keras wants fit(..., shuffle=False).

    Raises:
        ValueError: nothing to batch, labels beside a stream, or see `infeasible`, which from a
            stream comes while it is read, as a tf.errors.InvalidArgumentError with the message.
    """
    if infeasible not in ("raise", "drop"):
        raise ValueError(f'infeasible must be "raise" or "drop", not {infeasible!r}')
    streamed = callable(features)
    if streamed != (labels is None):
        raise ValueError("labels belong to arrays; a stream yields its own, so labels is None then")
    rule = (num_classes, logit_length, infeasible)
    pairs = [] if streamed else list(_feasible(zip(features, labels, strict=True), *rule))
    first = next(iter(features() if streamed else pairs), None)
    count = len(pairs) // batch_size if dense_labels else -(-len(pairs) // batch_size)
    if first is None or not (streamed or count):
        raise ValueError("expected at least one utterance (one batch, if dense) CTC can align")
    epochs = itertools.count(first_epoch)

    def batches() -> Iterator[tuple[np.ndarray, ...]]:
        rng = np.random.default_rng((seed, next(epochs)))
        if streamed:
            items = _feasible(features(), *rule)
        else:
            items = (pairs[i] for i in (rng.permutation if shuffle else range)(len(pairs)))
        while window := list(itertools.islice(items, 64 * batch_size)):
            if dense_labels:  # before sorting: else always the longest utterances were left out
                window = window[: len(window) // batch_size * batch_size]
            for batch in _cut(window, batch_size, rng if shuffle else None):
                inputs, ids = zip(*batch, strict=True)
                label_length = np.array([len(i) for i in ids], np.int32)
                yield *pad_features(inputs), np.concatenate(ids), label_length

    size = batch_size if dense_labels else None
    length, ids = tf.TensorSpec((size,), tf.int32), tf.TensorSpec((None,), tf.int32)
    inputs = tf.TensorSpec((size, None, *np.shape(first[0])[1:]), tf.float32)
    signature = (inputs, length, ids, length)
    dataset = _from_generator(batches, signature)
    if not streamed:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(count))
    dataset = dataset.map(lambda *arrays: _by_name(*arrays, dense_labels)).prefetch(2)
    return _without_autotuning(dataset)


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
        passes.pop(number - 8, None)  # was left before its end, most likely
        return np.int64(number)

    def read(number):
        arrays = next(passes[int(number)], None)
        return (np.bool_(arrays is not None), *(arrays or nothing))

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


def _feasible(pairs, num_classes, logit_length, infeasible):
    """The (features, ids) pairs that CTC can align; the others are refused or left out."""
    for index, (features, ids) in enumerate(pairs):
        ids = np.asarray(ids, dtype=np.int32).reshape(-1)
        problem = _problem(ids, int(logit_length(len(features))), num_classes)
        if problem is None:
            yield features, ids
        elif infeasible == "raise":
            raise ValueError(f"utterance {index} {problem}")
        else:
            warnings.warn(f"left out: utterance {index} {problem}", stacklevel=2)


def _cut(window, batch_size, rng):
    """The window in batches: as it stands without `rng`, else by length and in random order."""
    if rng is not None:
        # Lengths are blurred by up to 5 %: else the same utterances meet in every epoch.
        lengths = [len(features) for features, _ in window] * rng.uniform(1, 1.05, len(window))
        window = [window[i] for i in np.argsort(lengths)]
    batches = [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
    if rng is not None:
        rng.shuffle(batches)
    return batches


def _by_name(features, feature_length, ids, label_length, dense_labels):
    """The batch as a 1-tuple of a dict, from the ids [sum of label_length] of all its rows."""
    labels = tf.RaggedTensor.from_row_lengths(ids, label_length)
    batch = {"features": features, "feature_length": feature_length}
    if dense_labels:
        return ({**batch, "labels": labels.to_tensor(), "label_length": label_length},)
    return ({**batch, "labels": labels.to_sparse()},)
