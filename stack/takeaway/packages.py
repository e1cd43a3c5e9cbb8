"""Package a model's served form and its project's feature code: a wheel that predicts without the stack, and a Bento.

The wheel installs one package, ``<project>_model``. Modules of ``stack`` and ``projects`` that the feature code needs
are copied below it and import each other there, so that two such wheels live in one environment.
"""

import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import yaml

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.declared import features
from stack.project import Project, contract
from stack.promotion import card
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving.reasons import BACKGROUND
from stack.serving.served import Contract
from stack.specification import example, forecasts, formulas
from stack.specification.specs import ProjectSpec
from stack.takeaway import sources, tools
from stack.takeaway.portable import REQUEST

FORMS = {"onnx": ("numpy", "onnxruntime"), "skops": ("numpy", "pandas", "scikit-learn", "skops")}
"""The distributions that read a served form."""
SERVICE = "services.bento.service"
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
description = {quoted_title}
requires-python = ">=3.11"
dependencies = {requirements}

[project.scripts]
{command} = "{package}.__main__:main"

[tool.setuptools]
packages = {packages}

[tool.setuptools.package-data]
"*" = ["*.json", "*.md", "*.onnx", "*.skops"]
"""


def wheel(project: Project, out: Path) -> Path:
    """Build the wheel of a project's champion into a folder; its version is that of the registry."""
    champion = project.registry.require_champion()
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        write_wheel(project, champion, Path(folder))
        command = [sys.executable, "-c", BUILD, out.resolve()]
        where, expected = f"wheel of {project.spec.name}", "a wheel that setuptools builds"
        return out / tools.run(command, where, expected=expected, folder=Path(folder)).split()[-1]


def write_wheel(project: Project, champion: Version, folder: Path) -> None:
    """Write the sources of the wheel into a folder."""
    spec, package = project.spec, f"{project.spec.name}_model"
    inside = folder / package
    request = fetch(project, champion, inside / "model")
    code, load, on_request = feature_code(spec, package)
    modules = sources.of(["stack.takeaway.portable", "stack.takeaway.command", *code])
    modules.write(inside, package)
    packages = {parent for path in inside.rglob("*.py") for parent in path.parents if parent.is_relative_to(inside)}
    for path in packages:
        (path / "__init__.py").touch()
    packages |= {inside / "model"}
    stored = f"; and, where they are known, {len(request['stored'])} stored features" if request["stored"] else ""
    distributions = {*modules.requirements, *FORMS[Contract.read(inside / "model").form]}
    values = {
        "project": spec.name,
        "package": package,
        "name": package.replace("_", "-"),
        "version": champion.version,
        "title": spec.title,
        "quoted_title": json.dumps(spec.title, ensure_ascii=False),  # TOML has no surrogate pairs
        "cutoff": champion.cutoff.isoformat(),
        "fields": ", ".join(request["fields"]),
        "stored": stored,
        "load": load,
        "on_request": on_request,
        "requirements": json.dumps(sources.requirements(distributions)),
        "command": f"{spec.name.replace('_', '-')}-predict",
        "packages": json.dumps(sorted(".".join(path.relative_to(folder).parts) for path in packages)),
    }
    for path, template in ((inside / "__init__.py", INIT), (inside / "__main__.py", MAIN)):
        path.write_text(template.format(**values))
    (folder / "pyproject.toml").write_text(METADATA.format(**values))


def feature_code(spec: ProjectSpec, package: str) -> tuple[list[str], str, str]:
    """Return the modules that derive features from a request, how a wheel imports them, and how it calls them.

    Of a forecast all features are given to the wheel, as they follow from the past of the series.
    """
    if spec.forecast:
        return [], "", "None"
    if not spec.has("features"):
        columns = features.on_request(spec)
        call = f"partial(derive, columns={columns!r}, zone={forecasts.zone_of(spec)!r})"
        load = f"from functools import partial\n\nfrom {package}.{formulas.__name__} import derive\n"
        return [formulas.__name__], load, call
    module = f"projects.{spec.name}.features"
    derives = contract.on_request(spec.name) is not None
    load = f"from {package}.{module} import on_request\n" if derives else ""
    return [module] * derives, load, "on_request" if derives else "None"


def fetch(project: Project, champion: Version, folder: Path) -> dict[str, Any]:
    """Fetch the champion without the rows that its reasons compare with: they are data; return ``request.json``."""
    artifacts.fetch(project.settings, champion, folder)
    (folder / BACKGROUND).unlink(missing_ok=True)
    with suppress(httpx.HTTPStatusError):  # a version of an early release has no card
        (folder / card.MARKDOWN).write_bytes(
            artifacts.file(project.settings, champion, f"{card.FOLDER}/{card.MARKDOWN}")
        )
    return describe(project.spec, folder)


def describe(spec: ProjectSpec, folder: Path) -> dict[str, Any]:
    """Write ``request.json`` beside a served form, and return its content: request fields and stored features."""
    on_request = None if spec.forecast else contract.on_request(spec.name)
    derived = on_request(example.columns(spec)) if on_request else {}
    request = {
        "fields": {name: {"type": field.type, "nullable": field.nullable} for name, field in spec.request.items()},
        "stored": [name for name in spec.features.columns if name not in derived],
    }
    (folder / REQUEST).write_text(json.dumps(request, indent=2) + "\n")
    return request


def bento(project: Project, out: Path) -> Path:
    """Build the Bento ``<project>:<version>`` of a project's champion, in BentoML's store and as a file in a folder."""
    champion = project.registry.require_champion()
    tag, environ = f"{project.spec.name}:{champion.version}", environment(project.settings)
    path = out.resolve() / f"{project.spec.name}-{champion.version}.bento"
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_bento(project, champion, folder)
        environ |= {"PYTHONPATH": str(folder), "STACK_HOME": str(folder / "home")}
        # BentoML refuses to build a version twice; this one may be of other code.
        with suppress(StackError):
            _bentoml(["delete", "--yes", tag], folder, environ)
        _bentoml(["build", "--version", champion.version, str(folder)], folder, environ)
        path.unlink(missing_ok=True)
        _bentoml(["export", tag, str(path)], folder, environ)
    return path


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of BentoML's command: its store is where `make env` points it, or BENTOML_HOME."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STACK_")}
    return {"BENTOML_HOME": str(settings.home / "cache/bentoml"), "BENTOML_DO_NOT_TRACK": "true"} | kept


def write_bento(project: Project, champion: Version, folder: Path) -> None:
    """Write what BentoML builds from: the served form, the modules of ours that answer, and ``bentofile.yaml``."""
    spec, model = project.spec, folder / "model"
    fetch(project, champion, model)
    (model / "version").write_text(champion.version)
    modules = sources.of([SERVICE, f"projects.{spec.name}.features" if spec.has("features") else features.__name__])
    modules.write(folder)
    (folder / "projects" / spec.name).mkdir(parents=True, exist_ok=True)
    shutil.copy(spec.folder / "project.yaml", folder / "projects" / spec.name)
    distributions = {*modules.requirements, *FORMS[Contract.read(model).form]}
    recipe = {
        "name": spec.name,
        "service": f"{SERVICE}:Predictions",
        "description": spec.title,
        "labels": {"project": spec.name, "version": champion.version, "cutoff": champion.tag("stack.cutoff")},
        "include": ["**/*.py", "**/*.yaml", "model/*"],
        "python": {"packages": sources.requirements(distributions), "lock_packages": False},
        "docker": {"python_version": f"{sys.version_info.major}.{sys.version_info.minor}"},
    }
    (folder / "bentofile.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))


def _bentoml(arguments: list[str], folder: Path, environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "bentoml", *arguments]
    tools.run(command, f"bentoml {arguments[0]}", expected="a Bento", folder=folder, environ=environ)
