"""What `make browser` says of a notebook, without a browser."""

import nbformat
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

import run_in_browser


@pytest.fixture
def saved(tmp_path):
    """A notebook of one cell that raised an error, as JupyterLab saves it."""

    def save(tags):
        error = nbformat.v4.new_output("error", ename="ValueError", evalue="too short")
        cell = nbformat.v4.new_code_cell("pad(7)", outputs=[error], metadata={"tags": tags})
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
        return tmp_path / "a.ipynb"

    return save


def test_an_error_that_a_tag_announces_is_none(saved):
    run_in_browser.check_errors(saved(["raises-exception"]))


def test_any_other_error_is_named_with_its_cell(saved):
    with pytest.raises(RuntimeError, match=r"(?s)pad\(7\).*ValueError: too short"):
        run_in_browser.check_errors(saved([]))


def test_waiting_ends_with_what_was_waited_for():
    answers = iter([False, True])
    run_in_browser.wait_until(lambda: next(answers), "the second answer")
    with pytest.raises(RuntimeError, match="a picture to change"):
        run_in_browser.wait_until(lambda: False, "a picture to change", seconds=0)
