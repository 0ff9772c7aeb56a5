"""Watching a training and resuming one that was killed. Stands alone.

Taught in notebook 07_reading_what_it_never_saw.
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

try:
    import tensorflow  # noqa: F401 - for an error that names the package to install
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "this module needs TensorFlow: pip install tensorflow-cpu (or tensorflow)"
    ) from error
import keras


class DecodedSamples(keras.callbacks.Callback):
    """Prints after an epoch its metrics and, for a few utterances, truth and decoded text.

    Meant for `fit(verbose=0)` or `fit(verbose=2)`; a progress bar would run into the text. An
    exact match is marked "=".

    Args:
        predict_model: the model that shares the weights of the trained one.
        inputs: what `predict_model` takes, one batch of a few utterances: arrays or a dict of them.
        truths: the text of each utterance.
        decode: called with what `predict_model` returns (NumPy arrays, structured as its outputs);
            returns one text per utterance.
        every: epochs from one display to the next.
        print_fn: called with each line.

    Raises:
        ValueError: `every` below 1; while training, another number of texts than of truths.
    """

    def __init__(
        self,
        predict_model: keras.Model,
        inputs: Any,
        truths: Sequence[str],
        decode: Callable[[Any], Sequence[str]],
        every: int = 1,
        print_fn: Callable[[str], object] = print,
    ) -> None:
        if every < 1:
            raise ValueError(f"every={every}: at least 1 epoch lies between two displays")
        super().__init__()
        self.predict_model = predict_model
        self.inputs, self.truths, self.decode = inputs, truths, decode
        self.every, self.print_fn = every, print_fn

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if (epoch + 1) % self.every:
            return
        texts = self.decode(self.predict_model.predict_on_batch(self.inputs))
        if len(texts) != len(self.truths):
            raise ValueError(f"decode returned {len(texts)} texts for {len(self.truths)} truths")
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in (logs or {}).items())
        self.print_fn(f"epoch {epoch + 1}: {metrics}")
        for truth, text in zip(self.truths, texts, strict=True):
            self.print_fn(f"    {truth!r} {'=' if text == truth else '->'} {text!r}")


class RepeatableDropout(keras.callbacks.Callback):
    """Makes what dropout draws in epoch n depend on its seed and n alone, also after a resume.

    Weight files hold no state of random generators (`keras.random.SeedGenerator`: a seed and a
    counter), so with BackupAndRestore a resumed dropout starts over at its first draw. Use it in
    the run that may be killed as well as in the one that resumes it.
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

    Source: https://keras.io/api/callbacks/backup_and_restore; the file is known from the source of
    Keras 3.6 to 3.15, which document no way to ask for the number.
    """
    metadata = Path(backup_dir) / "training_metadata.json"
    return json.loads(metadata.read_text())["epoch"] if metadata.exists() else 0
