# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""`python -m ctc_tutorial learn FOLDER --save model.keras`, and `read model.keras new.wav ...`.

Both return the exit status: 0 if all went well, 1 if some recordings were bad and the others went
on, 2 if it can't be done. What they do, step by step: notebook 10_your_own_data.
"""

import argparse
import json
import math
import os
import shutil
import sys
from pathlib import Path

from .folders import Recordings, load_recordings
from .splits import split_by_speaker

BATCH_SIZE = 16
STEPS_PER_EPOCH = 100  # at least: from one look at the held-back recordings to the next
PATIENCE = 8  # epochs
RATE = 5e-3  # learning rate at the start; falls to 0 along a cosine
FRAME_SECONDS = 0.01


def learn(arguments: list[str]) -> int:
    """Train on a folder and save the best model."""
    parser = argparse.ArgumentParser(
        prog="python -m ctc_tutorial learn",
        description="Train a model on a folder of recordings. Killed, it goes on where it was "
        "when the same command is given again; Ctrl-C stops it and saves the best model so far.",
    )
    parser.add_argument("folder", help="holds transcripts.csv with the columns path and text")
    parser.add_argument("--save", metavar="FILE.keras", required=True, help="the model goes here")
    parser.add_argument("--steps", type=int, default=2000, help="training steps (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and split (default 0)")
    options = parser.parse_args(arguments)
    try:
        _check_learn_options(options)
        recordings, problems = load_recordings(Path(options.folder, "transcripts.csv"))
        for problem in problems:
            _complain(f"left out: {problem}")
        kept, held_back = split_by_speaker(recordings.speakers, seed=options.seed)
        _tell(recordings, kept, held_back)
        _learn(options, recordings, kept, held_back)
    except (ValueError, OSError) as error:
        _complain(error)
        return 2
    except KeyboardInterrupt:
        _complain("stopped before the first epoch had ended: there is no model to keep")
        return 2
    return 1 if problems else 0


def read(arguments: list[str]) -> int:
    """Read new recordings with a saved model, a line for each: its name, the text, confidence."""
    parser = argparse.ArgumentParser(
        prog="python -m ctc_tutorial read",
        description="Read recordings with a model that `learn` saved. A line for each: its name, "
        "the text, and the confidence, 0 to 1, between tabs.",
    )
    parser.add_argument("model", help="what `learn` saved")
    parser.add_argument("recordings", nargs="+", metavar="FILE")
    options = parser.parse_args(arguments)
    from .reader import characters_and_rate

    try:
        model = _load_model(options.model)
        characters, sample_rate = characters_and_rate(model)
    except (ValueError, OSError) as error:
        _complain(error)
        return 2
    status = 0
    for path in options.recordings:
        try:
            reading = _read(model, path, characters, sample_rate)
            print(f"{path}\t{reading.text}\t{reading.confidence:.2f}", flush=True)
        except (ValueError, OSError) as error:
            _complain(error)
            status = 1
    return status


def _complain(problem: object) -> None:
    print(f"ctc_tutorial: {' '.join(str(problem).split())}", file=sys.stderr, flush=True)


def _check_learn_options(options: argparse.Namespace) -> None:
    path = Path(options.save)
    if path.suffix != ".keras":
        raise ValueError(f"{path} must end in .keras")
    if not os.access(path.absolute().parent, os.W_OK):
        raise ValueError(f"{path} can't be written: no such folder, or no permission")
    if options.steps < 1:
        raise ValueError(f"--steps must be at least 1, not {options.steps}")


def _tell(recordings: Recordings, kept, held_back) -> None:
    minutes = sum(map(len, recordings.features)) * FRAME_SECONDS / 60
    print(
        f"{len(recordings.paths)} recordings, {minutes:.1f} minutes at "
        f"{recordings.sample_rate} Hz\ncharacters {recordings.characters!r}"
    )
    if recordings.dropped:
        lost = ", ".join(f"{c!r} {n} times" for c, n in recordings.dropped.most_common())
        print(f"left out of the texts: {lost}")
    if any(c.isdigit() for c in recordings.characters):
        print("numerals are learnt as characters: better spell them in the table")
    voices = [{recordings.speakers[i] for i in part} for part in (kept, held_back)]
    if voices[0] & voices[1]:
        print(f"one speaker: {len(held_back)} of the recordings are held back, to measure on")
    else:
        print(f"{len(voices[0])} speakers to learn from; held back: {', '.join(sorted(voices[1]))}")


def _learn(options: argparse.Namespace, recordings: Recordings, kept, held_back) -> None:
    """Train, as far as nobody interrupts it, bring the best weights back, measure and save."""
    import keras

    from .batches import pad_batch
    from .bucketing import bucketed_dataset
    from .decoding import greedy_decode
    from .error_rates import label_error_rate, word_error_rate
    from .models import build_models
    from .reader import reading_model
    from .text import Alphabet
    from .training import KeepBest, RepeatableDropout, completed_epochs

    alphabet = Alphabet(recordings.characters)
    labels = [alphabet.encode(text) for text in recordings.texts]
    batches = math.ceil(len(kept) / BATCH_SIZE)
    passes = math.ceil(min(STEPS_PER_EPOCH, options.steps) / batches)  # over the data, in an epoch
    steps = passes * batches  # in an epoch
    epochs = math.ceil(options.steps / steps)
    work = _work_folder(options, recordings, kept)
    done = completed_epochs(work / "backup")
    if done:
        print(f"going on after epoch {done} of {epochs}")

    def dataset(part, **order):
        features = [recordings.features[i] for i in part]
        return bucketed_dataset(features, [labels[i] for i in part], BATCH_SIZE, **order)

    encoder_fn, encoder_options = _encoder(recordings, labels, alphabet.num_classes)
    train_model, predict_model = build_models(
        encoder_fn,
        recordings.features[0].shape[1],
        alphabet.num_classes,
        seed=options.seed,
        **encoder_options,
    )
    rate = keras.optimizers.schedules.CosineDecay(RATE, epochs * steps)
    train_model.compile(keras.optimizers.Adam(rate, global_clipnorm=5.0))
    best = KeepBest(work / "best.weights.h5", patience=PATIENCE)
    best.set_model(train_model)
    data = dataset(kept, seed=options.seed, first_epoch=done * passes).repeat(passes)
    try:
        train_model.fit(
            data,
            epochs=epochs,
            steps_per_epoch=steps,
            validation_data=dataset(held_back, shuffle=False),
            callbacks=[
                best,
                RepeatableDropout(),
                keras.callbacks.BackupAndRestore(work / "backup", delete_checkpoint=False),
            ],
        )
        interrupted = False
    except KeyboardInterrupt:
        if not best.record.exists():
            raise
        interrupted = True
    print(f"\nthe best weights are those of epoch {best.restore()}")

    outputs = predict_model.predict(
        pad_batch([recordings.features[i] for i in held_back]), verbose=0
    )
    texts = [alphabet.decode(ids) for ids in greedy_decode(**outputs)]
    references = [recordings.texts[i] for i in held_back]
    print(
        f"held back: {label_error_rate(references, texts):.1%} of the characters wrong, "
        f"{word_error_rate(references, texts):.1%} of the words (a little too kind: the best "
        "weights were chosen on them)"
    )
    for reference, text in list(zip(references, texts, strict=True))[:3]:
        print(f"    {reference!r} -> {text!r}")
    model = reading_model(predict_model, recordings.characters, recordings.sample_rate)
    unfinished = work / "model.keras"
    model.save(unfinished)
    unfinished.replace(options.save)
    print(f"model  {options.save}")
    if interrupted:
        print(f"stopped: the same command goes on; to begin anew, delete {work}")
    else:
        shutil.rmtree(work)


def _encoder(recordings: Recordings, labels: list, num_classes: int) -> tuple:
    """The encoder that fits, and its options: a fast one, if it leaves frames enough."""
    from .encoders import audio_encoder, lstm_encoder
    from .feasibility import infeasible_reason

    tight = sum(
        infeasible_reason(ids, len(features) // 4, num_classes) is not None
        for ids, features in zip(labels, recordings.features, strict=True)
    )
    if not tight:
        print("encoder: convolutions, 25 frames a second")
        return audio_encoder, {}
    print(
        f"encoder: a bidirectional LSTM, 100 frames a second, as {tight} recordings are spoken too "
        "fast for convolutions with 25"
    )
    return lstm_encoder, {"units": 100, "bidirectional": True}


def _work_folder(options: argparse.Namespace, recordings: Recordings, kept) -> Path:
    """Where the training keeps what it needs to go on; emptied if it was another training."""
    folder = Path(f"{options.save}.training")
    what = {
        "steps": options.steps,
        "seed": options.seed,
        "texts": recordings.texts,
        "frames": [len(features) for features in recordings.features],
        "learnt from": kept.tolist(),
    }
    record = folder / "training.json"
    if not record.exists() or json.loads(record.read_text(encoding="utf-8")) != what:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        record.write_text(json.dumps(what), encoding="utf-8")
    return folder


def _load_model(path: str):
    import keras

    try:
        return keras.saving.load_model(path)
    except (ValueError, OSError, TypeError) as error:
        raise ValueError(f"{path} is no saved model that can be loaded ({error})") from error


def _read(model, path: str, characters: str, sample_rate: int):
    from .batches import pad_batch
    from .reader import read_best_path
    from .recordings import read_recording, resample
    from .speech import mfcc_features

    features = mfcc_features(resample(*read_recording(path), sample_rate), sample_rate)
    outputs = model.predict_on_batch(pad_batch([features]))
    length = int(outputs["logit_length"][0])
    if not length:
        raise ValueError(f"{path} is too short to be read: its {len(features)} frames leave none")
    seconds = len(features) * FRAME_SECONDS / length
    return read_best_path(outputs["logits"][0, :length], characters, seconds)
