"""Build a Bento with BentoML's own command; `bentoml containerize` makes an image of it."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings
from stack.project import Project
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving.served import Contract
from stack.takeaway import sources, tools, wheel

SERVICE = "services.bento.service"


def bento(project: Project, out: Path) -> Path:
    """Build the Bento ``<project>:<version>`` of a project's champion, in BentoML's store and as a file.

    Args:
        project: its settings name the store, unless BENTOML_HOME does.
        out: folder for the file; made if it is missing.

    Raises:
        StackError: the project has no champion, or BentoML refuses.
    """
    champion = project.registry.require_champion()
    tag, environ = f"{project.spec.name}:{champion.version}", environment(project.settings)
    path = out.resolve() / f"{project.spec.name}-{champion.version}.bento"
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(project, champion, folder)
        environ |= {"PYTHONPATH": str(folder), "STACK_HOME": str(folder / "home")}
        # BentoML refuses to build a version twice; this one may be of other code.
        with suppress(StackError):
            _bentoml(["delete", "--yes", tag], folder, environ)
        _bentoml(["build", "--version", champion.version, str(folder)], folder, environ)
        path.unlink(missing_ok=True)
        _bentoml(["export", tag, str(path)], folder, environ)
    return path


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of BentoML's command: its store is where `make env` points it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STACK_")}
    own = {"BENTOML_HOME": str(settings.home / "cache/bentoml"), "BENTOML_DO_NOT_TRACK": "true"}
    return own | kept


def write(project: Project, champion: Version, folder: Path) -> None:
    """Write what BentoML builds from: the served form, the modules of ours that answer, and ``bentofile.yaml``."""
    artifacts.fetch(project.settings, champion, folder / "model")
    wheel.describe(project.spec, folder / "model")
    (folder / "model/version").write_text(champion.version)
    modules = sources.of([SERVICE, f"projects.{project.spec.name}.features"])
    for path in [*modules.files.values(), project.spec.folder / "project.yaml"]:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    needed = {*modules.requirements, *wheel.FORMS[Contract.read(folder / "model").form]}
    recipe = {
        "name": project.spec.name,
        "service": f"{SERVICE}:Predictions",
        "description": project.spec.title,
        "labels": {"project": project.spec.name, "version": champion.version, "cutoff": champion.tag("stack.cutoff")},
        "include": ["**/*.py", "**/*.yaml", "model/*"],
        "python": {"packages": sources.requirements(needed), "lock_packages": False},
        "docker": {"python_version": f"{sys.version_info.major}.{sys.version_info.minor}"},
    }
    (folder / "bentofile.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))


def _bentoml(arguments: list[str], folder: Path, environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "bentoml", *arguments]
    tools.run(command, f"bentoml {arguments[0]}", expected="a Bento", folder=folder, environ=environ)
