"""`make site`: it builds without a warning, and every link inside it leads somewhere."""

import ast
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import docstrings
import pytest
import stamp

import ctc_tutorial

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))


class Page(HTMLParser):
    """What a page links to, its anchors, and how often each tag stands in it."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors, self.tags = [], [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.anchors |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        target = attributes.get("href") or attributes.get("src")
        if target and not target.startswith(("data:", "mailto:")):
            self.links.append(target)
            if tag in ("link", "script"):
                self.loads.append(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("sphinx", reason="Sphinx is not installed: pip install -e '.[site]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, ROOT / "scripts" / "make_site.py", folder]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    pages = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.html")}
    # A template of the theme's is there, too.
    return {n: Page(path) for n, path in pages.items() if not n.startswith("_static/")}, folder


@pytest.mark.slow
def test_every_link_inside_leads_somewhere(site):
    pages, folder = site
    broken, followed = [], 0
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            path = (folder / name).parent / unquote(parts.path) if parts.path else folder / name
            target = path.resolve().relative_to(folder.resolve()).as_posix()
            found = (folder / target).exists()
            if found and parts.fragment and target in pages:
                found = unquote(parts.fragment) in pages[target].anchors
            followed += 1
            if not found:
                broken.append(f"{name}: {link}")
    assert not broken
    assert followed > 1000


@pytest.mark.slow
def test_everything_has_its_page_and_its_search_entry(site):
    pages, folder = site
    helpers = [path.relative_to(ROOT).with_suffix(".html") for path in stamp.helpers()]
    notebooks = [path.relative_to(ROOT).with_suffix(".html") for path in NOTEBOOKS]
    docs = ["docs/playground.html", "docs/glossary.html", "docs/functions.html", "search.html"]
    assert {*(path.as_posix() for path in [*helpers, *notebooks]), *docs} <= set(pages)
    index = (folder / "searchindex.js").read_text(encoding="utf-8")
    found = json.loads(re.search(r"\((.*)\)", index, re.S)[1])
    lattice = found["docnames"].index("ctc_tutorial/lattice")
    assert lattice in found["terms"]["posterior"]
    assert 'href="docs/playground.html"' in (folder / "index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_pages_need_nothing_from_elsewhere(site):
    pages, _ = site
    for name, page in pages.items():
        assert not [link for link in page.loads if urlsplit(link).netloc], name
    # Formulas are MathML, not a script's work.
    source = (ROOT / "notebooks" / "05_ctc_by_hand.ipynb").read_text(encoding="utf-8")
    assert pages["notebooks/05_ctc_by_hand.html"].tags.count("math") >= source.count("\\\\tag{") > 0


@pytest.mark.slow
def test_the_page_of_all_functions_has_each_with_its_file_and_notebook(site):
    _, folder = site
    text = (folder / "docs" / "functions.html").read_text(encoding="utf-8")
    rows = dict(re.findall(r'<tr.*?<span class="pre">(\w+)</span>(.*?)</tr>', text, re.S))
    assert set(rows) == set(ctc_tutorial.__all__)
    for name, room in ctc_tutorial._HOME.items():
        assert f"{room.split('.')[-1]}.py" in rows[name]
        assert "../notebooks/" in rows[name], f"no notebook opens {name}"


def test_docstrings_become_markdown():
    source = '''
def weigh(items: list[str], *, unit: str = "g", **others) -> float:
    """How heavy *all* are.

    Args:
        items: names, a_b
            or c.
        **others: more.

    Raises:
        ValueError: an unknown item.

    >>> weigh([])
    0.0
    """
'''
    page = docstrings.described(ast.parse(source).body[0])
    assert page == (
        "```python\ndef weigh(items: list[str], *, unit: str='g', **others) -> float\n```\n\n"
        "How heavy \\*all\\* are.\n\n**Args**\n\n- `items`: names, a\\_b or c.\n- `**others`: more."
        "\n\n**Raises**\n\nValueError: an unknown item.\n\n```pycon\n>>> weigh([])\n0.0\n```"
    )


def test_the_glossary_is_in_order():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    terms = [term.lower() for term in re.findall(r"^\| \*\*(.+?)\*\*", text, re.M)]
    assert len(terms) > 30 and terms == sorted(set(terms))
    for link in re.findall(r"\]\((.+?)\)", text):
        assert (ROOT / "docs" / link).exists(), link
