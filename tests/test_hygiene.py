"""The repository itself: notebooks, links, stamps, types, Binder, README code."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import execute_notebooks
import nbformat
import pytest
import stamp

import ctc_tutorial

ROOT = Path(__file__).parents[1]

NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    notebook = nbformat.read(request.param, as_version=4)
    notebook.path = request.param
    return notebook


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


def test_notebooks_are_in_canonical_form(notebook):
    nbformat.validate(nbformat.from_dict({k: v for k, v in notebook.items() if k != "path"}))
    written = notebook.path.read_text(encoding="utf-8")
    path = notebook.pop("path")
    again = nbformat.writes(execute_notebooks.canonical(notebook))
    assert written.rstrip("\n") == again.rstrip("\n"), (
        f"run make notebooks NB=notebooks/{path.name}"
    )


def test_every_cell_was_executed_in_order_and_is_short(notebook):
    counts = [cell.execution_count for cell in code(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    for cell in code(notebook):
        assert len(cell.source.splitlines()) <= 20, cell.source
        assert not cell.source.rstrip().endswith(";"), cell.source


def test_it_is_read_in_one_sitting(notebook):
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert len(notebook.cells) <= 60 and len(prose.split()) <= 1900
    assert sum(len(cell.source.splitlines()) for cell in code(notebook)) <= 280


def test_errors_are_announced_and_really_raised(notebook):
    for cell in code(notebook):
        raised = any(output.output_type == "error" for output in cell.outputs)
        assert raised == ("raises-exception" in cell.metadata.get("tags", [])), cell.source


def test_outputs_hold_no_warnings_paths_or_widgets(notebook):
    outputs = str([cell.outputs for cell in code(notebook)])
    assert "'name': 'stderr'" not in outputs
    assert not re.search(r"/(home|root|tmp|Users|work)/|site-packages|[A-Z]:\\\\", outputs)


def imports(source):
    python = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
    return [n for n in ast.walk(ast.parse(python)) if isinstance(n, (ast.Import, ast.ImportFrom))]


def test_imports_stand_in_one_cell(notebook):
    importing = [i for i, cell in enumerate(code(notebook)) if imports(cell.source)]
    assert importing == [1, 2]  # os for two settings of TensorFlow's; then all the others


def test_the_package_is_imported_as_ctc(notebook):
    found = {ast.unparse(n) for cell in code(notebook) for n in imports(cell.source)}
    assert {line for line in found if "ctc_tutorial" in line} == {"import ctc_tutorial as ctc"}


def test_anatomy(notebook):
    number = notebook.path.stem.split("_")[0]
    first, second = notebook.cells[0].source, notebook.cells[1].source
    assert first.startswith(f"# {number} · ") and "?" in first
    assert f"labpath=notebooks%2F{notebook.path.name}" in first
    assert f"blob/main/notebooks/{notebook.path.name}" in first
    for heading in ("**You will be able to**", "**Needs**", "**Time**"):
        assert heading in second
    assert any("image/png" in o.get("data", {}) for c in code(notebook) for o in c.outputs)
    assert f"notebooks/{notebook.path.name}" in README


def tool(name):
    """A program of the environment that runs the tests, on the PATH or not."""
    return shutil.which(name, path=Path(sys.executable).parent) or name


def links(source):
    return re.findall(r"\]\(([^)\s]+)\)", source)


def test_links_within_the_repository_lead_somewhere(notebook):
    for link in links(text(notebook)):
        if not link.startswith(("http", "#")):
            assert (notebook.path.parent / link.split("#")[0]).exists(), link


def test_links_of_the_readme():
    for link in links(README):
        if not link.startswith(("http", "#")):
            assert (ROOT / link).exists(), link


@pytest.mark.parametrize("path", stamp.stamped_files(), ids=lambda path: path.name)
def test_version_and_repository_name_are_the_same_everywhere(path):
    text, name = path.read_text(encoding="utf-8"), stamp.present_name()
    assert name in text and text == stamp.stamped(path, name), "run make stamp"


def test_the_version_is_the_one_of_the_package():
    assert stamp.version() == ctc_tutorial.__version__


def test_another_repository_name_reaches_every_place():
    for path in stamp.stamped_files():
        assert stamp.present_name() not in stamp.stamped(path, "some-body/else.where")


def test_editors_see_the_names_that_the_package_has():
    stub = ast.parse((ROOT / "ctc_tutorial" / "__init__.pyi").read_text(encoding="utf-8"))
    seen = {
        alias.asname: n.module
        for n in stub.body
        if isinstance(n, ast.ImportFrom)
        for alias in n.names
        if alias.name == alias.asname
    }
    assert seen == ctc_tutorial._HOME


@pytest.mark.parametrize("path", stamp.helpers(), ids=lambda path: path.stem)
def test_public_functions_have_types(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in (n for n in tree.body if isinstance(n, ast.FunctionDef)):
        if not function.name.startswith("_"):
            a = function.args
            arguments = [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg]
            untyped = [x.arg for x in arguments if x and not x.annotation]
            assert function.returns and not untyped, (function.name, untyped)


@pytest.mark.slow
def test_readme_code_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert blocks
    program = f"for block in {blocks!r}: exec(block, {{}})"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)


def test_readme_tells_of_every_helper():
    for path in stamp.helpers():
        name = path.relative_to(ROOT / "ctc_tutorial").as_posix()
        assert f"[`{name}`](ctc_tutorial/{name})" in README


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="repo2docker does not run on Windows")
def test_binder_builds_from_the_requirements():
    command = [tool("jupyter-repo2docker"), "--no-build", "--debug", str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    printed = result.stdout + result.stderr
    assert "conda environment for python=3.11" in printed
    # The package itself is installed (-e .), so the whole repository has to be there first.
    copy, install = printed.index("COPY --chown=0:0 src/ "), printed.index("pip install")
    assert copy < printed.index('-r "binder/requirements.txt"', install)


def test_recordings_of_others_are_not_committed():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert not [name for name in listed.stdout.splitlines() if "LDC93S1." in name or "fsdd" in name]
