"""The Feast definitions of the projects: ``feature_repo/<project>.py``, read as the feast command reads them.

A module that is missing, broken or does not fit its project.yaml is an error of its project alone.
"""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from feast import Entity, FeatureService, FeatureStore, FeatureView, OnDemandFeatureView
from feast.data_source import DataSource
from sqlalchemy.exc import SQLAlchemyError

from stack.core import settings as configuration
from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings
from stack.project import Project
from stack.specification.specs import ProjectSpec

REPOSITORY = ROOT / "feature_repo"
KINDS = (DataSource, Entity, FeatureView, OnDemandFeatureView, FeatureService)


def apply(feast: FeatureStore, spec: ProjectSpec, definitions: list[Any]) -> None:
    """Apply a project's definitions; Feast tries them out before it changes anything."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "On demand feature view is an experimental feature")
            feast.apply(definitions)
    except (SQLAlchemyError, sqlite3.Error, OSError):
        raise
    except Exception as error:
        raise StackError(
            f"feature_repo/{spec.name}.py",
            found=f"{type(error).__name__}: {' '.join(str(error).split())[:500]}",
            expected="definitions that Feast accepts",
        ) from error


def load(project: Project) -> list[Any]:
    """Read ``feature_repo/<project>.py``; its service must give the columns of project.yaml, no more and no fewer."""
    path = REPOSITORY / f"{project.spec.name}.py"
    found = [value for value in vars(_module(project.settings, path)).values() if isinstance(value, KINDS)]
    services = {one.name: one for one in found if isinstance(one, FeatureService)}
    if project.spec.features.service not in services:
        raise StackError(
            str(path),
            found=f"feature services: {_names(set(services))}",
            expected=f"{project.spec.features.service}, the key features.service of project.yaml",
        )
    projections = services[project.spec.features.service].feature_view_projections
    given, wanted = {field.name for view in projections for field in view.features}, set(project.spec.features.columns)
    if given != wanted:
        raise StackError(
            f"{path}, feature service {project.spec.features.service}",
            found=f"missing: {_names(wanted - given)}; not in project.yaml: {_names(given - wanted)}",
            expected="the columns of features.columns in project.yaml",
        )
    return found


def orphans(settings: Settings, feast: FeatureStore) -> list[Any]:
    """What the registry has and no module of ``feature_repo`` defines any more; nothing while one of them is broken."""
    try:
        defined = {key for path in sorted(REPOSITORY.glob("*.py")) for key in _defined(_module(settings, path))}
    except StackError:
        return []
    known = [*feast.list_feature_services(), *feast.list_feature_views(), *feast.list_on_demand_feature_views()]
    known += [*feast.list_entities(), *feast.list_data_sources()]
    # Feast's own names begin with two underscores.
    return [one for one in known if _key(one) not in defined and not one.name.startswith("__")]


def _defined(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Kind and name of what a module defines, and of the sources inside it."""
    for one in vars(module).values():
        if isinstance(one, KINDS):
            yield _key(one)
        inside = [one.batch_source] if isinstance(one, FeatureView) else []
        inside += one.source_request_sources.values() if isinstance(one, OnDemandFeatureView) else []
        yield from (_key(source) for source in inside if source)


def _key(one: Any) -> tuple[str, str]:
    kind = next(kind for kind in KINDS if isinstance(one, kind))
    return kind.__name__, one.name


def _names(columns: set[str]) -> str:
    return ", ".join(sorted(columns)) or "none"


def _module(settings: Settings, path: Path) -> ModuleType:
    """Run a module of definitions, as the feast command does, under these settings."""
    spec = spec_from_file_location(f"feature_repo.{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise StackError(str(path), found="no such file", expected="the project's Feast definitions")
    module = module_from_spec(spec)
    try:
        with _environment(settings):
            spec.loader.exec_module(module)
    except Exception as error:
        raise StackError(
            str(path), found=f"{type(error).__name__}: {error}", expected="a module that imports"
        ) from error
    return module


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """Let definitions see `settings`, which they read from the environment."""
    before = dict(os.environ)
    os.environ.update(settings.environment())
    configuration.settings.cache_clear()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        configuration.settings.cache_clear()


def claim(owners: dict[tuple[str, str], str], spec: ProjectSpec, definitions: list[Any]) -> None:
    """Refuse a name that an earlier project uses: all projects share one Feast project. Entities may be shared."""
    for one in definitions:
        name = (type(one).__name__, one.name)
        if owners.setdefault(name, spec.name) != spec.name and not isinstance(one, Entity):
            raise StackError(
                f"feature_repo/{spec.name}.py",
                found=f"{name[0]} {one.name}, a name that {owners[name]} uses",
                expected="a name of its own",
                todo=f"call it {spec.name}_{one.name}",
            )
