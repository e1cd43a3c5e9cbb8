"""Find what is wrong in a project's Python files, without running them."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from symtable import symtable
from typing import NamedTuple

from stack import MOVED
from stack.core.errors import StackError, nearest
from stack.project import contract
from stack.specification.specs import ProjectSpec

MODULES: dict[str, type] = {"source": contract.Source, "features": contract.Features, "checks": contract.Checks}
"""Modules of a project whose project.yaml declares no columns, and what the stack asks of each."""
OPTIONAL = ("model", "drift")


class Module(NamedTuple):
    """A Python file and the names that it defines at its top level."""

    path: Path
    tree: ast.Module
    names: list[str]


def findings(folder: Path, definitions: Path, spec: ProjectSpec | None) -> list[StackError]:
    """Return all missing files and functions, wrong signatures and syntax errors.

    A project whose project.yaml declares its columns needs no file.
    """
    errors: list[StackError] = []
    existing = [noun for noun in (*MODULES, *OPTIONAL) if (folder / f"{noun}.py").exists()]
    declared = bool(spec.columns) if spec is not None else not existing
    for noun in existing if declared else dict.fromkeys([*MODULES, *existing]):
        try:
            module = _parse(folder / f"{noun}.py")
            errors += [*_missing(module, noun, spec), *_moved(module)]
        except StackError as error:
            errors.append(error)
    if declared and not definitions.exists():
        return errors
    try:
        feast = _parse(definitions)
    except StackError as error:
        return [*errors, error]
    return [*errors, *_moved(feast), *(_definitions(feast, spec) if spec is not None else [])]


def _parse(path: Path) -> Module:
    if not path.is_file():
        raise StackError(str(path), found="no such file", expected=f"the project's {path.name}")
    try:
        code = path.read_bytes()
        symbols = symtable(code, str(path), "exec").get_symbols()  # type: ignore[arg-type]  # it takes bytes as well
        names = [symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()]
        return Module(path, ast.parse(code, str(path)), names)
    except SyntaxError as error:
        text = f": {error.text.strip()}" if error.text else ""
        where, found = f"{path}, line {error.lineno}", f"{error.msg}{text}"
        raise StackError(where, found=found, expected="Python", todo="fix the line") from None


def _missing(module: Module, noun: str, spec: ProjectSpec | None) -> Iterator[StackError]:
    """Yield functions that the stack calls and the module lacks, or has with other arguments, and missing constants."""
    protocol: type = MODULES.get(noun, object)
    if noun == "source" and spec is not None and (spec.clock.kind == "replay" or spec.schedules.predict):
        protocol = contract.RequestSource
    functions = inspect.getmembers(protocol, inspect.isfunction)
    expected = {name: list(inspect.signature(member).parameters)[1:] for name, member in functions if name[0] != "_"}
    defined = {node.name: node for node in module.tree.body if isinstance(node, ast.FunctionDef)}
    for name, arguments in expected.items():
        signature = f"{name}({', '.join(arguments)})"
        if name not in module.names:
            yield _absent(module, name, f"a function {signature}")
        elif name in defined and not _takes(defined[name].args, len(arguments)):
            where = f"{module.path}, line {defined[name].lineno}"
            yield StackError(where, found=f"{name}({ast.unparse(defined[name].args)})", expected=signature)
    for name in inspect.get_annotations(protocol):
        if name not in module.names:
            yield _absent(module, name, f"a constant {name}")


def _moved(module: Module) -> Iterator[StackError]:
    """Yield imports of modules of the stack by a former name."""
    for node in ast.walk(module.tree):
        for former in _imported(node):
            if former in MOVED:
                yield StackError(
                    f"{module.path}, line {node.lineno}",  # type: ignore[attr-defined]  # an import statement has it
                    found=f"an import of {former}",
                    expected=f"its name now, {MOVED[former]}",
                    todo="change the import: the former name is read for one more release",
                )


def _imported(node: ast.AST) -> list[str]:
    """Return the modules that an import statement may mean."""
    match node:
        case ast.ImportFrom(module=str(module), names=names):
            return [module, *(f"{module}.{alias.name}" for alias in names)]
        case ast.Import(names=names):
            return [alias.name for alias in names]
    return []


def _absent(module: Module, name: str, expected: str) -> StackError:
    found = f"no {name}{nearest(name, module.names)}"
    return StackError(str(module.path), found=found, expected=expected, todo="define it")


def _takes(arguments: ast.arguments, count: int) -> bool:
    """Return whether a function can be called with so many positional arguments and nothing else."""
    named = len(arguments.posonlyargs) + len(arguments.args)
    required = named - len(arguments.defaults)
    unmet = [name for name, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None]
    return required <= count and (count <= named or arguments.vararg is not None) and not unmet


def _definitions(module: Module, spec: ProjectSpec) -> Iterator[StackError]:
    """Yield literal names in the Feast module that do not match project.yaml."""
    columns, todo = spec.features.columns, "fix the name here or there"
    services = _names(module.tree, "FeatureService")
    if None not in services and spec.features.service not in services:
        known = [name for name in services if name]
        found = f"feature services: {', '.join(known) or 'none'}{nearest(spec.features.service, known)}"
        expected = f"{spec.features.service}, the key features.service of project.yaml"
        yield StackError(str(module.path), found=found, expected=expected)
    fields = _names(module.tree, "Field")
    if None in fields:
        return
    for column in (column for column in columns if column not in fields):
        found = f"a column that {module.path.name} does not define{nearest(column, filter(None, fields))}"
        where = spec.place(f"features.columns.{column}")
        yield StackError(where, found=found, expected="a Field of a view", todo=todo)
    for name, line in fields.items():
        if name not in columns and name not in spec.request:
            yield StackError(
                f"{module.path}, line {line}",
                found=f"Field {name!r}{nearest(str(name), columns)}",
                expected="a column of features.columns in project.yaml, or a request field",
                todo=todo,
            )


def _names(tree: ast.Module, kind: str) -> dict[str | None, int]:
    """Return the ``name=`` of each call of a class, with its line; None for a computed name."""
    names: dict[str | None, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == kind:
            value = next((keyword.value for keyword in node.keywords if keyword.arg == "name"), None)
            literal = value.value if isinstance(value, ast.Constant) else None
            names[literal if isinstance(literal, str) else None] = node.lineno
    return names
