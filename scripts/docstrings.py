"""A helper file as a page of Markdown: what it is, and signature and docstring of each public name.

Read from the source, so that neither TensorFlow nor the package is imported.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

SECTIONS = "Args|Attributes|Example|Raises|Returns|Source|Yields"
LISTS = ("Args", "Attributes")  # sections of `name: what it is`


def helper_page(path: Path, repository: str) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    file = path.as_posix().split("/ctc_tutorial/")[-1]
    link = f"https://github.com/{repository}/blob/main/ctc_tutorial/{file}"
    parts = [f"# {file}", markdown(ast.get_docstring(tree)), f"[The file itself]({link})"]
    for node in public(tree):
        parts += [f"## {node.name}", described(node)]
        for method in public(node) if isinstance(node, ast.ClassDef) else ():
            if ast.get_docstring(method):
                parts += [f"### {node.name}.{method.name}", described(method)]
    return "\n\n".join(parts) + "\n"


def public(tree: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node


def described(node: ast.FunctionDef | ast.ClassDef) -> str:
    return f"```python\n{signature(node)}\n```\n\n{markdown(ast.get_docstring(node) or '')}"


def signature(node: ast.FunctionDef | ast.ClassDef) -> str:
    """As in the source, without decorators; of a class, what it is made with."""
    if isinstance(node, ast.FunctionDef):
        head = ast.unparse(ast.FunctionDef(node.name, node.args, [], [], node.returns, lineno=0))
        return spread(head.strip().removesuffix(":"))
    inits = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    if inits:
        arguments = ast.unparse(inits[0].args).removeprefix("self").lstrip(", ")
    else:  # a NamedTuple
        fields = (n for n in node.body if isinstance(n, ast.AnnAssign))
        arguments = ", ".join(ast.unparse(n) for n in fields)
    return spread(f"class {node.name}({arguments})")


def spread(head: str) -> str:
    """One argument a line where the line would be too long."""
    if len(head) <= 88:
        return head
    depth, lines = 0, ""
    for character in head:
        depth += (character in "([{") - (character in ")]}")
        opens = character == "(" and depth == 1 and "\n" not in lines
        closes = character == ")" and depth == 0
        lines += "\n" + character if closes else character
        if opens or (character == "," and depth == 1):
            lines += "\n   "
    return re.sub(r"\n +", "\n    ", lines)


def markdown(docstring: str) -> str:
    """Sections, their lists and the examples of a docstring; its other text as paragraphs."""
    written, section = [], ""
    for block in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        heading = re.match(rf"({SECTIONS}):\s*(.*)", block, re.S)
        if heading:
            section, block = heading[1], inspect.cleandoc("\n" + relieved(block, heading[1]))
            written.append(f"**{section}**")
        elif not block.startswith(" "):
            section = ""
        block = inspect.cleandoc(block)
        if block.startswith(">>>"):
            written.append(f"```pycon\n{block}\n```")
        elif section in LISTS:
            written.append(listed(block))
        else:
            written.append(escaped(block))
    return "\n\n".join(written)


def relieved(block: str, section: str) -> str:
    """What follows `Section:`, on its line or on the next ones."""
    first, _, rest = block.removeprefix(f"{section}:").strip(" ").partition("\n")
    return inspect.cleandoc(f"{first}\n{rest}")


def listed(block: str) -> str:
    """Lines `name: text` as a list; lines that are indented belong to the one before."""
    items = re.sub(r"\n\s+", " ", block).split("\n")
    named = (re.match(r"([\w*, ]+): (.*)", item) for item in items)
    return "\n".join(
        f"- `{match[1]}`: {escaped(match[2])}" if match else f"- {escaped(item)}"
        for item, match in zip(items, named, strict=True)
    )


def escaped(text: str) -> str:
    """Plain text whose only markup is `code`."""
    parts = re.split(r"(`+[^`]+`+)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_\[\]<>|#$])", r"\\\1", part)
        for part in parts
    )
