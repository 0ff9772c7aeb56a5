"""Which assert about a trained model would another seed or machine break? Writes margins.md.

    python benchmarks/margins.py [--seeds 20] [--other-seeds 3] [--only 00 tests] [--settings ...]

Runs the code of every notebook with `SEED` replaced, and every test marked `training` with
TRAINING_SEED set; no failing assert ends a run, each is counted. The settings stand for other
machines: oneDNN, one thread, and XLA held to the instructions of an old processor. Training
is chaotic, and each of them is another run.
"""

import argparse
import ast
import json
import os
import platform
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("margins.md")
SETTINGS = {
    "as it is": {},
    "oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "1"},
    "one thread": {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"},
    "XLA held to SSE4.2": {"XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2"},
}


class Counting(ast.NodeTransformer):
    """Every `assert` reports its failure and goes on."""

    def visit_Assert(self, node: ast.Assert) -> ast.Try:
        report = ast.parse(f"_failed({ast.unparse(node.test)!r})").body
        handler = ast.ExceptHandler(ast.Name("AssertionError", ast.Load()), None, report)
        counted = ast.Try([node], [handler], [], [])
        return ast.fix_missing_locations(ast.copy_location(counted, node))


def run_notebook(path: Path, seeds: list[int]) -> list[str]:
    """The asserts that fail, and the errors that nobody announced, of runs in this process."""
    os.environ["MPLBACKEND"] = "agg"
    from IPython.core.interactiveshell import InteractiveShell

    os.chdir(path.parent)
    shell, failures = InteractiveShell.instance(), []
    shell.ast_transformers.append(Counting())
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for seed in seeds:
        shell.reset(new_session=False)
        registered = dict(_custom_objects())
        failures += run_cells(shell, cells, seed)
        _custom_objects().clear()  # a notebook may register its classes but once
        _custom_objects().update(registered)
    return failures


def _custom_objects() -> dict:
    import keras

    return keras.saving.get_custom_objects()


def run_cells(shell, cells: list[dict], seed: int) -> list[str]:
    from IPython.utils.io import capture_output

    failures: list[str] = []
    seeded = 0
    shell.user_ns["_failed"] = lambda text: failures.append(f"{name}: {text}")
    for number, cell in enumerate(cells):
        if cell["cell_type"] != "code":
            continue
        name, source = f"cell {number}", "".join(cell["source"])
        source, found = re.subn(r"(?m)^SEED = \d+", f"SEED = {seed}", source)
        seeded += found
        # The notebooks settle this for their readers; here the setting under test does.
        source = re.sub(r'(?m)^os\.environ\["TF_ENABLE_ONEDNN_OPTS"\] = .*$', "", source)
        with capture_output() as output:
            result = shell.run_cell(source)
        error = result.error_before_exec or result.error_in_exec
        announced = "raises-exception" in cell["metadata"].get("tags", [])
        if error is not None and not announced:
            failures.append(f"{name}: {type(error).__name__}: {error}")
            print(output.stdout[-2000:], file=sys.stderr)
    if seeded != 1:
        raise SystemExit(f"{seeded} lines SEED = ..., not one")
    return failures


def run_tests(seeds: list[int]) -> list[str]:
    """The failing tests among those that train."""
    failures = []
    for seed in seeds:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "training", "-rfE", "--tb=no", "tests"],
            cwd=ROOT,
            env={**os.environ, "TRAINING_SEED": str(seed)},
            capture_output=True,
            text=True,
        )
        if done.returncode not in (0, 1):
            raise SystemExit(done.stdout[-2000:])
        failures += re.findall(r"(?m)^(?:FAILED|ERROR) (\S+)", done.stdout)
    return failures


def run_all(options: argparse.Namespace) -> Counter:
    """(what, setting) -> runs; (what, setting, assert) -> failures."""
    everything = [p.name for p in sorted(ROOT.glob("notebooks/*.ipynb"))] + ["tests"]
    jobs = [
        (what, setting, options.seeds if setting == "as it is" else options.other_seeds)
        for setting in options.settings
        for what in everything
        if what.startswith(tuple(options.only))
    ]

    def one(job):
        what, setting, seeds = job
        environment = {"TF_ENABLE_ONEDNN_OPTS": "0", **os.environ, **SETTINGS[setting]}
        environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, __file__, "--one", what, "--seeds", str(seeds)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{job}: {done.stderr[-2000:]}")
        print(job, done.stdout.splitlines()[-1], flush=True)
        return job, json.loads(done.stdout.splitlines()[-1])

    count = Counter()
    with ThreadPoolExecutor(options.at_once) as pool:
        for (what, setting, seeds), failures in pool.map(one, jobs):
            count[what, setting] += seeds
            for failure in failures:
                count[what, setting, failure] += 1
    return count


def write(count: Counter, path: Path) -> None:
    import keras
    import tensorflow as tf

    lines = [
        "# Which asserts luck decides\n\nBy `make margins` (benchmarks/margins.py): runs with "
        "different seeds, and how often an assert about a trained model failed.\n"
        f"{platform.machine()}, {platform.system()}; TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__}.\n",
        "| what | setting | runs | failures |\n|---|---|---|---|",
    ]
    for (what, setting), runs in ((k, n) for k, n in count.items() if len(k) == 2):
        failed = [f"{n} x `{k[2]}`" for k, n in count.items() if k[:2] == (what, setting) != k]
        lines.append(f"| {what} | {setting} | {runs} | {'; '.join(failed) or 'none'} |")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--other-seeds", type=int, default=3, help="for each other setting")
    parser.add_argument("--only", nargs="+", default=[""], help="what begins so: 00 tests")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # in this process
    options = parser.parse_args()
    if options.one:
        seeds, path = list(range(options.seeds)), ROOT / "notebooks" / options.one
        failures = run_tests(seeds) if options.one == "tests" else run_notebook(path, seeds)
        print(json.dumps(failures))
    else:
        write(run_all(options), options.output)


if __name__ == "__main__":
    main()
