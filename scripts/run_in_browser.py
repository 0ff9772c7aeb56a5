"""Run notebooks in JupyterLab, in a browser, as a reader does: no surprising error, live widgets.

    python scripts/run_in_browser.py [notebooks/NN_title.ipynb ...]   (default: all)

Needs a Chromium on the PATH; playwright drives it. Each notebook is copied without its outputs,
opened, and run by Kernel > Restart Kernel and Run All Cells. Then every slider is moved and every
button pressed, and the picture below has to change. Exit status 1 if a notebook fails.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page, sync_playwright

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
NAMES = ("chromium", "chromium-browser", "google-chrome")
LIMIT = 600  # seconds for a notebook to run
PATIENCE, ATTEMPTS = 60, 3  # seconds for anything else; ways to start a run
TRACKER = "@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
# What this script cannot move; a notebook that uses one has to teach it here.
UNKNOWN = ".jupyter-widgets :is(select, textarea, input:not(.widget-readout, [type=hidden]))"
HASH = """async (image) => {
  const bytes = await (await fetch(image.src)).arrayBuffer();
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash).join();
}"""
NAME = "widget => widget.closest('.jupyter-widgets').innerText.trim()"


def wait_until(holds: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(f"after {seconds} s still waiting for {what}")
        time.sleep(0.5)


@contextmanager
def jupyterlab(folder: Path) -> Iterator[Callable[[str], str]]:
    """A JupyterLab of its own over a folder; yields the address of a notebook in it."""
    settings = folder / ".settings"
    (settings / TRACKER).parent.mkdir(parents=True)
    # All cells on the page at once, not only those in view.
    (settings / TRACKER).write_text(json.dumps({"windowingMode": "none"}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **os.environ,
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / ".workspaces"),
        "JUPYTER_CONFIG_DIR": str(folder / ".config"),
    }
    log = (folder / ".log").open("w")
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answers() -> bool:
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab ended:\n{(folder / '.log').read_text()}")
        try:
            return opener.open(f"{base}/api/status?token={token}").status == 200
        except OSError:
            return False

    try:
        wait_until(answers, "JupyterLab")
        yield lambda name: f"{base}/lab/tree/{name}?token={token}&reset"
    finally:
        server.terminate()
        server.wait()
        log.close()


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def check_errors(path: Path) -> None:
    """Of the notebook as it was saved: an error only where a tag announces it."""
    for cell in code_cells(path):
        for output in cell.outputs:
            announced = "raises-exception" in cell.metadata.get("tags", [])
            if output.output_type == "error" and not announced:
                found = f"{output.ename}: {output.evalue}"
                raise RuntimeError(f"unannounced error in\n{cell.source}\n\n{found}")


def has_begun(page: Page) -> bool:
    """Some prompt is [*] or [1]."""
    return any(
        re.search(r"[*\d]", text) for text in page.locator(".jp-InputPrompt").all_inner_texts()
    )


def run_all(page: Page, path: Path) -> None:
    """All cells, to the end. The saved file says when: a live picture makes a kernel look idle."""
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for()
    for attempt in reversed(range(ATTEMPTS)):
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_role("menuitem", name="Restart Kernel and Run All Cells").click()
        page.locator(".jp-Dialog .jp-mod-accept").click()
        # An idle kernel may not be connected yet: then it is restarted, and nothing runs.
        try:
            wait_until(lambda: has_begun(page), "the first cell", PATIENCE / ATTEMPTS)
            break
        except RuntimeError:
            if not attempt:
                raise

    def all_have_run() -> bool:
        page.keyboard.press("Control+s")
        page.wait_for_timeout(2000)
        check_errors(path)
        return all(cell.execution_count for cell in code_cells(path))

    wait_until(all_have_run, "the last cell", LIMIT)


def cells_with_widgets(path: Path) -> list[int]:
    """The places, among all cells of the saved notebook, of those that show widgets."""
    places = []
    for place, cell in enumerate(nbformat.read(path, as_version=4).cells):
        data = [output.get("data", {}) for output in cell.get("outputs", [])]
        if any("application/vnd.jupyter.widget-view+json" in d for d in data):
            places.append(place)
    return places


def move_widgets(page: Page, path: Path) -> int:
    """Move each slider, then press each button; the picture of its panel has to change."""
    moved = 0
    for place in cells_with_widgets(path):
        cell = page.locator(".jp-Notebook .jp-Cell").nth(place)
        cell.scroll_into_view_if_needed()
        controls = cell.locator(".noUi-handle, .jupyter-button")
        controls.first.wait_for()
        page.wait_for_timeout(3000)  # for the others of the panel
        if cell.locator(UNKNOWN).count():
            raise RuntimeError("a widget that is neither slider nor button: teach it to me")
        # Buttons last: one that resets changes nothing before something was moved.
        handles, buttons = cell.locator(".noUi-handle").all(), cell.locator(".jupyter-button").all()
        for steps, widget in enumerate([*handles, *buttons], start=1):
            move(widget, steps, cell.locator("img.widget-image"))
            moved += 1
    return moved


def move(widget: Locator, steps: int, picture: Locator) -> None:
    """A slider by so many steps: another number for each, as a softmax ignores equal ones."""
    widget.scroll_into_view_if_needed()
    name, before = widget.evaluate(NAME), picture.evaluate(HASH)
    if widget.get_attribute("role") == "slider":
        largest = widget.get_attribute("aria-valuenow") == widget.get_attribute("aria-valuemax")
        widget.focus()
        for _ in range(steps):
            widget.press("ArrowLeft" if largest else "ArrowRight")
    else:
        widget.click()
    wait_until(lambda: picture.evaluate(HASH) != before, f"{name!r} to change its picture")


def try_notebook(page: Page, address: Callable[[str], str], path: Path) -> str:
    started = time.monotonic()
    page.goto(address(path.name))
    run_all(page, path)
    moved = move_widgets(page, path)
    check_errors(path)
    return f"{len(code_cells(path))} cells, {moved} widgets, {time.monotonic() - started:.0f} s"


def main() -> int:
    paths = [Path(p) for p in sys.argv[1:]] or sorted(NOTEBOOKS.glob("*.ipynb"))
    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        print(f"there is none of {', '.join(NAMES)} on the PATH", file=sys.stderr)
        return 2
    failed = 0
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        work = Path(folder, "notebooks")
        work.mkdir()
        for beside in ("docs", "scripts"):  # of which notebooks show a page, and run a program
            shutil.copytree(NOTEBOOKS.parent / beside, Path(folder, beside))
        copies = [work / path.name for path in paths]
        for path, copy in zip(paths, copies, strict=True):
            notebook = nbformat.read(path, as_version=4)
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = [], None
            nbformat.write(notebook, copy)
        # Without its sandbox, as in containers one is root; the pages are our own.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with jupyterlab(work) as address:
            for copy in copies:
                page = browser.new_page(viewport={"width": 1366, "height": 900})
                page.set_default_timeout(1000 * PATIENCE)
                try:
                    print(f"{copy.name}: {try_notebook(page, address, copy)}", flush=True)
                except Exception as error:  # whatever it is: the other notebooks are run, too
                    failed += 1
                    print(f"{copy.name}: FAILED: {error}", flush=True)
                page.close()
        browser.close()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
