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

from ctc_tutorial.batches import bucketed_dataset, pad_features
from ctc_tutorial.decoding import greedy_decode, label_error_rate
from ctc_tutorial.encoders import audio_encoder, build_encoder_models
from ctc_tutorial.layers import CTCLossLayer
from ctc_tutorial.models import build_models
from ctc_tutorial.training import DecodedSamples, RepeatableDropout, completed_epochs

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


def error_rate(predict_model, features, labels):
    padded, lengths = pad_features(features)
    return label_error_rate(labels, greedy_decode(predict_model.predict_on_batch(padded), lengths))


@pytest.mark.training
def test_sixteen_utterances_in_shuffled_batches_are_learnt_to_zero_error(training_seed):
    features, labels = utterances(16, seed=0)
    assert len({len(f) for f in features}) > 8
    train_model, predict_model = build_models(NUM_FEATURES, CLASSES, units=32, seed=training_seed)
    assert error_rate(predict_model, features, labels) > 0.5
    train_model.compile(optimizer=keras.optimizers.Adam(0.02, global_clipnorm=5.0))
    dataset = bucketed_dataset(features, labels, 4, CLASSES, seed=training_seed)
    # The last mistakes go at epoch 30 or so; then the loss falls to a twentieth of theirs.
    train_model.fit(dataset, epochs=80, verbose=0, shuffle=False)
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
    train = bucketed_dataset(*utterances(32, seed=0), 4, CLASSES, seed=training_seed)
    held_out = utterances(16, seed=1)
    validation = bucketed_dataset(*held_out, 4, CLASSES, shuffle=False)
    model, predict_model = build_models(NUM_FEATURES, CLASSES, units=32, seed=training_seed)
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
        train, validation_data=validation, epochs=60, verbose=0, shuffle=False,
        callbacks=[stop, keep, board],
    ).history  # fmt: skip

    rates = history["val_ler"]
    assert len(rates) == np.argmin(rates) + 1 + 5 < 60 and min(rates) < 0.2 < rates[0]
    assert error_rate(predict_model, *held_out) == pytest.approx(min(rates))
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
    model, _ = build_encoder_models(audio_encoder, NUM_FEATURES, CLASSES, CTCLossLayer(), seed=0)
    model.compile(optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 20)))
    dataset = bucketed_dataset(*UTTERANCES, 4, CLASSES, first_epoch=completed_epochs(backup_dir))
    # The callback that kills comes first: the backup has no chance to see the step.
    kill = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, logs: (
            int(model.optimizer.iterations) == kill_at and os._exit(9)
        )
    )
    callbacks = [kill, keras.callbacks.BackupAndRestore(backup_dir), RepeatableDropout()]
    history = model.fit(dataset, epochs=5, verbose=0, shuffle=False, callbacks=callbacks)
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
    assert completed_epochs(killed) == 2 and completed_epochs(whole) == 0

    epochs, resumed = train(killed)
    all_epochs, expected = train(whole)
    assert (epochs, all_epochs) == ([2, 3, 4], [0, 1, 2, 3, 4])
    for ours, theirs in zip(resumed, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_decoded_samples_are_shown_every_few_epochs():
    features, labels = utterances(16, seed=0)
    train_model, predict_model = build_models(NUM_FEATURES, CLASSES, units=32, seed=0)
    train_model.compile(optimizer=keras.optimizers.Adam(0.02, global_clipnorm=5.0))
    few, lengths = pad_features(features[:2])
    truths = ["".join("abcde"[i] for i in ids) for ids in labels[:2]]

    def decode(logits):
        assert isinstance(logits, np.ndarray)
        return ["".join("abcde"[i] for i in ids) for ids in greedy_decode(logits, lengths)]

    lines = []
    samples = DecodedSamples(predict_model, few, truths, decode, every=40, print_fn=lines.append)
    dataset = bucketed_dataset(features, labels, 4, CLASSES)
    options = {"epochs": 85, "verbose": 0, "shuffle": False}
    history = train_model.fit(dataset, callbacks=[samples], **options).history
    assert len(lines) == 2 * 3
    for line, epoch in ((lines[0], 40), (lines[3], 80)):
        metrics = dict(re.findall(r"(\w+) ([\d.e+-]+)", line.removeprefix(f"epoch {epoch}: ")))
        expected = {name: pytest.approx(history[name][epoch - 1], rel=1e-3) for name in history}
        assert {name: float(value) for name, value in metrics.items()} == expected
    assert lines[4:] == [f"    {truth!r} = {truth!r}" for truth in truths]

    samples.decode = lambda logits: ["?"]
    with pytest.raises(ValueError, match="1 texts for 2 truths"):
        samples.on_epoch_end(39)
    samples.decode = lambda logits: ["?", truths[1]]
    samples.on_epoch_end(39, {})
    assert lines[-2:] == [f"    {truths[0]!r} -> '?'", f"    {truths[1]!r} = {truths[1]!r}"]
    with pytest.raises(ValueError, match="every=0"):
        DecodedSamples(predict_model, few, truths, decode, every=0)
