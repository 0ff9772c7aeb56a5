"""The main job: learn a recording and its text, read it back. `python -m ctc_tutorial --help`."""

import argparse
import math
import os
import sys
import time
from pathlib import Path

# Before TensorFlow is imported: no start-up lines, and the same sums on every x86 processor.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from . import speech
from .text import Alphabet

EXCERPT = (0.8, 2.0, slice(13, 32))  # seconds, and the characters spoken then: four words
STEPS_PER_EPOCH = 40
PICTURES = (".png", ".svg", ".pdf")


def main(arguments: list[str] | None = None) -> int:
    """Run the job; the exit status is 0, or 2 with one line on stderr for what can't be done."""
    options = _parser().parse_args(arguments)
    alphabet = Alphabet()
    try:
        _check_options(options)
        utterances = _load(options)
        features = [speech.mfcc_features(u.samples, u.sample_rate) for u in utterances]
        labels = [alphabet.encode(u.text) for u in utterances]
        # TensorFlow takes seconds to load: bad input should not wait for it.
        from .batches import check_feasible

        check_feasible(labels, [len(f) for f in features], alphabet.num_classes)
    except (ValueError, OSError) as error:
        print(f"ctc_tutorial: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    _learn(options, alphabet, utterances, features, labels)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ctc_tutorial",
        description="Train a small CTC model on a recording until it can read it back.",
    )
    parser.add_argument("--recording", choices=("bundled", "ldc93s1"), default="bundled")
    parser.add_argument("--wav", metavar="FILE", help="your own recording instead; needs --text")
    parser.add_argument("--text", help="what is said in it: letters a-z and spaces")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights (default 0)")
    parser.add_argument("--steps", type=int, default=400, help="training steps (default 400)")
    parser.add_argument("--plot", metavar="FILE", help="save the picture here (png, svg or pdf)")
    parser.add_argument("--save", metavar="FILE.keras", help="save the prediction model here")
    return parser


def _check_options(options: argparse.Namespace) -> None:
    if (options.wav is None) != (options.text is None):
        raise ValueError("--wav and --text go together")
    if options.steps < 1:
        raise ValueError(f"--steps must be at least 1, not {options.steps}")
    for path, suffixes in ((options.plot, PICTURES), (options.save, (".keras",))):
        if path is not None and Path(path).suffix not in suffixes:
            raise ValueError(f"{path} must end in {' or '.join(suffixes)}")
        if path is not None and not os.access(Path(path).absolute().parent, os.W_OK):
            raise ValueError(f"{path} can't be written: no such folder, or no permission")


def _load(options: argparse.Namespace) -> list[speech.Utterance]:
    """The reader's own utterance; or a recording of the sentence, and four words cut out of it."""
    if options.wav:
        return [speech.Utterance(*speech.read_wav(options.wav), options.text.lower())]
    known = {"bundled": speech.bundled_utterance, "ldc93s1": speech.ldc93s1_utterance}
    whole = known[options.recording]()
    start, end, characters = EXCERPT
    return [whole, whole.cut(start, end, whole.text[characters])]


def _learn(options, alphabet, utterances, features, labels) -> None:
    from .batches import pad_features, repeat_batch, sparse_labels
    from .decoding import greedy_decode, label_error_rate
    from .models import build_models, lesson_optimizer

    padded, lengths = pad_features(features)
    train_model, predict_model = build_models(13, alphabet.num_classes, seed=options.seed)
    # The repeated batch makes an epoch many steps long, and TensorFlow makes them without a word to
    # Keras in between: fit's own cost per epoch and per step is paid rarely.
    epochs = math.ceil(options.steps / STEPS_PER_EPOCH)
    steps = math.ceil(options.steps / epochs)
    train_model.compile(lesson_optimizer(options.steps), steps_per_execution=steps)
    batch = {"features": padded, "labels": sparse_labels(labels), "feature_length": lengths}
    started = time.perf_counter()
    train_model.fit(
        repeat_batch(batch), epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=1
    )
    seconds = time.perf_counter() - started

    logits = predict_model.predict(padded, verbose=0)
    for utterance, ids in zip(utterances, greedy_decode(logits, lengths), strict=True):
        decoded = alphabet.decode(ids)
        rate = label_error_rate([utterance.text], [decoded])
        print(f"\ntruth    {utterance.text}\ndecoded  {decoded}\nlabel error rate  {rate:.3f}")
    print(f"\n{int(train_model.optimizer.iterations)} training steps in {seconds:.1f} s")
    if options.plot:
        _plot(options.plot, utterances[0], logits[0, : lengths[0]], alphabet)
    if options.save:
        predict_model.save(options.save)
        print(f"model    {options.save}")


def _plot(path: str, utterance: speech.Utterance, logits, alphabet: Alphabet) -> None:
    import matplotlib

    matplotlib.use("agg")  # a file, not a window
    from .plots import plot_utterance

    figure = plot_utterance(
        utterance.samples, utterance.sample_rate, logits, alphabet.characters, title=utterance.text
    )
    figure.savefig(path, dpi=110)
    print(f"picture  {path}")


if __name__ == "__main__":
    sys.exit(main())
