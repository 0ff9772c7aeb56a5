"""Build the site: all notebooks as they are committed, a page per helper, search, the playground.

    python scripts/make_site.py [folder]

By default into build/site. Sphinx reads one folder, so the sources are gathered in a temporary one
first, laid out as the repository is; links to what has no page of its own lead to GitHub. Needs no
network. A warning of Sphinx's, such as a link that leads nowhere, is an error.
"""

import json
import posixpath
import re
import shutil
import sys
import tempfile
from pathlib import Path

from docstrings import helper_page
from sphinx.cmd.build import main as sphinx
from stamp import ROOT, helpers, present_name

import ctc_tutorial

PACKAGE = ROOT / "ctc_tutorial"
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
NUMBERS = {path.stem[:2]: path.stem for path in NOTEBOOKS}
PAGES = sorted(ROOT.glob("docs/*.md"))
PLAYGROUND = ROOT / "docs" / "playground.html"
SHOWN = [*NOTEBOOKS, *PAGES, *ROOT.glob("docs/*.png"), *ROOT.glob("docs/*.gif"), PLAYGROUND]

INDEX = """
```{toctree}
:hidden:
:caption: The notebooks
:glob:
notebooks/*
```
```{toctree}
:hidden:
:caption: Look things up
docs/glossary
docs/functions
docs/what_works
docs/beyond
```
```{toctree}
:hidden:
:caption: The helpers
:glob:
ctc_tutorial/*
ctc_tutorial/data/*
```
"""


def page_of(path: str) -> str | None:
    """Where a file of the repository is in the site, if it is there: paths from the root."""
    if path == "README.md":
        return "index.md"
    if ROOT / path in helpers():
        return path.removesuffix(".py") + ".md"
    return path if ROOT / path in SHOWN else None


def linked(text: str, folder: str) -> str:
    """Markdown of a file in `folder` with its links as they have to be in the site."""

    def mend(match: re.Match) -> str:
        title, target = match.groups()
        if re.match(r"https?:|mailto:", target):
            return match[0]
        path, *anchor = target.split("#")
        # Jupyter keeps capitals and signs in a heading's anchor; here it is as on GitHub.
        anchor = [re.sub(r"[^\w-]", "", name).lower() for name in anchor]
        if not path:
            return f"[{title}](#{anchor[0]})"
        path = posixpath.normpath(posixpath.join(folder, path))
        page = page_of(path)
        if page is None:
            page = f"https://github.com/{present_name()}/blob/main/{path}"
        else:
            page = posixpath.relpath(page, folder or ".")
        # Sphinx would offer a page that is no source of its own as a download.
        outside = "{.external}" if path.endswith(".html") else ""
        return f"[{title}]({'#'.join([page, *anchor])}){outside}"

    return re.sub(r"\[((?:[^][]|\[[^][]*\])*)\]\(([^)\s]+)\)", mend, text)


def notebook(path: Path) -> str:
    content = json.loads(path.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = linked("".join(cell["source"]), "notebooks")
    return json.dumps(content)


def notebook_links(stems: list[str], names: bool) -> str:
    titles = [stem.replace("_", " ") if names else stem[:2] for stem in stems]
    return ", ".join(f"[{t}](../notebooks/{s}.ipynb)" for t, s in zip(titles, stems, strict=True))


def functions_page() -> str:
    """Every name that a reader may call, its file, and the notebooks that open and use it."""
    code = {
        path.stem: [
            "".join(cell["source"])
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
            if cell["cell_type"] == "code"
        ]
        for path in NOTEBOOKS
    }

    def using(*names: str, sign: str = "") -> list[str]:
        used = re.compile(rf"\bctc\.({'|'.join(names)})\b")
        return [s for s, cells in code.items() if any(sign in c and used.search(c) for c in cells)]

    rows = []
    for name, room in sorted(ctc_tutorial._HOME.items(), key=lambda item: item[0].lower()):
        file = room.replace(".", "/")
        taught = taught_in((PACKAGE / f"{file}.py").read_text(encoding="utf-8"))
        beside = using(*ctc_tutorial._ROOMS[room].split())[:1]
        opened = using(name, sign="getsource") or taught or beside
        others = [stem for stem in using(name) if stem not in opened]
        page = f"../ctc_tutorial/{file}.md"
        rows.append(
            f"| [`{name}`]({page}#{name.lower()}) | [{file}.py]({page}) "
            f"| {notebook_links(opened, True)} | {notebook_links(others, False)} |"
        )
    head = (
        "# All functions\n\nEverything that a helper file offers, where it is, and which notebook "
        "opens it: shows its source, or teaches its file.\n\n"
        "| name | file | opened in | used in, too |\n|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def taught_in(source: str) -> list[str]:
    """The notebooks that the head of a file says it is taught in, by their stems."""
    said = re.search(r"(?:[Tt]aught|[Uu]sed) in(.*?)(?:\.\s|\"\"\")", source, re.S)
    numbers = re.findall(r"\b(\d\d)(?:_\w+)?\b", said[1]) if said else []
    return [NUMBERS[number] for number in numbers if number in NUMBERS]


def gather(folder: Path) -> None:
    """All sources of the site, laid out as the repository is."""

    def write(name: str, text: str) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")

    write("index.md", linked((ROOT / "README.md").read_text(encoding="utf-8"), "") + INDEX)
    write("docs/functions.md", functions_page())
    for path in PAGES:
        write(f"docs/{path.name}", linked(path.read_text(encoding="utf-8"), "docs"))
    for path in NOTEBOOKS:
        write(f"notebooks/{path.name}", notebook(path))
    for path in helpers():
        write(
            path.relative_to(ROOT).with_suffix(".md").as_posix(), helper_page(path, present_name())
        )
    for path in SHOWN:
        if path.suffix in (".png", ".gif"):
            shutil.copy(path, folder / "docs")
    (folder / "as_they_are" / "docs").mkdir(parents=True)
    shutil.copy(PLAYGROUND, folder / "as_they_are" / "docs")


def main() -> int:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").absolute()
    with tempfile.TemporaryDirectory() as folder:
        source, trees = Path(folder, "source"), Path(folder, "trees")
        gather(source)
        options = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(ROOT / "docs")]
        options += ["-D", f"html_extra_path={source / 'as_they_are'}"]
        status = sphinx([*options, "-d", str(trees), str(source), str(target)])
    if not status:
        print(f"open {target / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
