"""Throughput of our decoders at batch 64 against TensorFlow's ops and pyctcdecode.

    python benchmarks/beam_search.py    # writes benchmarks/beam_search.md

64 utterances of 291 frames, 28 classes, a beam of 25: flat random logits, and spiky ones as a
trained model gives (mostly blank, now and then a clear letter). Every round decodes the batch with
all decoders in turn; shown are the median milliseconds per utterance, wall clock and CPU of this
process, and, over the rounds, the median and quartiles of the time over the TensorFlow op's in the
same round. "All cores" is `decode_in_processes` and, for pyctcdecode, its own pool. pyctcdecode
0.5.0 asks for NumPy 1, so for an environment of its own: `pip install pyctcdecode tensorflow-cpu
"numpy<2"`; without it it is left out. It prunes classes and beams by default, the others don't;
with that switched off it took about 25 times as long as TensorFlow's op. On flat logits the beam
searches keep different prefixes, and their texts may differ.
"""

import argparse
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ctc_tutorial.beam_search import beam_search_decode
from ctc_tutorial.decoding import greedy_decode
from ctc_tutorial.serving import decode_in_processes

BATCH, FRAMES, CLASSES, BEAM = 64, 291, 28, 25
LENGTHS = np.full(BATCH, FRAMES, np.int32)
LETTERS = " abcdefghijklmnopqrstuvwxyz"
RESULT = Path(__file__).with_suffix(".md")


def make_logits(kind: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(BATCH, FRAMES, CLASSES))
    if kind == "spiky":
        spoken = np.full((BATCH, FRAMES), CLASSES - 1)
        spoken[:, 2::5] = rng.integers(CLASSES - 1, size=spoken[:, 2::5].shape)
        logits += 8 * np.eye(CLASSES)[spoken]
    return logits.astype(np.float32)


def text(ids) -> str:
    return "".join(LETTERS[k] for k in ids)


def decoders(pool: ProcessPoolExecutor) -> dict[str, dict[str, Callable]]:
    """For greedy and beam search, functions from logits [B, T, C] to texts; TensorFlow's first."""
    import tensorflow as tf

    def texts(sparse):
        return [text(row) for row in tf.RaggedTensor.from_sparse(sparse).to_list()]

    def tf_greedy(logits):
        return texts(tf.nn.ctc_greedy_decoder(np.swapaxes(logits, 0, 1), LENGTHS)[0][0])

    def tf_beam(logits):
        found = tf.nn.ctc_beam_search_decoder(np.swapaxes(logits, 0, 1), LENGTHS, BEAM)
        return texts(found[0][0])

    def ours(logits):
        return [text(best.ids) for (best,) in beam_search_decode(logits, LENGTHS, BEAM)]

    def ours_all(logits):  # a beam of 25 is the default
        found = decode_in_processes(beam_search_decode, logits, LENGTHS, pool)
        return [text(best.ids) for (best,) in found]

    greedy = {
        "tf.nn.ctc_greedy_decoder": tf_greedy,
        "greedy_decode": lambda logits: [text(ids) for ids in greedy_decode(logits, LENGTHS)],
    }
    beam = {
        "tf.nn.ctc_beam_search_decoder": tf_beam,
        "beam_search_decode": ours,
        "beam_search_decode, all cores": ours_all,
    }
    return {"greedy": greedy, f"beam {BEAM}": beam | pyctcdecode_decoders()}


def pyctcdecode_decoders() -> dict[str, Callable]:
    try:
        import pyctcdecode
    except ImportError:
        return {}
    decoder = pyctcdecode.build_ctcdecoder([*LETTERS, ""])
    context = multiprocessing.get_context("fork")  # the only one that pyctcdecode knows
    forked = context.Pool(os.cpu_count())
    return {
        "pyctcdecode": lambda logits: [decoder.decode(row, BEAM) for row in logits],
        "pyctcdecode, all cores": lambda logits: decoder.decode_batch(forked, list(logits), BEAM),
    }


def measure(functions: dict[str, Callable], kind: str, rounds: int) -> tuple[dict, dict]:
    """Of each decoder [rounds, 2] ms per utterance, wall clock and CPU; and its last texts."""
    times, texts = {name: [] for name in functions}, {}
    for seed in range(rounds + 1):
        logits = make_logits(kind, seed)
        for name, decode in functions.items():
            start = np.array([time.perf_counter(), time.process_time()])
            texts[name] = decode(logits)
            spent = np.array([time.perf_counter(), time.process_time()]) - start
            times[name].append(1e3 * spent / BATCH)
    return {name: np.array(rows[1:]) for name, rows in times.items()}, texts  # the first warms up


def table(functions: dict[str, Callable], search: str, kind: str, rounds: int) -> list[str]:
    times, texts = measure(functions, kind, rounds)
    reference = next(iter(functions))
    lines = []
    for name, spent in times.items():
        wall, cpu = np.median(spent, axis=0)
        ratios = spent[:, 0] / times[reference][:, 0]
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        pairs = zip(texts[name], texts[reference], strict=True)
        same = np.mean([a.split() == b.split() for a, b in pairs])
        cpu = "" if "all cores" in name else f"{cpu:.3g}"
        lines.append(
            f"| {search} | {kind} | {name} | {wall:.3g} | {cpu} | {middle:.2f} "
            f"({low:.2f} to {high:.2f}) | {same:.0%} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        searches, rows = decoders(pool), []
        for kind in ("spiky", "flat"):
            for search, functions in searches.items():
                rows += table(functions, search, kind, rounds)
    import tensorflow as tf

    lines = [
        "# Decoding: measured",
        "",
        f"`python benchmarks/beam_search.py`: {BATCH} utterances, T {FRAMES}, C {CLASSES}, "
        f"{rounds} rounds in turn; TensorFlow {tf.__version__}, NumPy {np.__version__}, "
        f"{os.cpu_count()} cores ({platform.machine()}). Milliseconds are per utterance.",
        "",
        "| search | logits | decoder | ms | CPU ms | times TensorFlow's | same text |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        "On flat, random logits no text is right; the beam searches keep other prefixes and end "
        "at other texts. pyctcdecode prunes classes and beams, the others do not.",
    ]
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
