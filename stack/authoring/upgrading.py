"""Write the page of all uses of a tool's private API, from the ``_compat.py`` modules.

``python -m stack.authoring.upgrading docs/upgrading-tools.md``

A reach is a function or class of such a module whose docstring has lines that begin ``Tool:``, ``Reach:``, ``Why:``
and ``Upstream:``, below a first line that says what it does. The modules are parsed, not imported.
"""

import ast
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from stack.core.errors import StackError
from stack.core.settings import ROOT

ROOMS = ("stack", "monitoring", "services", "flows", "feature_repo", "projects")
KEYS = ("Tool", "Reach", "Why", "Upstream")
INTRODUCTION = """\
# Upgrading the tools

The stack uses the public API of its tools where there is one. This page lists every place that reaches further, and so
may break with a tool's next version. Each is a function in its room's `_compat.py`, with a test beside the room's other
tests (`test_compat.py`) that names the tool and its version when it has changed.

To upgrade a tool: raise its version in `pyproject.toml`, run `make lock`, then the tests named below, then `make test`.

<!-- made by python -m stack.authoring.upgrading docs/upgrading-tools.md -->
"""


class Reach(NamedTuple):
    """A use of what is not a tool's public API."""

    tool: str
    name: str
    """Dotted name within the tool."""
    purpose: str
    why: str
    upstream: str
    module: str
    function: str


def markdown(root: Path = ROOT) -> str:
    """Return the page: a section for each tool, an entry for each reach."""
    ordered = sorted(reaches(root), key=lambda reach: (reach.tool.lower(), reach.module, reach.function))
    sections = [
        "\n".join([f"\n## {tool}\n", *map(_entry, group)]).rstrip()
        for tool, group in groupby(ordered, lambda reach: reach.tool)
    ]
    return "\n".join([INTRODUCTION.rstrip(), *sections, ""])


def reaches(root: Path) -> Iterator[Reach]:
    """Read the reaches of every ``_compat.py``; refuse a docstring that has some of the lines and lacks others."""
    for room in ROOMS:
        for path in sorted((root / room).rglob("_compat.py")):
            module = path.relative_to(root)
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and (doc := ast.get_docstring(node)):
                    yield from _read(doc, module.as_posix(), node.name)


def _read(doc: str, module: str, function: str) -> Iterator[Reach]:
    lines = re.findall(rf"^({'|'.join(KEYS)}):\s+(.+(?:\n(?!\w+:|\n).+)*)", doc, re.MULTILINE)
    values = {key: " ".join(value.split()) for key, value in lines}
    missing = [f"{key}:" for key in KEYS if key not in values]
    if values and missing:
        raise StackError(f"{module}, {function}", found=f"no line {', '.join(missing)}", expected=", ".join(KEYS))
    if values:
        purpose = " ".join(doc.partition("\n\n")[0].split())
        yield Reach(values["Tool"], values["Reach"], purpose, values["Why"], values["Upstream"], module, function)


def _entry(reach: Reach) -> str:
    upstream = re.sub(r"https?://[^\s,;)]+", r"<\g<0>>", reach.upstream)
    test = f"tests/{reach.module}".replace("_compat.py", "test_compat.py")
    return (
        f"- `{reach.name}`: {reach.purpose.replace('``', '`')}\n"
        f"  Why: {reach.why}\n"
        f"  Upstream: {upstream}. Code: `{reach.function}` in `{reach.module}`; test: `{test}`.\n"
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown())
