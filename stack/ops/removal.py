"""Remove a project: its files, and all that the stack has of it but the audit and the lake's old revisions.

Asked again, a removal that was killed is completed, as is that of a project whose folder is gone already.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import delete

from stack.core import code, database
from stack.core.errors import StackError, nearest
from stack.core.notices import Reporter
from stack.core.settings import ROOT, Settings
from stack.lake import lake
from stack.ops import welcome
from stack.ops.project_runs import ACTIVE, ProjectRuns
from stack.registry.registry import Registry
from stack.specification import specs

TABLES = [table for table in database.metadata.sorted_tables if "project" in table.c and table is not database.actions]
"""All with rows of projects, but what people did: that stays in the audit."""
FOLDERS = (
    *("features", "quarantine", "docs", "pages", "models", "published", "project_files", "cache/oracle"),
    *("predictions", "older_predictions", "packages"),
)
"""Of the home, each with a folder for each project."""
FILES = ("sweeps/{}.log", "state/{}.decisions.lock", "run/{}.project.yaml.lock")
"""Of the home, one for each project."""


def require_possible(settings: Settings, name: str) -> None:
    """Raise a StackError where a name is no project's, or a run of the project is under way.

    Of a project whose folder is gone, the lake or the model registry still has something.
    """
    _require_known(settings, name)
    if active := next((run for run in ProjectRuns(settings, name).recent() if run.type in ACTIVE), None):
        raise StackError(
            f"project {name}",
            found=f"a run of {active.flow} that is {active.state.lower()}",
            expected="no run under way",
            todo="wait for its end, or cancel it in Prefect",
        )


def files(settings: Settings, name: str) -> list[Path]:
    """Return the files of a project that are removed; those of an example come with the checkout, and stay.

    Raises:
        StackError: one belongs to another user.
    """
    there = [path for path in (settings.projects / name, settings.definitions / f"{name}.py") if path.exists()]
    found = [path for path in there if not _comes_along(settings, path)]
    for path in found:
        parts = [path.parent, path, *path.rglob("*")]
        if foreign := next((part for part in parts if part.is_dir() and not _writable(part)), None):
            raise StackError(str(foreign), found="a folder of another user", expected="one that can be written to")
    return found


def remove_files(paths: Iterable[Path], report: Reporter) -> None:
    """Delete files and folders."""
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        report(f"deleted {path}")


def remove_state(settings: Settings, name: str, report: Reporter) -> None:
    """Delete what the stack has of a project; no run of it may be under way.

    Raises:
        StackError: the name is none of a project, or MLflow does not answer.
    """
    _require_name(name)
    batches = lake.remove(settings, name)
    with database.engine(settings.state_database).begin() as connection:
        rows = sum(connection.execute(delete(table).where(table.c.project == name)).rowcount for table in TABLES)
    for folder in [*(settings.home / parent / name for parent in FOLDERS), *_reports(settings, name)]:
        shutil.rmtree(folder, ignore_errors=True)
    for file in FILES:
        (settings.home / file.format(name)).unlink(missing_ok=True)
    # Last, as the models tell a removal that was broken off from the name of no project.
    versions, experiment = welcome.answer_of_registry(settings, Registry(settings, name).remove)
    if experiment and (artifacts := Path(settings.artifacts)).is_dir():
        shutil.rmtree(artifacts / experiment, ignore_errors=True)
    elif experiment:
        report(f"the files of its runs stay at {settings.artifacts}/{experiment}")
    report(f"deleted {versions} versions, {batches} months or days of data, {rows} rows of the log")


def _require_known(settings: Settings, name: str) -> None:
    _require_name(name)
    # The lake of containers cannot be seen from outside.
    seen = any((folder / name).exists() for folder in (settings.projects, settings.lake))
    if not seen and not welcome.answer_of_registry(settings, Registry(settings, name).versions):
        known = specs.names()
        raise StackError("PROJECT", found=f"{name!r}{nearest(name, known)}", expected=f"one of {', '.join(known)}")


def _require_name(name: str) -> None:
    if not re.fullmatch(specs.NAME, name):
        raise StackError("PROJECT", found=repr(name), expected="the name of a project")


def _comes_along(settings: Settings, path: Path) -> bool:
    """Return whether git has a path as a part of the checkout."""
    if settings.workspace != ROOT:
        return False
    try:
        return bool(code.git("ls-files", "--", str(path)))
    except (OSError, subprocess.CalledProcessError):
        return False


def _writable(folder: Path) -> bool:
    return folder.is_symlink() or os.access(folder, os.W_OK)


def _reports(settings: Settings, name: str) -> list[Path]:
    """Return the folders of Evidently's workspace that have a project's name."""
    found = []
    for file in settings.reports.glob("*/metadata.json"):
        try:
            if json.loads(file.read_text()).get("name") == name:
                found.append(file.parent)
        except (OSError, ValueError):
            continue
    return found
