"""The folded solutions of a notebook's exercises, put in place of the gaps, satisfy the checks.

Of the other cells those statements run that the exercises need: going upwards, each that binds a
name which is used below, or that changes what it stands for. Where no exercise needs a trained
model, none is trained.
"""

import ast
import builtins
import dis
import importlib.util
import io
import os
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import pytest

matplotlib.use("agg")

ROOT = Path(__file__).parents[1]
# The clinic asks nothing, and what follows it, 14b, is tested by test_clinic.py.
NOTEBOOKS = [p for p in sorted(ROOT.glob("notebooks/*.ipynb")) if not p.stem.startswith("14")]
LIBRARIES = {"print", "ctc", "keras", "np", "os", "plt", "tf"}  # what is called as a statement
CHANGING = {"assign", "compile", "fit", "set_weights", "train_on_batch"}  # and has a result, too
KEEPING = {"evaluate", "predict"}  # methods that change nothing


def parsed(source):
    return ast.parse("\n".join(line for line in source.splitlines() if not line.startswith("%")))


def runs(cell):
    return cell.cell_type == "code" and "raises-exception" not in cell.metadata.get("tags", [])


def solution_in(cell):
    """The code of a folded solution; None where the cell holds none."""
    fold = re.search(r"<summary>Solution.*?</details>", cell.source, re.S)
    if not fold:
        return None
    blocks = re.findall(r"```python\n(.*?)```", fold[0], re.S)
    assert blocks, f"a folded solution holds a block of code that runs: {fold[0]}"
    return parsed("\n".join(blocks))


def steps(path):
    """The notebook as [tree, is it an exercise], solutions in place of the gaps."""
    found, since_text = [], 0
    for cell in nbformat.read(path, as_version=4).cells:
        if runs(cell):
            found.append((parsed(cell.source), False))
            since_text += 1
        elif cell.cell_type == "markdown":
            solution = solution_in(cell)
            if solution:
                assert since_text, f"no code of an exercise stands before: {cell.source}"
                exercise = [tree for tree, _ in found[-since_text:]]
                found[-since_text:] = [(completed(exercise, solution), True)]
            since_text = 0
    return found


def completed(exercise, solution):
    """The exercise, with the solution in place of what it binds to the same names."""
    names, body, placed = bound(solution), [], False
    for node in (node for tree in exercise for node in tree.body):
        gap = isinstance(node, ast.Assign | ast.FunctionDef | ast.ClassDef)
        if not gap or not bound(ast.Module([node], [])) & names:
            body.append(node)
        elif not placed:
            body += solution.body
            placed = True
    assert placed, f"there is no gap for {names}"
    return ast.Module(body, [])


def bound(tree):
    """The names of the notebook that a cell gives a new meaning."""
    code = compile(tree, "", "exec")
    return {i.argval for i in dis.get_instructions(code) if i.opname == "STORE_NAME"}


def free(tree):
    """The names that a cell uses before it binds them; those in its functions, too."""
    return unbound(compile(tree, "", "exec"), set(dir(builtins)))


def unbound(code, known):
    found = set()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_NAME", "LOAD_GLOBAL") and step.argval not in known:
            found.add(step.argval)
        elif step.opname == "STORE_NAME":
            known.add(step.argval)
        elif hasattr(step.argval, "co_code"):  # a function or a class
            found |= unbound(step.argval, {*known})
    return found


def changed(tree):
    """What a cell may change without binding it: `train(model)`, `x[0] = 1`, `h = model.fit()`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            function = node.value.func
            targets = node.value.args if isinstance(function, ast.Name) else [node.value]
            if root(node.value) not in LIBRARIES and getattr(function, "attr", "") not in KEEPING:
                names |= {root(n) for n in targets}
        elif isinstance(node, ast.Subscript | ast.Attribute):
            if isinstance(node.ctx, ast.Store) or getattr(node, "attr", None) in CHANGING:
                names.add(root(node))
    for node in (n for n in ast.walk(tree) if isinstance(n, ast.For)):
        if names & {root(n) for n in ast.walk(node.target)}:
            names |= {root(n) for n in ast.walk(node.iter)}  # of zip(a, b) both
    return names - {None}


def root(node):
    """`model` of `model.layers[0].fit(...)`."""
    while isinstance(node, ast.Call | ast.Subscript | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return getattr(node, "id", None)


def needed(path):
    """The exercises, and the statements that they depend on, in order."""
    kept, wanted = [], set()
    for tree, is_exercise in reversed(steps(path)):
        parts = [tree] if is_exercise else [ast.Module([node], []) for node in tree.body]
        for part in reversed(parts):
            names, environment = bound(part), "os.environ" in ast.unparse(part)
            if is_exercise or environment or wanted & (names | changed(part)):
                wanted = wanted - names | free(part)
                kept.append((part, is_exercise))
    return kept[::-1]


def answers(chosen, path, tmp_path, monkeypatch):
    """What the exercises print, a list of lines for each; in this process, which starts faster."""
    program = tmp_path / f"solutions_of_{path.stem}.py"
    with program.open("w", encoding="utf-8") as file:
        for tree, is_exercise in chosen:
            print(f"print('=== {'exercise' if is_exercise else 'other'}')", file=file)
            print(ast.unparse(tree), file=file)
    spec = importlib.util.spec_from_file_location(program.stem, program)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, program.stem, module)
    monkeypatch.chdir(path.parent)
    printed = io.StringIO()
    with redirect_stdout(printed), plt.rc_context(), mock.patch.dict(os.environ):
        spec.loader.exec_module(module)
    plt.close("all")
    sections = re.split(r"(?m)^=== ", printed.getvalue())[1:]
    return [s.splitlines()[1:] for s in sections if s.startswith("exercise")]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_solutions_satisfy_the_checks(path, tmp_path, monkeypatch):
    chosen = needed(path)
    count = sum(is_exercise for _, is_exercise in chosen)
    assert count, "no exercise with a folded solution"
    found = answers(chosen, path, tmp_path, monkeypatch)
    assert len(found) == count
    for lines in found:
        assert lines and all("right" in line for line in lines), lines
