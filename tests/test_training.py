"""Training as people do it: watched, stopped early, kept, killed and resumed."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import ctc_tutorial as ctc

pytestmark = pytest.mark.slow

NUM_FEATURES, CLASSES = 8, 6


def utterances(count, seed):
    """Sequences of 3 to 8 sounds, each of 3 to 6 noisy frames around the sound's prototype, with
    a silent frame before each; the prototypes are the same for every seed."""
    prototypes = np.random.default_rng(99).normal(size=(CLASSES - 1, NUM_FEATURES))
    rng = np.random.default_rng(seed)
    features, labels = [], [rng.integers(0, CLASSES - 1, rng.integers(3, 9)) for _ in range(count)]
    for ids in labels:
        sounds = [
            np.vstack([np.zeros(NUM_FEATURES), [prototypes[i]] * rng.integers(3, 7)]) for i in ids
        ]
        frames = np.concatenate(sounds)
        features.append((frames + rng.normal(0, 0.5, frames.shape)).astype(np.float32))
    return features, labels


def small_models(seed):
    return ctc.build_models(ctc.lstm_encoder, NUM_FEATURES, CLASSES, units=32, seed=seed)


def error_rate(predict_model, features, labels):
    outputs = predict_model.predict_on_batch(ctc.pad_batch(features))
    return ctc.label_error_rate(labels, ctc.greedy_decode(**outputs))


@pytest.mark.training
def test_sixteen_utterances_in_shuffled_batches_are_learnt_to_zero_error(training_seed):
    features, labels = utterances(16, seed=0)
    assert len({len(f) for f in features}) > 8
    train_model, predict_model = small_models(training_seed)
    assert error_rate(predict_model, features, labels) > 0.5
    train_model.compile(optimizer=keras.optimizers.Adam(0.02, global_clipnorm=5.0))
    dataset = ctc.bucketed_dataset(features, labels, batch_size=4, seed=training_seed)
    # The last mistakes go at epoch 30 or so; then the loss falls to a twentieth of theirs.
    train_model.fit(dataset, epochs=80, verbose=0)
    assert error_rate(predict_model, features, labels) == 0
    assert train_model.evaluate(dataset, verbose=0, return_dict=True)["ler"] == 0


def logged(folder, tag):
    """What TensorBoard would draw: the values of `tag` in the event files of a folder."""
    records = tf.data.TFRecordDataset([str(path) for path in folder.glob("events.out.tfevents.*")])
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in records]
    values = [v for event in events for v in event.summary.value if v.tag == tag]
    return [float(tf.make_ndarray(v.tensor)) for v in values]


@pytest.mark.training
def test_early_stopping_checkpoint_tensorboard_and_schedule_together(tmp_path, training_seed):
    train = ctc.bucketed_dataset(*utterances(32, seed=0), batch_size=4, seed=training_seed)
    held_out = utterances(16, seed=1)
    validation = ctc.bucketed_dataset(*held_out, batch_size=4, shuffle=False)
    model, predict_model = small_models(training_seed)
    schedule = keras.optimizers.schedules.CosineDecay(0.02, 60 * 8)
    model.compile(optimizer=keras.optimizers.Adam(schedule, global_clipnorm=5.0))
    # Keras can't tell by the name which way val_ler is better: mode. At first the model emits
    # blanks alone, and no patience is long enough for every plateau: start_from_epoch.
    stop = keras.callbacks.EarlyStopping(
        "val_ler", mode="min", patience=5, start_from_epoch=5, restore_best_weights=True
    )
    best = tmp_path / "best.keras"
    keep = keras.callbacks.ModelCheckpoint(best, "val_ler", mode="min", save_best_only=True)
    board = keras.callbacks.TensorBoard(tmp_path / "logs")
    history = model.fit(
        train, validation_data=validation, epochs=60, verbose=0, callbacks=[stop, keep, board]
    ).history

    rates = history["val_ler"]
    assert len(rates) == np.argmin(rates) + 1 + 5 < 60 and min(rates) < 0.2 < rates[0]
    outputs = predict_model.predict_on_batch(ctc.pad_batch(held_out[0]))
    pairs = zip(held_out[1], ctc.greedy_decode(**outputs), strict=True)
    each = [ctc.label_error_rate([ids], [decoded]) for ids, decoded in pairs]
    assert np.mean(each) == pytest.approx(min(rates))  # `ler` is a mean over utterances
    kept = keras.models.load_model(best)
    assert kept.evaluate(validation, verbose=0, return_dict=True)["ler"] == min(rates)
    for ours, theirs in zip(model.get_weights(), kept.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(logged(tmp_path / "logs" / "validation", "epoch_ler"), rates)
    rate = 0.02 * (1 + math.cos(math.pi * len(rates) / 60)) / 2
    assert float(model.optimizer.learning_rate) == pytest.approx(rate, rel=1e-4)


def train(backup_dir, kill_at=None):
    """Five epochs of four steps with everything that has a state: batch norm, dropout, Adam's
    moments, a schedule, the order of the data. Dies in the step `kill_at`."""
    model, _ = ctc.build_models(ctc.audio_encoder, NUM_FEATURES, CLASSES, seed=0)
    model.compile(optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 20)))
    first_epoch = ctc.completed_epochs(backup_dir)
    dataset = ctc.bucketed_dataset(*UTTERANCES, batch_size=4, first_epoch=first_epoch)
    # The callback that kills comes first: the backup has no chance to see the step.
    kill = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, logs: (
            int(model.optimizer.iterations) == kill_at and os._exit(9)
        )
    )
    callbacks = [kill, keras.callbacks.BackupAndRestore(backup_dir), ctc.RepeatableDropout()]
    history = model.fit(dataset, epochs=5, verbose=0, callbacks=callbacks)
    return history.epoch, [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


UTTERANCES = utterances(16, seed=0)
UTTERANCES = [np.repeat(f, 4, axis=0) for f in UTTERANCES[0]], UTTERANCES[1]  # encoder's stride


def test_a_killed_training_resumes_to_the_weights_of_an_uninterrupted_one(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    code = f"import test_training; test_training.train({str(killed)!r}, kill_at=10)"
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path})
    assert result.returncode == 9
    assert ctc.completed_epochs(killed) == 2 and ctc.completed_epochs(whole) == 0

    epochs, resumed = train(killed)
    all_epochs, expected = train(whole)
    assert (epochs, all_epochs) == ([2, 3, 4], [0, 1, 2, 3, 4])
    for ours, theirs in zip(resumed, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_decoded_samples_are_shown_every_few_epochs():
    features, labels = utterances(16, seed=0)
    train_model, predict_model = small_models(seed=0)
    train_model.compile(optimizer=keras.optimizers.Adam(0.02, global_clipnorm=5.0))
    alphabet = ctc.Alphabet("abcde")
    references = [alphabet.decode(ids) for ids in labels[:2]]

    def read(outputs):
        assert all(isinstance(array, np.ndarray) for array in outputs.values())
        return [alphabet.decode(ids) for ids in ctc.greedy_decode(**outputs)]

    lines = []
    inputs = ctc.pad_batch(features[:2])
    samples = ctc.DecodedSamples(
        predict_model, inputs, references, read, every=40, print_fn=lines.append
    )
    dataset = ctc.bucketed_dataset(features, labels, batch_size=4)
    history = train_model.fit(dataset, epochs=85, verbose=0, callbacks=[samples]).history
    assert len(lines) == 2 * 3
    for line, epoch in ((lines[0], 40), (lines[3], 80)):
        metrics = dict(re.findall(r"(\w+) ([\d.e+-]+)", line.removeprefix(f"epoch {epoch}: ")))
        expected = {name: pytest.approx(history[name][epoch - 1], rel=1e-3) for name in history}
        assert {name: float(value) for name, value in metrics.items()} == expected
    assert lines[4:] == [f"    {text!r} = {text!r}" for text in references]


class Constant(keras.Model):
    def predict_on_batch(self, x):
        return x


def test_decoded_samples_mark_what_is_right():
    lines = []
    samples = ctc.DecodedSamples(
        Constant(), None, ["ab", "c"], lambda _: ["b", "c"], print_fn=lines.append
    )
    samples.on_epoch_end(0, {"loss": 1.25})
    assert lines == ["epoch 1: loss 1.25", "    'ab' -> 'b'", "    'c' = 'c'"]


def test_decoded_samples_refuse_another_number_of_texts_and_no_epochs():
    samples = ctc.DecodedSamples(Constant(), None, ["ab", "c"], lambda _: ["?"])
    with pytest.raises(ValueError, match="1 texts for 2 references"):
        samples.on_epoch_end(0)
    with pytest.raises(ValueError, match="every=0: give an integer"):
        ctc.DecodedSamples(Constant(), None, ["ab"], lambda _: ["ab"], every=0)


def test_the_optimizer_of_the_lesson_is_sgd_whose_rate_falls_to_zero_along_a_cosine():
    optimizer = ctc.lesson_optimizer(steps=8)
    weight = keras.Variable([0.0])
    optimizer.build([weight])
    assert type(optimizer) is keras.optimizers.SGD
    assert (optimizer.momentum, optimizer.global_clipnorm) == (0.9, 5.0)
    rates = []
    for _ in range(9):
        rates.append(float(optimizer.learning_rate))
        optimizer.apply([tf.constant([1.0])], [weight])
    expected = [0.2 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(9)]
    np.testing.assert_allclose(rates, expected, atol=1e-7)


class Weight(keras.Model):
    """A model of one weight, which stands for all the weights of an epoch."""

    def __init__(self):
        super().__init__()
        self.weight = self.add_weight(name="weight", shape=())
        self.built = True

    def call(self, x):
        return x * self.weight


def epochs(callback, model, values, first=0):
    """Tell the callback of epochs whose weight is their number; returns those that were run."""
    callback.set_model(model)
    callback.on_train_begin()
    model.stop_training = False
    for epoch, (ler, loss) in enumerate(values, first):
        model.weight.assign(epoch + 1.0)
        callback.on_epoch_end(epoch, {"val_ler": ler, "val_loss": loss, "loss": 9.0})
        if model.stop_training:
            return epoch + 1 - first
    return len(values)


def test_the_best_weights_come_back_and_the_loss_decides_between_equals(tmp_path):
    best, model = ctc.KeepBest(tmp_path / "b.weights.h5"), Weight()
    assert epochs(best, model, [(1.0, 50), (1.0, 40), (0.3, 60), (0.3, 70), (0.4, 10)]) == 5
    assert best.restore() == 3 and float(model.weight) == 3.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.json", "b.weights.h5"]


@pytest.mark.parametrize("killed_after", [0, 1, 2, 3])
def test_patience_counts_over_a_kill_and_the_best_is_remembered(tmp_path, killed_after):
    values, model = [(0.5, 1), (0.2, 1), (0.3, 1), (0.2, 2), (0.1, 1)], Weight()
    first = ctc.KeepBest(tmp_path / "b.weights.h5", patience=2)
    epochs(first, model, values[:killed_after])
    again = ctc.KeepBest(tmp_path / "b.weights.h5", patience=2)
    assert epochs(again, model, values[killed_after:], killed_after) == 4 - killed_after
    assert again.restore() == 2 and float(model.weight) == 2.0


def test_nan_is_never_the_best(tmp_path):
    best, model = ctc.KeepBest(tmp_path / "b.weights.h5"), Weight()
    epochs(best, model, [(float("nan"), 1), (0.9, 1), (float("nan"), 0)])
    assert best.restore() == 2


def test_without_an_epoch_there_is_nothing_to_restore(tmp_path):
    with pytest.raises(FileNotFoundError, match="not one epoch has ended"):
        ctc.KeepBest(tmp_path / "b.weights.h5").restore()


def test_the_folder_is_made_before_the_training_and_epochs_without_a_value_are_told(tmp_path):
    best, model = ctc.KeepBest(tmp_path / "new" / "b.weights.h5", patience=2), Weight()
    model.compile("sgd", "mse")
    x = np.ones((2, 1))
    with pytest.warns(UserWarning, match=r"epoch 1 has no \['val_ler', 'val_loss'\]"):
        epochs(best, model, [])
        best.on_epoch_end(0, {"loss": 1.0})  # as with validation_freq=2
    assert epochs(best, model, [(0.5, 1)], first=1) == 1
    assert best.restore() == 2 and (tmp_path / "new" / "b.weights.h5").exists()
    assert float(model(x)[0, 0]) == 2.0


def test_the_name_of_one_value_is_enough(tmp_path):
    best, model = ctc.KeepBest(tmp_path / "b.weights.h5", monitor="val_loss"), Weight()
    epochs(best, model, [(0.1, 2), (0.2, 1), (0.1, 3)])
    assert best.restore() == 2
