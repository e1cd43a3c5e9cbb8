"""Build a wheel with a model's served form and the project's feature code, and nothing of the stack's tools.

The wheel installs one package, ``<project>_model``. Modules of ``stack`` and ``projects`` that the feature code needs
are copied below it and import each other there, so that two such wheels live in one environment.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from stack.project import Project, contract
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving.served import Contract
from stack.specification import example
from stack.specification.specs import ProjectSpec
from stack.takeaway import sources, tools
from stack.takeaway.portable import REQUEST

FORMS = {"onnx": ("numpy", "onnxruntime"), "skops": ("numpy", "pandas", "scikit-learn", "skops")}
"""The distributions that read a served form."""
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"

INIT = '''"""{title} Version {version} of the model of the project {project}, trained on labels known at {cutoff}.

``predict`` takes rows: the fields {fields}{stored}.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

{load}from {package}.stack.takeaway.portable import PortableModel

__version__ = "{version}"


@lru_cache(maxsize=1)
def model() -> PortableModel:
    """Return the model, loaded at the first call."""
    return PortableModel(Path(__file__).parent / "model", {on_request})


def predict(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Answer each row as the endpoint does."""
    return model().predict(rows)
'''
MAIN = '''"""Answer the rows of a file: ``{command} rows.csv``."""

import sys

from {package} import predict
from {package}.stack.takeaway.command import main as run


def main() -> None:
    """Answer the rows of the file that is named."""
    sys.exit(run(predict, sys.argv[1:]))


if __name__ == "__main__":
    main()
'''
METADATA = """[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "{version}"
description = {title}
requires-python = ">=3.11"
dependencies = {requirements}

[project.scripts]
{command} = "{package}.__main__:main"

[tool.setuptools]
packages = {packages}

[tool.setuptools.package-data]
"*" = ["*.json", "*.onnx", "*.skops"]
"""


def wheel(project: Project, out: Path) -> Path:
    """Build the wheel of a project's champion; its version is the registered one.

    Args:
        out: folder for the wheel; made if it is missing.

    Raises:
        StackError: the project has no champion, or its feature code cannot be packed.
    """
    champion = project.registry.require_champion()
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(project, champion, folder)
        command = [sys.executable, "-c", BUILD, out.resolve()]
        where, expected = f"wheel of {project.spec.name}", "a wheel that setuptools builds"
        return out / tools.run(command, where, expected=expected, folder=folder).split()[-1]


def write(project: Project, champion: Version, folder: Path) -> None:
    """Write the sources of the package into a folder."""
    package = f"{project.spec.name}_model"
    inside = folder / package
    artifacts.fetch(project.settings, champion, inside / "model")
    derived = describe(project.spec, inside / "model")
    roots = ["stack.takeaway.portable", "stack.takeaway.command"]
    roots += [f"projects.{project.spec.name}.features"] if derived else []
    modules = sources.of(roots)
    for module, path in modules.files.items():
        target = inside / Path(*module.split("."))
        target = target / path.name if path.name == "__init__.py" else target.with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(sources.moved(path, package))
    for part in {parent for path in inside.rglob("*.py") for parent in path.parents if parent.is_relative_to(inside)}:
        (part / "__init__.py").touch()
    command = f"{project.spec.name.replace('_', '-')}-predict"
    _write_entry(project.spec, champion, folder, package, command, derived)
    form = Contract.read(inside / "model").form
    values = {
        "name": package.replace("_", "-"),
        "version": champion.version,
        "title": json.dumps(project.spec.title, ensure_ascii=False),  # TOML has no surrogate pairs
        "requirements": json.dumps(sources.requirements({*modules.requirements, *FORMS[form]})),
        "command": command,
        "package": package,
        "packages": json.dumps(sorted(".".join(p.relative_to(folder).parts) for p in _packages(inside))),
    }
    (folder / "pyproject.toml").write_text(METADATA.format(**values))


def _packages(inside: Path) -> Iterator[Path]:
    yield inside / "model"
    yield from (path.parent for path in inside.rglob("__init__.py"))


def _write_entry(spec: ProjectSpec, champion: Version, folder: Path, package: str, command: str, derived: bool) -> None:
    """Write what a user imports and calls."""
    request = json.loads((folder / package / "model" / REQUEST).read_text())
    values = {
        "title": spec.title,
        "version": champion.version,
        "project": spec.name,
        "cutoff": champion.cutoff.isoformat(),
        "fields": ", ".join(request["fields"]),
        "stored": f"; and, where they are known, {len(request['stored'])} stored features" if request["stored"] else "",
        "load": f"from {package}.projects.{spec.name}.features import on_request\n" if derived else "",
        "package": package,
        "on_request": "on_request" if derived else "None",
    }
    (folder / package / "__init__.py").write_text(INIT.format(**values))
    (folder / package / "__main__.py").write_text(MAIN.format(package=package, command=command))


def describe(spec: ProjectSpec, folder: Path) -> bool:
    """Write ``request.json`` beside a served form; return whether features follow from the request."""
    on_request = contract.on_request(spec.name)
    derived = set(on_request(example.columns(spec))) if on_request else set()
    fields = {name: {"type": field.type, "nullable": field.nullable} for name, field in spec.request.items()}
    stored = [name for name in spec.features.columns if name not in derived]
    (folder / REQUEST).write_text(json.dumps({"fields": fields, "stored": stored}, indent=2) + "\n")
    return bool(derived)
