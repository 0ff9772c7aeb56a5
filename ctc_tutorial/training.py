# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Watching a training, keeping its best, resuming one that was killed; the lesson's optimizer.

Stands alone. Taught in notebooks 08_reading_what_it_never_saw and 10_your_own_data (`KeepBest`);
the optimizer in 00_start_here.
"""

import json
import math
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np


def lesson_optimizer(steps: int) -> keras.optimizers.Optimizer:
    """The optimizer that learns the two utterances in `steps` updates, 400 to be sure.

    SGD with momentum, as in 2020, at a learning rate 40 times larger, which clipping the global
    gradient norm makes safe, and which falls to zero along a cosine (benchmarks/recipe.md).

    Raises:
        ValueError: `steps` that are no integer from 1 on.

    >>> optimizer = lesson_optimizer(steps=400)
    >>> rate = optimizer.get_config()["learning_rate"]["config"]
    >>> rate["initial_learning_rate"], rate["decay_steps"], optimizer.global_clipnorm
    (0.2, 400, 5.0)
    """
    _check_positive("steps", steps)
    rate = keras.optimizers.schedules.CosineDecay(0.2, steps)
    return keras.optimizers.SGD(rate, momentum=0.9, global_clipnorm=5.0)


class DecodedSamples(keras.callbacks.Callback):
    """Prints after an epoch its metrics and, for a few utterances, reference and prediction.

    Meant for `fit(verbose=0)` or `fit(verbose=2)`; a progress bar would run into the text. An
    exact match is marked "=".

    Args:
        predict_model: the model that shares the weights of the trained one.
        inputs: what `predict_model` takes, one batch of a few utterances: arrays or a dict of them.
        references: the text of each utterance.
        decode_fn: called with what `predict_model` returns (NumPy arrays, structured as its
            outputs), returns one text per utterance.
        every: epochs from one display to the next.
        print_fn: called with each line.

    Raises:
        ValueError: `every` that is no integer from 1 on; while training, another number of texts
            than of references.

    >>> x, model = keras.ops.zeros((1, 1)), keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> samples = DecodedSamples(model, x, ["one"], lambda outputs: ["on"] * len(outputs))
    >>> history = model.fit(x, x + 2, verbose=0, callbacks=[samples])
    epoch 1: loss 4
        'one' -> 'on'
    """

    def __init__(
        self,
        predict_model: keras.Model,
        inputs: Any,
        references: Sequence[str],
        decode_fn: Callable[[Any], Sequence[str]],
        every: int = 1,
        print_fn: Callable[[str], object] = print,
    ) -> None:
        _check_positive("every", every)
        super().__init__()
        self.predict_model, self.inputs = predict_model, inputs
        self.references, self.decode_fn = references, decode_fn
        self.every, self.print_fn = every, print_fn

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if (epoch + 1) % self.every:
            return
        texts = self.decode_fn(self.predict_model.predict_on_batch(self.inputs))
        if len(texts) != len(self.references):
            raise ValueError(
                f"decode_fn returned {len(texts)} texts for {len(self.references)} references"
            )
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in (logs or {}).items())
        self.print_fn(f"epoch {epoch + 1}: {metrics}")
        for reference, text in zip(self.references, texts, strict=True):
            self.print_fn(f"    {reference!r} {'=' if text == reference else '->'} {text!r}")


class KeepBest(keras.callbacks.Callback):
    """Keeps the best weights on disk and stops when they get no better; a killed run can go on.

    `keras.callbacks.EarlyStopping` holds the best weights in memory and forgets, when a run is
    killed, which epoch was the best; here both stand in files, and a run that is resumed with
    BackupAndRestore knows them. After `fit`, or when it was interrupted: `restore()`.

    Args:
        path: ends in .weights.h5; beside it comes a .json with the epoch and its values. Delete
            both before another training.
        monitor: name or names in the logs, smaller is better; the second decides where the first is
            equal, as on a plateau or with few labels, and so on. An epoch without one of them, as
            with `validation_freq=2`, is told by a warning and passed over.
        patience: epochs without a better one after which `fit` stops; None never stops it.

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    >>> model.set_weights([keras.ops.ones((1, 1)) * 3])
    >>> best = KeepBest(f"{tempfile.mkdtemp()}/best.weights.h5", monitor=("loss",), patience=2)
    >>> best.set_model(model)
    >>> best.on_train_begin()
    >>> best.on_epoch_end(0, {"loss": 0.5})
    >>> model.set_weights([keras.ops.ones((1, 1)) * 7])
    >>> best.on_epoch_end(1, {"loss": 0.9})  # worse: these weights are not kept
    >>> best.restore()
    1
    >>> model.get_weights()[0].tolist()
    [[3.0]]
    """

    def __init__(
        self,
        path: str | os.PathLike,
        monitor: str | Sequence[str] = ("val_ler", "val_loss"),
        patience: int | None = None,
    ) -> None:
        super().__init__()
        monitor = (monitor,) if isinstance(monitor, str) else tuple(monitor)
        self.path, self.monitor, self.patience = Path(path), monitor, patience
        self.record = self.path.with_name(self.path.name.removesuffix(".weights.h5") + ".json")

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.best = json.loads(self.record.read_text()) if self.record.exists() else None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        missing = [name for name in self.monitor if name not in (logs or {})]
        if missing:  # fit(validation_freq=2)
            warnings.warn(f"KeepBest: epoch {epoch + 1} has no {missing}", stacklevel=2)
            return
        # A NaN is worse than all numbers, and compares as smaller than none.
        values = [v if (v := float(logs[name])) == v else math.inf for name in self.monitor]
        if self.best is None or values < self.best["values"]:
            self.best = {"epoch": epoch + 1, "values": values}
            # Both get their names when they are whole, weights first: a kill leaves no halves.
            for path, write in (
                (self.path, lambda path: self.model.save_weights(path)),
                (self.record, lambda path: path.write_text(json.dumps(self.best))),
            ):
                unfinished = path.with_name(f"unfinished.{path.name}")
                write(unfinished)
                unfinished.replace(path)
        elif self.patience is not None and epoch + 1 - self.best["epoch"] >= self.patience:
            self.model.stop_training = True  # after this epoch

    def restore(self) -> int:
        """Give the model its best weights; returns the epoch that they are of, counted from 1.

        Raises:
            FileNotFoundError: no epoch has ended yet.

        >>> import tempfile
        >>> KeepBest(f"{tempfile.mkdtemp()}/best.weights.h5").restore()
        Traceback (most recent call last):
        FileNotFoundError: no weights are kept yet: not one epoch has ended
        """
        if not self.record.exists():
            raise FileNotFoundError("no weights are kept yet: not one epoch has ended")
        self.model.load_weights(self.path)
        return json.loads(self.record.read_text())["epoch"]


class RepeatableDropout(keras.callbacks.Callback):
    """Makes what dropout draws in epoch n depend on its seed and n alone, also after a resume.

    Weight files hold no state of random generators (`keras.random.SeedGenerator`: a seed and a
    counter), so with BackupAndRestore a resumed dropout starts over at its first draw. Use it in
    the run that may be killed as well as in the one that resumes it.

    >>> model = keras.Sequential([keras.Input((50,)), keras.layers.Dropout(0.5, seed=0)])
    >>> callback = RepeatableDropout()
    >>> callback.set_model(model)
    >>> def draw(epoch):
    ...     callback.on_epoch_begin(epoch)
    ...     return model(keras.ops.ones((1, 50)), training=True).numpy().tolist()
    >>> first = draw(3)
    >>> draw(4) == first, draw(3) == first
    (False, True)
    """

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        for variable in self.model.non_trainable_variables:
            if variable.name == "seed_generator_state":
                seed, _ = keras.ops.convert_to_numpy(variable)
                variable.assign([seed, epoch << 20])  # no epoch has a million steps


def completed_epochs(backup_dir: str | os.PathLike) -> int:
    """Epochs that `keras.callbacks.BackupAndRestore` will skip; 0 if there is no backup.

    BackupAndRestore restores weights, optimizer and epoch, but not the place in the data: a
    dataset whose order depends on the epoch has to be started at this one, as in
    `bucketed_dataset(..., first_epoch=completed_epochs(backup_dir))`. Nor does it restore dropout
    (see `RepeatableDropout`) or what other callbacks remember, such as the best value seen by
    EarlyStopping.

    Args:
        backup_dir: that of the callback, whose save_freq must be "epoch" (the default).

    Raises:
        ValueError: a backup that can't be read.

    Source: https://keras.io/api/callbacks/backup_and_restore; the file is known from the source of
    Keras 3.6 to 3.15, which document no way to ask for the number.

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x, folder = keras.ops.zeros((1, 1)), tempfile.mkdtemp()
    >>> backup = keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    >>> history = model.fit(x, x, epochs=3, verbose=0, callbacks=[backup])
    >>> completed_epochs(folder), completed_epochs("a folder without a backup")
    (3, 0)
    """
    metadata = Path(backup_dir) / "training_metadata.json"
    if not metadata.exists():
        return 0
    try:
        epoch = json.loads(metadata.read_text())["epoch"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{metadata} is no backup that Keras wrote: {error}") from error
    if not isinstance(epoch, int) or epoch < 0:
        raise ValueError(f"{metadata} is no backup that Keras wrote: its epoch is {epoch!r}")
    return epoch


def _check_positive(name: str, number: Any) -> None:
    if not isinstance(number, int | np.integer) or number < 1:
        raise ValueError(f"{name}={number!r}: give an integer, at least 1")
