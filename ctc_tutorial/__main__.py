"""The main job: learn a recording and its text, read it back. `python -m ctc_tutorial --help`.

`learn FOLDER` and `read MODEL FILES`, for many recordings and new ones, have files of their own.

Two networks share it. The LSTM of the lesson reads. It learns by heart, so where it writes a letter
means little; the aligner, which has no memory, says where the letters are spoken.
"""

import argparse
import io
import math
import os
import sys
import time
from pathlib import Path
from typing import TextIO

# Before TensorFlow is imported: no start-up lines; without oneDNN one library less whose rounding
# differs from machine to machine.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from ._read import complain
from .data import sentence
from .data.sentence import Utterance
from .feasibility import check_feasible
from .speech import mfcc_features, read_wav
from .text import Alphabet

STEPS_PER_EPOCH = 40
FRAME_SECONDS, FRAME_MIDDLE = 0.01, 0.0125  # seconds: a frame is 0.025 s long
PICTURES = (".png", ".svg", ".pdf")


def main(arguments: list[str] | None = None) -> int:
    """Run the job or a command; the exit status is 0, or 2 and a line if it can't be done."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] in (["learn"], ["read"]):
        from ._learn import learn
        from ._read import read

        return {"learn": learn, "read": read}[arguments[0]](arguments[1:])
    options = _parser().parse_args(arguments)
    alphabet = Alphabet()
    try:
        _check_options(options)
        utterances = _load(options)
        features = [mfcc_features(u.waveform, u.sample_rate) for u in utterances]
        labels = [alphabet.encode(u.text) for u in utterances]
        check_feasible(labels, [len(f) for f in features], alphabet.num_classes)
    except (ValueError, OSError) as error:
        complain(error)
        return 2
    _learn(options, alphabet, utterances, features, labels)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ctc_tutorial",
        description="Train a small CTC model on a recording until it can read it back.",
        epilog="For a folder of recordings: python -m ctc_tutorial learn --help; to read new ones "
        "with what it saved: python -m ctc_tutorial read --help.",
    )
    parser.add_argument("--recording", choices=("bundled", "ldc93s1"), default="bundled")
    parser.add_argument("--wav", metavar="FILE", help="your own recording instead; needs --text")
    parser.add_argument("--text", help="what is said in it: letters a-z and spaces")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights (default 0)")
    parser.add_argument("--steps", type=int, default=400, help="training steps (default 400)")
    parser.add_argument("--plot", metavar="FILE", help="save the picture here (png, svg or pdf)")
    parser.add_argument(
        "--save", metavar="FILE.keras", help="save the prediction model here (`read` takes others)"
    )
    return parser


def _check_options(options: argparse.Namespace) -> None:
    if (options.wav is None) != (options.text is None):
        raise ValueError("--wav and --text go together")
    if options.text is not None and not options.text.strip():
        raise ValueError("--text is empty: there is nothing to learn")
    if options.steps < 1:
        raise ValueError(f"--steps must be at least 1, not {options.steps}")
    for path, suffixes in ((options.plot, PICTURES), (options.save, (".keras",))):
        if path is not None and Path(path).suffix not in suffixes:
            raise ValueError(f"{path} must end in {' or '.join(suffixes)}")
        if path is not None and not os.access(Path(path).absolute().parent, os.W_OK):
            raise ValueError(f"{path} can't be written: no such folder, or no permission")


def _load(options: argparse.Namespace) -> list[Utterance]:
    """The reader's own utterance; or a recording of the sentence, and four words cut out of it."""
    if options.wav:
        return [Utterance(*read_wav(options.wav), options.text.lower())]
    known = {"bundled": sentence.load_sentence, "ldc93s1": sentence.fetch_ldc93s1}
    return sentence.make_lesson_pair(known[options.recording]())


def _learn(
    options: argparse.Namespace,
    alphabet: Alphabet,
    utterances: list[Utterance],
    features: list,
    labels: list,
) -> None:
    from .batches import pad_batch
    from .datasets import repeat_batch
    from .decoding import greedy_decode
    from .encoders import lstm_encoder
    from .error_rates import label_error_rate
    from .models import build_models
    from .training import lesson_optimizer

    batch = pad_batch(features, labels)
    train_model, predict_model = build_models(
        lstm_encoder, num_features=13, num_classes=alphabet.num_classes, seed=options.seed
    )
    # The repeated batch makes an epoch many steps long, and TensorFlow makes them without a word to
    # Keras in between: fit's own cost per epoch and per step is paid rarely.
    epochs = math.ceil(options.steps / STEPS_PER_EPOCH)
    steps = math.ceil(options.steps / epochs)
    train_model.compile(lesson_optimizer(options.steps), steps_per_execution=steps)
    started = time.perf_counter()
    # Else Keras does so in the first step, and TensorFlow then traces that step twice.
    train_model.optimizer.build(train_model.trainable_variables)
    train_model.fit(repeat_batch(batch), epochs=epochs, steps_per_epoch=steps, verbose=1)
    seconds = time.perf_counter() - started

    outputs = predict_model.predict(pad_batch(features), verbose=0)
    for utterance, ids in zip(utterances, greedy_decode(**outputs), strict=True):
        decoded = alphabet.decode(ids)
        rate = label_error_rate([utterance.text], [decoded])
        print(f"\ntruth    {utterance.text}\ndecoded  {decoded}\nlabel error rate  {rate:.3f}")
    print(f"\n{int(train_model.optimizer.iterations)} training steps in {seconds:.1f} s")
    bundled = options.recording == "bundled" and not options.wav
    words = sentence.load_word_times() if bundled else []
    _point(options.plot, alphabet, utterances[0], labels[0], batch, words)
    if options.save:
        predict_model.save(options.save)
        print(f"model    {options.save}")


def _point(
    plot: str | None, alphabet: Alphabet, utterance: Utterance, ids, batch: dict, words: list
) -> None:
    """Say when each letter of the first utterance is spoken; draw it if `plot` is a path."""
    from .aligner import middle_frames, share_in_words, train_aligner
    from .lattice import forced_align, spans_to_seconds
    from .losses import ctc_loss

    started = time.perf_counter()
    logits = train_aligner(**batch, num_classes=alphabet.num_classes, loss_fn=ctc_loss)
    seconds = time.perf_counter() - started
    logits = logits[0, : batch["feature_length"][0]]  # [T, C]
    spans = forced_align(logits, ids).spans
    if words:
        times = middle_frames(logits, spans) * FRAME_SECONDS + FRAME_MIDDLE
        share = share_in_words(utterance.text, times, words)
        found = f"{share:.0%} of the letters lie in their word, give or take 0.05 s"
    else:
        found = "not checked: nobody has marked when the words of this recording are spoken"
    print(f"aligner  {found}; trained in {seconds:.1f} s")
    if plot:
        in_seconds = spans_to_seconds(spans, FRAME_SECONDS)
        letters = [
            (c, span.start, span.end) for c, span in zip(utterance.text, in_seconds, strict=True)
        ]
        _plot(plot, utterance, logits, alphabet, letters, words)


def _plot(
    path: str, utterance: Utterance, logits, alphabet: Alphabet, letters: list, words: list
) -> None:
    import matplotlib

    matplotlib.use("agg")  # a file, not a window
    from .picture import plot_utterance

    waveform, rate, _ = utterance
    figure = plot_utterance(waveform, rate, logits, alphabet.characters, letters, words)
    figure.savefig(path, dpi=110)
    print(f"picture  {path}")


def _write_any_letter(stream: TextIO) -> None:
    """Into a file or a pipe as UTF-8: Windows' own code pages lack most alphabets."""
    if isinstance(stream, io.TextIOWrapper):
        encoding = None if stream.isatty() else "utf-8"
        stream.reconfigure(encoding=encoding, errors="backslashreplace")


if __name__ == "__main__":
    _write_any_letter(sys.stdout)
    _write_any_letter(sys.stderr)
    try:
        sys.exit(main())
    except BrokenPipeError:  # as of `| head`: nobody is left to tell
        os._exit(1)
    except KeyboardInterrupt:
        complain("stopped")
        sys.exit(130)
