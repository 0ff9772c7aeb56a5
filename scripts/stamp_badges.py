"""Write the repository's name into every link and badge that needs it.

    python scripts/stamp_badges.py owner/name

The present name is the one in CITATION.cff; tests/test_hygiene.py keeps all places consistent.
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


def stamped_files() -> list[Path]:
    """The files that hold such links."""
    return [ROOT / "README.md", ROOT / "CITATION.cff", *sorted(ROOT.glob("notebooks/*.ipynb"))]


def names(text: str) -> set[str]:
    """The repository names that stand in the links of `text`."""
    return {
        match.group(0)[len(match.group(1)) :] for link in LINKS for match in re.finditer(link, text)
    }


def main() -> None:
    if len(sys.argv) != 2 or not re.fullmatch(NAME, sys.argv[1]):
        sys.exit("usage: make badges REPO=owner/name")
    for path in stamped_files():
        text = path.read_text(encoding="utf-8")
        for link in LINKS:
            text = re.sub(link, rf"\g<1>{sys.argv[1]}", text)
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
