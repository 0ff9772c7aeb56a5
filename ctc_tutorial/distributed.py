# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
(
    """Training on many devices and machines with tf.distribute. Stands alone.

Taught in notebook 11_faster_and_many_devices.
"""
    ""
)

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


class SumThenClip:
    """Makes a Keras optimizer clip the gradient of the whole batch, as it does on one device.

    By itself a Keras optimizer clips the gradient of each replica's share of the batch and then
    adds them up: another update than one device makes. Name this class before the optimizer's.
    Without a `tf.distribute` strategy of several replicas nothing changes.

    >>> class SGD(SumThenClip, keras.optimizers.SGD):
    ...     pass
    >>> weights = keras.Variable([0.0, 0.0])
    >>> SGD(1.0, global_clipnorm=5.0).apply([tf.constant([6.0, 8.0])], [weights])
    >>> weights.numpy().tolist()  # the gradient has norm 10
    [-3.0, -4.0]
    """

    def apply(self, grads: Iterable, trainable_variables: Iterable | None = None) -> None:
        replica = tf.distribute.get_replica_context()
        replicas = replica.num_replicas_in_sync if replica else 1
        if replicas > 1:
            grads = list(grads)
            # What the gradients were multiplied by; the optimizer divides by it, then clips.
            scale = getattr(self, "loss_scale_factor", None) or 1.0
            # Without the None of unused weights; an embedding's IndexedSlices become dense.
            present = [tf.convert_to_tensor(g) / scale for g in grads if g is not None]
            total = self._clipped(replica.all_reduce(tf.distribute.ReduceOp.SUM, present))
            # Every replica has the sum now, and Keras adds them up: to shares, too small to clip.
            shares = iter([gradient * (scale / replicas) for gradient in total])
            grads = [None if gradient is None else next(shares) for gradient in grads]
        super().apply(grads, trainable_variables)  # type: ignore[misc]  # the optimizer's

    def _clipped(self, grads):
        if self.clipnorm:
            return [tf.clip_by_norm(gradient, self.clipnorm) for gradient in grads]
        if self.global_clipnorm:
            return tf.clip_by_global_norm(grads, self.global_clipnorm)[0]
        if self.clipvalue:
            bounds = -self.clipvalue, self.clipvalue
            return [tf.clip_by_value(gradient, *bounds) for gradient in grads]
        return grads


def train_in_rounds(
    model: keras.Model,
    strategy: tf.distribute.Strategy,
    data_fn: Callable[[int], tf.data.Dataset],
    rounds: int,
    folder: str | os.PathLike,
) -> Iterator[tuple[int, float]]:
    """Train a compiled model whose loss its layers add, with a checkpoint after every round.

    Under `MultiWorkerMirroredStrategy` Keras's own `fit` fails (keras-team/keras#20585); this
    loop runs there and under any other strategy. Every worker goes through it. If one is lost, the
    others stop; when all are started again, they go on after the last round that was completed.

    Args:
        model: made and compiled within strategy.scope(); the optimizer clips as on one device if
            its class has `SumThenClip`.
        strategy: on two machines or more, `tf.distribute.MultiWorkerMirroredStrategy()`.
        data_fn: the batches of round n, from 0, as a dataset of the model's inputs, which must
            depend on n alone; labels are dense (see `dense_labels` of datasets.py). A round can be
            an epoch or some shards of one. Every worker reads it all and keeps its share of each
            batch; the shares may be uneven.
        rounds: to train in all, those before a restart included.
        folder: of `checkpoint.npz`; all workers must see the same one, and the chief (worker 0,
            where there is none) writes it. It holds the optimizer's state and learning rate, too.

    Yields:
        After each round its number, from 1, and its mean loss; none if all were completed before.

    Raises:
        RuntimeError: another worker is lost, or sees another checkpoint.
        FloatingPointError: the loss is no longer finite; the checkpoint stays that of before.
        ValueError: a model that is not compiled or adds no loss, `rounds` that are no integer from
            0 on, a round without batches, a checkpoint of another model.

    >>> import tempfile
    >>> layers = [keras.layers.Dense(1, kernel_initializer="ones")]
    >>> layers += [keras.layers.ActivityRegularization(l2=1.0)]  # adds the loss sum(outputs ** 2)
    >>> model = keras.Sequential([keras.Input((1,)), *layers])
    >>> model.compile(keras.optimizers.SGD(0.125))
    >>> data, strategy = tf.data.Dataset.from_tensors([[1.0]]), tf.distribute.get_strategy()
    >>> list(train_in_rounds(model, strategy, lambda number: data, 3, tempfile.mkdtemp()))
    [(1, 1.0), (2, 0.25), (3, 0.0625)]
    """
    checkpoint = Path(folder) / "checkpoint.npz"
    if not isinstance(rounds, int | np.integer) or rounds < 0:
        raise ValueError(f"rounds={rounds!r}: give an integer, at least 0")
    if getattr(model, "optimizer", None) is None:
        raise ValueError("the model has no optimizer: compile it within strategy.scope()")
    with strategy.scope():
        model.optimizer.build(model.trainable_variables)
    measured = {id(v) for v in model.metrics_variables}
    variables = [v for v in model.variables if id(v) not in measured] + model.optimizer.variables
    completed, step, spec = _restore(checkpoint, variables), None, None
    try:
        _check_same(strategy, completed, checkpoint)
        for number in range(completed, rounds):
            data = strategy.experimental_distribute_dataset(_by_rows(data_fn(number)))
            if data.element_spec != spec:  # such as batches of another fixed length
                spec = data.element_spec
                step = _compiled_step(model, strategy, spec)
            losses = [step(batch) for batch in data]
            if not losses:
                raise ValueError(f"data_fn({number}) holds no batches")
            loss = float(np.mean([float(loss) for loss in losses]))
            if not np.isfinite(loss):
                raise FloatingPointError(f"the loss of round {number + 1} is {loss}: not saved")
            completed = number + 1
            if strategy.extended.should_checkpoint:  # the chief, which is worker 0 without one
                _save(checkpoint, variables, completed)
            yield completed, loss
    except _LOST as error:
        raise RuntimeError(
            f"stopped after round {completed}: another worker is lost, see its log. Start all "
            "workers again: they go on from the last checkpoint"
        ) from error


def _compiled_step(model, strategy, element_spec):
    """A function of one distributed batch: updates the model, returns the mean loss."""

    def one_replica(batch):
        with tf.GradientTape() as tape:
            model(batch, training=True)
            if not model.losses:
                raise ValueError("the model adds no loss: put a layer into it that does")
            # The optimizer adds up the replicas' gradients; wanted is their mean.
            loss = tf.add_n(model.losses) / strategy.num_replicas_in_sync
            scaled = model.optimizer.scale_loss(loss)  # under mixed precision it divides by that
        gradients = tape.gradient(scaled, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        return loss

    @tf.function(input_signature=[element_spec])
    def step(batch):
        return strategy.reduce("SUM", strategy.run(one_replica, args=(batch,)), axis=None)

    return step


def _by_rows(dataset):
    """Workers share every batch; the default would be to share out the files, if it has any."""
    if not isinstance(dataset, tf.data.Dataset):
        raise ValueError(f"data_fn must return a tf.data.Dataset, not {dataset!r}")
    options = tf.data.Options()
    policy = tf.data.experimental.AutoShardPolicy.DATA
    options.experimental_distribute.auto_shard_policy = policy
    return dataset.with_options(options)


def _check_same(strategy, completed, checkpoint):
    def total():
        replica = tf.distribute.get_replica_context()
        return replica.all_reduce(tf.distribute.ReduceOp.MEAN, tf.constant(float(completed)))

    mean = float(strategy.experimental_local_results(strategy.run(tf.function(total)))[0])
    if mean != completed:
        raise RuntimeError(f"the workers do not see the same {checkpoint}: share its folder")


def _save(checkpoint, variables, completed):
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    unfinished = checkpoint.with_suffix(".unfinished.npz")
    values = [v.numpy() for v in variables]
    # NumPy's files don't know bfloat16.
    values = [v.astype(np.float32) if v.dtype.kind == "V" else v for v in values]
    np.savez(unfinished, completed, *values)
    os.replace(unfinished, checkpoint)  # all or nothing, even if the process is killed here


def _restore(checkpoint, variables):
    """The number of rounds completed, after giving the variables their values from the file."""
    if not checkpoint.exists():
        return 0
    try:
        with np.load(checkpoint) as saved:
            completed, *values = (saved[f"arr_{i}"] for i in range(len(saved.files)))
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return int(completed)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{checkpoint} is no checkpoint of this model: {error}") from error
