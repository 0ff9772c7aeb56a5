"""Size, start, latency and memory of each exported format, in one run; writes ship.md.

    python benchmarks/ship.py [--rounds 3]

Two encoders with random weights (what they cost does not depend on what they learned): the lesson's
LSTM of 50 units, and audio_encoder, with 28 classes and the decoding inside. Each file is read in a
fresh process; rounds go through all formats in turn, and the table has medians over the rounds.
Then the LSTM as a stream, and which exports are refused. Memory is read where Linux says it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

import ctc_tutorial as ctc

RESULTS = Path(__file__).with_name("ship.md")
ENDINGS = (".keras", "", ".tflite", ".onnx")
NAMES = {".keras": "Keras", "": "SavedModel", ".tflite": "LiteRT", ".onnx": "ONNX Runtime"}
FRAMES = (100, 1000)  # 1 s and 10 s of sound

# Reads one file in a process of its own: path, frames (or frames of a chunk), and the state's size.
ALONE = """
import json, sys, time
begin = time.perf_counter()
import numpy as np
path, frames, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if path.endswith(".tflite"):
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(path, num_threads=1)
    signature = interpreter.get_signature_runner()
    run = lambda feeds: signature(**feeds)
elif path.endswith(".onnx"):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    names = [output.name for output in session.get_outputs()]
    run = lambda feeds: dict(zip(names, session.run(None, feeds)))
else:
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(1)
    if path.endswith(".keras"):
        import keras
        run = keras.saving.load_model(path).predict_on_batch
    else:
        loaded = tf.saved_model.load(path)
        serve = loaded.signatures["serving_default"]
        run = lambda feeds: serve(**{name: tf.constant(x) for name, x in feeds.items()})
ready, times = time.perf_counter() - begin, []
feeds = {"features": np.random.default_rng(0).normal(size=(1, frames, 13)).astype("float32")}
if size:
    feeds["state"] = np.zeros((1, size), "float32")
else:
    feeds["feature_length"] = np.array([frames], np.int32)
for _ in range(53):
    start = time.perf_counter()
    outputs = {name: np.asarray(x) for name, x in run(feeds).items()}
    times.append(1000 * (time.perf_counter() - start))
    feeds["state"] = outputs["next_state"] if size else None
    feeds = {name: x for name, x in feeds.items() if x is not None}
with open("/proc/self/status") as status:  # ru_maxrss would count the process that started this one
    peak = next(int(line.split()[1]) / 1000 for line in status if line.startswith("VmHWM"))
print(json.dumps([ready, times[0], float(np.median(times[3:])), max(times[3:]), peak]))
"""


def measure(path: Path, frames: int, size: int = 0) -> list[float]:
    """Seconds until ready, ms of the first call, of a later one and of the longest, peak MB."""
    command = [sys.executable, "-c", ALONE, str(path), str(frames), str(size)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def write(model, folder: Path, name: str) -> dict[str, Path]:
    """The model in every format, by the ending."""
    paths = {ending: folder / f"{name}{ending}" for ending in ENDINGS}
    for ending, path in paths.items():
        if ending == ".keras":
            model.save(path)
        else:
            ctc.export_model(model, path)
    return paths


def kilobytes(path: Path) -> float:
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    return sum(f.stat().st_size for f in files) / 1000


def medians(jobs: dict, rounds: int) -> dict:
    """Of each measurement over the rounds; every round makes each job once."""
    runs = [{key: measure(*job) for key, job in jobs.items()} for _ in range(rounds)]
    return {
        key: [statistics.median(values) for values in zip(*(r[key] for r in runs), strict=True)]
        for key in jobs
    }


def refusals(folder: Path, lstm) -> list[str]:
    """What TensorFlow's converter says of exports that export_model avoids."""

    def attempt(model, batch):
        specs = [
            tf.TensorSpec((batch, None, 13), tf.float32, "features"),
            tf.TensorSpec((batch,), tf.int32, "feature_length"),
        ]

        @tf.function(input_signature=specs)
        def serve(features, feature_length):
            return model({"features": features, "feature_length": feature_length})["logits"]

        module = tf.Module()
        module.kept = [v.value for v in model.variables]
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        signature = serve.get_concrete_function()
        tf.saved_model.save(module, str(folder / "x"), signature, options)
        try:
            tf.lite.TFLiteConverter.from_saved_model(str(folder / "x")).convert()
        except Exception as error:  # the converter's own kind, which it does not export
            said = str(error).replace("\n", " ")
            said = said[said.find("'tf.") :].split(" during")[0]
            return f"refused: {said[:90]}"
        return "works"

    reader = ctc.text_model(lstm, ctc.Alphabet().characters)
    return [
        f"- LiteRT, the LSTM of recurrent.py (XLA), one utterance: {attempt(lstm, 1)}",
        f"- LiteRT, Keras's LSTM, any batch: {attempt(reader, None)}",
        f"- LiteRT, Keras's LSTM, one utterance: {attempt(reader, 1)}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    characters, jobs, sizes = ctc.Alphabet().characters, {}, {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = {}
        for encoder_fn in (ctc.lstm_encoder, ctc.audio_encoder):
            kind = encoder_fn.__name__
            _, models[kind] = ctc.build_models(encoder_fn, 13, len(characters) + 1, seed=0)
            paths = write(ctc.text_model(models[kind], characters), folder, kind)
            sizes |= {(kind, ending): kilobytes(path) for ending, path in paths.items()}
            jobs |= {(kind, e, n): (path, n) for e, path in paths.items() for n in FRAMES}
        stream = ctc.streaming_model(models["lstm_encoder"], characters)
        size = stream.input["state"].shape[1]
        for ending, path in write(stream, folder, "stream").items():
            jobs |= {("stream", ending, n): (path, n, size) for n in (1, 10)}
        refused = refusals(folder, models["lstm_encoder"])
        found = medians(jobs, rounds)

    packages = ("tensorflow-cpu", "keras", "ai-edge-litert", "onnxruntime", "tf2onnx", "numpy")
    versions = ", ".join(f"{p} {version(p)}" for p in packages)
    lines = [
        "# What a shipped model costs",
        "",
        f"Written by `python benchmarks/ship.py --rounds {rounds}`: medians over {rounds} rounds, "
        "each file in a fresh process, one utterance, one thread for the computation.",
        f"{platform.system()}, {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {versions}.",
        "",
        "| encoder | runtime | kB on disk | s until ready | first call, 1 s of sound, ms | "
        "later, 1 s, ms | later, 10 s, ms | peak MB (10 s) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (kind, ending), kb in sizes.items():
        ready, first, later, _, _ = found[kind, ending, FRAMES[0]]
        _, _, long, _, peak = found[kind, ending, FRAMES[1]]
        lines.append(
            f"| {kind} | {NAMES[ending]} | {kb:.0f} | {ready:.2f} | {first:.1f} | {later:.2f} | "
            f"{long:.1f} | {peak:.0f} |"
        )
    lines += ["", "The LSTM chunk by chunk, ms for each chunk (median and longest of 50):", ""]
    lines += ["| runtime | 10 ms of sound | 100 ms of sound |", "|---|---|---|"]
    for ending in ENDINGS:
        cells = [found["stream", ending, n] for n in (1, 10)]
        shown = " | ".join(f"{median:.2f}, {longest:.2f}" for _, _, median, longest, _ in cells)
        lines.append(f"| {NAMES[ending]} | {shown} |")
    lines += ["", "What TensorFlow's converter makes of the LSTM:", "", *refused]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
