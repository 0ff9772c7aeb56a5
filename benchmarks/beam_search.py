"""Time of our beam search against TensorFlow's op and, where it is installed, pyctcdecode.

    python benchmarks/beam_search.py

One utterance of 291 frames, 28 classes and a beam of 25: flat random logits, and spiky ones as a
trained model gives (mostly blank, now and then a clear letter). Every round times all decoders in
turn; printed are the median milliseconds and, over the rounds, the median and quartiles of each
decoder's time over the TensorFlow op's in the same round. pyctcdecode 0.5.0 asks for NumPy 1, so
for an environment of its own: `pip install pyctcdecode tensorflow-cpu "numpy<2"`. It prunes
classes and beams by default; "unpruned" switches both off, as in the other two decoders. On flat
logits the three keep different prefixes, and their texts may differ.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ctc_tutorial.decoding import beam_search_decode

FRAMES, CLASSES = 291, 28
LETTERS = " abcdefghijklmnopqrstuvwxyz"


def make_logits(kind: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(FRAMES, CLASSES))
    if kind == "spiky":
        spoken = np.full(FRAMES, CLASSES - 1)
        spoken[2::5] = rng.integers(CLASSES - 1, size=len(spoken[2::5]))
        logits += 8 * np.eye(CLASSES)[spoken]
    return logits.astype(np.float32)


def make_decoders(beam_width: int) -> dict:
    """Functions from logits `[T, C]` to the best text."""

    def ours(logits):
        ((best,),) = beam_search_decode(logits[None], [FRAMES], beam_width)
        return "".join(LETTERS[k] for k in best.ids)

    def tensorflow(logits):
        (ids,), _ = tf.nn.ctc_beam_search_decoder(logits[:, None], [FRAMES], beam_width)
        return "".join(LETTERS[k] for k in ids.values.numpy())

    decoders = {"tf.nn.ctc_beam_search_decoder": tensorflow, "beam_search_decode": ours}
    try:
        import pyctcdecode
    except ImportError:
        print("pyctcdecode is not installed: left out")
        return decoders
    decoder = pyctcdecode.build_ctcdecoder([*LETTERS, ""])

    def pruned(logits):
        return decoder.decode_beams(logits, beam_width)[0][0]

    def unpruned(logits):
        off = {"beam_prune_logp": -np.inf, "token_min_logp": -np.inf}
        return decoder.decode_beams(logits, beam_width, **off)[0][0]

    return decoders | {"pyctcdecode": pruned, "pyctcdecode, unpruned": unpruned}


def measure(decoders: dict, kind: str, rounds: int) -> dict[str, list[float]]:
    seconds = {name: [] for name in decoders}
    for seed in range(rounds + 1):
        logits = make_logits(kind, seed)
        for name, decode in decoders.items():
            start = time.perf_counter()
            decode(logits)
            seconds[name].append(time.perf_counter() - start)
    return {name: times[1:] for name, times in seconds.items()}  # the first round warms up


def print_table(decoders: dict, kind: str, rounds: int) -> None:
    seconds = {name: np.array(times) for name, times in measure(decoders, kind, rounds).items()}
    texts = {name: decode(make_logits(kind, 0)).split() for name, decode in decoders.items()}
    reference = next(iter(decoders))
    print(f"\n{kind} logits, {rounds} rounds")
    print("| decoder | median ms | times TensorFlow's | quartiles | TensorFlow's text |")
    print("|---|---|---|---|---|")
    for name, times in seconds.items():
        low, middle, high = np.quantile(times / seconds[reference], [0.25, 0.5, 0.75])
        same = "yes" if texts[name] == texts[reference] else "no"
        print(
            f"| {name} | {np.median(times) * 1e3:.1f} | {middle:.2f} | {low:.2f} to {high:.2f} "
            f"| {same} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beam-width", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    print(f"T {FRAMES}, C {CLASSES}, beam {arguments.beam_width}; TensorFlow {tf.__version__}")
    decoders = make_decoders(arguments.beam_width)
    for kind in ("spiky", "flat"):
        print_table(decoders, kind, arguments.rounds)


if __name__ == "__main__":
    main()
