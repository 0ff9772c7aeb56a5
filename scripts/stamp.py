"""Write the version and the repository's name into every place that shows them.

    python scripts/stamp.py [owner/name]

The version is `__version__` of ctc_tutorial/__init__.py; the present name is the one in
CITATION.cff. They stand in the links and badges of README and notebooks, in CITATION.cff, and in
the first line of each helper, which goes with its copies; tests/test_hygiene.py keeps all in step.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAME = r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+"
# Each place where a repository name can stand in a link of ours.
LINKS = (
    rf"(mybinder\.org/v2/gh/){NAME}(?=/HEAD)",
    rf"(colab\.research\.google\.com/github/){NAME}(?=/blob/)",
    rf"(git\+https://github\.com/){NAME}(?=\.git)",
    rf"(repository-code: https://github\.com/){NAME}",
)


def version() -> str:
    source = (ROOT / "ctc_tutorial" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', source, re.M)[1]


def present_name() -> str:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    return re.search(rf"^repository-code: https://github\.com/({NAME})$", citation, re.M)[1]


def helpers() -> list[Path]:
    """The files that readers copy."""
    modules = sorted((ROOT / "ctc_tutorial").rglob("*.py"))
    return [path for path in modules if not path.stem.startswith("_")]


def stamped_files() -> list[Path]:
    """The files that show the version or the repository's name."""
    notebooks = sorted(ROOT.glob("notebooks/*.ipynb"))
    return [ROOT / "README.md", ROOT / "CITATION.cff", *notebooks, *helpers()]


def stamped(path: Path, name: str) -> str:
    """The text of a file as it should be."""
    text = path.read_text(encoding="utf-8")
    for link in LINKS:
        text = re.sub(link, rf"\g<1>{name}", text)
    if path.name == "CITATION.cff":
        text = re.sub(r"^version: .*$", f"version: {version()}", text, flags=re.M)
    if path.suffix == ".py":
        first_line = (
            f"# CTC in Keras {version()}, https://github.com/{name}, MIT licence, "
            "(c) 2026 the authors of CTC in Keras. Keep this line.\n"
        )
        text = first_line + re.sub(r"\A# CTC in Keras .*\n", "", text)
    return text


def main() -> None:
    name = sys.argv[1] if len(sys.argv) == 2 else present_name()
    if len(sys.argv) > 2 or not re.fullmatch(NAME, name):
        sys.exit("usage: make stamp REPO=owner/name")
    for path in stamped_files():
        path.write_text(stamped(path, name), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
