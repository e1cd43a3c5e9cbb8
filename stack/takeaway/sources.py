"""Find modules of ours that belong together by their imports, and move them below another package."""

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from stack.core.errors import StackError
from stack.core.settings import ROOT, settings

OURS = ("stack", "projects", "services")


@dataclass(frozen=True)
class Sources:
    """Modules of ours that belong together."""

    files: dict[str, Path]
    """Module -> file."""
    requirements: set[str]
    """Distributions that their module-level imports name."""

    def write(self, folder: Path, package: str = "") -> None:
        """Copy the modules into a folder; of a package, their imports of ours are moved below it."""
        for module, path in self.files.items():
            target = folder / path.relative_to(_root(module))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(moved(path, package) if package else path.read_text())


def of(roots: Iterable[str]) -> Sources:
    """Follow the imports of modules of ours to all others of ours that they need."""
    files: dict[str, Path] = {}
    imported: set[str] = set()
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        path = _file(module)
        if module in files or path is None:
            continue
        files[module] = path
        tree = ast.parse(path.read_text())
        waiting += [name for node in _imports(tree) for name in _names(node) if _is_ours(name)]
        imported |= {name.split(".")[0] for node in _imports(tree, inside=False) for name in _names(node)}
    distributions = packages_distributions()
    outside = imported - set(sys.stdlib_module_names) - set(OURS)
    extra = {"tzdata"} if "zoneinfo" in imported else set()
    return Sources(files, {distributions[name][0].lower() for name in outside} | extra)


def requirements(names: Iterable[str]) -> list[str]:
    """Name distributions from the installed version on, below the next major version."""
    releases = {name: version(name) for name in sorted(names)}
    return [f"{name}>={release},<{int(release.split('.')[0]) + 1}" for name, release in releases.items()]


def moved(path: Path, package: str) -> str:
    """Return the text of a module with its imports of ours moved below a package; refuse all but `from ... import`."""
    lines = path.read_text().splitlines(keepends=True)
    for node in _imports(ast.parse("".join(lines))):
        if not any(map(_is_ours, _names(node))):
            continue
        line, at = lines[node.lineno - 1], node.col_offset
        if not isinstance(node, ast.ImportFrom) or not line[at:].startswith(f"from {node.module} "):
            raise StackError(f"{path}, line {node.lineno}", found=line.strip(), expected="from ... import ...")
        lines[node.lineno - 1] = f"{line[:at]}from {package}.{line[at + 5 :]}"
    return "".join(lines)


def _imports(tree: ast.Module, *, inside: bool = True) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield imports that run: those of the module, and with `inside` those of its functions; none for type checkers."""
    parts: list[Any] = list(tree.body)
    while parts:
        node = parts.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif inside or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parts += ast.iter_child_nodes(node)


def _names(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the modules that an import needs: ``from a import b`` needs a.b if that is a module, else a."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    members = [f"{node.module}.{alias.name}" for alias in node.names]
    return [member if _file(member) else str(node.module) for member in members]


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in OURS


def _root(module: str) -> Path:
    """Return the folder of the package at the top of a module's name."""
    return settings().workspace if module.startswith("projects.") else ROOT


def _file(module: str) -> Path | None:
    """Return the file of a module or package of ours; None for a name inside a module."""
    path = _root(module) / Path(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
