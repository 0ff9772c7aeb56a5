"""Which assert about a trained model would another seed or machine break? Writes margins.md.

    python benchmarks/margins.py [--seeds 20] [--other-seeds 3] [--only 00 tests] [--settings ...]

Runs the code of every notebook with `SEED` replaced, and every test marked `training` with
TRAINING_SEED set; no failing assert ends a run, each is counted. The settings stand for other
machines: oneDNN where a notebook goes without it, and the other way round, one thread, and XLA held
to the instructions of an old processor. Training is chaotic, and each of them is another run.
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
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
SETTINGS = {
    "as it is": {},
    "oneDNN": {ONEDNN: "1"},
    "without oneDNN": {ONEDNN: "0"},
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
        failures += run_cells(shell, cells, seed)
        forget_classes(shell.user_ns)
    return failures


def forget_classes(namespace: dict) -> None:
    """Those that a notebook has registered with Keras: it may do so but once."""
    import keras

    registry = keras.saving.get_custom_objects()
    for name, value in list(registry.items()):
        if getattr(value, "__module__", None) == namespace["__name__"]:
            del registry[name]


def run_cells(shell, cells: list[dict], seed: int) -> list[str]:
    from IPython.utils.io import capture_output

    failures: list[str] = []
    seeded = 0
    shell.user_ns["_failed"] = lambda text: failures.append(f"{name}: {text}")
    shell.user_ns["__spec__"] = None  # as in a kernel: a pool of processes asks for it
    for number, cell in enumerate(cells):
        if cell["cell_type"] != "code":
            continue
        name, source = f"cell {number}", "".join(cell["source"])
        source, found = re.subn(r"(?m)^SEED = \d+", f"SEED = {seed}", source)
        seeded += found
        if ONEDNN in os.environ:  # the setting under test, in place of the notebook's own
            source = re.sub(rf'(?m)^os\.environ\["{ONEDNN}"\] = .*$', "", source)
        with capture_output() as output:
            result = shell.run_cell(source)
        error = result.error_before_exec or result.error_in_exec
        announced = "raises-exception" in cell["metadata"].get("tags", [])
        if error is not None and not announced:
            failures.append(f"{name}: {type(error).__name__}: {str(error)[:80]}")
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


def its_own(what: str) -> str:
    """What a notebook, or the tests, settle for themselves."""
    file = ROOT / "tests" / "conftest.py" if what == "tests" else ROOT / "notebooks" / what
    settled = re.search(rf'{ONEDNN}\W+"([01])', file.read_text(encoding="utf-8"))[1]
    return "oneDNN" if settled == "1" else "without oneDNN"


def run_all(options: argparse.Namespace) -> None:
    """Runs everything that is asked for, and keeps each result in the table as it comes."""
    everything = [p.name for p in sorted(ROOT.glob("notebooks/*.ipynb"))] + ["tests"]
    jobs = [
        (what, setting, options.seeds if setting == "as it is" else options.other_seeds)
        for setting in options.settings
        for what in everything
        if what.startswith(tuple(options.only)) and setting != its_own(what)
    ]

    def one(job):
        what, setting, seeds = job
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
        environment.pop(ONEDNN, None)
        environment |= SETTINGS[setting]
        command = [sys.executable, __file__, "--one", what, "--seeds", str(seeds)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{job}: {done.stderr[-2000:]}")
        return job, json.loads(done.stdout.splitlines()[-1])

    with ThreadPoolExecutor(options.at_once) as pool:
        for (what, setting, seeds), failures in pool.map(one, jobs):
            counted = [f"{n} x `{failure}`" for failure, n in Counter(failures).items()]
            keep(options.output, what, setting, seeds, "; ".join(counted) or "none")


def keep(path: Path, what: str, setting: str, seeds: int, failures: str) -> None:
    """Puts a row into the table, in place of an older one of the same notebook and setting."""
    import keras
    import tensorflow as tf

    rows = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("| ") and not line.startswith("| what"):
                rows[tuple(cell.strip() for cell in line.split("|")[1:3])] = line
    commit = subprocess.run(
        ["git", "log", "-1", "--format=%h"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    rows[what, setting] = f"| {what} | {setting} | {seeds} | {failures} | {commit} |"
    places = list(SETTINGS)
    head = (
        "# Which asserts luck decides\n\nBy `make margins` (benchmarks/margins.py): each notebook, "
        "and the tests marked `training`, run with different\nseeds, and how often an assert about "
        f"a trained model failed. {platform.machine()}, {platform.system()}; TensorFlow "
        f"{tf.__version__}, Keras {keras.__version__}. The commit is\nthat of the run. The recipe "
        "of the lesson itself: [recipe.md](recipe.md); the aligner: [aligner.md](aligner.md).\n\n"
        "| what | setting | runs | failures | commit |\n|---|---|---|---|---|\n"
    )
    order = sorted(rows, key=lambda key: (places.index(key[1]), key[0]))
    path.write_text(head + "\n".join(rows[key] for key in order) + "\n", encoding="utf-8")
    print(rows[what, setting], flush=True)


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
        run_all(options)


if __name__ == "__main__":
    main()
