# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""`python -m ctc_tutorial learn FOLDER --save model.keras`; step by step in 10_your_own_data."""

import argparse
import json
import math
import os
import shutil
import signal
import zlib
from collections.abc import Callable
from pathlib import Path

from ._read import complain
from .feasibility import infeasible_reason
from .folders import Recordings, load_recordings
from .splits import split_by_speaker
from .text import Alphabet

BATCH_SIZE = 16
STEPS_PER_EPOCH = 100  # at least: from one look at the held-back recordings to the next
PATIENCE = 8  # epochs
RATE = 5e-3  # learning rate at the start; falls to 0 along a cosine
FRAME_SECONDS = 0.01


def learn(arguments: list[str]) -> int:
    """Train on a folder and save the best model.

    Returns the exit status: 0 if all went well, 1 if some recordings were bad and the others went
    on, 2 if it can't be done.
    """
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
        encoder, recordings, more_problems = _choose(recordings)
        problems += more_problems
        for problem in problems:
            complain(f"left out: {problem}")
        kept, held_back = split_by_speaker(recordings.speakers, seed=options.seed)
        _tell(recordings, kept, held_back)
        _learn(options, encoder, recordings, kept, held_back)
    except (ValueError, OSError) as error:
        complain(error)
        return 2
    except KeyboardInterrupt:
        complain("stopped; the same command goes on after the last epoch that had ended, if any")
        return 2
    return 1 if problems else 0


def _check_learn_options(options: argparse.Namespace) -> None:
    path = Path(options.save)
    if path.suffix != ".keras":
        raise ValueError(f"{path} must end in .keras")
    if not os.access(path.absolute().parent, os.W_OK):
        raise ValueError(f"{path} can't be written: no such folder, or no permission")
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give the model another name")
    if not Path(options.folder, "transcripts.csv").is_file():
        raise ValueError(
            f"{options.folder} holds no transcripts.csv, or is no folder: put your recordings into "
            "one, with a table of the columns path and text"
        )
    for name, number, least in (("steps", options.steps, 1), ("seed", options.seed, 0)):
        if number < least:
            raise ValueError(f"--{name} must be at least {least}, not {number}")


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
        others = ", but for a few recordings" if len(set(recordings.speakers)) > 1 else ""
        print(f"one speaker{others}: {len(held_back)} of the recordings are held back")
    else:
        print(f"{len(voices[0])} speakers to learn from; held back: {', '.join(sorted(voices[1]))}")


def _learn(
    options: argparse.Namespace, encoder: str, recordings: Recordings, kept, held_back
) -> None:
    """Train, as far as nobody interrupts it, bring the best weights back, measure and save."""
    import keras

    from .bucketing import bucketed_dataset
    from .encoders import audio_encoder, lstm_encoder
    from .models import build_models
    from .reader import reading_model
    from .training import KeepBest, RepeatableDropout, completed_epochs

    alphabet = Alphabet(recordings.characters)
    labels = [alphabet.encode(text) for text in recordings.texts]
    batches = math.ceil(len(kept) / BATCH_SIZE)
    passes = math.ceil(min(STEPS_PER_EPOCH, options.steps) / batches)  # over the data, in an epoch
    steps = passes * batches  # in an epoch
    epochs = math.ceil(options.steps / steps)
    work = _work_folder(options, recordings, kept)
    try:
        done = completed_epochs(work / "backup")
    except ValueError:  # killed while this was written
        done = 0
    if done:
        print(f"going on after epoch {done} of {epochs}")
    else:  # what is there then is half of a file
        shutil.rmtree(work / "backup", ignore_errors=True)

    def dataset(part, **order):
        features = [recordings.features[i] for i in part]
        return bucketed_dataset(features, [labels[i] for i in part], BATCH_SIZE, **order)

    encoders: dict[str, tuple[Callable, dict]] = {
        "audio": (audio_encoder, {}),
        "lstm": (lstm_encoder, {"units": 100, "bidirectional": True}),
    }
    encoder_fn, encoder_options = encoders[encoder]
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
    pressed: list[int] = []

    def between_batches(*_, **__) -> None:
        if pressed:
            raise KeyboardInterrupt

    def on_ctrl_c(number: int, _) -> None:
        # Raised here, it may strike in the middle of a callback of TensorFlow's, which swallows it.
        between_batches()  # but whoever presses again does not want to wait
        pressed.append(number)

    before = signal.signal(signal.SIGINT, on_ctrl_c)
    try:
        train_model.fit(
            data,
            epochs=epochs,
            steps_per_epoch=steps,
            validation_data=dataset(held_back, shuffle=False),
            callbacks=[
                best,
                RepeatableDropout(),
                keras.callbacks.LambdaCallback(
                    on_train_batch_end=between_batches, on_test_batch_end=between_batches
                ),
                keras.callbacks.BackupAndRestore(  # double: it may be killed while it writes
                    work / "backup", double_checkpoint=True, delete_checkpoint=False
                ),
            ],
        )
        interrupted = False
    except KeyboardInterrupt:
        if not best.record.exists():
            raise
        interrupted = True
    finally:
        signal.signal(signal.SIGINT, before)
    print(f"\nthe best weights are those of epoch {best.restore()}")

    model = reading_model(predict_model, recordings.characters, recordings.sample_rate)
    if Path(options.save).exists():
        print(f"{options.save} was there before, and is replaced")
    unfinished = work / "model.keras"
    model.save(unfinished)
    unfinished.replace(options.save)
    print(f"model  {options.save}")
    _measure(predict_model, alphabet, recordings, held_back)
    if interrupted:
        print(f"stopped: the same command goes on; to begin anew, delete {work}")
    else:
        shutil.rmtree(work)


def _measure(predict_model, alphabet, recordings: Recordings, held_back) -> None:
    """Say how the held-back recordings are read, and show three."""
    from .batches import pad_batch
    from .decoding import greedy_decode
    from .error_rates import label_error_rate, word_error_rate

    texts = []
    for start in range(0, len(held_back), BATCH_SIZE):  # all at once could fill the memory
        features = [recordings.features[i] for i in held_back[start : start + BATCH_SIZE]]
        outputs = predict_model.predict_on_batch(pad_batch(features))
        texts += [alphabet.decode(ids) for ids in greedy_decode(**outputs)]
    references = [recordings.texts[i] for i in held_back]
    print(
        f"held back: {label_error_rate(references, texts):.1%} of the characters wrong, "
        f"{word_error_rate(references, texts):.1%} of the words (a little too kind: the best "
        "weights were chosen on them)"
    )
    for reference, text in list(zip(references, texts, strict=True))[:3]:
        print(f"    {reference!r} -> {text!r}")


def _choose(recordings: Recordings) -> tuple[str, Recordings, list[str]]:
    """The encoder that fits, the recordings that it can learn from, and what is wrong with others.

    Convolutions are fast, and leave 25 frames a second. Where one text in fifty needs more, and two
    at least, all frames are kept, by an LSTM; where it is fewer, those are left out.
    """
    alphabet = Alphabet(recordings.characters)
    too_fast = [
        i
        for i, (x, text) in enumerate(zip(recordings.features, recordings.texts, strict=True))
        if infeasible_reason(alphabet.encode(text), len(x) // 4, alphabet.num_classes)
    ]
    if len(too_fast) > max(1, 0.02 * len(recordings.texts)):
        print(
            f"encoder: a bidirectional LSTM, 100 frames a second, as {len(too_fast)} recordings "
            "are spoken too fast for convolutions"
        )
        return "lstm", recordings, []
    print("encoder: convolutions, 25 frames a second")
    kept = [i for i in range(len(recordings.texts)) if i not in too_fast]
    problems = [
        f"{recordings.paths[i]} is spoken too fast for 25 frames a second" for i in too_fast
    ]
    fewer = recordings._replace(
        paths=[recordings.paths[i] for i in kept],
        features=[recordings.features[i] for i in kept],
        texts=[recordings.texts[i] for i in kept],
        speakers=[recordings.speakers[i] for i in kept],
    )
    return "audio", fewer, problems


def _work_folder(options: argparse.Namespace, recordings: Recordings, kept) -> Path:
    """Where the training keeps what it needs to go on; emptied if it was another training.

    Raises ValueError if what stands there is no training's.
    """
    folder = Path(f"{options.save}.training")
    what = {
        "steps": options.steps,
        "seed": options.seed,
        "texts": recordings.texts,
        "features": [zlib.crc32(features.tobytes()) for features in recordings.features],
        "learnt from": kept.tolist(),
    }
    record = folder / "training.json"
    text = json.dumps(what)
    if record.exists():
        if record.read_text(encoding="utf-8") == text:
            return folder
        print(f"{folder} holds another training, of other steps, seed or recordings: begins anew")
    elif folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is needed for the training: move away what it holds")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    record.write_text(text, encoding="utf-8")
    return folder
