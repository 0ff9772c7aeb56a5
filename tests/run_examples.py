"""Runs the examples in the docstrings of copied files; for test_standalone.py.

    python run_examples.py FOLDER...

Each folder is a reader's project: it holds `ctc/`, and there one file, which is named like the
folder, and the neighbours that this one needs. Prints {file: {object: [examples, what failed]}}.
"""

import ast
import doctest
import importlib
import json
import sys
import traceback
from pathlib import Path


def docstrings(path: Path):
    """Names and docstrings of the module (its name is ""), its functions, classes and methods."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield "", ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, ast.get_docstring(node)
        if isinstance(node, ast.ClassDef):
            for method in (n for n in node.body if isinstance(n, ast.FunctionDef)):
                yield f"{node.name}.{method.name}", ast.get_docstring(method)


def run(folder: Path) -> dict[str, list]:
    sys.path[0] = str(folder)
    for name in [name for name in sys.modules if name.split(".")[0] == "ctc"]:
        del sys.modules[name]  # the one before
    importlib.invalidate_caches()
    path = folder / "ctc" / f"{folder.name}.py"
    try:
        module = importlib.import_module(f"ctc.{folder.name}")
    except Exception:
        return {"": [0, traceback.format_exc()]}
    assert module.__file__ == str(path)
    results, parser, runner = {}, doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    for name, text in docstrings(path):
        test = parser.get_doctest(text or "", dict(vars(module)), name, path.name, 0)
        failures: list[str] = []
        runner.run(test, out=failures.append)
        results[name] = [len(test.examples), "".join(failures)]
    return results


if __name__ == "__main__":
    sys.modules["ctc_tutorial"] = None  # as it is where only the files are
    print(json.dumps({Path(folder).name: run(Path(folder)) for folder in sys.argv[1:]}))
